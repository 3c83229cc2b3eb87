# SPDX-License-Identifier: GPL-2.0-only
# the driver is replaced in place under load, to paravirtual and back: nothing lost, the addresses stay, the log is silent
. /lab/lib.sh
need_data
DEADLINE=2000000000	# of the bench: pauses are printed, not judged
switches=0 carried=0 some=0
: >/run/lab/freeze; : >/run/lab/stall
rec() { xenstore-read "$(xenstore-ls -f /local/domain/0/hvdrv | sed -n "s|^\(/local/domain/0/hvdrv/[^/]*/[0-9]*\)/retarget/seq = .*|\1|p" | head -n 1)/retarget/$1"; }
back() { xenstore-read "/local/domain/0/backend/hvdrv/$(domid "$1")/0/$2"; }
numbers() { sort -n "$1" | awk '{ v[NR] = $1 } END { printf "p50 %.3f, p99 %.3f, max %.3f ms", v[int((NR + 1) / 2)] / 1e6, v[int(NR * 0.99 + 0.999)] / 1e6, v[NR] / 1e6 }'; }
stamped() { tr ' ' '\n' <"/run/lab/retarget.$1" | sed -n "s/^$2=//p"; }
# one GUEST MODE
one() {
    out=$(hvdrv retarget "$1" t "$2" --deadline $DEADLINE 2>&1) || { bad "$1: switch to $2: $out"; return 1; }
    switches=$((switches + 1))
    c=$(rec carried); carried=$((carried + c)); [ "$c" -gt 0 ] && some=$((some + 1))
    rec freeze-ns >>/run/lab/freeze; rec stall-ns >>/run/lab/stall
    echo "$(rec carried-ready) $(rec carried-begun) $(rec carried-done)" >>/run/lab/kinds
    [ "$(back "$1" mode)" = "$2" ] || bad "$1: mode is $(back "$1" mode), not $2"
}
: >/run/lab/kinds
for type in ${C_types:-pv pvh}; do
    need $type $type vcpus="$LAB_SMP"
    attach $type t 64 >/dev/null || bad "$type: attach"
    before=$(back $type address; back $type entry/submit; back $type entry/adopt)
    LAB_EXEC_LIMIT=900 g $type stamp run /dev/hvda --seed "$SEED" --seconds $((12 + C_n * 3)) --size 33554432 --max-kib 128 \
        >/run/lab/retarget.$type 2>/run/lab/retarget.$type.err &
    load=$!
    sleep 3
    i=0; while [ $i -lt "$C_n" ]; do
        i=$((i + 1))
        one $type paravirtual && one $type virtual || break
    done
    is "$type: switches" $i "$C_n"
    is "$type: entry addresses are the same" "$(back $type address; back $type entry/submit; back $type entry/adopt)" "$before"
    wait $load
    for k in lost stale orphan misdirected corrupt failed; do is "$type: $k" "$(stamped $type $k)" 0; done
    work "$type: bytes verified under load" "$(stamped $type verified_bytes)"
    note "$type: $(cat /run/lab/retarget.$type)"
    head -n 5 /run/lab/retarget.$type.err
    one $type paravirtual
    n=$(fio_verify $type --filename=/dev/hvda --rw=randwrite --bs=4k --size=8m --iodepth=16) || bad "$type: paravirtual, verified"
    work "$type: bytes verified in paravirtual mode" "$n"
    works "$type: detach in paravirtual mode" hvdrv detach $type t
    f=$(guest_faults $type); is "$type: the guest's kernel log is silent" "$f" ""
done
is "dom0's kernel log is silent" "$(dmesg | faults)" ""
note "freeze $(numbers /run/lab/freeze); stall $(numbers /run/lab/stall)"
note "carried: $(awk '{ r += $1; b += $2; d += $3 } END { print r " ready, " b " begun, " d " done" }' /run/lab/kinds)"
work "switches under load" $switches
work "switches that carried requests" $some
work "requests carried" $carried
