#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# block.sh TARGET ROUNDS SECONDS WAY... - runs in the lab's dom0. A way is blkback (blkfront with xen-blkback), MODE:PATH of hvdrv
# (virtual:pool, virtual:copy, paravirtual:pool, paravirtual:copy, paravirtual:direct, virtual:auto) or dom0 (its own access to TARGET).
# Each round takes every way in turn, after a null device in the guest for the load generator's own cost; each way does every
# case. One line per run: round, way, case, IOPS, p50, p99 and maximum of the completion latency in microseconds, hvdrv's
# hypercalls in dom0 per request (copies and events), microseconds of CPU per request of dom0 and of the guest.
target=$1 rounds=$2 secs=$3
shift 3
case $target in /dev/ram*) ins brd rd_nr=1 rd_size=65536 max_part=0 || exit 1;; esac
lab-guest start b pv vcpus=2 cfg='disk = [ "script=/lab/vbd,vdev=xvdz,access=ro,target=/dev/labtools" ]' || exit 1
lab-guest exec b ins null_blk nr_devices=1 gb=1 queue_mode=2 irqmode=1 || exit 1
id=$(xl domid b) keeper=
# a profile: by the CPU it is seen who it is
[ -z "$LABSET_PROFILE" ] || { xl vcpu-pin 0 all 0 && xl vcpu-pin b all 1; } || exit 1

# up WAY: $dev is its disk where the load runs
up() {
    case $1 in
    null) dev=/dev/nullb0;;
    dom0) dev=$target;;
    blkback) xl block-attach b "script=/lab/vbd,vdev=xvdb,access=rw,target=$target" && dev=/dev/xvdb &&
        lab-guest exec b sh -c 'i=0; until [ -b /dev/xvdb ] || [ $i -gt 50 ]; do i=$((i + 1)); usleep 100000; done; [ -b /dev/xvdb ]';;
    *:direct)
        [ -n "$keeper" ] || { /usr/libexec/hvdrv/hvdrv-keeper nvme0 & keeper=$!; sleep 2; }
        dev=$(hvdrv attach b d "class=block,backend=$target,trusted=1,mode=${1%:*}") &&
            hvdrv retarget b d "${1%:*}" --path direct --deadline 2000000000 >&2;;
    *) dev=$(hvdrv attach b d "class=block,backend=$target,mode=${1%:*},path=${1#*:}");;
    esac
}
down() {
    case $1 in
    null | dom0) ;;
    blkback) xl block-detach b xvdb && sleep 1;;
    *) hvdrv detach b d;;
    esac
}
# WAY: hypercalls and requests so far
calls() {
    case $1 in *:*) hvdrv show b d --json | awk -F'[:,]' '/"modes"/ { exit } /"(copy_hypercalls|events_sent)"/ { c += $2 }
        /_requests"/ && !/pool/ { n += $2 } END { print c, n }';; *) echo 0 0;; esac
}
# dom0's and the guest's CPU time, us
cpu() { /root/cputime 0 "$id" | tr '\n' ' '; }
load() {    # WAY RW BS QD: IOPS, p50, p99, max, requests
    at="lab-guest exec b fio"
    [ "$1" != dom0 ] || at="env LD_LIBRARY_PATH=/lib/x86_64-linux-gnu:/tools/lib/x86_64-linux-gnu /tools/bin/fio"
    $at --name=b --filename="$dev" --rw="$2" --bs="$3" --iodepth="$4" --ioengine=libaio --direct=1 \
        --time_based --runtime="$secs" --size=60m --norandommap --randrepeat=1 --output-format=terse --terse-version=3 </dev/null |
        awk -F';' -v rw="$2" '{ r = rw ~ /read/; print (r ? $8 : $49), p(r ? $24 : $65), p(r ? $30 : $71), (r ? $15 : $56), (r ? $8 * $9 : $49 * $50) / 1000 }
            function p(f) { sub(/.*=/, "", f); return f }'
}
r=1
while [ "$r" -le "$rounds" ]; do
    for way in null "$@"; do
        up "$way" || { echo "$way cannot be had"; exit 1; }
        for c in ${LABSET_CASES:-randread:4k:1 randread:4k:16 randread:4k:63 randwrite:4k:1 randwrite:4k:16 randwrite:4k:63 \
            read:128k:1 read:128k:16 read:128k:63 write:128k:1 write:128k:16 write:128k:63}; do
            rw=${c%%:*}; rest=${c#*:}; bs=${rest%%:*}; qd=${rest#*:}
            before=$(calls "$way"); t=$(cpu)
            [ -z "$LABSET_PROFILE" ] || echo "$way-$rw-$bs-$qd" >/bench/keep/profile-now
            out=$(load "$way" "$rw" "$bs" "$qd")
            rm -f /bench/keep/profile-now
            t="$t $(cpu)"
            echo "RUN $r $way $rw $bs $qd $out $(echo "$before $(calls "$way") $t ${out##* }" |
                awk '{ printf "%.3f %.1f %.1f", ($4 > $2 ? ($3 - $1) / ($4 - $2) : 0), ($7 - $5) / $9, ($8 - $6) / $9 }')"
        done
        [ "$r" -lt "$rounds" ] || case $way in *:*) hvdrv show b d;; esac
        down "$way" || { echo "$way does not go"; exit 1; }
    done
    r=$((r+1))
done
[ -z "$keeper" ] || kill "$keeper"
[ -z "$LABSET_PROFILE" ] || { cat /proc/kallsyms >/bench/keep/dom0.symbols && lab-guest exec b cat /proc/kallsyms >/bench/keep/guest.symbols; }
