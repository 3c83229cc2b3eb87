# SPDX-License-Identifier: GPL-2.0-only
# every kernel that there is a description of, with every driver: placed, data verified, replaced under load by another and back.
# C_guests: TYPE of Debian's own kernel, TYPE:next of its backports'
. /lab/lib.sh
# slow, so that there is something to carry
slow_device memory_backed=1 discard=1 irqmode=2 completion_nsec=60000000
DEADLINE=2000000000
image() { json_of "$1" m image; }
# cell GUEST DRIVER MODE: the driver is there first, then the other mode's and it again; a line of the table
cell() {
    [ "$3" = virtual ] && words="driver=$2" other=paravirtual || words="mode=$3" other=virtual
    what="$release $type, $2"
    hvdrv attach "$1" m "class=block,backend=/dev/nullb0,$words" >/dev/null || { bad "$what: attach"; return; }
    is "$what: the driver" "$(xenstore-read "/local/domain/0/backend/hvdrv/$(domid "$1")/0/driver/name")" "$2"
    echo "$2 $(image "$1")" >>/run/lab/matrix.images
    verified=$(fio_verify "$1" --filename=/dev/hvda --rw=randwrite --bsrange=512-252k --size=4m --iodepth=16) || bad "$what: fio"
    work "$what: bytes verified" "$verified"
    stamp_in "$1" /run/lab/matrix.out --size 8388608 --max-kib 128 &
    load=$!
    switches=0
    while [ $switches -lt "$C_n" ]; do
        for to in $other "$3"; do
            switch "$1" m "$to" --deadline $DEADLINE --timeout 90 || { bad "$what: to $to: $out"; break 2; }
            switches=$((switches + 1))
        done
    done
    is "$what: switches under load" $switches "$C_n"
    carried=$(($(json_of "$1" m carried_ready) + $(json_of "$1" m carried_begun) + $(json_of "$1" m carried_done)))
    stamp_end "$1" $load
    stamp_right /run/lab/matrix.out "$what" >/run/lab/matrix.right
    is "$what: what the checker has found" "$(grep -v '^ok ' /run/lab/matrix.right | grep -v '^  ')" ""
    is "$what: no errors" "$(json_of "$1" m errors)" 0
    works "$what: detach" hvdrv detach "$1" m
    all=$((all + carried))
    kib=$(((verified + $(stamped /run/lab/matrix.out verified_bytes)) / 1024))
    echo "| $release | $type | $2 | $3 | $kib KiB | $switches | $carried |" >>/run/lab/matrix
}
all=0
: >/run/lab/matrix; : >/run/lab/matrix.images
for guest in $(echo "$C_guests" | tr , ' '); do
    type=${guest%%:*} name=$type kernel=
    [ "$guest" = "$type" ] || name=next kernel=kernel=${guest#*:}
    if [ -n "$kernel" ] && [ ! -e /bench/guest-next.cpio.gz ]; then
        skip "no kernel from Debian's backports: $guest"
        continue
    fi
    # shellcheck disable=SC2086
    need $name $type vcpus=1 $kernel
    release=$(g $name uname -r | cut -d. -f1,2)
    held0=$(held $name)
    cell $name blkif virtual
    cell $name virtio-blk virtual
    cell $name nvme paravirtual
    is "$release $type: the guest holds what it held before" "$(held $name)" "$held0"
    f=$(guest_faults $name); is "$release $type: the guest's kernel log is silent" "$f" ""
    [ -z "$kernel" ] || drop $name
done
no_slow_device
is "one image of each driver serves them all" "$(sort -u /run/lab/matrix.images | wc -l)" 3
note "| guest | type | driver | mode | verified | switches under load | carried |"
note "|---|---|---|---|---|---|---|"
while read -r l; do note "$l"; done </run/lab/matrix
work "requests carried" $all
work "cells of the matrix" "$(grep -c . /run/lab/matrix)"
