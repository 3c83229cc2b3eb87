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
domid() { xl domid "$1"; }
up() { cut -d' ' -f1 /proc/uptime | cut -d. -f1; }

# need NAME [TYPE] [ARG...]: the guest, started unless it runs already (a boot's scenarios share guests)
need() { xl domid "$1" >/dev/null 2>&1 || lab-guest start "$@" || { bad "guest $1 starts"; exit 1; }; }
drop() { for n in "$@"; do xl destroy "$n" 2>/dev/null; done; }

# until SECONDS CMD...: true once CMD is
until_ok() {
    end=$(($(up) + $1)); shift
    until "$@" >/dev/null 2>&1; do [ "$(up)" -lt $end ] || return 1; sleep 0.2 2>/dev/null || sleep 1; done
}

# json FILE-OR-TEXT KEY: a number or text of the first device of `hvdrv show --json`
json_of() { hvdrv show "$1" "$2" --json | sed -n "s/^ *\"$3\": *\"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}\$/\1/p" | head -n 1; }

# /data: a filesystem that does O_DIRECT (on the run's --disk), made once per boot
need_data() {
    grep -q ' /data ' /proc/mounts && return
    mkdir -p /data
    [ -b /dev/vdb ] || { bad "the run has no --disk"; exit 1; }
    m=mke2fs; [ -x /sbin/mke2fs.real ] && m=/sbin/mke2fs.real
    $m -q -F -t ext4 /dev/vdb && mount -t ext4 /dev/vdb /data || { bad "/data"; exit 1; }
}

# attach GUEST NAME MIB [MORE]: a fresh file on /data; prints the disk's path in the guest
attach() { rm -f "/data/$1-$2.img"; hvdrv attach "$1" "$2" "class=block,backend=/data/$1-$2.img,size=${3}M${4:+,$4}"; }

# fio_in GUEST ARG...: a job of fio in the guest that verifies what it writes, reported as terse version 3
fio_in() {
    n=$1; shift
    LAB_EXEC_LIMIT=60 g "$n" fio --name=v --verify=crc32c --verify_fatal=1 --ioengine=libaio --direct=1 \
        --output-format=terse --terse-version=3 --randseed="$SEED" "$@"
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

# counters of the guest's module that must be equal before and after
held() { gsh "$1" "head -n 7 /sys/kernel/debug/hvdrv/counters" | tr '\n' ' '; }

# fault lines in a kernel log
faults() { grep -E 'BUG|WARNING|Oops|Bad page|Call Trace|general protection|segfault|Bad rss|I/O error' | grep -v 'Speculative\|Spectre\|hw-vuln'; }
# the same of a guest, from when our module was loaded: what its kernel says of the emulated CPU before is not ours
guest_faults() { g "$1" dmesg | sed -n '/hvdrv/,$p' | faults; }
# CPUs for a guest of a scenario that is not about them: QEMU's software SVM loses PVH guests of two CPUs (see group)
few_cpus() { if [ "$1" = pv ]; then echo "$LAB_SMP"; else echo 1; fi; }
