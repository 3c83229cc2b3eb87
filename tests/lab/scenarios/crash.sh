# SPDX-License-Identifier: GPL-2.0-only
# hvdrvd, a worker or both killed at random, under load on a slow target: no request fails, no sector is lost or goes back
. /lab/lib.sh
SLOW_NS=${C_slow_ns:-150000000}
log=$KEEP/hvdrvd.log
pid() { cat /run/lab/hvdrvd.pid; }
served() { [ -n "$(json_of crash k queues)" ]; }
# a block device that keeps each request for a while: requests are at it when their worker dies
slow_device memory_backed=1 discard=1 irqmode=2 completion_nsec="$SLOW_NS"
need crash "${C_type:-pvh}" vcpus=2
runs() { case $(xl list crash | awk 'NR == 2 { print $5 }') in *p*) false;; esac; }
# the next number of the seed, below 2^15
next() { rnd=$(((rnd * 1103515245 + 12345) % 2147483648)); n=$((rnd / 65536)); }
rnd=$SEED
more_waited() { [ "$(waited)" -gt "$1" ]; }
at_it() { read -r reading _ </sys/block/nullfence/inflight && [ "$reading" -gt 0 ]; }
kill_workers() { for w in $(pidof hvdrv-worker); do kill -9 "$w"; done; }
switch_to() { hvdrv retarget crash k "$1" --deadline 1000000000 --timeout 90 >/dev/null 2>&1 && echo "$1" >>/run/lab/crash.switched; }
works "attach" hvdrv attach crash k "class=block,backend=/dev/nullb0"
stamp_in crash /run/lab/crash.out --size 25165824 --max-kib 64 --depth 8 &
load=$!
sleep 3
before=$(grep -c . $log) kills=0 paused=0
: >/run/lab/crash.switched
waited() { tail -n +"$before" $log | grep -c 'what the worker before had begun has ended'; }
begun_again() { tail -n +"$before" $log | grep 'taken over by another worker' | grep -vc ' 0 requests'; }
# few kills may all find nothing at the device: then some more
while [ $kills -lt "$C_n" ] || { [ "$(begun_again)" = 0 ] && [ $kills -lt $((C_n + 40)) ]; }; do
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
    runs || until_ok 2 runs || paused=$((paused + 1))
    until_ok 60 served || { bad "kill $kills: served again"; tail -n 5 $log; break; }
    usleep 600000			# five deaths, each within half a second of serving, would end the device for good
done
is "the guest is not left paused after a kill" $paused 0
# the fence, on purpose: a request is at a slow device for certain when its worker dies
mount -t configfs none /sys/kernel/config 2>/dev/null
c=/sys/kernel/config/nullb/nullfence
mkdir $c && echo 64 >$c/size && echo 1 >$c/memory_backed && echo 2 >$c/irqmode && echo 4000000000 >$c/completion_nsec && echo 1 >$c/power || bad "the fence's device"
disk=$(hvdrv attach crash f class=block,backend=/dev/nullfence --timeout 90) || bad "attach f: $disk"
k=0 fences=$(waited)
while [ $k -lt 5 ] && ! more_waited "$fences"; do
    k=$((k + 1))
    gsh crash "dd if=$disk of=/dev/null bs=4k count=1 iflag=direct" >/dev/null 2>&1 & reads=$!
    until_ok 20 at_it || note "no request at the device"
    kill_workers
    wait $reads
    until_ok 60 served || bad "the fence: served again"
done
more_waited "$fences" && ok "the fence is waited for where a request is at the device" || bad "no fence in $k tries"
works "detach f" hvdrv detach crash f --timeout 90
echo 0 >$c/power; until_ok 10 rmdir $c || bad "the fence's device is left"
sleep 3
stamp_end crash $load
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
no_slow_device
work "kills" $kills
