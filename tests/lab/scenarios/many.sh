# SPDX-License-Identifier: GPL-2.0-only
# two guests with two disks each at once; 16 disks in one guest, the 17th refused
. /lab/lib.sh
need_data
need pv pv vcpus="$LAB_SMP"
need pvh pvh vcpus="$(few_cpus pvh)"
for t in pv pvh; do
    attach $t a 16 >/dev/null || bad "$t attach a"
    attach $t b 16 >/dev/null || bad "$t attach b"
done
for t in pv pvh; do for d in a b; do
    fio_in $t --filename=/dev/hvd$d --rw=randwrite --bsrange=4k-64k --size=2m --iodepth=8 --loops="$C_loops" \
        >/run/lab/many.$t.$d 2>/run/lab/many.$t.$d.err &
done; done
wait
for t in pv pvh; do for d in a b; do
    is "$t/$d: no error" "$(awk -F';' '/;/ { print $5 }' /run/lab/many.$t.$d)" 0
    work "$t/$d: bytes written" "$(awk -F';' '/;/ { print $47 * 1024 }' /run/lab/many.$t.$d)"
    work "$t/$d: bytes verified" "$(awk -F';' '/;/ { print $6 * 1024 }' /run/lab/many.$t.$d)"
done; done
fails "a backend attached elsewhere" 4 "attached to pv as a" hvdrv attach pvh c class=block,backend=/data/pv-a.img
for t in pv pvh; do for d in a b; do works "$t/$d: detach" hvdrv detach $t $d; done; done
works "shared: one" hvdrv attach pv a class=block,backend=/data/pv-a.img,shared
works "shared: two" hvdrv attach pvh a class=block,backend=/data/pv-a.img,shared
works "ro beside shared is refused" sh -c '! hvdrv attach pvh b class=block,backend=/data/pv-a.img,ro'
hvdrv detach pv a; hvdrv detach pvh a
works "ro: one" hvdrv attach pv a class=block,backend=/data/pv-a.img,ro
works "ro: two" hvdrv attach pvh a class=block,backend=/data/pv-a.img,ro
is "ro in the guest" "$(g pv cat /sys/block/hvda/ro)" 1
works "a write is refused in the guest" gsh pv "! dd if=/dev/zero of=/dev/hvda bs=4k count=1 oflag=direct 2>/dev/null"
hvdrv detach pv a; hvdrv detach pvh a

i=0; while [ $i -lt 16 ]; do
    attach pv "d$i" "$C_mib" >/run/lab/many.disk || bad "disk $i: attach"
    i=$((i + 1))
done
is "16 disks" "$(hvdrv list pv | grep -c ' ready ')" 16
p=$(cat /run/lab/hvdrvd.pid); kill "$p"
all_ready() { [ "$(cat /run/lab/hvdrvd.pid)" != "$p" ] && [ "$(hvdrv list pv | grep -c ' ready ')" = 16 ]; }
until_ok 30 all_ready && ok "16 disks with the next hvdrvd" || bad "16 disks with the next hvdrvd: $(hvdrv list pv)"
fails "the 17th" 1 "no free slot: 16 devices" hvdrv attach pv d16 class=block,backend=/data/pv-d16.img,size=4M
is "its file is not left behind" "$(ls /data/pv-d16.img 2>/dev/null)" ""
moved=$(gsh pv 'n=0; for d in a b c d e f g h i j k l m n o p; do
    dd if=/dev/urandom of=/tmp/r bs=64k count=8 2>/dev/null
    dd if=/tmp/r of=/dev/hvd$d bs=64k oflag=direct 2>/dev/null && dd if=/dev/hvd$d bs=64k count=8 iflag=direct 2>/dev/null | cmp - /tmp/r || exit 1
    n=$((n + 524288)); done; echo $n') || bad "a disk of the 16 holds other data"
work "bytes compared on 16 disks" "$moved"
i=0; while [ $i -lt 16 ]; do hvdrv detach pv "d$i" || bad "disk $i: detach"; i=$((i + 1)); done
is "nothing is left in the guest" "$(held pv)" "devices 0 disks 0 slots 0 pages 0 grants 0 ports 0 requests 0 "
rm -f /data/pv-d*.img
