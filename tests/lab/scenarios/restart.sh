# SPDX-License-Identifier: GPL-2.0-only
# hvdrvd stopped and started, and killed, under load: no I/O error, the data verified
. /lab/lib.sh
need_data
restarts=0
pid() { cat /run/lab/hvdrvd.pid; }
renewed() { [ "$(pid)" != "$1" ] && hvdrv list >/dev/null && hvdrv show "$2" >/dev/null 2>&1 && [ -n "$(json_of "$2" r queues)" ]; }
for type in $(echo "$C_types" | tr , ' '); do
    need $type $type vcpus="$LAB_SMP"
    attach $type r 24 >/dev/null || bad "$type: attach"
    fio_in $type --filename=/dev/hvda --rw=randwrite --bs=4k --size=4m --iodepth=32 --time_based --runtime=$((8 + C_n * 6)) \
        >/run/lab/restart.$type 2>/run/lab/restart.$type.err &
    load=$!
    sleep 2
    i=0; while [ $i -lt "$C_n" ]; do
        i=$((i + 1))
        p=$(pid); touch /run/lab/stop-hvdrvd; kill "$p"
        until_ok 20 sh -c "! kill -0 $p" || bad "$type: hvdrvd stops"
        is "$type: no worker is left" "$(pidof hvdrv-worker)" ""
        sleep 1
        rm /run/lab/stop-hvdrvd
        until_ok 20 renewed "$p" $type && ok "$type: taken up after a stop" || bad "$type: taken up after a stop"
        restarts=$((restarts + 1))
        p=$(pid); kill -9 "$p"
        until_ok 20 renewed "$p" $type && ok "$type: taken up after a kill" || bad "$type: taken up after a kill"
        restarts=$((restarts + 1))
    done
    wait $load
    is "$type: no I/O error" "$(awk -F';' '/;/ { print $5 }' /run/lab/restart.$type)" 0
    work "$type: bytes moved" "$(awk -F';' '/;/ { print ($6 + $47) * 1024 }' /run/lab/restart.$type)"
    n=$(fio_verify $type --filename=/dev/hvda --rw=randwrite --bs=4k --size=4m --iodepth=8) || bad "$type: after it"
    work "$type: bytes verified after it" "$n"
    works "$type: detach" hvdrv detach $type r
    f=$(guest_faults $type); is "$type: the guest's kernel log is silent" "$f" ""
done
work "restarts of hvdrvd under load" $restarts
