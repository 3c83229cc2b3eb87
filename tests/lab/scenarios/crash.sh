# SPDX-License-Identifier: GPL-2.0-only
# hvdrvd, a worker or both killed at random, under load on a slow target: no request fails, no sector is lost or goes back
. /lab/lib.sh
SLOW_NS=${C_slow_ns:-60000000}
log=$KEEP/hvdrvd.log
pid() { cat /run/lab/hvdrvd.pid; }
served() { [ -n "$(json_of crash k queues)" ]; }
# a block device that keeps each request for a while: requests are at it when their worker dies
ins null_blk nr_devices=1 gb=1 memory_backed=1 discard=1 irqmode=2 completion_nsec="$SLOW_NS" || { bad "the slow device"; exit 1; }
need crash "${C_type:-pvh}" vcpus=2
runs() { case $(xl list crash | awk 'NR == 2 { print $5 }') in *p*) false;; esac; }
# the next number of the seed, below 2^15
next() { rnd=$(((rnd * 1103515245 + 12345) % 2147483648)); n=$((rnd / 65536)); }
rnd=$SEED
kill_workers() { for w in $(pidof hvdrv-worker); do kill -9 "$w"; done; }
switch_to() { hvdrv retarget crash k "$1" --deadline 1000000000 --timeout 90 >/dev/null 2>&1 && echo "$1" >>/run/lab/crash.switched; }
works "attach" hvdrv attach crash k "class=block,backend=/dev/nullb0"
stamp_in crash /run/lab/crash.out --size 25165824 --max-kib 64 &
load=$!
sleep 3
before=$(grep -c . $log) kills=0 paused=0
: >/run/lab/crash.switched
waited() { tail -n +"$before" $log | grep -c 'what the worker before had begun has ended'; }
# few kills may all find nothing at the device: then some more
while [ $kills -lt "$C_n" ] || { [ "$(waited)" = 0 ] && [ $kills -lt $((C_n + 20)) ]; }; do
    next; sleep_ms=$((n % 997))
    next
    case $((n % 4)) in		# now and then in the midst of a switch
    0) switch_to paravirtual &;;
    1) switch_to virtual &;;
    esac
    usleep $((sleep_ms * 1000))
    next
    case $((n % 6)) in
    0 | 1 | 2) kill_workers;;
    3 | 4) kill -9 "$(pid)";;
    *) kill -9 "$(pid)"; kill_workers;;
    esac
    kills=$((kills + 1))
    usleep 1000000
    runs || { sleep 1; runs; } || paused=$((paused + 1))
    until_ok 60 served || { bad "kill $kills: served again"; tail -n 5 $log; break; }
done
is "the guest is not paused a second after a kill, or (a switch of this moment) two" $paused 0
sleep 3
g crash killall -TERM stamp
wait $load
stamp_right /run/lab/crash.out
tail -n +$before $log >/run/lab/crash.log
work "times that another worker has taken over" "$(grep -c 'taken over by another worker' /run/lab/crash.log)"
work "of these with requests to begin again" "$(grep 'taken over by another worker' /run/lab/crash.log | grep -vc ' 0 requests')"
work "times that the fence was waited for" "$(waited)"
works "detach" hvdrv detach crash k
is "nothing of a switch is left" "$(ls /run/hvdrv/switch)" "lock"
f=$(guest_faults crash); is "the guest's kernel log is silent" "$f" ""
is "dom0's kernel log is silent" "$(dmesg | faults)" ""
note "switches meanwhile: $(grep -c . /run/lab/crash.switched)"
drop crash
rmmod null_blk
work "kills" $kills
