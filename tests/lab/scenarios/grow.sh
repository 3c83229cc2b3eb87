# SPDX-License-Identifier: GPL-2.0-only
# grown under load: the guest sees the new size; smaller is refused; no space on the host reaches the guest as such
. /lab/lib.sh
need_data
need pv pv vcpus="$LAB_SMP"
attach pv g 16 >/dev/null || bad "attach"
size=16 grown=0
fio_in pv --filename=/dev/hvda --rw=randwrite --bs=4k --size=4m --iodepth=8 --time_based --runtime=$((6 + C_n * 2)) \
    >/run/lab/grow.fio 2>/run/lab/grow.err &
load=$!
i=0; while [ $i -lt "$C_n" ]; do
    i=$((i + 1)); size=$((size + 8))
    truncate -s ${size}M /data/pv-g.img
    is "resize to $size MiB" "$(hvdrv resize pv g)" "$size MiB"
    is "the guest sees $size MiB" "$(g pv blockdev --getsize64 /dev/hvda)" $((size << 20))
    gsh pv "dd if=/dev/urandom of=/tmp/r bs=64k count=4 2>/dev/null; dd if=/tmp/r of=/dev/hvda bs=64k seek=$(((size - 1) * 16)) oflag=direct 2>/dev/null &&
        dd if=/dev/hvda bs=64k skip=$(((size - 1) * 16)) count=4 iflag=direct 2>/dev/null | cmp - /tmp/r" && ok "the new end holds data" || bad "the new end holds data"
    grown=$((grown + 1))
done
wait $load
is "the load saw no error" "$(awk -F';' '/;/ { print $5 }' /run/lab/grow.fio)" 0
truncate -s 8M /data/pv-g.img
fails "smaller is refused" 1 "smaller" hvdrv resize pv g
truncate -s ${size}M /data/pv-g.img
works "detach" hvdrv detach pv g
work "times grown" $grown

# a filesystem of 8 MiB under a disk of 32: writes beyond it get "no space", and go on when there is room
mkdir -p /small && mount -t tmpfs -o size=8m small /small
works "attach on a small filesystem" hvdrv attach pv s class=block,backend=/small/s.img,size=32M
is "served buffered, and shown so" "$(json_of pv s cache)" buffered
# shellcheck disable=SC2016
out=$(gsh pv 'dd if=/dev/zero of=/dev/hvda bs=1M count=16 oflag=direct 2>&1')
has "ENOSPC reaches the guest" "$out" "No space left"
mount -o remount,size=64m /small
works "with room it goes on" gsh pv "dd if=/dev/zero of=/dev/hvda bs=1M count=16 oflag=direct 2>/dev/null"
works "detach from it" hvdrv detach pv s
rm -f /small/s.img; umount /small
