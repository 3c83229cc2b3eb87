# SPDX-License-Identifier: GPL-2.0-only
# hvdrvd killed at every step of a switch, under load: the guest runs on at once, the switch is finished or undone, nothing is lost
. /lab/lib.sh
[ -x /root/hvdrvd-fault ] || { skip "no build with --enable-fault was brought"; exit 0; }
need_data
# hvdrvd dies once at the place that fault.env names; the supervisor's next start has none
cat >/run/lab/hvdrvd-once <<'E'
#!/bin/sh
[ -e /run/lab/fault.env ] && { HVDRV_FAULT=$(cat /run/lab/fault.env); export HVDRV_FAULT; mv /run/lab/fault.env /run/lab/fault.used; }
exec /root/hvdrvd-fault "$@"
E
chmod +x /run/lab/hvdrvd-once
mount --bind /run/lab/hvdrvd-once "$(command -v hvdrvd)"
pid() { cat /run/lab/hvdrvd.pid; }
served() { [ "$(pid)" != "$1" ] && [ -n "$(json_of pv k queues)" ]; }
state() { xl list pv | awk 'NR == 2 { print $5 }'; }
rec() { xenstore-read "$(xenstore-ls -f /local/domain/0/hvdrv | sed -n "s|^\(/local/domain/0/hvdrv/[^/]*/[0-9]*\)/retarget/seq = .*|\1|p" | head -n 1)/retarget/$1"; }
mode() { xenstore-read "/local/domain/0/backend/hvdrv/$(domid pv)/0/mode"; }
need pv pv vcpus="$LAB_SMP"
attach pv k 48 >/dev/null || bad "attach"
rounds=0 deaths=0
points="prepared holding held pausing paused swapped restored resuming unpaused resumed told ending published released"
LAB_EXEC_LIMIT=1800 g pv stamp run /dev/hvda --seed "$SEED" --seconds 1500 --size 25165824 --max-kib 64 >/run/lab/kill.out 2>/run/lab/kill.err &
load=$!
sleep 3
# die POINT: a switch in which hvdrvd dies there
die() {
    p=$(pid)
    echo "$1" >/run/lab/fault.env; rm -f /run/lab/fault.used
    kill "$p"; until_ok 30 served "$p" || { bad "$1: hvdrvd starts"; return; }
    to=paravirtual; [ "$(mode)" = virtual ] || to=virtual
    d=1000000000; case $1 in restored | released) d=1;; esac
    p=$(pid)
    hvdrv retarget pv k $to --deadline $d --timeout 20 >/run/lab/kill.cmd 2>&1; st=$?
    until_ok 30 served "$p" && ok "$1: hvdrvd died, and serves again" || { bad "$1: hvdrvd serves again: $(cat /run/lab/kill.cmd)"; return; }
    deaths=$((deaths + 1))
    r=$(rec result)
    case $r in
    committed) is "$1: committed: the mode is the new one" "$(mode)" $to;;
    undone) [ "$(mode)" != $to ] && ok "$1: undone: the mode is the old one" || bad "$1: undone, but the mode is $to";;
    *) bad "$1: the record says '$r'";;
    esac
    case $st$r in 0committed | [1-9]*undone) ok "$1: the command said so";; *) bad "$1: $r, but the command ended with $st: $(cat /run/lab/kill.cmd)";; esac
    case $(state) in *p*) bad "$1: the guest is left paused";; *) ok "$1: the guest is not paused";; esac
    works "$1: the next switch" hvdrv retarget pv k "$([ "$(mode)" = virtual ] && echo paravirtual || echo virtual)" --deadline 1000000000
}
while [ $rounds -lt "$C_n" ]; do
    rounds=$((rounds + 1))
    for pt in $points; do die $pt; done
done
xl pause pv
fails "a guest that an admin has paused is not switched" 1 "paused" hvdrv retarget pv k "$([ "$(mode)" = virtual ] && echo paravirtual || echo virtual)"
case $(state) in *p*) ok "and stays paused";; *) bad "the admin's pause was ended";; esac
xl unpause pv
g pv killall -TERM stamp
wait $load
for k in lost stale orphan misdirected corrupt failed; do is "$k" "$(tr ' ' '\n' </run/lab/kill.out | sed -n "s/^$k=//p")" 0; done
work "bytes verified" "$(tr ' ' '\n' </run/lab/kill.out | sed -n 's/^verified_bytes=//p')"
note "$(cat /run/lab/kill.out)"; head -n 5 /run/lab/kill.err
umount "$(command -v hvdrvd)"
p=$(pid); kill "$p"; until_ok 30 served "$p" || bad "hvdrvd without faults starts"
works "detach" hvdrv detach pv k
is "no journal is left" "$(ls /run/hvdrv/switch)" "lock"
f=$(guest_faults pv); is "the guest's kernel log is silent" "$f" ""
work "deaths of hvdrvd in a switch" $deaths
