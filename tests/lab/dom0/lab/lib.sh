# SPDX-License-Identifier: GPL-2.0-only
# lib.sh - what scenarios share (sourced, POSIX sh). A scenario says what it did and asserts that it did something.
. /bench/env
KEEP=/bench/keep
RESULTS=/run/lab/results
mkdir -p /run/lab

note() { echo "     $*"; }
ok() { echo "ok   $*"; echo "pass" >>$RESULTS; }
bad() { echo "FAIL $*"; echo "fail" >>$RESULTS; }
skip() { echo "skip $*"; echo "skip" >>$RESULTS; }

# is WHAT GOT WANT
is() { if [ "$2" = "$3" ]; then ok "$1"; else bad "$1: got '$2', want '$3'"; fi; }
# has WHAT TEXT PATTERN (of grep -E)
has() { if printf '%s\n' "$2" | grep -qE -- "$3"; then ok "$1"; else bad "$1: '$3' is not in: $2"; fi; }
# works WHAT CMD...
works() {
    what=$1; shift
    out=$("$@" 2>&1); st=$?
    if [ $st = 0 ]; then ok "$what"; else bad "$what: status $st: $(printf '%s' "$out" | tail -n 3)"; fi
    return $st
}
# fails WHAT STATUS PATTERN CMD...: one line, what and why, and that exit status
fails() {
    what=$1 want=$2 pat=$3; shift 3
    out=$("$@" 2>&1); st=$?
    if [ $st = "$want" ] && printf '%s\n' "$out" | grep -qE -- "$pat" && [ "$(printf '%s\n' "$out" | wc -l)" = 1 ]; then
        ok "$what"
    else
        bad "$what: status $st (want $want): $out"
    fi
}
# work WHAT NUMBER: what the scenario did; nothing is a failure
work() { if [ "${2:-0}" -gt 0 ] 2>/dev/null; then ok "$1: $2"; else bad "$1: nothing was done ('$2')"; fi; }

g() { n=$1; shift; lab-guest exec "$n" "$@" </dev/null; }
gsh() { n=$1; shift; lab-guest exec "$n" sh -c "$*" </dev/null; }
domid() { labx "$1"; }
up() { read -r up _ </proc/uptime; echo "${up%%.*}"; }

# need NAME [TYPE] [ARG...]: the guest, started unless it runs already (a boot's scenarios share guests)
need() { domid "$1" >/dev/null 2>&1 || lab-guest start "$@" || { bad "guest $1 starts"; exit 1; }; }
drop() { for n in "$@"; do xl destroy "$n" 2>/dev/null; done; }

# until SECONDS CMD...: true once CMD is. Of a bench that is as fast as it should be; a slow one gets three times as many
until_ok() {
    end=$(($(up) + 3 * $1)); shift
    until "$@" >/dev/null 2>&1; do [ "$(up)" -lt $end ] || return 1; sleep 0.2 2>/dev/null || sleep 1; done
}

# shown GUEST DEVICE: `hvdrv show --json`, asked again where the bench kept the worker from its CPU: it has a second to answer
shown() {
    shown_n=0
    while js=$(hvdrv show "$1" "$2" --json); do
        case $js in *worker_silent*) ;; *) break;; esac
        [ $((shown_n += 1)) -le 20 ] || break
        usleep 300000
    done
    printf '%s\n' "$js"
}
# json_of GUEST DEVICE KEY: the first number or text of that name
json_of() { shown "$1" "$2" | sed -n "s/^ *\"$3\": *\"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}\$/\1/p" | head -n 1; }

# settled GUEST DEVICE: it is served, and no switch is under way
settled() { case $(hvdrv show "$1" "$2" --json 2>/dev/null) in *'"switch_ns"'*) false;; *'"queues"'*) true;; *) false;; esac; }
# switch GUEST DEVICE MODE [ARG...]: replaces the driver; what was said last is in $out. A guest or worker that the bench kept from
# its CPU for longer than the product waits (a second or two) is switched back, rightly: that is said, and it is tried again
switch() {
    switch_n=0
    until out=$(hvdrv retarget "$@" 2>&1); do
        case $out in *"did not take over its requests"* | *"stayed in the driver for"* | *"did not hold it within"*) ;; *) echo "$out"; return 1;; esac
        [ $((switch_n += 1)) -le 4 ] || { echo "$out"; return 1; }
        note "$1/$2 to $3, again: $out"
        until_ok 20 settled "$1" "$2"
    done
}

# unwatched GUEST: its kernel does not complain of CPUs that stand still; looked_after GUEST: it does again
unwatched() {
    gsh "$1" "echo 0 >/proc/sys/kernel/soft_watchdog; echo 0 >/proc/sys/kernel/hung_task_timeout_secs
        echo 1 >/sys/module/rcupdate/parameters/rcu_cpu_stall_suppress" 2>/dev/null
}
looked_after() {
    gsh "$1" "echo 1 >/proc/sys/kernel/soft_watchdog; echo 120 >/proc/sys/kernel/hung_task_timeout_secs
        echo 0 >/sys/module/rcupdate/parameters/rcu_cpu_stall_suppress" 2>/dev/null
}
stopped() {
    stopped_at=$(json_of "$1" "$2" write_requests)
    [ -n "$stopped_at" ] || return 1
    sleep 2
    [ "$(json_of "$1" "$2" write_requests) $(json_of "$1" "$2" in_flight)" = "$stopped_at 0" ]
}
# stays_inside GUEST DEVICE [SECONDS]: a CPU of the guest, whose device has a load, stays in the driver (the module's `linger`);
# returns when it is there; $! is what waits for its end. The guest's only CPU answers nobody meanwhile
stays_inside() {
    unwatched "$1"
    LAB_EXEC_LIMIT=300 gsh "$1" "echo 0,${3:-24}000000,0 >/sys/module/hvdrv/parameters/linger" >/dev/null 2>&1 &
    until_ok 7 stopped "$1" "$2" || bad "$1: no CPU stays in the driver"
}

# path GUEST: mode and path of its first device
path() { xenstore-read "/local/domain/0/backend/hvdrv/$(domid "$1")/0/mode" "/local/domain/0/backend/hvdrv/$(domid "$1")/0/path" | tr '\n' ' '; }
# no_direct GUEST WHAT STATUS REASON: its first device, d, gets no hardware queues, dry and not, with the reason, nothing changed
no_direct() {
    was=$(path "$1")
    fails "dry run: $2" "$3" "$4" hvdrv retarget "$1" d paravirtual --path direct --dry-run
    out=$(hvdrv retarget "$1" d paravirtual --path direct 2>&1) && bad "refused: $2: $out" || has "refused: $2" "$out" "nothing was changed: $4"
    is "nothing was changed: $2" "$(path "$1")" "$was"
}

# /data: a filesystem that does O_DIRECT (on the run's --disk), made once per boot
need_data() {
    grep -q ' /data ' /proc/mounts && return
    mkdir -p /data
    [ -b /dev/vdb ] || { bad "the run has no --disk"; exit 1; }
    m=mke2fs; [ -x /sbin/mke2fs.real ] && m=/sbin/mke2fs.real
    $m -q -F -t ext4 /dev/vdb && mount -t ext4 /dev/vdb /data || { bad "/data"; exit 1; }
}

# slow_device PARAMETER...: null_blk's /dev/nullb0 as these say, also when another scenario has left one; no_slow_device: it goes
no_slow_device() { ! grep -q '^null_blk ' /proc/modules || until_ok 20 rmmod null_blk || bad "the slow device is in use still"; }
slow_device() {
    no_slow_device
    ins null_blk nr_devices=1 gb=1 "$@" || { bad "the slow device"; exit 1; }
}

# attach GUEST NAME MIB [MORE]: a fresh file on /data; prints the disk's path in the guest
attach() { rm -f "/data/$1-$2.img"; hvdrv attach "$1" "$2" "class=block,backend=/data/$1-$2.img,size=${3}M${4:+,$4}"; }

# fio_in GUEST ARG...: a job of fio in the guest that verifies what it writes, reported as terse version 3; or some, each from its --name
fio_in() {
    n=$1; shift
    case "$*" in *--name=*) name=;; *) name=--name=v;; esac
    # shellcheck disable=SC2086
    LAB_EXEC_LIMIT=180 g "$n" fio --verify=crc32c --verify_fatal=1 --ioengine=libaio --direct=1 \
        --output-format=terse --terse-version=3 --randseed="$SEED" $name "$@"
}

# fio_verify GUEST ARG...: runs fio with crc32c in the guest; prints the bytes that it verified; fails with fio
fio_verify() {
    fio_in "$@" >"/run/lab/fio.$1" 2>"/run/lab/fio.$1.err"
    st=$?
    # field 5 is the error, 6 the KiB read (that is, verified)
    awk -F';' '$5 != 0 { e = 1 } { kib += $6 } END { print kib * 1024; exit e }' "/run/lab/fio.$1" || st=1
    [ $st = 0 ] || tail -n 3 "/run/lab/fio.$1.err" >&2
    return $st
}

# stamp_in GUEST FILE ARG...: the checker on the guest's disk, until it is killed; what it found is in FILE, details in FILE.err
stamp_in() {
    n=$1 to=$2; shift 2
    LAB_EXEC_LIMIT=36000 g "$n" stamp run /dev/hvda --seed "$SEED" --seconds 35000 "$@" >"$to" 2>"$to.err"
}
# stamp_end GUEST PID: the checker ends, and with it what waits for it
stamp_end() {
    if ! domid "$1" >/dev/null 2>&1; then bad "$1 has gone, and its checker with it"
    else until_ok 60 g "$1" killall -TERM stamp || bad "$1: its checker cannot be told to end"; fi
    wait "$2"
}
# stamp_right FILE [WHAT]: it found nothing wrong, and something was looked at
stamped() { tr ' ' '\n' <"$1" | sed -n "s/^$2=//p"; }
stamp_right() {
    for k in lost stale orphan misdirected corrupt failed; do is "${2:+$2: }$k" "$(stamped "$1" $k)" 0; done
    work "${2:+$2: }bytes verified under load" "$(stamped "$1" verified_bytes)"
    note "${2:+$2: }$(cat "$1")"; head -n 5 "$1.err"
}

# counters of the guest's module that must be equal before and after
held() { gsh "$1" "head -n 7 /sys/kernel/debug/hvdrv/counters" | tr '\n' ' '; }

# fault lines in a kernel log
faults() { grep -E 'BUG|WARNING|Oops|Bad page|Call Trace|general protection|segfault|Bad rss|I/O error' | grep -v 'Speculative\|Spectre\|hw-vuln'; }
# the same of a guest, from when our module was loaded: what its kernel says of the emulated CPU before is not ours
guest_faults() { g "$1" dmesg | sed -n '/hvdrv/,$p' | faults; }
# CPUs for a guest of a scenario that is not about them: QEMU's software SVM loses PVH guests of two CPUs (see group)
few_cpus() { if [ "$1" = pv ]; then echo "$LAB_SMP"; else echo 1; fi; }
