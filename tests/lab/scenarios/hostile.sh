# SPDX-License-Identifier: GPL-2.0-only
# guests that lie. Two at once, PV and PVH, each on a mediated queue with a window of one device, for C_seconds: all that must be refused,
# random stores into everything that is shared, lists that change while they are read, lies in the state page. A neighbour's verifying
# load on the same device makes progress in every 5 s, and no byte outside of the windows is read or written. Then every reason to
# refuse a request in each mode, impossible indexes, descriptors that cannot be. hvdrvd goes on
. /lab/lib.sh
began=$(up)
need_data
drop pvh hvm
need near pv vcpus="$LAB_SMP"
lab-guest start evil pv module=no || { bad "evil starts"; exit; }
lab-guest start worse pvh module=no || { bad "worse starts"; exit; }
pid0=$(cat /run/lab/hvdrvd.pid)

# MiB of the device: 8 to 16 is evil's, 24 to 32 worse's, 40 to 44 the neighbour's; all else has a word that a guest must never see
D=/data/hostile.img
chunk='OUTSIDE!'; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13; do chunk=$chunk$chunk; done
i=0; while [ $i -lt 16 ]; do printf %s "$chunk"; i=$((i + 1)); done >/run/lab/outside	# 1 MiB
rm -f $D
for i in 0 1 2 3 4 5 16 17 18 19 20 21 32 33 34 35 36 44 45 46 6 7 22 23 37 38 39 47; do dd if=/run/lab/outside of=$D bs=1M seek=$i conv=notrunc 2>/dev/null; done
spoilt() { sync; echo 1 >/proc/sys/vm/drop_caches; for i in 0 1 2 3 4 5 6 7 16 17 18 19 20 21 22 23 32 33 34 35 36 37 38 39 44 45 46 47; do
    dd if=$D bs=1M skip=$i count=1 2>/dev/null | cmp -s - /run/lab/outside || echo $i; done; }
is "the pattern stands" "$(stat -c %s $D) $(spoilt)" "50331648 "
works "the neighbour's range" hvdrv attach near n class=block,backend=$D,range=81920+8192
rm -f /run/lab/hostile.end
# one load for all the time: its start takes seconds beside guests that are busy
LAB_EXEC_LIMIT=3600 g near fio --name=v --verify=crc32c --verify_fatal=1 --ioengine=libaio --direct=1 --output-format=terse --terse-version=3 \
    --randseed="$SEED" --filename=/dev/hvda --rw=randwrite --bs=4k --size=4m --iodepth=8 --time_based --runtime=3600 >/run/lab/hostile.near 2>&1 &
load=$!
until_ok 60 sh -c "hvdrv show near n --json | grep -q '\"write_requests\": *[1-9]'" || bad "the neighbour's load"
# 4 s are 40 ticks. In an interval with less than half of them the machine itself stood still: it is not judged
( while [ ! -e /run/lab/hostile.end ]; do echo; usleep 100000; done >/run/lab/hostile.ticks ) &
neighbour() { shown near n | awk -F: '/"(read|write)_requests"/ { gsub(/[^a-z_]/, "", $1); gsub(/[^0-9]/, "", $2); if (!seen[$1]++) n += $2 } END { print n + 0 }'; }
( last=0 ticks=0
while [ ! -e /run/lab/hostile.end ]; do
    sleep 4					# and the time that it takes to look
    now=$(neighbour) t=$(wc -l </run/lab/hostile.ticks)
    if [ "$now" -gt "$last" ]; then echo progress; elif [ $((t - ticks)) -lt 20 ]; then echo "the machine stood still"; else echo "stuck at $now"; fi
    last=$now ticks=$t
done >/run/lab/hostile.progress ) &
watch=$!

# GUEST ...
step() { gsh "$1" "xenstore-write data/hostile/go $2"; }
# until the program has printed a line
printed() { grep -q "$2" "/run/lab/hostile.$1"; }
start() {
    n=$1; shift
    : >"/run/lab/hostile.$n"; step "$n" 0
    LAB_EXEC_LIMIT=$((C_seconds + 120)) g "$n" hostile "$SEED" "$@" >>"/run/lab/hostile.$n" 2>&1 &
    prog=$!
}
said() { tail -n 3 "/run/lab/hostile.$1"; }
# rejects GUEST MODE: how often for what
rejects() {
    shown "$1" bad | awk -v m="$2" '$0 ~ "\"" m "\": *[{]" { on = 1 } on && /"rejects"/ { inside = 1; next }
        inside && /}/ { exit } inside { gsub(/[",:]/, " "); print $1, $2 }'
}
ended() {
    until_ok 60 printed "$1" "ended by the host" || bad "$1: an impossible index: $(said "$1")"
    has "$1: the device is ended, and says why" "$(hvdrv list "$1" --json)" "damaged its queue \(ring-index\)"
    works "$1: detach --force" hvdrv detach --force "$1" bad
}

# ---- the storm ----
start evil storm-nvme "$C_seconds"; evil=$prog
start worse storm-nvme "$C_seconds"; worse=$prog
works "evil's window" hvdrv attach evil bad class=block,backend=$D,range=16384+16384,mode=paravirtual
works "worse's window" hvdrv attach worse bad class=block,backend=$D,range=49152+16384,mode=paravirtual
for n in evil worse; do until_ok 60 printed $n "step 1" || bad "$n: $(said $n)"; step $n 1; done
for n in evil worse; do
    until_ok $((C_seconds + 60)) printed $n "step 2" || bad "$n: the storm: $(said $n)"
    has "$n: all is answered, no refused request succeeded, nothing was read from outside" "$(cat /run/lab/hostile.$n)" \
        "^storm: [1-9].* 0 of those that must fail did not, 0 words from outside, state 4$"
    is "$n: no command is without an answer" "$(grep -c 'has no answer' /run/lab/hostile.$n)" 0
    has "$n: the pool's pages, and what is beside them" "$(cat /run/lab/hostile.$n)" "^pool: 0 wrong"
    note "$n: $(grep ^storm: /run/lab/hostile.$n)"
    rejects $n paravirtual >/run/lab/hostile.rejects.$n
    for r in opcode namespace segment-count segment range indirect-page data-page; do
        work "$n, mediated: refused: $r" "$(awk -v r=$r '$1 == r { print $2 }' /run/lab/hostile.rejects.$n)"
    done
    step $n 2
    ended $n
done
wait $evil $worse
is "no MiB outside of the windows has changed" "$(spoilt)" ""

truncate -s 16M /data/evil.img; truncate -s 16M /data/worse.img
# ---- descriptors that cannot be, by one; reasons to refuse that another kind of device has, by the other ----
( w=0; while [ $w -lt 20 ]; do
    start worse offer $w
    out=$(hvdrv attach --timeout 10 worse bad class=block,backend=/data/worse.img 2>&1); st=$?
    wait $prog
    if [ $st != 0 ] && [ "$(printf '%s\n' "$out" | wc -l)" = 1 ]; then ok "descriptor $w is refused: ${out#*: }"; else bad "descriptor $w: status $st: $out"; fi
    w=$((w + 1))
done >/run/lab/hostile.offers ) &
offers=$!
slow_device bs=4096 queue_mode=2
total=0
: >/run/lab/hostile.rejects
for target in /data/evil.img /data/evil.img,ro /dev/nullb0 /data/evil.img,ro,mode=paravirtual /dev/nullb0,mode=paravirtual; do
    case $target in *paravirtual) how=serve-nvme mode=paravirtual;; *) how=serve mode=virtual;; esac
    start evil $how $((C_writes / 5 + 1)); p=$prog
    works "attach for $target" hvdrv attach evil bad "class=block,backend=$target"
    until_ok 60 printed evil "step 1" || bad "crafted requests: $(said evil)"
    has "no refused request succeeded" "$(cat /run/lab/hostile.evil)" "[1-9][0-9]+ answered, 0 of those"
    case $target in *evil.img)
        has "$how: the pool's pages, and what is beside them" "$(cat /run/lab/hostile.evil)" "^pool: 0 wrong"
        work "$how: requests by the pool" "$(json_of evil bad pool_requests)" ;;
    esac
    rejects evil $mode | sed "s/^/$mode /" >>/run/lab/hostile.rejects
    hvdrv list evil | grep -q "$(printf '\033')" && bad "the terminal is not safe from the guest" || ok "what the guest wrote is escaped"
    step evil 1
    until_ok 300 printed evil "step 2" || bad "random writes: $(said evil)"
    n=$(sed -n 's/^scribbled: \([0-9]*\) writes/\1/p' /run/lab/hostile.evil); total=$((total + ${n:-0}))
    step evil 2
    ended evil
    wait $p
done
refused() { work "$1: refused: $2" "$(awk -v m="$1" -v r="$2" '$1 == m && $2 == r { n += $3 } END { print n + 0 }' /run/lab/hostile.rejects)"; }
for r in opcode segment-count segment range alignment read-only indirect-operation indirect-page data-page; do refused virtual $r; done
for r in alignment read-only; do refused paravirtual $r; done
work "random writes" $total
works "at least the table's number" [ "$total" -ge "$C_writes" ]
wait $offers
cat /run/lab/hostile.offers
is "descriptors" "$(grep -c '^ok' /run/lab/hostile.offers)" 20
touch /run/lab/hostile.end; wait $watch
g near killall -TERM fio; wait $load
is "the neighbour made progress in every 5 s" "$(grep -c stuck /run/lab/hostile.progress)" 0
[ "$(grep -c progress /run/lab/hostile.progress)" -ge $((C_seconds / 5)) ] && ok "intervals of 5 s: $(sort /run/lab/hostile.progress | uniq -c | tr -s ' \n' ' ')" ||
    bad "too few intervals of 5 s: $(sort /run/lab/hostile.progress | uniq -c)"
is "the neighbour's data is right" "$(awk -F';' '/;/ { print $5 }' /run/lab/hostile.near)" 0
work "KiB that the neighbour verified" "$(awk -F';' '/;/ { print $6 }' /run/lab/hostile.near)"
is "hvdrvd is the same process" "$(cat /run/lab/hvdrvd.pid)" "$pid0"
works "detach the neighbour" hvdrv detach near n
lines=$(grep -cE 'evil|worse' $KEEP/hvdrvd.log)
note "log lines of the whole attack: $lines"
# each of two guests a line in a second, and one that says how many were left out
works "the log is rate-limited" [ "$lines" -lt $((($(up) - began) * 4 + 200)) ]
is "dom0's kernel log is silent" "$(dmesg | faults)" ""
drop evil worse near
until_ok 20 sh -c "! xl list | grep -q null" && ok "no zombie stays" || bad "zombie"
