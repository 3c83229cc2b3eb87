#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The main job, in dom0 of the lab: attach a disk, mount ext4, write and verify with fio while the driver is replaced, detach.
# Ends with a table.
. /lab/lib.sh
T=/run/lab/quick.table; : >$T
ms() { awk '{ print int($1 * 1000) }' /proc/uptime; }
# do_step WHAT CMD...: prints the command as one would type it, what it says, and its time
do_step() {
    what=$1; shift
    echo "# $*"
    a=$(ms)
    out=$("$@" 2>&1); st=$?
    [ -z "$out" ] || printf '%s\n' "$out" | tail -n 6 | sed 's/^/  /'
    printf '%-52s %8s  %s\n' "$what" "$(($(ms) - a)) ms" "$([ $st = 0 ] && echo ok || echo "FAILED ($st)")" >>$T
    [ $st = 0 ] || { cat $T; exit 1; }
}
need_data
do_step "a guest starts: stock Debian kernel, module hvdrv" lab-guest start demo pv
do_step "attach: the driver is placed, the disk answers" hvdrv attach demo data class=block,backend=/data/demo.img,size=128M
do_step "the guest makes a filesystem" lab-guest exec demo mkfs.ext4 -q /dev/hvda
do_step "the guest mounts it" lab-guest exec demo mount -t ext4 /dev/hvda /mnt
echo "# fio in the guest: writes at random, verifies each block, while the driver below it is replaced"
# by what is to be done, not by time: on a slow machine 20 s were over before anything was read back
lab-guest exec demo sh -c 'rm -f /tmp/stop /tmp/fio; until [ -e /tmp/stop ]; do
    fio --name=first-light --directory=/mnt --size=8m --rw=randwrite --bs=16k --iodepth=32 --ioengine=libaio --direct=1 \
        --verify=crc32c --verify_fatal=1 --output-format=terse >>/tmp/fio || exit 1; done' </dev/null >/run/lab/quick.fio 2>&1 &
load=$!
sleep 4
# the software CPU of the bench is slow: it gets more than the 30 ms that a switch has by default
for mode in paravirtual virtual paravirtual virtual; do
    do_step "under load: the driver is replaced, now $mode" hvdrv retarget demo data $mode --deadline 1000000000
    sed -n 's/.*: //; s/^freeze/  freeze/p' <<E >>$T
$out
E
    sleep 1
done
lab-guest exec demo touch /tmp/stop </dev/null
wait $load || { cat /run/lab/quick.fio; exit 1; }
verified=$(lab-guest exec demo awk -F';' '/;/ { n += $6 * 1024; e += $5 } END { print e ? 0 : n }' /tmp/fio </dev/null)
[ "${verified:-0}" -ge 1048576 ] || { echo "fio verified ${verified:-nothing}"; exit 1; }
do_step "show" hvdrv show demo data
do_step "detach is refused while it is mounted" sh -c '! hvdrv detach demo data'
do_step "the guest unmounts it" lab-guest exec demo umount /mnt
do_step "detach: flushed, all is released" hvdrv detach demo data
echo
cat $T
echo
work "bytes that fio verified" "$verified"
echo "the drivers, generated on the build machine, signed:"
hvdrv-repo list | awk '$2 == "blkif" || $2 == "nvme" { print "  " $2 " for " $5, $6 ": image " $1 }'
drop demo
