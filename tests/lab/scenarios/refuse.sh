# SPDX-License-Identifier: GPL-2.0-only
# what must be refused with one clear line, nothing changed: images, commands, backends, conditions of the host
. /lab/lib.sh
need_data
need pv pv vcpus="$LAB_SMP"
need pvh pvh vcpus="$LAB_SMP"
id=$(domid pv)
keys() { xenstore-ls -f /local/domain/0/backend/hvdrv; xenstore-ls -f /local/domain/0/hvdrv; xenstore-ls -f "/local/domain/$id/device/hvdrv"; }
held0=$(held pv)
keys0=$(keys 2>/dev/null)
truncate -s 8M /data/r.img
A="class=block,backend=/data/r.img"

# ---- images ----
R=/var/lib/hvdrv/repo/images
good=$(ls $R/*.hvi | head -n 1)
mkdir /tmp/save && mv $R/*.hvi /tmp/save/
try_image() {   # WHAT PATTERN STATUS: with what lies in the repository now
    fails "$1" "$3" "$2" hvdrv attach --timeout 60 pv r "$A"
    is "$1: nothing in the guest changed" "$(held pv)" "$held0"
    rm -f $R/*
}
name=$(basename "$good")
{ dd if=/tmp/save/"$name" bs=1 count=700; printf '\220'; dd if=/tmp/save/"$name" bs=1 skip=701; } 2>/dev/null >$R/"$name"
try_image "a damaged image" "damaged" 3
dd if=/tmp/save/"$name" bs=512 count=2 2>/dev/null >$R/"$name"
try_image "an image cut short" "damaged" 3
# ones made on the build machine, beside the good one: unsigned, by another key, for another kernel
for k in unsigned other-key wrong-os; do [ -d /root/images/$k ] || bad "the run brings no image $k"; done
cp /root/images/unsigned/*.hvi $R/
try_image "an unsigned image" "not signed" 5
cp /root/images/other-key/*.hvi $R/
try_image "an image signed by a key that is not trusted" "not trusted" 5
cp /root/images/wrong-os/*.hvi $R/
try_image "an image for another OS" "the guest runs 6.1" 3
has "without a compiler it says what to do" "$out" "no C compiler here.*hvdrv-repo generate.*hvdrv-repo import"
try_image "an empty repository" "no driver image for linux 6.1.*import" 3
fails "import of an unsigned image" 5 "refused: not signed" hvdrv-repo import /root/images/unsigned/*.hvi
works "import of a good image" hvdrv-repo import /tmp/save/"$name"
mv /tmp/save/*.hvi $R/
works "the index of images that were moved there" hvdrv-repo reindex
works "attach, now that it is there" hvdrv attach pv r "$A"
has "what it runs, by whose word" "$(hvdrv show pv r)" "runs +linux $(g pv uname -r) \(x86_64\), as the guest says and /img/xen/vmlinux, which it was started with"

# ---- commands ----
fails "same name twice" 4 "has a device r already" hvdrv attach pv r class=block,backend=/data/r2.img,size=4M
works "detach" hvdrv detach pv r
fails "unknown domain" 3 "no domain nobody is running" hvdrv attach nobody r "$A"
fails "unknown domid" 3 "no domain 999 is running" hvdrv list 999
fails "domain 0" 1 "host itself" hvdrv attach 0 r "$A"
fails "missing file" 3 "/data/none.img: No such file.*size=" hvdrv attach pv r class=block,backend=/data/none.img
fails "size= where a file is" 4 "is there already" hvdrv attach pv r "$A,size=8M"
fails "a directory" 1 "neither a file nor a block device" hvdrv attach pv r class=block,backend=/data
fails "a word that does not exist" 1 "no such key" hvdrv attach pv r "$A,colour=red"
fails "a mode that does not exist" 1 "must be virtual" hvdrv attach pv r "$A,mode=warp"
fails "no backend" 1 "backend= is missing" hvdrv attach pv r class=block
fails "a relative path" 1 "absolute path" hvdrv attach pv r class=block,backend=r.img
fails "a name that cannot be" 1 "letters, digits" hvdrv attach pv 'a/b' "$A"
fails "too few arguments" 2 "attach needs" hvdrv attach pv
fails "an unknown command" 2 "no command" hvdrv frobnicate
fails "detach of nothing" 3 "no device none" hvdrv detach pv none
fails "resize of nothing" 3 "no device none" hvdrv resize pv none
fails "show of nothing" 3 "no device none" hvdrv show pv none
for f in 'QFI\373' 'KDMV' 'vhdxfile' 'conectix'; do
    { printf "$f"; dd if=/dev/zero bs=4k count=4 2>/dev/null; } >/data/fmt.img
    fails "a backend that begins with $f" 1 "looks like a .* image.*format=raw" hvdrv attach pv r class=block,backend=/data/fmt.img
done
works "format=raw serves its bytes" hvdrv attach pv r class=block,backend=/data/fmt.img,format=raw
works "detach it" hvdrv detach pv r

# ---- backends in use in dom0 ----
fails "a mounted block device" 4 "in use in dom0" hvdrv attach pv r class=block,backend=/dev/vdb
losetup /dev/loop0 /data/r.img
fails "a file behind a loop device" 4 "in use in dom0 by loop device loop0" hvdrv attach pv r "$A"
losetup -d /dev/loop0
fails "a disk of a guest by xl" 4 "in use|disk of domain" hvdrv attach pv r class=block,backend=/dev/labtools
# a device that nobody but xen-blkback holds
losetup /dev/loop0 /data/r.img
works "xl block-attach" xl block-attach pv script=/lab/vbd,vdev=xvdy,access=rw,target=/dev/loop0
until_ok 20 g pv test -b /dev/xvdy || bad "the guest has no disk by xen-blkback"
fails "held by xen-blkback" 4 "/dev/loop0 is (in use|a disk of domain)" hvdrv attach pv r class=block,backend=/dev/loop0
works "xl block-detach" xl block-detach pv xvdy
works "and then it is served" until_ok 20 hvdrv attach pv r class=block,backend=/dev/loop0
works "detach it" hvdrv detach pv r
losetup -d /dev/loop0

# ---- guests ----
# from a kernel image whose banner is not of the kernel that is in it
cp /img/xen/vmlinux /data/vmlinux-other
while read -r at; do printf 'Linux version 6.9.0' | dd of=/data/vmlinux-other bs=1 seek="$at" conv=notrunc 2>/dev/null; done </root/images/banners
work "banners of the kernel image" "$(wc -l </root/images/banners)"
lab-guest start plain pv module=no mem=128 cfg='kernel = "/data/vmlinux-other"' || bad "a guest without the extension starts"
fails "a guest without the extension" 1 "did not answer within 3 s: its extension is missing.*modprobe hvdrv" hvdrv attach --timeout 3 plain r "$A"
is "its keys are gone" "$(xenstore-ls "/local/domain/$(domid plain)/device/hvdrv" 2>/dev/null)" ""
# the guest's own quota of xenstore nodes is used up: it cannot answer, and says so
gsh plain 'insmod /lib/hvdrv.ko; i=0
    write() { n=$1; set --; while [ $n -gt 0 ]; do set -- "$@" data/q/$((i / 300))/$i x; i=$((i + 1)); n=$((n - 1)); done; xenstore-write "$@" 2>/tmp/why; }
    while [ $i -lt 1200 ] && write 40; do :; done		# all forty or none
    i=$((i - 40)); while [ $i -lt 1200 ] && write 1; do :; done
    echo $((i - 1)); cat /tmp/why' >/run/lab/quota
work "nodes until the guest's quota was reached" "$(head -n 1 /run/lab/quota)"
fails "xenstore's quota reached" 1 "the guest says: .*quota" hvdrv attach --timeout 60 plain r "$A"
gsh plain 'xenstore-rm data/q'
fails "a guest that is not what it was started with" 1 "the guest says that it runs linux $(g plain uname -r) .*, but /data/vmlinux-other, which xl has started it with, is linux 6\.9\.0" \
    hvdrv attach --timeout 60 plain r "$A"
drop plain

# ---- the host ----
fails "no privilege" 5 "root" /lab/as-nobody hvdrv list
mount -t tmpfs -o size=4k full /var/lib/hvdrv/devices 2>/dev/null || { mkdir -p /var/lib/hvdrv/devices; mount -t tmpfs -o size=4k full /var/lib/hvdrv/devices; }
dd if=/dev/zero of=/var/lib/hvdrv/devices/fill bs=4k count=4 2>/dev/null
fails "full /var" 1 "cannot be recorded: No space" hvdrv attach --persist pv r "$A"
umount /var/lib/hvdrv/devices
touch /run/lab/stop-hvdrvd; kill "$(cat /run/lab/hvdrvd.pid)"; until_ok 10 sh -c '! pidof hvdrvd'
fails "hvdrvd not running: attach" 1 "hvdrvd is not running: start it" hvdrv attach pv r "$A"
fails "hvdrvd not running: show" 1 "hvdrvd is not running" hvdrv show pv
works "hvdrvd not running: list goes on" hvdrv list
# a host of another time: none of its versions of the contract is one of the guest's. Its keys, by hand; pv has no device now
gone() { [ "$(held pv)" = "$held0" ]; }
other_host() {  # MIN MAX: what the guest says of it
    b=/local/domain/0/backend/hvdrv/$id/50 f=/local/domain/$id/device/hvdrv/50
    xenstore-write $b/frontend $f $b/frontend-id "$id" $b/name other $b/class block $b/abi-min "$1" $b/abi-max "$2" $b/state 2 \
        $f/backend $b $f/backend-id 0 $f/error ''
    xenstore-chmod -r $b n0 "r$id"; xenstore-chmod -r $f "n$id" r0
    xenstore-write $f/state 1
    until_ok 10 sh -c "[ -n \"\$(xenstore-read $f/error)\" ]"; xenstore-read $f/error
    xenstore-rm $b; xenstore-rm $f
    until_ok 10 gone; xenstore-rm ${b%/*}; xenstore-rm ${f%/*}
}
is "the guest, of a newer host" "$(other_host 99 100)" "the host speaks only newer versions of the contract: update hvdrv in the guest"
is "the guest, of an older host" "$(other_host 0 0)" "the host speaks only older versions of the contract: update hvdrv on the host"
rm /run/lab/stop-hvdrvd; until_ok 10 hvdrv show pv
fails "a second hvdrvd" 4 "another hvdrvd runs already" hvdrvd
is "nothing of it is left in xenstore" "$(keys 2>/dev/null)" "$keys0"
is "nothing of it is left in the guest" "$(held pv)" "$held0"
work "things refused" "$(grep -c pass $RESULTS)"
