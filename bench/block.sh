#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# block.sh ROUNDS SECONDS - runs in the lab's dom0: blkfront with xen-blkback against hvdrv virtual, and a null device
# in the guest for the load generator's own cost. Interleaved rounds; prints one line per run: round, way, case, IOPS, then
# p50, p99 and maximum of the completion latency in microseconds. bench/run runs it and prints the ratios.
rounds=${1:-5} secs=${2:-3}
ins brd rd_nr=2 rd_size=65536 max_part=0 || exit 1
lab-guest start b pv vcpus=2 cfg='disk = [ "script=/lab/vbd,vdev=xvdz,access=ro,target=/dev/labtools", "script=/lab/vbd,vdev=xvdb,access=rw,target=/dev/ram0" ]' || exit 1
hvdrv attach b data class=block,backend=/dev/ram1 >/dev/null || exit 1
lab-guest exec b ins null_blk nr_devices=1 gb=1 queue_mode=2 irqmode=1 || exit 1
lab-guest exec b sh -c 'for d in xvdb hvda; do dd if=/dev/zero of=/dev/$d bs=1M oflag=direct 2>/dev/null; done'
run() {    # DEVICE RW BS QD
    lab-guest exec b fio --name=b --filename=/dev/$1 --rw=$2 --bs=$3 --iodepth=$4 --ioengine=libaio --direct=1 \
        --time_based --runtime="$secs" --size=60m --norandommap --randrepeat=1 --output-format=terse --terse-version=3 </dev/null |
        awk -F';' -v rw="$2" '{ r = rw ~ /read/; print (r ? $8 : $49), p(r ? $24 : $65), p(r ? $30 : $71), (r ? $15 : $56) } function p(f) { sub(/.*=/, "", f); return f }'
}
r=1
while [ "$r" -le "$rounds" ]; do
    for c in ${CASES:-randread:4k:1 randread:4k:16 randwrite:4k:1 randwrite:4k:16 read:128k:1 read:128k:16 write:128k:1 write:128k:16}; do
        rw=${c%%:*}; rest=${c#*:}; bs=${rest%%:*}; qd=${rest#*:}
        for dev in nullb0 xvdb hvda; do
            echo "RUN $r $dev $rw $bs $qd $(run $dev "$rw" "$bs" "$qd")"
        done
    done
    r=$((r+1))
done
hvdrv show b
