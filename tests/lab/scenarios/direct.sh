# SPDX-License-Identifier: GPL-2.0-only
# path direct: a PV guest's own queue pair of the NVMe controller, beside the kernel's driver. Entered and left under load with nothing
# lost; each refusal with its reason; hvdrvd, the worker and the keeper killed; the guest destroyed under load
. /lab/lib.sh
[ -n "$LAB_NVME" ] || { skip "direct: the run has no --nvme"; exit 0; }
DEADLINE=2000000000	# of the bench: pauses are printed, not judged
keeper() { while [ ! -e /run/lab/no-keeper ]; do /usr/libexec/hvdrv/hvdrv-keeper nvme0 >>/run/lab/keeper.log 2>&1; usleep 100000; done; }
kept() { sed -n '2,$p' /run/hvdrv/keeper/nvme0.list | grep -vc end; }
to() { g=$1 m=$2; shift 2; hvdrv retarget "$g" d "$m" "$@" --deadline $DEADLINE --timeout 60; }	# may be refused
sure() { g=$1 m=$2; shift 2; switch "$g" d "$m" "$@" --deadline $DEADLINE --timeout 90 || bad "$g: to $m $*: $out"; }
direct() { to "$1" paravirtual --path direct; }
# what the guest has counted itself, and all there is: reads
by_guest() { hvdrv show pv d | sed -n '/mode direct/,$s/^ *read *\([0-9]*\) requests.*/\1/p'; }
more() { [ "$(json_of pv d read_requests)" -gt "$1" ]; }
goes_on() { n=$(json_of pv d read_requests); until_ok 10 more $((n + 10)) || bad "it stands: $n, $(json_of pv d read_requests)"; }
by_policy() { [ "$(path pv)" = "paravirtual direct " ]; }

until_ok 10 test -b /dev/nvme0n1 || { bad "the NVMe"; exit 1; }
used=$(cat /sys/class/nvme/nvme0/queue_count)
need pv pv vcpus=1
before=$(held pv)

hvdrv attach pv d class=block,backend=/dev/nvme0n1 >/dev/null || bad "attach"
no_direct pv "not trusted" 5 "it was not attached with trusted=1"
works "detach" hvdrv detach pv d
hvdrv attach pv d class=block,backend=/dev/nvme0n1,range=0+65536,trusted=1 >/dev/null || bad "attach"
no_direct pv "a range" 1 "it is a range of its backend"
works "detach" hvdrv detach pv d
hvdrv attach pv d class=block,backend=/dev/nvme0n1,trusted=1 >/dev/null || bad "attach"
no_direct pv "no keeper" 1 "no hvdrv-keeper serves nvme0"
keeper & loop=$!
until_ok 10 test -S /run/hvdrv/keeper/nvme0 || bad "the keeper: $(cat /run/lab/keeper.log)"
has "dry run: it can" "$(hvdrv retarget pv d paravirtual --path direct --dry-run 2>&1)" "it can switch to direct now"

# from each to each, under load
stamp_in pv /run/lab/direct.stamp --size 16777216 --max-kib 128 --rare 8 &
load=$!
until_ok 60 more 50 || bad "the load"
i=0; while [ $i -lt "$C_n" ]; do
    i=$((i + 1))
    sure pv paravirtual --path direct
    is "direct" "$(path pv)" "paravirtual direct "
    [ $i != 1 ] || { note "$out"; is "its queues are in the list" "$(kept)" 1; }
    goes_on
    sure pv paravirtual
    is "mediated" "$(path pv)" "paravirtual pool "
    sure pv paravirtual --path direct
    goes_on
    sure pv virtual
done
n=$(json_of pv d read_requests)
work "reads in direct, which the guest has counted" "$(by_guest)"
work "requests that it has timed" "$(hvdrv show pv d | sed -n '/mode direct/,$s/^ *latency .*; \([0-9]*\) were timed.*/\1/p')"
hvdrv show pv d | sed -n '/mode direct/,$s/^  latency/     &/p'
sure pv paravirtual --path direct
until_ok 10 more $((n + 10)) && ok "the sum goes on in direct" || bad "it stands: $n, $(json_of pv d read_requests)"
n=$(json_of pv d read_requests)
sure pv virtual
until_ok 10 more $((n + 10)) && ok "and behind it" || bad "it stands: $n, $(json_of pv d read_requests)"
is "rounds of direct, mediated, direct, virtual" $i "$C_n"
is "no queues are left in the list" "$(kept)" 0

# hvdrvd and the worker die in direct: nobody has to notice
sure pv paravirtual --path direct
kill -9 "$(pidof hvdrv-worker)"
until_ok 20 pidof hvdrv-worker && until_ok 20 hvdrv show pv d || bad "no worker came"
is "direct after the worker's death" "$(path pv)" "paravirtual direct "
kill -9 "$(cat /run/lab/hvdrvd.pid)"
until_ok 30 hvdrv show pv d && ok "hvdrvd is back" || bad "hvdrvd does not come back"
is "direct after hvdrvd's death" "$(path pv)" "paravirtual direct "
# the keeper: the next one keeps the same queues on
was=$(cat /run/hvdrv/keeper/nvme0.list)
kill -9 "$(pidof hvdrv-keeper)"
until_ok 10 grep -q "are kept on" /run/lab/keeper.log && ok "the next keeper keeps the queues" || bad "keeper: $(cat /run/lab/keeper.log)"
is "the same" "$(cat /run/hvdrv/keeper/nvme0.list)" "$was"
sleep 1
is "direct after the keeper's death" "$(path pv)" "paravirtual direct "
# none comes: back to the mediated queue by itself; the queues go when there is one
touch /run/lab/no-keeper; kill -9 "$(pidof hvdrv-keeper)"; wait $loop
until_ok 30 sh -c "[ \"\$(xenstore-read /local/domain/0/backend/hvdrv/$(domid pv)/0/path)\" = pool ]" && ok "no keeper: mediated" || bad "no keeper: $(path pv)"
rm /run/lab/no-keeper; keeper & loop=$!
until_ok 30 sh -c "! sed -n '2,\$p' /run/hvdrv/keeper/nvme0.list | grep -qv end" && ok "its queues went when a keeper came" || bad "left: $(cat /run/hvdrv/keeper/nvme0.list)"

# dom0's kernel resets the controller: what the guest had posted begins again on the mediated queue. With a keeper, and seen by the next
i=0 k=0; while [ $i -lt 2 ]; do
    sure pv paravirtual --path direct
    sleep 1
    [ $i = 0 ] || { touch /run/lab/no-keeper; kill -9 "$(pidof hvdrv-keeper)"; wait $loop; }
    echo 1 >/sys/class/nvme/nvme0/reset_controller || bad "reset"
    [ $i = 0 ] || { rm /run/lab/no-keeper; keeper & loop=$!; }
    until_ok 10 sh -c "[ \"\$(xenstore-read /local/domain/0/backend/hvdrv/$(domid pv)/0/path)\" = pool ]" && ok "reset: mediated" || bad "reset: $(path pv)"
    until_ok 5 sh -c "hvdrv show pv d | grep -q 'direct to paravirtual for keeper: committed'" && ok "for keeper" || bad "$(hvdrv show pv d)"
    again=$(hvdrv show pv d | sed -n '/last switch/,$s/.*carried \([0-9]*\) ready.*/\1/p' | head -n 1)
    goes_on
    if [ "${again:-0}" = 0 ] && [ $((k += 1)) -lt 10 ]; then note "nothing was at the controller, again"; continue; fi
    work "what was at the controller began again" "$again"
    i=$((i + 1))
done
has "the keeper has seen it" "$(cat /run/lab/keeper.log)" "the controller has been reset: device 0 has no queues any more"
until_ok 10 sh -c "! sed -n '2,\$p' /run/hvdrv/keeper/nvme0.list | grep -qv end" && ok "no queues are left in the list" ||
    bad "left: $(cat /run/hvdrv/keeper/nvme0.list)"

# resets at any time, also of the controller that gets the guest's requests as commands; what the load finds is judged below
reset_in() { usleep "$1"; echo 1 >/sys/class/nvme/nvme0/reset_controller; }
# what can be refused meanwhile is a switch to direct: the keeper cannot ask a controller that is being reset
either() { [ "$1" = 0 ] && committed=$((committed + 1)) || { undone=$((undone + 1)); note "$(cat /run/lab/direct.out)"; }; }
i=0 committed=0 undone=0
while [ $i -lt "$C_resets" ]; do
    later=$((i * 37 % 700 * 1000))
    case $((i % 4)) in
    0) sure pv paravirtual
       is "by commands" "$(json_of pv d io)" passthrough
       reset_in $later;;
    1) reset_in $later & r=$!
       direct pv >/run/lab/direct.out 2>&1; either $?
       wait $r;;
    2) direct pv >/run/lab/direct.out 2>&1; either $?
       reset_in $((later / 2)) & r=$!
       to pv virtual >/run/lab/direct.out 2>&1; either $?
       wait $r;;
    3) direct pv >/run/lab/direct.out 2>&1; either $?
       kill -9 "$(cat /run/lab/hvdrvd.pid)"
       reset_in 0
       until_ok 20 hvdrv show pv d || bad "hvdrvd does not come back";;
    esac
    n=$(json_of pv d read_requests)
    until_ok 20 more $((${n:-0} + 5)) || { bad "reset $i: it stands: $(hvdrv show pv d)"; break; }
    i=$((i + 1))
done
work "resets under load" $i
work "switches beside them that were committed" $committed
note "and undone: $undone"

# a keeper that is stopped holds up who asks it, for 8 s, and nobody else
need_data
k=0 beside=no
while [ $k -lt 5 ] && [ $beside = no ]; do	# judged by the order of events: on a slow bench the 8 s may be over before
    k=$((k + 1))
    kill -STOP "$(pidof hvdrv-keeper)"
    direct pv >/run/lab/direct.out 2>&1 & asks=$!
    usleep 300000
    works "shown while the keeper is stopped" hvdrv show pv d
    works "another device is attached" hvdrv attach pv e class=block,backend=/data/e$k.img,size=1M --timeout 90
    works "and switched" switch pv e paravirtual --deadline $DEADLINE --timeout 90
    kill -0 $asks 2>/dev/null && beside=yes
    wait $asks && bad "to direct without a keeper" || has "refused" "$(cat /run/lab/direct.out)" "no hvdrv-keeper serves nvme0"
    kill -CONT "$(pidof hvdrv-keeper)"
    works "detach of the other" hvdrv detach pv e
done
[ $beside = yes ] && ok "all of it while the switch waited" || bad "never while the switch waited, in $k tries"
works "to direct again" switch pv d paravirtual --path direct --deadline $DEADLINE --timeout 90
kill -STOP "$(pidof hvdrv-keeper)"
works "from direct, its queues are owed" switch pv d paravirtual --deadline $DEADLINE --timeout 90
kill -CONT "$(pidof hvdrv-keeper)"
until_ok 10 sh -c "! sed -n '2,\$p' /run/hvdrv/keeper/nvme0.list | grep -qv end" && ok "and go when it runs again" ||
    bad "left: $(cat /run/hvdrv/keeper/nvme0.list)"

stamp_end pv $load
stamp_right /run/lab/direct.stamp
sure pv paravirtual --path direct
n=$(fio_verify pv --filename=/dev/hvda --rw=randwrite --bsrange=4k-252k --size=8m --iodepth=32) || bad "fio in direct"
work "bytes verified in direct" "$n"
is "dom0's own queues are as they were" "$(cat /sys/class/nvme/nvme0/queue_count)" "$used"
# another guest, on the controller's other namespace: who has queues by an admin's word keeps them; else it is let in and they are refused
need near pv vcpus=1
fails "another guest on the controller" 4 "pv has hardware queues of nvme0 as d: .hvdrv retarget pv d paravirtual. first" \
    hvdrv attach near e class=block,backend=/dev/nvme0n2
is "who has queues keeps them" "$(path pv) $(kept)" "paravirtual direct  1"
works "to mediated" switch pv d paravirtual --deadline $DEADLINE --timeout 90
works "now it is let in" hvdrv attach near e class=block,backend=/dev/nvme0n2,mode=paravirtual
no_direct pv "another guest is on the controller" 4 "near has a part of nvme0 as e: a hardware queue reaches it, too"
works "detach" hvdrv detach near e
sure pv paravirtual --path direct
works "detach in direct" hvdrv detach pv d
is "nothing is left in the guest" "$(held pv)" "$before"
is "no queues are left in the list" "$(kept)" 0
# a device goes while its keeper is stopped: nobody else is let onto the controller before the queues are deleted
hvdrv attach pv d class=block,backend=/dev/nvme0n1,trusted=1 >/dev/null || bad "attach"
sure pv paravirtual --path direct
kill -STOP "$(pidof hvdrv-keeper)"
works "detach, its queues are owed" hvdrv detach pv d --timeout 60
hvdrv attach near e class=block,backend=/dev/nvme0n2 --timeout 60 >/run/lab/near.out 2>&1 & asks=$!
until_ok 20 sh -c "hvdrv list near --json | grep -q 'hardware queues that another guest had of nvme0 are not deleted yet'" && ok "another guest waits for that" ||
    bad "another guest: $(hvdrv list near --json)"
is "with no disk" "$(g near cat /proc/partitions | grep -c hvd)" 0
kill -CONT "$(pidof hvdrv-keeper)"
wait $asks && ok "and is let in then" || bad "let in: $(cat /run/lab/near.out)"
is "when they were deleted" "$(kept)" 0
works "detach" hvdrv detach near e
# who has them by policy goes out of them first, then the other is let in
hvdrv attach pv d class=block,backend=/dev/nvme0n1,trusted=1,mode=auto >/dev/null || bad "attach"
until_ok 20 by_policy && ok "policy: alone and trusted: direct" || bad "policy: $(path pv)"
works "another guest is let in" hvdrv attach near e class=block,backend=/dev/nvme0n2
is "without the queues" "$(path pv) $(kept)" "paravirtual pool  0"
sleep 11				# hvdrvd's hold-down: from now on only that of the other's leaving counts
works "it leaves" hvdrv detach near e
has "the hold-down counts from its leaving" "$(hvdrv retarget pv d auto --dry-run 2>&1)" "not before [0-9]+ s have passed"
until_ok 20 by_policy && ok "then it has them again" || bad "then it has them again: $(path pv)"
works "detach" hvdrv detach pv d
drop near
# blocks of 4096 bytes
hvdrv attach pv d class=block,backend=/dev/nvme0n2,trusted=1 >/dev/null || bad "attach"
works "blocks of 4096 bytes: to direct" switch pv d paravirtual --path direct --deadline $DEADLINE --timeout 90
n=$(fio_verify pv --filename=/dev/hvda --rw=randwrite --bsrange=4k-252k --size=2m --iodepth=32) || bad "fio in direct on blocks of 4096 bytes"
work "bytes verified in direct on blocks of 4096 bytes" "$n"
works "detach in direct" hvdrv detach pv d
f=$(guest_faults pv); is "the guest's kernel log is silent" "$f" ""

# the guest destroyed under load: the queues go before its pages. By policy it has them: alone, and trusted. Every other time
# there is no hvdrvd meanwhile: the keeper keeps its pages until the next one asks
deaths=0
while [ $deaths -lt "$C_deaths" ]; do
    need pv pv vcpus=1
    hvdrv attach pv d class=block,backend=/dev/nvme0n1,trusted=1,mode=auto >/dev/null || bad "attach"
    until_ok 20 by_policy && ok "policy: alone and trusted: direct" || bad "policy: $(path pv)"
    LAB_EXEC_LIMIT=60 g pv fio --name=l --filename=/dev/hvda --rw=randrw --bs=64k --iodepth=16 --ioengine=libaio --direct=1 \
        --time_based --runtime=60 >/dev/null 2>&1 &
    goes_on
    is "it has queues" "$(kept)" 1
    [ $((deaths % 2)) = 0 ] || { touch /run/lab/stop-hvdrvd; kill -9 "$(cat /run/lab/hvdrvd.pid)"; }
    xl destroy pv
    if [ $((deaths % 2)) = 1 ]; then
        has "without hvdrvd: it is a zombie, its pages are kept" "$(xl list)" "null"
        is "and its queues" "$(kept)" 1
        rm /run/lab/stop-hvdrvd
    fi
    until_ok 20 sh -c "! xl list | grep -q null" && ok "no zombie stays" || bad "zombie: $(xl list)"
    until_ok 10 sh -c "! sed -n '2,\$p' /run/hvdrv/keeper/nvme0.list | grep -qv end" && ok "its queues are gone" ||
        bad "left: $(cat /run/hvdrv/keeper/nvme0.list)"
    deaths=$((deaths + 1))
done
work "guests destroyed" $deaths
works "the controller serves on" dd if=/dev/nvme0n1 of=/dev/null bs=1M count=4 iflag=direct
touch /run/lab/no-keeper; kill "$(pidof hvdrv-keeper)"; wait $loop 2>/dev/null
rm -f /run/lab/no-keeper
is "dom0's kernel log is silent" "$(dmesg | faults)" ""
