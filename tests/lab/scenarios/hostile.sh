# SPDX-License-Identifier: GPL-2.0-only
# a guest that lies: every reason to refuse a request, random stores into everything that it shares, an impossible
# index, descriptors that cannot be. hvdrvd goes on, and a neighbour's verifying load makes progress in every 5 s
. /lab/lib.sh
need_data
drop pvh hvm
need near pv vcpus="$LAB_SMP"
lab-guest start evil pv module=no || { bad "evil starts"; exit; }
pid0=$(cat /run/lab/hvdrvd.pid)
attach near n 24 >/dev/null || bad "the neighbour's disk"
( while [ ! -e /run/lab/hostile.end ]; do
    fio_in near --filename=/dev/hvda --rw=randwrite --bs=4k --size=4m --iodepth=8 --time_based --runtime=20 |
        awk -F';' '/;/ { print $5 }' >>/run/lab/hostile.near
done ) &
load=$!
( last=0
while [ ! -e /run/lab/hostile.end ]; do
    sleep 5
    now=$(( $(json_of near n read_requests) + $(json_of near n write_requests) ))
    [ "$now" -gt "$last" ] && echo progress || echo "stuck at $now"
    last=$now
done >/run/lab/hostile.progress ) &
watch=$!

step() { gsh evil "xenstore-write data/hostile/go $1"; }
# until the program has printed a line
printed() { grep -q "$1" /run/lab/hostile.out; }
start() {
    : >/run/lab/hostile.out; step 0
    LAB_EXEC_LIMIT=60 g evil hostile "$SEED" "$@" >>/run/lab/hostile.out 2>&1 &
    prog=$!
}
rejects() { hvdrv show evil bad --json | sed -n 's/^ *"\([a-z-]*\)": *\([0-9]*\),\{0,1\}$/\1 \2/p' | grep -E '^(opcode|segment-count|segment|range|alignment|read-only|indirect-operation|indirect-page|data-page|namespace|ring-index) '; }
total=0
: >/run/lab/hostile.rejects
ins null_blk nr_devices=1 gb=1 bs=4096 queue_mode=2 >/dev/null 2>&1
truncate -s 16M /data/evil.img
for target in /data/evil.img /data/evil.img,ro /dev/nullb0 /data/evil.img,mode=paravirtual; do
    case $target in *paravirtual) how=serve-nvme;; *) how=serve;; esac
    start $how $((C_writes / 4 + 1))
    works "attach for $target" hvdrv attach evil bad "class=block,backend=$target"
    until_ok 60 printed "step 1" || bad "crafted requests: $(tail -n 2 /run/lab/hostile.out)"
    has "no refused request succeeded" "$(cat /run/lab/hostile.out)" "[1-9][0-9]+ answered, 0 of those"
    rejects >>/run/lab/hostile.rejects
    hvdrv list evil | grep -q "$(printf '\033')" && bad "the terminal is not safe from the guest" || ok "what the guest wrote is escaped"
    step 1
    until_ok 300 printed "step 2" || bad "random writes: $(tail -n 2 /run/lab/hostile.out)"
    n=$(sed -n 's/^scribbled: \([0-9]*\) writes/\1/p' /run/lab/hostile.out); total=$((total + ${n:-0}))
    step 2
    until_ok 60 printed "ended by the host" || bad "an impossible index: $(tail -n 2 /run/lab/hostile.out)"
    wait $prog
    has "the device is ended, and says why" "$(hvdrv list evil --json)" "damaged its queue \(ring-index\)"
    works "detach --force" hvdrv detach --force evil bad
done
for r in opcode segment-count segment range alignment read-only indirect-operation indirect-page data-page namespace; do
    work "refused: $r" "$(awk -v r=$r '$1 == r { n += $2 } END { print n + 0 }' /run/lab/hostile.rejects)"
done
work "random writes" $total
works "at least the table's number" [ "$total" -ge "$C_writes" ]
w=0; while [ $w -lt 20 ]; do
    start offer $w
    out=$(hvdrv attach --timeout 10 evil bad class=block,backend=/data/evil.img 2>&1); st=$?
    wait $prog
    if [ $st != 0 ] && [ "$(printf '%s\n' "$out" | wc -l)" = 1 ]; then ok "descriptor $w is refused: ${out#*: }"; else bad "descriptor $w: status $st: $out"; fi
    w=$((w + 1))
done
touch /run/lab/hostile.end
wait $watch $load
is "the neighbour made progress in every 5 s" "$(grep -c stuck /run/lab/hostile.progress)" 0
work "intervals of 5 s" "$(grep -c progress /run/lab/hostile.progress)"
is "the neighbour's data is right" "$(sort -u /run/lab/hostile.near)" 0
is "hvdrvd is the same process" "$(cat /run/lab/hvdrvd.pid)" "$pid0"
works "detach the neighbour" hvdrv detach near n
note "log lines of the whole attack: $(grep -c evil $KEEP/hvdrvd.log)"
works "the log is rate-limited" [ "$(grep -c evil $KEEP/hvdrvd.log)" -lt 1500 ]
drop evil near
until_ok 20 sh -c "! xl list | grep -q null" && ok "no zombie stays" || bad "zombie"
