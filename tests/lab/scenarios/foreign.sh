# SPDX-License-Identifier: GPL-2.0-only
# placement through a privileged foreign mapping of the slot instead of its grants
. /lab/lib.sh
need_data
total=0
i=0; while [ $i -lt "$C_n" ]; do
    i=$((i + 1))
    for type in pv pvh; do
        need $type $type vcpus="$LAB_SMP"
        attach $type x 8 place=foreign >/dev/null || bad "$type: attach with place=foreign"
        n=$(fio_verify $type --filename=/dev/hvda --rw=randwrite --bs=4k --size=2m --iodepth=8) || bad "$type: fio"
        total=$((total + n))
        works "$type: detach" hvdrv detach $type x
        is "$type: nothing is left" "$(held $type)" "devices 0 disks 0 slots 0 pages 0 grants 0 ports 0 requests 0 "
    done
done
work "bytes verified" $total
