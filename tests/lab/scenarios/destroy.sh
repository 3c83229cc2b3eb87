# SPDX-License-Identifier: GPL-2.0-only
# a guest destroyed under load, its pages mapped: everything is released, no zombie stays, hvdrvd goes on
. /lab/lib.sh
need_data
destroyed=0
i=0; while [ $i -lt "$C_n" ]; do
    i=$((i + 1))
    for type in pv pvh; do
        need victim $type vcpus="$LAB_SMP"
        attach victim v 16 >/dev/null || bad "$type: attach"
        LAB_EXEC_LIMIT=60 g victim fio --name=l --filename=/dev/hvda --rw=randrw --bs=64k --iodepth=16 --ioengine=libaio --direct=1 \
            --time_based --runtime=60 >/dev/null 2>&1 &
        sleep 2
        id=$(domid victim)
        has "$type: it was under load" "$(json_of victim v read_requests)" "^[1-9][0-9]+"
        xl destroy victim
        until_ok 20 sh -c "! xl list | grep -q null" && ok "$type: no zombie stays" || bad "$type: zombie: $(xl list)"
        until_ok 10 sh -c "! pidof hvdrv-worker" && ok "$type: its worker ended" || bad "$type: a worker is left"
        is "$type: its keys are gone" "$(xenstore-ls /local/domain/0/backend/hvdrv 2>/dev/null; xenstore-ls /local/domain/0/hvdrv)" ""
        works "$type: its file is free again" hvdrv list
        kill %1 2>/dev/null; wait 2>/dev/null
        destroyed=$((destroyed + 1))
    done
done
need pv pv vcpus="$LAB_SMP"
works "another guest attaches the same file" hvdrv attach pv v class=block,backend=/data/victim-v.img
n=$(fio_verify pv --filename=/dev/hvda --rw=randwrite --bs=4k --size=2m --iodepth=8) || bad "fio after it"
work "bytes verified after it" "$n"
works "detach" hvdrv detach pv v

# by force, while it is open and busy: the guest's I/O ends with an error, the guest goes on
attach pv f 16 >/dev/null || bad "attach f"
LAB_EXEC_LIMIT=60 g pv fio --name=l --filename=/dev/hvda --rw=randrw --bs=4k --iodepth=16 --ioengine=libaio --direct=1 \
    --time_based --runtime=60 >/run/lab/force 2>&1 &
sleep 2
out=$(hvdrv detach --force pv f 2>&1); is "detach --force" $? 0
has "it says what is lost" "$out" "end with an error"
wait
has "the guest's load got an error" "$(cat /run/lab/force)" "err= *[1-9]"
is "nothing is left in the guest" "$(held pv)" "devices 0 disks 0 slots 0 pages 0 grants 0 ports 0 requests 0 "
work "guests destroyed" $destroyed
