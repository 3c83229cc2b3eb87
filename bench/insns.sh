#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# insns.sh - runs in the lab's dom0, under QEMU with bench/insns.c: the same requests through blkfront with xen-blkback and through
# hvdrv's disk, each by tables of what was executed before and after. What the report needs of the guest is kept as well.
. /lab/lib.sh
ins brd rd_nr=1 rd_size=65536 max_part=0 || exit 1
lab-guest start b pv vcpus=1 || exit 1
# table NAME
table() {
    : >$KEEP/insns-asked && mv $KEEP/insns-asked $KEEP/insns-wanted		# it is gone as soon as it is seen
    until [ -e $KEEP/insns-done ]; do usleep 100000; done
    mv $KEEP/insns-done "$KEEP/$1"
}
ios() { gsh b "awk '{ print \$1 + \$5 }' /sys/block/$dev/stat"; }
# cases WAY: a table before and after each
cases() {
    for c in randread:4k:1 randwrite:4k:1 randread:4k:16 randwrite:4k:16 read:64k:1 write:64k:1; do
        rw=${c%%:*}; rest=${c#*:}; bs=${rest%%:*}; qd=${rest#*:}
        args="--name=i --filename=/dev/$dev --rw=$rw --bs=$bs --iodepth=$qd --ioengine=libaio --direct=1 --size=32m --io_size=$((${bs%k} * 400))k"
        g b fio $args >/dev/null || exit 1				# grants, pages: what lasts is there
        a=$(ios); table before
        g b fio $args >/dev/null || exit 1
        table after; b=$(ios)
        mv $KEEP/before "$KEEP/$1-$c.before"; mv $KEEP/after "$KEEP/$1-$c.after"
        echo "RUN $1 $c $((b - a))"
    done
}
# map WAY MODULE SECTION...: functions and octets of the module, as they are in the guest's memory
map() {
    way=$1 module=$2; shift 2
    gsh b "grep -w '\[$module\]' /proc/kallsyms" >"$KEEP/$way.symbols"
    g b textsum --octets "$module" "$@" >"$KEEP/$way.octets" || exit 1
}
xl block-attach b "script=/lab/vbd,vdev=xvdb,access=rw,target=/dev/ram0" || exit 1
until_ok 20 g b test -b /dev/xvdb
dev=xvdb
map blkfront xen_blkfront .text
cases blkfront
xl block-detach b xvdb
sleep 2
for path in pool copy; do
    dev=$(hvdrv attach b d "class=block,backend=/dev/ram0,mode=virtual,path=$path") || exit 1
    dev=${dev#/dev/}
    map hvdrv-$path hvdrv .text .text.hvdrv_slot
    for e in attach submit complete adopt detach; do
        echo "$(xenstore-read "/local/domain/0/backend/hvdrv/$(domid b)/0/entry/$e" | sed 's/^0x//') t driver_$e [hvdrv]"
    done >>$KEEP/hvdrv-$path.symbols
    cases hvdrv-$path
    hvdrv detach b d || exit 1
done
