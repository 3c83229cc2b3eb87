# SPDX-License-Identifier: GPL-2.0-only
# the slot: the guest cannot write it, its addresses are those that the guest's own kernel reports, its bytes are the
# image's; every host-owned key is refused when the guest writes it
. /lab/lib.sh
need_data
refused=0
for type in pv pvh; do
    need $type $type vcpus="$LAB_SMP"
    attach $type s 8 >/dev/null || bad "$type: attach"
    id=$(domid $type)
    back=/local/domain/0/backend/hvdrv/$id/0
    addr=$(xenstore-read $back/address)
    sym=$(gsh $type "grep ' hvdrv_slots' /proc/kallsyms | cut -d' ' -f1")
    is "$type: the slot is where the guest's kernel has it" "$addr" "0x$sym"
    k=0; for e in attach submit complete adopt detach; do
        is "$type: entry $e" "$(xenstore-read $back/entry/$e)" "$(printf '0x%x' $((0x$sym + k * 32)))"
        k=$((k + 1))
    done
    # the module tries to write each page of the slot, and prints what the pages hold
    works "$type: the probe" gsh $type "insmod /lib/hvprobe.ko addr=$addr; rmmod hvprobe"
    log=$(g $type dmesg | grep hvprobe: | tail -n 7)
    is "$type: no page of the slot can be written" "$(echo "$log" | grep -c 'write refused')" 4
    is "$type: all are read-only and executable" "$(echo "$log" | grep -c 'read-only executable')" 4
    has "$type: the bytes are the image's" "$(od -An -v -tx1 -j 512 -N 64 /var/lib/hvdrv/repo/images/"$(xenstore-read $back/driver/hash)".hvi | tr -d ' \n')" \
        "^$(echo "$log" | sed -n 's/.*first bytes //p' | tr -d ' ' | tail -n 1)"
    # keys of the host: all of its folders, written by the guest
    keys="$(xenstore-ls -f $back | sed 's/ = .*//') $(xenstore-ls -f /local/domain/0/hvdrv | sed 's/ = .*//') /local/domain/0/hvdrv /local/domain/0/hvdrv/x /local/domain/0/backend/hvdrv/x
        /local/domain/0/backend/hvdrv/$id/1"
    # shellcheck disable=SC2086
    written=$(gsh $type "for k in $(echo $keys); do xenstore-write \$k forged >/dev/null 2>&1 && echo \$k; done; echo end")
    is "$type: keys of the host that the guest wrote" "$written" end
    # shellcheck disable=SC2086
    refused=$((refused + $(echo $keys | wc -w)))
    is "$type: nothing was forged" "$(xenstore-ls -f /local/domain/0 | grep -c forged)" 0
    is "$type: the admin's folder cannot be read" "$(g $type xenstore-ls /local/domain/0/hvdrv 2>/dev/null)" ""
    works "$type: its own folder it can write" g $type xenstore-write device/hvdrv/0/os/features "mine"
    # the module is pinned while a driver is in it, and leaves nothing when it goes
    works "$type: the module does not go while a disk is attached" gsh $type "! rmmod hvdrv 2>/dev/null && dd if=/dev/hvda of=/dev/null bs=64k count=4 iflag=direct 2>/dev/null"
    works "$type: detach" hvdrv detach $type s
    gsh $type "insmod /lib/hvprobe.ko addr=$addr; rmmod hvprobe"
    has "$type: after detach the slot holds int3" "$(g $type dmesg | grep 'hvprobe: first bytes' | tail -n 1)" "cc cc cc cc cc cc cc cc"
    held0=$(held $type)
    works "$type: the module goes, and comes again" gsh $type "rmmod hvdrv && insmod /lib/hvdrv.ko"
    attach $type s 8 >/dev/null || bad "$type: attach to the module that has come again"
    n=$(fio_verify $type --filename=/dev/hvda --rw=randwrite --bs=4k --size=512k --iodepth=8) || bad "$type: fio"
    work "$type: bytes verified with it" "$n"
    works "$type: detach again" hvdrv detach $type s
    is "$type: nothing is left" "$(held $type)" "$held0"
done
work "keys that the guest was refused" $refused
