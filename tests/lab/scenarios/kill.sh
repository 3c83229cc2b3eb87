# SPDX-License-Identifier: GPL-2.0-only
# hvdrvd, then a worker killed at every step of a switch and of a request, under load: the guest runs on, the switch is finished or
# undone, another worker goes on, nothing is lost
. /lab/lib.sh
[ -x /root/hvdrvd-fault ] || { skip "no build with --enable-fault was brought"; exit 0; }
# slow, so that requests are at it when somebody dies, and that the bench's CPU is not all taken by the load
slow_device memory_backed=1 discard=1 irqmode=2 completion_nsec=200000000
# hvdrvd dies once at the place that fault.env names; the supervisor's next start has none
cat >/run/lab/hvdrvd-once <<'E'
#!/bin/sh
[ -e /run/lab/fault.env ] && { HVDRV_FAULT=$(cat /run/lab/fault.env); export HVDRV_FAULT; mv /run/lab/fault.env /run/lab/fault.used; }
exec /root/hvdrvd-fault "$@"
E
chmod +x /run/lab/hvdrvd-once
mount --bind /run/lab/hvdrvd-once "$(command -v hvdrvd)"
mount --bind /root/hvdrv-worker-fault /usr/libexec/hvdrv/hvdrv-worker
pid() { cat /run/lab/hvdrvd.pid; }
served() { [ "$(pid)" != "$1" ] && [ -n "$(json_of pv k queues)" ]; }
state() { xl list pv | awk 'NR == 2 { print $5 }'; }
rec() { xenstore-read "$record/$1"; }
mode() { xenstore-read "/local/domain/0/backend/hvdrv/$(domid pv)/0/mode"; }
need pv pv vcpus="$LAB_SMP"
works "attach" hvdrv attach pv k class=block,backend=/dev/nullb0
record=/local/domain/0/hvdrv/$(xenstore-read "/local/domain/$(domid pv)/vm" | cut -d/ -f3)/0/retarget
rounds=0 deaths=0
points="prepared holding held pausing paused swapped restored resuming unpaused resumed told ending published released"
stamp_in pv /run/lab/kill.out --size 25165824 --max-kib 64 --depth 8 &
load=$!
sleep 3
# too_slow: the switch was undone before it came to the point: the bench kept the guest or the worker from its CPU
too_slow() { grep -q "did not take over its requests\|stayed in the driver for\|did not hold it within" /run/lab/kill.cmd; }
# a clock that stands for a moment under the software CPU: a freeze of 0, which is within any deadline
no_freeze() { [ "$(rec result)" = committed ] && [ "$(rec freeze-ns)" = 0 ]; }
# die POINT: a switch in which hvdrvd dies there; the next one is the next point's
die() {
    dies=0
    until die_once "$1"; do [ $((dies += 1)) -le 4 ] || { bad "$1: not reached in $dies tries"; return; }; done
}
die_once() {
    p=$(pid)
    echo "$1" >/run/lab/fault.env; rm -f /run/lab/fault.used
    kill "$p"; until_ok 30 served "$p" || { bad "$1: hvdrvd starts"; return 0; }
    to=paravirtual; [ "$(mode)" = virtual ] || to=virtual
    d=1000000000; case $1 in restored | released) d=1;; esac
    p=$(pid)
    hvdrv retarget pv k $to --deadline $d --timeout 90 >/run/lab/kill.cmd 2>&1; st=$?
    if [ "$(pid)" = "$p" ] && { too_slow || no_freeze; }; then
        note "$1: not reached, again: $(cat /run/lab/kill.cmd)"
        until_ok 20 settled pv k
        return 1
    fi
    until_ok 30 served "$p" && ok "$1: hvdrvd died, and serves again" || { bad "$1: hvdrvd serves again: $(cat /run/lab/kill.cmd)"; return 0; }
    deaths=$((deaths + 1))
    r=$(rec result)
    case $r in
    committed) is "$1: committed: the mode is the new one" "$(mode)" $to;;
    undone) [ "$(mode)" != $to ] && ok "$1: undone: the mode is the old one" || bad "$1: undone, but the mode is $to";;
    *) bad "$1: the record says '$r'";;
    esac
    case $st$r in 0committed | [1-9]*undone) ok "$1: the command said so";; *) bad "$1: $r, but the command ended with $st: $(cat /run/lab/kill.cmd)";; esac
    case $(state) in *p*) bad "$1: the guest is left paused";; *) ok "$1: the guest is not paused";; esac
    return 0
}
# die_worker POINT: the first worker of this hvdrvd dies there, with requests in flight or in a switch
deaths_of_workers() { grep -c "the worker was killed by signal 9" $KEEP/hvdrvd.log; }
taken_over() { grep -c "k: taken over by another worker" $KEEP/hvdrvd.log; }
up_again() { [ -n "$(json_of pv k queues)" ]; }
more() { [ "$($1)" -gt "$2" ]; }
die_worker() {
    p=$(pid) n=$(deaths_of_workers) m=$(taken_over)
    echo "$1" >/run/lab/fault.env; rm -f /run/lab/fault.used
    kill "$p"; until_ok 30 served "$p" || { bad "$1: hvdrvd starts"; return; }
    case $1 in worker-h* | worker-going)
        to=paravirtual; [ "$(mode)" = virtual ] || to=virtual
        hvdrv retarget pv k $to --deadline 1000000000 --timeout 90 >/run/lab/kill.cmd 2>&1; st=$?
        r=$(rec result)
        case $r$st in committed0 | undone[1-9]*) ok "$1: the switch: $r";; *) bad "$1: the switch: $r, status $st: $(cat /run/lab/kill.cmd)";; esac;;
    esac
    until_ok 30 more deaths_of_workers "$n" && ok "$1: the worker died" || { bad "$1: the worker died"; return; }
    until_ok 30 more taken_over "$m" && until_ok 30 up_again || { bad "$1: served again"; return; }
    deaths=$((deaths + 1))
    case $(state) in *p*) bad "$1: the guest is left paused";; *) ok "$1: the guest is not paused";; esac
    works "$1: the next switch" switch pv k "$([ "$(mode)" = virtual ] && echo paravirtual || echo virtual)" --deadline 1000000000 --timeout 90
}
# die_renewing POINT: the next hvdrvd dies as it takes over, the one after it serves
die_renewing() {
    p=$(pid) n=$(grep -c "supervise: hvdrvd ended with 137" $KEEP/hvdrvd.log)
    echo "$1" >/run/lab/fault.env; rm -f /run/lab/fault.used
    kill "$p"
    until_ok 60 killed_more "$n" && ok "$1: hvdrvd died" || { bad "$1: hvdrvd died"; return; }
    until_ok 60 served "$p" && ok "$1: and serves again" || { bad "$1: serves again"; return; }
    deaths=$((deaths + 1))
    case $(state) in *p*) bad "$1: the guest is left paused";; *) ok "$1: the guest is not paused";; esac
    works "$1: the next switch" switch pv k "$([ "$(mode)" = virtual ] && echo paravirtual || echo virtual)" --deadline 1000000000 --timeout 90
}
killed_more() { [ "$(grep -c 'supervise: hvdrvd ended with 137' $KEEP/hvdrvd.log)" -gt "$1" ]; }
renew_points="renew-prepared renew-holding renew-paused renew-swapped renew-resuming renew-unpaused renew-resumed renew-ending"
worker_points="worker-added worker-taken worker-copied worker-queued worker-ended worker-answered worker-pushed worker-holding worker-held worker-going"
while [ $rounds -lt "$C_n" ]; do
    rounds=$((rounds + 1))
    for pt in $points; do die $pt; done
    for pt in $renew_points; do die_renewing $pt; done
    for pt in $worker_points; do die_worker $pt; done
done
work "times that another worker has taken over" "$(taken_over)"
xl pause pv
fails "a guest that an admin has paused is not switched" 1 "paused" hvdrv retarget pv k "$([ "$(mode)" = virtual ] && echo paravirtual || echo virtual)"
case $(state) in *p*) ok "and stays paused";; *) bad "the admin's pause was ended";; esac
xl unpause pv
stamp_end pv $load
stamp_right /run/lab/kill.out
umount -l "$(command -v hvdrvd)" /usr/libexec/hvdrv/hvdrv-worker
p=$(pid); kill "$p"; until_ok 30 served "$p" || bad "hvdrvd without faults starts"
works "detach" hvdrv detach pv k
no_slow_device
is "no journal is left" "$(ls /run/hvdrv/switch)" "lock"
f=$(guest_faults pv); is "the guest's kernel log is silent" "$f" ""
is "dom0's kernel log is silent" "$(dmesg | faults)" ""
work "deaths of hvdrvd or a worker" $deaths
