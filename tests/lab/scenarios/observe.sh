# SPDX-License-Identifier: GPL-2.0-only
# what can be seen: events in order, counters per mode that add up to what the guest did, metrics, top; check finds what is broken
. /lab/lib.sh
need_data
DEADLINE=2000000000
type=${C_type:-pv}
pid() { cat /run/lab/hvdrvd.pid; }
served() { [ "$(pid)" != "$1" ] && [ -n "$(json_of $type o queues)" ]; }
# of MODE KEY: a number of that mode in `show --json`
of() { shown $type o | sed -n "/\"$1\": *{/,\$p" | sed -n "s/^ *\"$2\": *\([0-9]*\),\{0,1\}\$/\1/p" | head -n 1; }
metric() { hvdrv metrics | sed -n "s/^hvdrv_$1{.*device=\"o\".*$2.*} //p" | head -n 1; }
# said CODE: does check find that?
said() { hvdrv check --json 2>&1 | grep -q "\"code\": *\"$1\""; }

# healthy: check finds nothing; what only a moment of the bench has made it find is gone at the next look
healthy() { out=$(hvdrv check 2>&1); [ "$?:$out" = 0: ]; }
silent() { if until_ok 5 healthy; then ok "$1"; else bad "$1: $(hvdrv check 2>&1)"; fi; }

need $type $type vcpus="$(few_cpus $type)"
hvdrv events --json >/run/lab/events 2>/run/lab/events.err &
listener=$!
until_ok 10 grep -q listening /run/lab/events || bad "events: it listens"
disk=$(attach $type o 64) || bad "attach"
silent "check is silent on a healthy host"

# fio of a known size in each mode: the counters grow by it
job() { fio_in $type --filename="$disk" --rw="$1" --bs=4k --size=4m --iodepth=8 --do_verify=0 --verify=0 >/run/lab/fio.o 2>&1 || bad "fio: $(tail -n 2 /run/lab/fio.o)"; }
r0=$(of virtual read_bytes); job read
is "virtual: bytes read grow by what fio read" $(($(of virtual read_bytes) - r0)) 4194304
is "paravirtual: none yet" "$(of paravirtual read_requests)" 0

# two switches under load
LAB_EXEC_LIMIT=120 g $type fio --name=load --filename="$disk" --rw=randwrite --bs=4k --size=32m --iodepth=16 --ioengine=libaio --direct=1 --time_based \
    --runtime=40 --output-format=terse --terse-version=3 >/run/lab/fio.load 2>/run/lab/fio.load.err &
load=$!
written() { [ "$(of virtual write_requests)" -gt 20 ]; }
until_ok 30 written
v0=$(of virtual write_requests)
hvdrv retarget $type o paravirtual --deadline $DEADLINE >/run/lab/sw1 2>&1 || bad "to paravirtual: $(cat /run/lab/sw1)"
hvdrv top --batch --iterations 2 --delay 1 >/run/lab/top 2>&1; is "top --batch ends well" $? 0
hvdrv retarget $type o virtual --deadline $DEADLINE >/run/lab/sw2 2>&1 || bad "to virtual: $(cat /run/lab/sw2)"
wait $load
note "$(cat /run/lab/sw1)"; note "$(cat /run/lab/sw2)"
sed 's/^/     /' /run/lab/top
has "top shows the device twice" "$(grep -c "^$type .* o  *paravirtual " /run/lab/top)" '^2$'
work "top: writes per second in the second table" "$(awk 'END { print $6 }' /run/lab/top)"
work "virtual: requests before the switch" "$v0"
work "paravirtual: requests in it" "$(of paravirtual write_requests)"
# fio's terse field 47: KiB written
kib=$(awk -F';' '{ print $47 }' /run/lab/fio.load)
is "both modes together have written what fio wrote" "$((($(of virtual write_bytes) + $(of paravirtual write_bytes)) / 1024))" "$kib"
is "and the device's sum says so" "$(($(json_of $type o write_bytes) / 1024))" "$kib"
is "two switches are counted" "$(hvdrv show $type o --json | sed -n 's/^ *"committed": *\([0-9]*\).*/\1/p' | head -n 1)" 2
hvdrv show $type o | sed -n '/switches/,$p' | sed 's/^/     /'

# metrics
hvdrv metrics >/run/lab/metrics; is "metrics" $? 0
is "metrics: every line has a metric's form" "$(grep -vcE '^# (HELP|TYPE) hvdrv_|^hvdrv_[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [0-9.]+$' /run/lab/metrics)" 0
is "metrics: switches" "$(metric switches_total 'who="admin",result="committed"')" 2
is "metrics: bytes as show says" "$(metric bytes_total 'mode="paravirtual",op="write"')" "$(of paravirtual write_bytes)"
is "metrics: freeze of two switches" "$(metric switch_freeze_seconds_count)" 2
[ -d "$KEEP" ] && cp /run/lab/metrics "$KEEP/observe.metrics" 2>/dev/null

# check: what is broken is named, and what was mended is not
worker=$(json_of $type o worker_pid)
kill -STOP "$worker"
until_ok 10 said worker-stopped && ok "check: a stopped worker" || bad "check: a stopped worker: $(hvdrv check 2>&1)"
kill -CONT "$worker"
back=/local/domain/0/backend/hvdrv/$(domid $type)/0
hash=$(xenstore-read $back/driver/hash)
xenstore-rm $back/driver/hash
missed() { hvdrv check $type 2>&1 | grep -q "driver/hash is missing"; }
until_ok 5 missed && ok "check: a missing key" || bad "check: a missing key: $(hvdrv check $type 2>&1)"
xenstore-write $back/driver/hash "$hash"
watch=$(pidof hvdrv-watch); kill -STOP "$watch"
until_ok 10 said watch-stopped && ok "check: a stopped hvdrv-watch" || bad "check: a stopped hvdrv-watch: $(hvdrv check 2>&1)"
kill -CONT "$watch"
silent "check is silent again"

# hvdrvd killed: the listener ends, check names it; the supervisor starts the next, which gets its time
p=$(pid)
kill -STOP "$p"		# so that nobody starts another while we look
fails "check: a hvdrvd that hangs" 1 "does not answer" hvdrv check
kill -KILL "$p"
said hvdrvd-not-running && ok "check: no hvdrvd" || note "the next hvdrvd was there before check looked"
wait $listener; is "events end with hvdrvd, and say so" "$?:$(grep -c 'hvdrvd has ended' /run/lab/events.err)" 1:1
until_ok 60 served "$p" || bad "hvdrvd serves again"
silent "check is silent with the next hvdrvd"

# the events, in order
seen=$(sed -n 's/.*"event":"\([a-z-]*\)".*/\1/p' /run/lab/events | tr '\n' ' ')
sw=$(sed -n 's/.*"event":"\(switch-[a-z]*\)".*"switch":\([0-9]*\).*/\1:\2/p' /run/lab/events | tr '\n' ' ')
st=$(grep '"device":"o"' /run/lab/events | sed -n 's/.*"state":"\([a-z-]*\)".*/\1/p' | tr '\n' ' ')
is "events: the switches" "$sw" "switch-begin:1 switch-end:1 switch-begin:2 switch-end:2 "
has "events: the states of the device" "$st" '^attached waiting-for-guest (generating )?placing connected ready $'
has "events: the worker" "$seen" '^listening .*worker-started'
is "events: every line is an object" "$(grep -vc '^{.*}$' /run/lab/events)" 0
works "detach" hvdrv detach $type o
f=$(guest_faults $type); is "the guest's kernel log is silent" "$f" ""
