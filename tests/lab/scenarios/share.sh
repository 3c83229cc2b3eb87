# SPDX-License-Identifier: GPL-2.0-only
# three guests on a target that takes one request at once: dispatched by weight, changed live, given away, hvdrv-share killed
. /lab/lib.sh
# slow, so that the device is what the guests wait for, however slow their CPUs: 25 requests a second for all
slow_device bs=4096 queue_mode=2 irqmode=2 completion_nsec=40000000 hw_queue_depth=1 memory_backed=1
TARGET=/dev/nullb0
[ -b $TARGET ] || { bad "no slow target"; exit 1; }
GUESTS="pv pvh s3"
need pv pv vcpus="$LAB_SMP"
need pvh pvh vcpus="$(few_cpus pvh)"
need s3 pv

# load GUEST NUMBER: its own part of the target, without a pause between writing and checking
load() { stamp_in "$1" "/run/lab/share.$1" --from $(($2 << 26)) --size 262144 --max-kib 4 --depth 8 --rare 0; }
ended() { [ "$(gsh "$1" 'pidof stamp || echo none')" = none ]; }
# end_load GUEST PID: what is known is read once more
end_load() {
    until_ok 60 g "$1" killall -TERM stamp || bad "$1: its load cannot be told to end"
    until_ok 60 ended "$1" || { bad "$1: its load does not end, in flight: $(g "$1" cat /sys/block/hvda/inflight)"; g "$1" killall -KILL stamp; }
    wait "$2"
    stamp_right "/run/lab/share.$1" "$1"
}
# of all at one time
count() {
    # a worker that the bench kept from its CPU tells nothing
    k=0; while hvdrv metrics >/run/lab/share.count; grep -q '^hvdrv_worker_silent{.*} 1' /run/lab/share.count && [ $((k += 1)) -le 20 ]; do usleep 300000; done
    for n in "$@"; do awk -v n="domain=\"$n\"" '/^hvdrv_requests_total/ && index($0, n) { k += $NF } END { printf "%d ", k }' /run/lab/share.count; done
}
requests() { count "$1"; }
sum() { n=0; for v in "$@"; do n=$((n + v)); done; echo $n; }
# served N GUEST...: what each is served while they together are served N; in $got
served() {
    want=$1; shift
    # shellcheck disable=SC2046
    { before=$(count "$@"); s0=$(sum $before); }
    end=$(($(up) + 60 + want / 5))
    # shellcheck disable=SC2046
    while after=$(count "$@"); [ $(($(sum $after) - s0)) -lt "$want" ]; do
        [ "$(up)" -lt $end ] || { bad "$*: $(($(sum $after) - s0)) requests until now"; return 1; }
        sleep 1
    done
    got=$(echo "$before $after" | awk -v n=$# '{ for (i = 1; i <= n; i++) printf "%d ", $(i + n) - $i }')
}
# by WHAT WEIGHT...: $got is as these, within 10 %
by() {
    what=$1; shift
    if echo "$got $*" | awk -v n=$# '{ for (i = 1; i <= n; i++) { a += $i; w += $(i + n) }
        for (i = 1; i <= n; i++) { p = $i / a / ($(i + n) / w); if (p < 0.9 || p > 1.1) exit 1 } }'; then
        ok "$what: $got"
    else
        bad "$what: $got, not as $*"
    fi
}

i=0; for n in $GUESTS; do
    works "$n: attach with weight $((1 << i))" hvdrv attach $n s "class=block,backend=$TARGET,shared,depth=1,weight=$((1 << i))"
    i=$((i + 1))
done
fails "another depth is refused" 1 "depth=1: say the same" hvdrv attach pv x class=block,backend=$TARGET,shared,depth=2
fails "no depth is refused" 1 "depth=1: say the same" hvdrv attach pv x class=block,backend=$TARGET,shared
one=$(pidof hvdrv-share)
is "one hvdrv-share, of its own user" "$(echo "$one" | wc -w) $(awk '/^Uid/ { print ($2 >= 2000000000) }' "/proc/$one/status")" "1 1"

load pv 0 & p0=$!
load pvh 1 & p1=$!
load s3 2 & p2=$!
loaded() { [ "$(requests "$1")" -ge 40 ]; }
for n in $GUESTS; do until_ok 60 loaded $n || bad "$n: its load"; done
# shellcheck disable=SC2086
served "$C_n" $GUESTS && by "requests as weights 1:2:4" 1 2 4
work "requests counted" "$(sum $got)"
works "weight, live" hvdrv weight pv s 8
is "it is shown" "$(json_of pv s weight)" 8
# shellcheck disable=SC2086
served $((C_n / 2)) $GUESTS && by "requests as weights 8:2:4" 8 2 4
works "weight, back" hvdrv weight pv s 1
kill -9 "$one"
works "hvdrv-share killed: another comes" until_ok 5 sh -c "p=\$(pidof hvdrv-share) && [ \"\$p\" != $one ]"
beyond() { [ "$(requests "$1")" -ge "$2" ]; }
for n in $GUESTS; do until_ok 20 beyond $n $(($(requests $n) + 5)) || bad "$n: its worker does not come back to the next hvdrv-share"; done
# shellcheck disable=SC2086
served $((C_n / 2)) $GUESTS && by "and goes on by weight" 1 2 4
works "a switch on the shared target" switch pvh s paravirtual --deadline 2000000000 --timeout 90
end_load s3 $p2
served $((C_n / 2)) pv pvh && by "the third has stopped: its share goes to the others" 1 2
two=$(pidof hvdrvd)
kill -9 "$two"
works "hvdrvd killed: another comes" until_ok 20 hvdrv show pv s
works "and takes up the devices" until_ok 30 sh -c "hvdrv list pv | grep -q ' ready ' && hvdrv list pvh | grep -q ' ready '"
is "the weight is kept" "$(json_of pvh s weight)" 2
served $((C_n / 4)) pv pvh && note "after hvdrvd: $got"
end_load pv $p0; end_load pvh $p1
for n in $GUESTS; do
    f=$(guest_faults $n); is "$n: the kernel log is silent" "$f" ""
    works "$n: detach" hvdrv detach $n s
done
works "hvdrv-share ends with the last" until_ok 5 sh -c "! pidof hvdrv-share"
drop s3
