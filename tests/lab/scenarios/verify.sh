# SPDX-License-Identifier: GPL-2.0-only
# fio with crc32c over the raw disk and over ext4, PV and PVH, sizes 4k to 1m; detach, attach again: the data is there;
# the file in dom0 holds what the guest reads, byte for byte
. /lab/lib.sh
need_data
total=0
add() { total=$((total + ${1:-0})); }

for type in pv pvh; do
    need $type $type vcpus="$LAB_SMP"
    dev=$(attach $type data 48) || { bad "$type: attach"; continue; }
    is "$type: the disk's name" "$dev" /dev/hvda
    is "$type: a queue for each CPU" "$(json_of $type data queues)" "$(g $type grep -c ^processor /proc/cpuinfo)"
    is "$type: served directly" "$(json_of $type data cache)" direct
    for qd in $(echo "$C_depths" | tr , ' '); do
        set --			# one after the other, by one fio: its start takes longer than a job
        for job in randwrite:4k write:64k randrw:16k write:252k write:512-64k randwrite:1m; do
            rw=${job%%:*} bs=${job#*:}
            case $bs in *-*) size="--bsrange=$bs";; *) size="--bs=$bs";; esac
            set -- "$@" --name="$job" --stonewall --rw="$rw" "$size"
        done
        n=$(fio_verify $type --filename="$dev" --size="${C_mib}m" --iodepth="$qd" "$@") || bad "$type raw depth $qd"
        is "$type raw depth $qd: jobs" "$(grep -c ';' /run/lab/fio.$type)" 6
        add "$n"
    done
    works "$type: mkfs" g $type mkfs.ext4 -q "$dev"
    works "$type: mount" g $type mount "$dev" /mnt
    n=$(fio_verify $type --directory=/mnt --rw=randwrite --bs=4k --size="${C_mib}m" --iodepth=16 --nrfiles=4) || bad "$type ext4"
    add "$n"
    n=$(fio_verify $type --directory=/mnt --rw=write --bs=1m --size="${C_mib}m" --iodepth=4 --fsync=2 --filename_format=s.\$filenum) ||
        bad "$type ext4 with fsync"
    add "$n"
    works "$type: a file of random bytes" gsh $type "dd if=/dev/urandom of=/mnt/rnd bs=64k count=32 2>/dev/null && sync"
    sum=$(gsh $type "sha256sum </mnt/rnd")
    fails "$type: detach while mounted" 4 "in use" hvdrv detach $type data
    is "$type: it goes on" "$(gsh $type "sha256sum </mnt/rnd")" "$sum"
    works "$type: unmount" g $type umount /mnt
    before=$(g $type sha256sum "$dev" | cut -d' ' -f1)
    works "$type: detach" hvdrv detach $type data
    is "$type: the file in dom0 is what the guest read" "$(sha256sum </data/$type-data.img | cut -d' ' -f1)" "$before"
    works "$type: attach again" hvdrv attach $type data "class=block,backend=/data/$type-data.img"
    works "$type: mount again" g $type mount "$dev" /mnt
    is "$type: the data is there" "$(gsh $type "sha256sum </mnt/rnd")" "$sum"
    works "$type: unmount again" g $type umount /mnt
    works "$type: the filesystem is clean" g $type e2fsck -fn "$dev"
    works "$type: detach again" hvdrv detach $type data
    f=$(guest_faults $type); is "$type: the guest's kernel log is silent" "$f" ""
done
work "bytes verified" $total
