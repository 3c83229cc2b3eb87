# SPDX-License-Identifier: GPL-2.0-only
# a guest with hvdrv = [ ... ] in its configuration: reboot from inside, xl reboot, destroy and create, crash with
# restart: its disk is there each time, the data intact, nothing of the old domain left. save and migrate are refused, by the
# dispatcher and by the guest
. /lab/lib.sh
need_data
sum=
seen=0
# the disk is there, holds what was written, and nothing of another domid is in xenstore
check() {
    LAB_START_LIMIT=120 lab-guest wait life || { bad "$1: the guest answers"; return; }
    until_ok 30 lab-guest exec life test -b /dev/hvda || { bad "$1: the disk is there"; hvdrv list; return; }
    is "$1: the data is intact" "$(gsh life 'dd if=/dev/hvda bs=64k count=16 iflag=direct 2>/dev/null | sha256sum')" "$sum"
    id=$(domid life)
    is "$1: nothing of an old domain is left" "$(xenstore-ls /local/domain/0/backend/hvdrv | grep -E '^[0-9]+ =' | cut -d' ' -f1 | tr '\n' ' ')" "$id "
    is "$1: no zombie" "$(xl list | grep -c null)" 0
    seen=$((seen + 1))
}
new_domid() { [ "$(domid life 2>/dev/null || echo "$1")" != "$1" ]; }

truncate -s 16M /data/life.img
for type in $(echo "$C_types" | tr , ' '); do
    lab-guest start life $type vcpus="$(few_cpus $type)" cfg='hvdrv = [ "name=data,class=block,backend=/data/life.img" ]' cfg='on_crash = "restart"' ||
        { bad "$type: start"; continue; }
    until_ok 30 lab-guest exec life test -b /dev/hvda || { bad "$type: the disk of the configuration"; hvdrv list; cat $KEEP/hvdrvd.log | tail -n 5; }
    gsh life "dd if=/dev/urandom of=/dev/hvda bs=64k count=16 oflag=direct 2>/dev/null"
    sum=$(gsh life 'dd if=/dev/hvda bs=64k count=16 iflag=direct 2>/dev/null | sha256sum')
    i=0; while [ $i -lt "$C_n" ]; do
        i=$((i + 1))
        d=$(domid life); g life reboot >/dev/null 2>&1
        until_ok 60 new_domid "$d" || bad "$type: reboot from inside"
        check "$type: reboot from inside"
        d=$(domid life); xl reboot life >/dev/null 2>&1
        until_ok 60 new_domid "$d" || bad "$type: xl reboot"
        check "$type: xl reboot"
        d=$(domid life); gsh life 'echo c >/proc/sysrq-trigger' >/dev/null 2>&1
        until_ok 60 new_domid "$d" || bad "$type: crash"
        check "$type: crash with restart"
        # each other time while no hvdrvd runs: it finds the guest and its record when it starts
        xl destroy life
        [ $((i % 2)) = 0 ] || { touch /run/lab/stop-hvdrvd; kill "$(cat /run/lab/hvdrvd.pid)"; until_ok 30 sh -c '! pidof hvdrvd' || bad "$type: hvdrvd ends"; }
        xl create -q /run/lab/life.cfg || bad "$type: xl create"
        rm -f /run/lab/stop-hvdrvd
        check "$type: destroy and create"
    done
    # save: refused by the dispatcher, and the mounted disk goes on
    works "$type: mkfs and mount" gsh life "mkfs.ext4 -q /dev/hvda && mount /dev/hvda /mnt"
    gsh life 'dd if=/dev/urandom of=/mnt/f bs=64k count=64 conv=fsync 2>/dev/null && sum=$(md5sum </mnt/f) && echo 3 >/proc/sys/vm/drop_caches &&
        [ "$(md5sum </mnt/f)" = "$sum" ] && umount /mnt && e2fsck -fn /dev/hvda >/dev/null 2>&1 && echo done' >/run/lab/life.io 2>&1 &
    fails "$type: xl save" 1 "life has hvdrv devices.*detach" xl save life /tmp/life.save
    fails "$type: xl migrate" 1 "life has hvdrv devices.*detach" xl migrate life localhost
    wait
    is "$type: its I/O went on" "$(cat /run/lab/life.io)" "done"
    is "$type: no saved state" "$(ls /tmp/life.save 2>/dev/null)" ""
    # by xl's own program, past the dispatcher: the guest does not suspend. xl waits a minute for it
    if [ "$C_own" != 0 ]; then
        d=$(domid life)
        works "$type: mount" gsh life "mount /dev/hvda /mnt"
        own=$(echo /usr/lib/xen-*/bin/xl)
        "$own" save life /tmp/life.save >/run/lab/life.own 2>&1 && bad "$type: xl's own save succeeded" || ok "$type: xl's own save fails"
        has "$type: the guest says why" "$(g life dmesg)" "detach the hvdrv devices before save or migrate"
        is "$type: it is the same domain" "$(domid life)" "$d"
        is "$type: and its mounted disk goes on" "$(gsh life 'dd if=/dev/urandom of=/mnt/g bs=64k count=16 conv=fsync 2>/dev/null && sum=$(md5sum </mnt/g) &&
            echo 3 >/proc/sys/vm/drop_caches && [ "$(md5sum </mnt/g)" = "$sum" ] && umount /mnt && e2fsck -fn /dev/hvda >/dev/null 2>&1 && echo done')" "done"
    fi
    works "$type: detach" hvdrv detach life data
    works "$type: attach --persist" hvdrv attach --persist life more class=block,backend=/data/life.img
    d=$(domid life); xl reboot life >/dev/null 2>&1
    until_ok 60 new_domid "$d"
    lab-guest wait life
    until_ok 3 sh -c 'hvdrv list life | grep -q "more.*ready"' && bad "$type: one backend twice" || ok "$type: of two records of one backend only one is attached"
    works "$type: detach both" sh -c 'hvdrv detach --persist life more; hvdrv detach --persist life data; [ "$(hvdrv list life | wc -l)" = 1 ]'
    is "$type: no record is left" "$(ls /var/lib/hvdrv/devices)" ""
    drop life
    until_ok 10 sh -c '! xenstore-ls /local/domain/0/backend/hvdrv | grep -q .'
    is "$type: xenstore is clean" "$(xenstore-ls /local/domain/0/backend/hvdrv; xenstore-ls /local/domain/0/hvdrv)" ""
done
work "restarts after which the disk was there" $seen
