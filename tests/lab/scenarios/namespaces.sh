# SPDX-License-Identifier: GPL-2.0-only
# an NVMe controller with two namespaces, QEMU's with Doorbell Buffer Config. One with blocks of 4096 bytes: both ways to it, switched
# under load, a worker killed, a partition. Hardware queues: refused to PVH, beside another guest on the other namespace, and by
# this controller. A guest that lies to a queue which is passed on as NVMe commands: nothing outside its window is read or written
. /lab/lib.sh
[ -n "$LAB_NVME" ] || { skip "namespaces: the run has no --nvme"; exit 0; }
D=/dev/nvme0n1 E=/dev/nvme0n2
to() { switch "$1" "$2" "$3" --deadline 2000000000 --timeout 90 || bad "$1/$2: to $3: $out"; }
# all of a device but for ranges, as sectors: DEVICE [BEGIN END]...
rest() {
    dev=$1 at=0; shift
    set -- "$@" "$(cat "/sys/block/${dev#/dev/}/size")"
    while [ $# -gt 0 ]; do
        dd if="$dev" bs=1M iflag=direct,skip_bytes,count_bytes skip=$((at * 512)) count=$((($1 - at) * 512)) 2>/dev/null
        at=${2:-0}
        shift; [ $# = 0 ] || shift
    done | md5sum
}
served() { [ -n "$(json_of pv b queues)" ]; }
mediated() { [ "$(path pvh)" = "paravirtual pool " ]; }

[ -b $D ] || ins nvme
until_ok 20 test -b $D -a -b $E -a -c /dev/ng0n1 -a -c /dev/ng0n2 || { bad "no NVMe of two namespaces"; exit 1; }
is "blocks" "$(cat /sys/block/nvme0n1/queue/logical_block_size /sys/block/nvme0n2/queue/logical_block_size | tr '\n' ' ')" "512 4096 "
need pv pv vcpus="$LAB_SMP"
need pvh pvh vcpus="$(few_cpus pvh)"

# ---- blocks of 4096 bytes ----
from=2056 len=40968		# sectors
dd if=/dev/zero bs=1M count=32 2>/dev/null | tr '\0' U | dd of=$E bs=1M oflag=direct iflag=fullblock 2>/dev/null
around=$(rest $E $from $((from + len)))
fails "a range that begins inside a block" 1 "both must be multiples of 8" hvdrv attach pv b "class=block,backend=$E,range=2057+8"
works "a range of $E" hvdrv attach pv b "class=block,backend=$E,range=$from+$len"
is "the guest's disk has its blocks" "$(g pv cat /sys/block/hvda/queue/logical_block_size)" 4096
is "in mode virtual by the block node" "$(json_of pv b io)" direct
to pv b paravirtual
is "in mode paravirtual by commands" "$(json_of pv b io)" passthrough
stamp_in pv /run/lab/ns.stamp --size 4194304 --max-kib 252 --rare 8 &
load=$!
p0=$(json_of pv b passthrough_requests)
n=$(fio_verify pv --filename=/dev/hvda --offset=4m --rw=randwrite --bsrange=4k-252k --size=1m --iodepth=16) || bad "fio in mode paravirtual"
work "bytes verified in mode paravirtual" "$n"
work "requests by commands" $(($(json_of pv b passthrough_requests) - p0))
i=0; while [ $i -lt "$C_n" ]; do
    i=$((i + 1))
    to pv b virtual; to pv b paravirtual
    kill -9 "$(json_of pv b worker_pid)"
    until_ok 60 served || bad "kill $i: it is served again"
done
work "switches there and back under load, and kills" $i
stamp_end pv $load
stamp_right /run/lab/ns.stamp
for k in discards zeroings; do work "$k" "$(stamped /run/lab/ns.stamp $k)"; done
is "by commands still, and no errors" "$(json_of pv b io) $(json_of pv b errors)" "passthrough 0"
# the guest's last block, whole; dom0 reads it where it is
gsh pv "dd if=/dev/zero bs=4k count=1 2>/dev/null | tr '\\0' L >/tmp/p; dd if=/tmp/p of=/dev/hvda bs=4k seek=$((len / 8 - 1)) oflag=direct conv=notrunc,fsync 2>/dev/null"
works "detach" hvdrv detach pv b
is "its last block" "$(dd if=$E bs=512 skip=$((from + len - 8)) count=8 2>/dev/null | tr -s L)" L
is "nothing around it has changed" "$(rest $E $from $((from + len)))" "$around"
# a partition: blocks 2817 to 4864. The table counts in blocks
{ printf '\0\0\0\0\203\0\0\0\001\013\0\0\0\010\0\0'; dd if=/dev/zero bs=48 count=1 2>/dev/null; printf '\125\252'; } | dd of=$E bs=1 seek=446 conv=notrunc 2>/dev/null
sync; blockdev --rereadpt $E; until_ok 10 test -b ${E}p1
sum() { { dd if=$E bs=4k skip=2700 count=117; dd if=$E bs=4k skip=4865 count=100; } 2>/dev/null | md5sum; }
around=$(sum)
works "a partition" hvdrv attach pv b "class=block,backend=${E}p1,mode=paravirtual"
is "by commands" "$(json_of pv b io) $(g pv cat /sys/block/hvda/size)" "passthrough 16384"
gsh pv "dd if=/dev/zero bs=1M count=8 2>/dev/null | tr '\\0' P >/tmp/p; dd if=/tmp/p of=/dev/hvda bs=1M oflag=direct conv=notrunc,fsync 2>/dev/null; rm /tmp/p"
works "detach" hvdrv detach pv b
blockdev --flushbufs $E
is "all of it is written" "$(dd if=$E bs=4k skip=2817 count=2048 2>/dev/null | tr -d P | wc -c)" 0
is "and nothing around it" "$(sum)" "$around"
dd if=/dev/zero of=$E bs=4k count=1 conv=notrunc 2>/dev/null; blockdev --rereadpt $E

# ---- hardware queues of this controller ----
/usr/libexec/hvdrv/hvdrv-keeper nvme0 >/run/lab/keeper.log 2>&1 & keeper=$!
until_ok 10 test -S /run/hvdrv/keeper/nvme0 || bad "the keeper: $(cat /run/lab/keeper.log)"
hvdrv attach pv d class=block,backend=$D,trusted=1 >/dev/null || bad "attach"
no_direct pv "it may not look at doorbells" 77 "nvme0 has Doorbell Buffer Config"
hvdrv attach pvh e class=block,backend=$E,trusted=1 >/dev/null || bad "attach"
no_direct pv "another guest on the controller" 4 "pvh has a part of nvme0 as e: a hardware queue reaches it, too"
works "detach" hvdrv detach pvh e
works "detach" hvdrv detach pv d
hvdrv attach pvh d class=block,backend=$D,trusted=1,mode=auto >/dev/null || bad "attach"
until_ok 20 mediated && ok "policy: alone, and trusted in vain: mediated" || bad "policy: $(path pvh)"
no_direct pvh "PVH" 77 "it is not a PV guest"
works "detach" hvdrv detach pvh d
is "nobody has had queues" "$(sed -n '2,$p' /run/hvdrv/keeper/nvme0.list 2>/dev/null | grep -vc end)" 0
kill $keeper; wait $keeper 2>/dev/null

# ---- a guest that lies, its neighbour right behind it ----
evil_at=16387 evil_end=98304 near_end=102401
chunk='OUTSIDE!'; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13; do chunk=$chunk$chunk; done
i=0; while [ $i -lt 16 ]; do printf %s "$chunk"; i=$((i + 1)); done >/run/lab/outside		# 1 MiB
# FIRST NUMBER of MiB
outside() { i=0; while [ $i -lt "$2" ]; do cat /run/lab/outside; i=$((i + 1)); done | dd of=$D bs=1M seek="$1" oflag=direct iflag=fullblock conv=notrunc 2>/dev/null; }
outside 0 9; outside 48 $((LAB_NVME - 48))		# more than what is around the two
dd if=/dev/zero of=$D bs=512 seek=$evil_at count=$((9 * 2048 - evil_at)) conv=notrunc,fsync 2>/dev/null
around=$(rest $D $evil_at $near_end)
lab-guest start evil pv module=no || bad "evil starts"
works "the neighbour" hvdrv attach pvh n "class=block,backend=$D,range=$evil_end+$((near_end - evil_end)),mode=paravirtual"
stamp_in pvh /run/lab/ns.stamp --max-kib 64 &
load=$!
gsh evil "xenstore-write data/hostile/go 0"
LAB_EXEC_LIMIT=$((C_seconds + 120)) g evil hostile "$SEED" storm-nvme "$C_seconds" >/run/lab/ns.evil 2>&1 & evil=$!
works "its window" hvdrv attach evil bad "class=block,backend=$D,range=$evil_at+$((evil_end - evil_at)),mode=paravirtual"
is "both by commands" "$(json_of evil bad io) $(json_of pvh n io)" "passthrough passthrough"
until_ok 60 grep -q "step 1" /run/lab/ns.evil || bad "evil: $(cat /run/lab/ns.evil)"
gsh evil "xenstore-write data/hostile/go 1"
last=$(json_of pvh n passthrough_requests) i=0 went=0
rm -f /run/lab/ns.end
( while [ ! -e /run/lab/ns.end ]; do echo; usleep 100000; done >/run/lab/ns.ticks ) &
until grep -q "step 2" /run/lab/ns.evil || [ $i -gt $((3 * (C_seconds + 60))) ]; do
    ticks=$(wc -l </run/lab/ns.ticks)
    sleep 5
    now=$(json_of pvh n passthrough_requests)
    if [ "${now:-0}" -gt "${last:-0}" ]; then
        went=$((went + 1))
    elif [ $(($(wc -l </run/lab/ns.ticks) - ticks)) -lt 25 ]; then	# of 50: the machine itself stood still
        note "an interval in which the machine stood still"
    else
        bad "the neighbour stands still at $now"
    fi
    last=$now i=$((i + 5))
done
touch /run/lab/ns.end
has "all is answered, nothing that must fail did not, nothing was read from outside" "$(cat /run/lab/ns.evil)" \
    "^storm: [1-9].* 0 of those that must fail did not, 0 words from outside, state 4$"
has "the pool's pages, and what is beside them" "$(cat /run/lab/ns.evil)" "^pool: 0 wrong"
note "$(grep ^storm: /run/lab/ns.evil)"
work "its requests that were passed on" "$(json_of evil bad passthrough_requests)"
shown evil bad >/run/lab/ns.show
for r in opcode namespace range data-page; do
    work "refused: $r" "$(sed -n "s/^ *\"$r\": *\([0-9]*\).*/\1/p" /run/lab/ns.show | awk '{ n += $1 } END { print n + 0 }')"
done
gsh evil "xenstore-write data/hostile/go 2"
until_ok 60 grep -q "ended by the host" /run/lab/ns.evil || bad "an impossible index: $(tail -n 3 /run/lab/ns.evil)"
wait $evil
works "detach --force" hvdrv detach --force evil bad
work "intervals of 5 s in which the neighbour went on" $went
stamp_end pvh $load
stamp_right /run/lab/ns.stamp "the neighbour"
works "detach" hvdrv detach pvh n
drop evil
is "nothing around the two has changed" "$(rest $D $evil_at $near_end)" "$around"
for n in pv pvh; do f=$(guest_faults $n); is "$n: the guest's kernel log is silent" "$f" ""; done
rmmod nvme
