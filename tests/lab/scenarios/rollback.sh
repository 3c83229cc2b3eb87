# SPDX-License-Identifier: GPL-2.0-only
# each cause for which a switch does not happen, under load: as before, says why, I/O goes on; and one that is switched back
. /lab/lib.sh
need_data
IMAGES=/var/lib/hvdrv/repo/images
FILE=/data/pv-rb.img
mode() { xenstore-read "/local/domain/0/backend/hvdrv/$(domid pv)/0/mode"; }
rec() { xenstore-read "$(xenstore-ls -f /local/domain/0/hvdrv | sed -n "s|^\(/local/domain/0/hvdrv/[^/]*/0\)/retarget/seq = .*|\1|p" | head -n 1)/retarget/$1"; }
need pv pv vcpus="$LAB_SMP"
attach pv rb 48 >/dev/null || bad "attach"
stamp_in pv /run/lab/rb.out --size 25165824 --max-kib 64 --rate 40 &
load=$!
sleep 2
causes=0
# undone WHAT PATTERN: after the command in /run/lab/rb.cmd, with its status in $st
switch_to() { hvdrv retarget pv rb "$1" --deadline "${2:-1000000000}" --timeout 90 >/run/lab/rb.cmd 2>&1; st=$?; }
undone() {
    [ $st != 0 ] && ok "$1: the command fails" || bad "$1: the command succeeded"
    is "$1: one line" "$(wc -l </run/lab/rb.cmd)" 1
    has "$1: why" "$(cat /run/lab/rb.cmd)" "$2"
    is "$1: the mode is what it was" "$(mode)" virtual
    is "$1: the record" "$(rec result)" undone
    has "$1: the record says why" "$(rec reason)" "$2"
    goes_on "$1"
    causes=$((causes + 1))
}
# the load's requests are still answered
goes_on() {
    a=$(json_of pv rb write_requests)
    until_ok 20 moved "$a" && ok "$1: I/O goes on" || bad "$1: I/O goes on"
}
# again until it was too long: a clock that stands for a moment under the software CPU shows a freeze of 0
no_freeze() { [ $st = 0 ] && [ "$(rec freeze-ns)" = 0 ]; }
is_virtual() { [ "$(mode)" = virtual ]; }
moved() { [ "$(json_of pv rb write_requests)" != "$1" ]; }

rounds=0
switch pv rb paravirtual --deadline 1000000000 --timeout 90; switch pv rb virtual --deadline 1000000000 --timeout 90
while [ $rounds -lt "$C_n" ]; do
    rounds=$((rounds + 1))
    k=0; switch_to paravirtual 1
    while no_freeze && [ $((k += 1)) -le 5 ]; do note "a freeze of 0, again"; switch_to virtual; switch_to paravirtual 1; done
    undone "deadline too short" "the freeze took [0-9]+ us, its deadline is 0 us"

    switch pv rb paravirtual --deadline 1000000000 --timeout 90
    id=$(xenstore-read "/local/domain/0/backend/hvdrv/$(domid pv)/0/driver/hash")
    switch pv rb virtual --deadline 1000000000 --timeout 90
    cp "$IMAGES/$id.hvi" /run/lab/good.hvi
    printf '\125' | dd of="$IMAGES/$id.hvi" bs=1 seek=700 conv=notrunc 2>/dev/null
    switch_to paravirtual
    undone "damaged image" "$(printf %.12s "$id")|damaged|signature"
    cp /run/lab/good.hvi "$IMAGES/$id.hvi"

    mv $FILE $FILE.away
    switch_to paravirtual
    undone "target that cannot be opened" "No such file"
    cp $FILE.away $FILE
    switch_to paravirtual
    undone "another target" "another target than the one that is served"
    mv $FILE.away $FILE
    truncate -s 40M $FILE
    switch_to paravirtual
    undone "narrower target" "narrower than the guest's disk"
    truncate -s 48M $FILE

    stays_inside pv rb
    switch_to paravirtual
    wait $!					# the guest answers again
    looked_after pv
    undone "CPU that stays inside" "a CPU of the guest stayed in the driver"

    gsh pv 'echo 0,0,1400000 >/sys/module/hvdrv/parameters/linger'
    switch_to paravirtual
    [ $st != 0 ] && ok "late guest: the command fails" || bad "late guest: the command succeeded"
    # on a slow bench the switch back has begun before the command looks
    has "late guest: why" "$(cat /run/lab/rb.cmd)" "did not take over its requests|it is switched back"
    until_ok 10 is_virtual && ok "late guest: switched back" || bad "late guest: it is $(mode)"
    has "late guest: the record" "$(rec who)" "^revert-of:[0-9]+$"
    goes_on "late guest"
    causes=$((causes + 1))

    switch pv rb paravirtual --deadline 1000000000 --timeout 90 && [ "$(mode)" = paravirtual ] && ok "and then it switches" || bad "and then it switches: $out"
    switch pv rb virtual --deadline 1000000000 --timeout 90
done
stamp_end pv $load
stamp_right /run/lab/rb.out
works "detach" hvdrv detach pv rb

# ---- a device error in the midst of a switch ----
no_slow_device; ins null_blk nr_devices=0
mount -t configfs none /sys/kernel/config 2>/dev/null
c=/sys/kernel/config/nullb/nullrb		# the kernel names the device after it
mkdir $c && echo 64 >$c/size && echo 1 >$c/memory_backed && echo 2 >$c/irqmode && echo 3000000000 >$c/completion_nsec && echo 1 >$c/power || bad "a slow device"
works "attach the slow device" hvdrv attach pv rb "class=block,backend=/dev/nullrb"
echo +64-71 >$c/badblocks
errors=0
while [ $errors -lt "$C_n" ]; do
    # again until the switch found it there: on a slow bench it may have ended before
    k=0 carried=0
    while [ "${carried:-0}" = 0 ] && [ $((k += 1)) -le 6 ]; do
        switch pv rb virtual --deadline 1000000000 --timeout 90
        gsh pv 'dd if=/dev/hvda of=/dev/null bs=4k skip=8 count=1 iflag=direct 2>&1; echo "status $?"' >/run/lab/rb.dd &
        dd=$!
        until_ok 20 sh -c 'read -r r w </sys/block/nullrb/inflight && [ "$r" -gt 0 ]' || bad "a device error: no request is with the device"
        switch pv rb paravirtual --deadline 1000000000 --timeout 90
        is "a device error: switched all the same" "$? $(mode)" "0 paravirtual"
        carried=$(rec carried-begun)
        wait $dd
        has "a device error: the guest is told" "$(cat /run/lab/rb.dd)" "Input/output error"
    done
    work "a device error: the request was carried" "$carried"
    errors=$((errors + 1))
done
is "a device error: other blocks are read" "$(gsh pv 'dd if=/dev/hvda of=/dev/null bs=4k skip=9 count=1 iflag=direct 2>/dev/null; echo $?')" 0
works "detach the slow device" hvdrv detach pv rb --timeout 60
echo 0 >$c/power; until_ok 20 rmdir $c || bad "the slow device is in use still"
no_slow_device
is "dom0's kernel log is silent but for that" "$(dmesg | faults | grep -v 'I/O error, dev nullrb, sector 64 ')" ""
dmesg -c >/dev/null
is "no journal is left" "$(ls /run/hvdrv/switch)" "lock"
drop pv					# its kernel's log has the error that was asked for
work "causes" $causes
