# SPDX-License-Identifier: GPL-2.0-only
# devices left to policy: alone, joined, alone again, under load with its data verified; an admin's word; dry runs; ranges of one disk
. /lab/lib.sh
need_data
# the bench's CPU makes pauses of any length: they are printed, not judged. hvdrvd's own, with a hold-down that a scenario can wait for
DEADLINE=2000000000 HOLD=12 carried=0
D=$(command -v hvdrvd)
cp "$D" /run/lab/hvdrvd-real 2>/dev/null || cp "$(readlink -f "$D")" /run/lab/hvdrvd-real
printf '#!/bin/sh\nexec /run/lab/hvdrvd-real --hold-down %s "$@"\n' $HOLD >/run/lab/hvdrvd-hold
chmod +x /run/lab/hvdrvd-hold
again() { p=$(cat /run/lab/hvdrvd.pid); kill "$p"; until_ok 30 sh -c "[ \"\$(cat /run/lab/hvdrvd.pid)\" != $p ] && hvdrv show $1"; }
dev() { xenstore-read "/local/domain/0/backend/hvdrv/$(domid "$1")/$2/$3"; }
admin() { xenstore-read "/local/domain/0/hvdrv/$(xenstore-read "/local/domain/$(domid "$1")/vm" | cut -d/ -f3)/$2/$3"; }
rec() { admin "$1" 0 "retarget/$2"; }
mode_is() { [ "$(dev "$1" 0 mode)" = "$2" ] && [ "$(rec "$1" state)" = "done" ]; }
# record WHAT GUEST SEQ-AT-LEAST TO WHO: the last switch
record() {
    rec=$(xenstore-ls "/local/domain/0/hvdrv/$(xenstore-read "/local/domain/$(domid "$2")/vm" | cut -d/ -f3)/0/retarget" | tr -d '"')
    of() { echo "$rec" | sed -n "s/^$1 = //p"; }
    is "$1: who" "$(of who)" "$5"
    is "$1: to" "$(of to)" "$4"
    is "$1: result" "$(of result)" committed
    [ "$(of seq)" -ge "$3" ] && ok "$1: a new record" || bad "$1: seq is $(of seq)"
    carried=$((carried + $(of carried)))
    note "$1: freeze $(($(of freeze-ns) / 1000)) us, stall $(($(of stall-ns) / 1000)) us, carried $(of carried)"
}
need pv pv vcpus="$LAB_SMP"
need two pv
mount --bind /run/lab/hvdrvd-hold "$D"
again pv || bad "hvdrvd starts with --hold-down"
I=/data/policy.img
rm -f $I; truncate -s 64M $I

# alone: its own; --dry-run says so before
works "attach, by hand, virtual" hvdrv attach pv t class=block,backend=$I,shared
stamp_in pv /run/lab/policy.out --size 33554432 --max-kib 64 --rate 40 &
load=$!
sleep 2
has "dry run: it could" "$(hvdrv retarget pv t paravirtual --dry-run 2>&1)" "^it can switch to paravirtual now"
has "dry run: in force" "$(hvdrv retarget pv t virtual --dry-run 2>&1)" "^virtual already\$"
has "dry run: what policy wants" "$(hvdrv retarget pv t auto --dry-run 2>&1)" "^policy wants paravirtual, its guest is alone"
xl pause pv
fails "dry run: the guest is paused" 4 "cannot switch to paravirtual now: the guest is paused" hvdrv retarget pv t paravirtual --dry-run
xl unpause pv
fails "dry run: no such device" 3 "no device nope" hvdrv retarget pv nope paravirtual --dry-run
is "dry runs changed nothing" "$(dev pv 0 mode) $(admin pv 0 want) $(rec pv seq 2>/dev/null)" "virtual virtual "
works "left to policy" hvdrv retarget pv t auto --deadline $DEADLINE --timeout 120
until_ok 90 mode_is pv paravirtual || bad "alone, but its mode is $(dev pv 0 mode)"
record "alone" pv 1 paravirtual policy

rounds=0 shared_first=0
while [ $rounds -lt "$C_n" ]; do
    rounds=$((rounds + 1))
    s=$(rec pv seq)
    # another guest joins: its attach returns when the first shares
    works "another guest joins" hvdrv attach two t class=block,backend=$I,shared --timeout 120
    is "then the first shares" "$(dev pv 0 mode)" virtual && shared_first=$((shared_first + 1))
    record "joined" pv $((s + 1)) virtual policy
    is "one switch was enough" "$(rec pv seq)" $((s + 1))
    has "dry run: what policy wants beside others" "$(hvdrv retarget pv t auto --dry-run 2>&1)" "^policy wants virtual, other guests"
    # it leaves: back, but not before the hold-down is over
    left=$(up)
    works "the other leaves" hvdrv detach two t
    m=$(dev pv 0 mode)
    says=$(hvdrv retarget pv t auto --dry-run 2>&1)
    if [ $(($(up) - left)) -lt $HOLD ]; then
        is "not at once back" "$m" virtual
        has "dry run: the hold-down" "$says" "not before [0-9]+ s have passed"
    else
        note "the bench was too slow to look before the hold-down was over"
    fi
    until_ok 90 mode_is pv paravirtual || bad "alone again, but its mode is $(dev pv 0 mode)"
    [ $(($(up) - left)) -ge $((HOLD - 1)) ] && ok "not before the hold-down is over" || bad "back after $(($(up) - left)) s"
    record "alone again" pv $((s + 2)) paravirtual policy
done

# an admin's word: at once, and until `auto`
works "an admin's word" switch pv t virtual --deadline $DEADLINE
record "an admin's word" pv 1 virtual admin
s=$(rec pv seq)
sleep $((HOLD + 2))
is "policy keeps off" "$(dev pv 0 mode) $(rec pv seq)" "virtual $s"
works "another word" switch pv t paravirtual --deadline $DEADLINE
works "another guest joins an admin's choice" hvdrv attach two t class=block,backend=$I,shared --timeout 120
is "which stays" "$(dev pv 0 mode)" paravirtual
works "left to policy again, beside another" hvdrv retarget pv t auto --deadline $DEADLINE
until_ok 90 mode_is pv virtual || bad "beside another, but its mode is $(dev pv 0 mode)"
record "left to policy" pv $((s + 2)) virtual policy
works "the other goes for good" hvdrv detach two t

# a guest that does not let go is held, and the other goes on: first one that is paused, with a hvdrvd that dies meanwhile
held() { [ "$(admin pv 0 status)" = held ]; }
# it stays as it is while it is looked at
held_and_stays() { held && { [ "$1" = paused ] || xl pause pv; }; }
moved() { [ "$(json_of pv t write_requests)" != "$1" ]; }
# beside WHAT: the other joins, the first is held, the other's data is right
beside() {
    hvdrv attach two t class=block,backend=$I,shared --timeout 60 >/run/lab/beside.out 2>&1 &
    joins=$!
    until_ok 40 held_and_stays "$1" && ok "$1: the first is held" || bad "$1: the first is $(admin pv 0 status)"
    is "$1: and has the driver that it had" "$(dev pv 0 mode)" paravirtual
    is "$1: the record" "$(rec pv result) $(rec pv who) $(rec pv to)" "revoked policy virtual"
    has "$1: and why" "$(rec pv reason)" "$2"
    has "$1: list says so" "$(hvdrv list pv)" " held "
    wait $joins && ok "$1: the attach of the other returns" || bad "$1: the attach of the other: $(cat /run/lab/beside.out)"
    n=$(fio_verify two --filename=/dev/hvda --offset=40m --rw=randwrite --bs=4k --size=1m --iodepth=8) || bad "$1: the other's data"
    work "$1: bytes verified by the other" "$n"
    held && ok "$1: and all that time" || bad "$1: it is $(admin pv 0 status)"
}
shares_again() {
    xl unpause pv
    until_ok 60 mode_is pv virtual && ok "$1: then it shares" || bad "$1: its mode is $(dev pv 0 mode), $(rec pv reason)"
    until_ok 10 sh -c "hvdrv list pv | grep -q ' ready '" && ok "$1: it is served again" || bad "$1: $(hvdrv list pv)"
    is "$1: the record of that" "$(rec pv result) $(rec pv who)" "committed policy"
    a=$(json_of pv t write_requests)
    until_ok 20 moved "$a" && ok "$1: I/O goes on" || bad "$1: I/O goes on"
    works "$1: the other leaves" hvdrv detach two t
}
until_ok 90 mode_is pv paravirtual || bad "alone once more, but its mode is $(dev pv 0 mode)"
unwatched pv
xl pause pv
beside paused "the guest is paused"
p=$(cat /run/lab/hvdrvd.pid); kill -9 "$p"
until_ok 30 sh -c "[ \"\$(cat /run/lab/hvdrvd.pid)\" != $p ] && hvdrv show pv" || bad "hvdrvd starts again"
sleep 2
is "paused: the next hvdrvd holds it, too" "$(admin pv 0 status)" held
shares_again paused
looked_after pv
# and one that keeps a CPU in the driver
works "an admin gives it back" switch pv t paravirtual --deadline $DEADLINE
works "and leaves it to policy" hvdrv retarget pv t auto --deadline $DEADLINE
stays_inside pv t 40
beside inside "a CPU of the guest stayed in the driver"
shares_again inside
looked_after pv
# single switches may find nothing under way: then some more
i=0; while [ $carried = 0 ] && [ $((i += 1)) -le 10 ]; do
    for m in paravirtual virtual; do switch pv t $m --deadline $DEADLINE || bad "to $m: $out"; carried=$((carried + $(rec pv carried))); done
done
stamp_end pv $load
stamp_right /run/lab/policy.out
work "joins that shared first" $shared_first
work "requests carried" $carried
works "detach" hvdrv detach pv t

# two guests with a range each of one block device: neither sees nor reaches the other's blocks
dd if=/dev/zero bs=1M count=24 2>/dev/null | tr '\0' 'U' >/data/ranges.img
R=/dev/loop1; losetup "$R" /data/ranges.img || bad "a loop device"
works "the first 8 MiB but 1" hvdrv attach pv r "class=block,backend=$R,range=2048+16384,mode=auto"
fails "what overlaps is refused" 4 "is attached to pv as r" hvdrv attach two r "class=block,backend=$R,range=18431+8"
fails "what is beyond the end is refused" 1 "goes beyond the end" hvdrv attach two r "class=block,backend=$R,range=49144+16"
works "8 MiB behind them" hvdrv attach two r "class=block,backend=$R,range=18432+16384"
is "each has its length" "$(dev pv 0 limits/sectors) $(dev two 0 limits/sectors)" "16384 16384"
is "beside each other they share" "$(dev pv 0 mode)" virtual
fails "a range does not grow" 1 "range of its backend" hvdrv resize pv r
for n in pv two; do
    c=A; [ $n = pv ] || c=B
    is "$n sees the old bytes, and as many as its range has" \
        "$(gsh $n "dd if=/dev/hvda bs=64k 2>/dev/null | tr -d U | wc -c; blockdev --getsize64 /dev/hvda")" "0
8388608"
    gsh $n "dd if=/dev/zero bs=64k count=128 2>/dev/null | tr '\\0' $c >/tmp/f; dd if=/tmp/f of=/dev/hvda bs=64k oflag=direct 2>/dev/null; rm /tmp/f"
    gsh $n "dd if=/dev/zero of=/dev/hvda bs=512 seek=16384 count=1 oflag=direct" >/dev/null 2>&1 && bad "$n wrote behind its end" || ok "$n cannot write behind its end"
done
for n in pv two; do
    c=A; [ $n = pv ] || c=B
    is "$n sees its own blocks only" "$(gsh $n "dd if=/dev/hvda bs=64k iflag=direct 2>/dev/null | tr -d $c | wc -c")" 0
    works "$n: detach" hvdrv detach $n r
done
losetup -d "$R"
# runs of equal bytes, as dom0 sees them: 1 MiB before, 8 MiB each, 7 MiB behind
is "dom0 sees each where it belongs" "$(for at in 0 1 9 17; do
    len=8; [ $at = 0 ] && len=1; [ $at = 17 ] && len=7
    dd if=/data/ranges.img bs=1M skip=$at count=$len 2>/dev/null | tr -s 'ABU'; done)" UABU
f=$(guest_faults pv; guest_faults two)
is "the guests' kernel logs are silent, but for what was beyond the end" "$(echo "$f" | grep -v 'beyond\|hvda')" ""
is "dom0's kernel log is silent" "$(dmesg | faults)" ""
umount "$D"
again pv || bad "hvdrvd starts as before"
