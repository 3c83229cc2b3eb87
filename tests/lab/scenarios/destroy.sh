# SPDX-License-Identifier: GPL-2.0-only
# a guest destroyed under load in each mode, its worker stopped for a moment: what that has in flight is delivered when the memory may be
# another guest's. A canary, started at once with all memory that is free, sees that no byte of it changes; everything is released, no
# zombie stays, hvdrvd goes on
. /lab/lib.sh
need_data
# a block device that keeps each request for a while: reads are at it when their guest dies
slow_device memory_backed=1 irqmode=2 completion_nsec=100000000
# the boot says with which mode it begins: another for one CPU than for two
ways="pv,virtual,pool pvh,paravirtual,copy pv,paravirtual,pool pvh,virtual,copy"
[ "$LAB_SMP" = 1 ] || ways="pv,paravirtual,copy pvh,virtual,pool pv,virtual,copy pvh,paravirtual,pool"
way() { echo "$ways" | cut -d' ' -f$((($1 - 1) % 4 + 1)); }
type_of() { echo "${1%%,*}"; }
cpus() { if [ "$1" = pv ]; then echo "$LAB_SMP"; else echo 1; fi; }
busy() { [ "$(json_of "$1" v in_flight)" -gt 4 ]; }
filled() { grep -q filled "/run/lab/$1.canary"; }
free_mib() { xl info free_memory; }
# as much as there is, but for what Xen and xl want beside a guest
canary_start() { lab-guest start "$1" "$2" vcpus="$(cpus "$2")" mem=$(($(free_mib) - 40)) >/dev/null; }
destroyed=0 daemon=$(cat /run/lab/hvdrvd.pid)
i=1 before=$(free_mib)
lab-guest start c1 "$(type_of "$(way 1)")" vcpus="$(cpus "$(type_of "$(way 1)")")" || { bad "the first guest"; exit 1; }
if g c1 canary 0 8 spoil >/run/lab/c1.canary; then bad "a canary sees a change"; else has "a canary sees a change" "$(cat /run/lab/c1.canary)" "1 words changed|2 words changed"; fi
while [ $i -le "$C_n" ]; do
    w=$(way $i) v=c$i next=c$((i + 1))
    hvdrv attach $v v "class=block,backend=/dev/nullb0,mode=$(echo "$w" | cut -d, -f2),path=${w##*,}" >/dev/null || { bad "$w: attach"; exit 1; }
    is "$w: as asked" "$(json_of $v v mode),$(json_of $v v path)" "${w#*,}"
    LAB_EXEC_LIMIT=60 g $v fio --name=l --filename=/dev/hvda --rw=randrw --rwmixread=80 --size=16m --bs=64k --iodepth=16 --ioengine=libaio \
        --direct=1 --time_based --runtime=60 >/dev/null 2>&1 &
    load=$!
    until_ok 20 busy $v && ok "$w: it is under load" || bad "$w: in flight: $(json_of $v v in_flight)"
    worker=$(json_of $v v worker_pid)
    kill -STOP "$worker"
    xl destroy $v
    free=$(free_mib)
    if canary_start $next "$(type_of "$(way $((i + 1)))")"; then
        LAB_EXEC_LIMIT=60 g $next canary 4 >/run/lab/$next.canary 2>&1 &
        canary=$!
        until_ok 30 filled $next || bad "$w: the canary: $(cat /run/lab/$next.canary)"
        kill -CONT "$worker"
        wait $canary
        has "$w: no byte of the canary's changed" "$(cat /run/lab/$next.canary)" "checked [0-9]+ times, 0 words changed"
        work "$w: MiB that it had of $free that were free" "$(sed -n 's/^filled \([0-9]*\).*/\1/p' /run/lab/$next.canary)"
    else
        bad "$w: the canary starts, with $free MiB free"
        kill -CONT "$worker"
    fi
    until_ok 20 sh -c "! xl list | grep -q null" && ok "$w: no zombie stays" || bad "$w: zombie: $(xl list)"
    until_ok 10 sh -c "! pidof hvdrv-worker" && ok "$w: its worker ended" || bad "$w: a worker is left"
    is "$w: its keys are gone" "$(xenstore-ls /local/domain/0/backend/hvdrv 2>/dev/null; xenstore-ls /local/domain/0/hvdrv)" ""
    is "$w: hvdrvd goes on" "$(cat /run/lab/hvdrvd.pid)" "$daemon"
    kill $load 2>/dev/null; wait $load 2>/dev/null
    destroyed=$((destroyed + 1))
    i=$((i + 1))
done
drop c$i
until_ok 20 sh -c "! xl list | grep -q null"
after=$(free_mib)
[ $((before - after)) -le 4 ] && ok "Xen has its memory back" || bad "Xen has lost memory: $before MiB were free, $after are"
no_slow_device
is "dom0's kernel log is silent" "$(dmesg | faults)" ""
need pv pv vcpus="$LAB_SMP"
attach pv v 16 >/dev/null || bad "another guest attaches"
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
