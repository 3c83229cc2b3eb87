# SPDX-License-Identifier: GPL-2.0-only
# the virtqueue, the third format of block requests: placed in guests of either kind, data verified, replaced under load by the NVMe
# queue's driver and back, its worker killed; another name is refused
. /lab/lib.sh
need_data
DEADLINE=2000000000
name() { xenstore-read "/local/domain/0/backend/hvdrv/$(domid "$1")/0/driver/name"; }
served() { [ -n "$(json_of "$1" q queues)" ]; }
to() { switch "$1" q "$2" --deadline $DEADLINE --timeout 90 || bad "$1: to $2: $out"; }
total=0 switches=0 carried=0
for type in ${C_types:-pv pvh}; do
    need $type $type vcpus="$(few_cpus $type)"
    held0=$(held $type)
    attach $type q 64 driver=virtio-blk >/dev/null || bad "$type: attach"
    is "$type: the driver" "$(name $type)" virtio-blk
    n=$(fio_verify $type --filename=/dev/hvda --rw=randwrite --bsrange=512-252k --size=4m --iodepth=16) || bad "$type: fio"
    work "$type: bytes verified" "$n"; total=$((total + ${n:-0}))
    stamp_in $type /run/lab/formats.$type --size 33554432 --max-kib 128 --rare 8 &
    load=$!
    sleep 2
    # few switches may find nothing at the device: then some more
    i=0; while [ $i -lt "$C_n" ] || { [ $carried = 0 ] && [ $i -lt $((C_n + 20)) ]; }; do
        i=$((i + 1))
        to $type paravirtual
        is "$type: the NVMe queue's driver" "$(name $type)" nvme
        carried=$((carried + $(json_of $type q carried_begun)))
        to $type virtual
        is "$type: the virtqueue's again" "$(name $type)" virtio-blk
        carried=$((carried + $(json_of $type q carried_begun)))
        switches=$((switches + 2))
        sleep 1
    done
    kill -9 "$(json_of $type q worker_pid)"
    until_ok 60 served $type && ok "$type: another worker serves it" || bad "$type: served again"
    sleep 2
    stamp_end $type $load
    stamp_right /run/lab/formats.$type $type
    for k in flushes discards zeroings; do work "$type: $k" "$(stamped /run/lab/formats.$type $k)"; done
    is "$type: no errors" "$(json_of $type q errors)" 0
    works "$type: detach" hvdrv detach $type q
    is "$type: the guest holds what it held before" "$(held $type)" "$held0"
    fails "$type: another driver's name" 1 "driver=.*blkif, virtio-blk" hvdrv attach $type q class=block,backend=/data/$type-q.img,driver=ne2000
    f=$(guest_faults $type); is "$type: the guest's kernel log is silent" "$f" ""
done
work "bytes verified" $total
work "switches under load" $switches
work "requests carried that were begun" $carried
