# SPDX-License-Identifier: GPL-2.0-only
# a Debian dom0 with systemd, udev, Debian's xl and xendomains; a stock Debian guest from /etc/xen/auto, on which apt
# installed the extension's package. See xb/images.py, debian_files, for the disks
. /lab/lib.sh
need_data
DATA=/dev/disk/by-id/virtio-labdisk2
DROP=/run/systemd/system/hvdrvd.service.d
REPO=/var/lib/hvdrv/repo

pid() { systemctl show -p MainPID --value hvdrvd; }
active() { systemctl is-active -q hvdrvd; }
# what hvdrvd and its workers have logged since the last call; systemd's own lines about it are not among them
logged() { journalctl --sync; journalctl -q -o cat --no-pager -t hvdrvd --cursor-file=/run/lab/cursor; }
workers() { pidof hvdrv-worker; }
fact() { sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status"; }
last=$(up)
both_ready() { [ "$(hvdrv list deb | grep -c ready)" = 2 ] && hvdrv show deb; }
nv_ready() { hvdrv list deb | grep -q 'nv.*ready'; }
lap() { note "$1: $(($(up) - last)) s"; last=$(up); }

# ---- the guest that xendomains started ----
export LAB_START_LIMIT=900
lab-guest wait deb || { bad "the guest of /etc/xen/auto answers"; exit 1; }
id=$(domid deb)
note "dom0 is up since $(up) s; userspace: $(systemd-analyze time 2>/dev/null | head -n 1)"
is "xendomains has started it" "$(systemctl is-active xendomains)" active
until_ok 60 sh -c "hvdrv list deb | grep -q 'data.*ready'" && ok "the configured disk is served" || bad "the configured disk: $(hvdrv list deb)"
uuid=$(xl list -v deb | awk 'NR == 2 { print $NF }'); case $uuid in *-*-*) ;; *) uuid=$(xenstore-read "/local/domain/$id/vm" | sed 's,/vm/,,');; esac
is "recorded by its UUID" "$(ls /var/lib/hvdrv/devices)" "$uuid.json"
up_log=$(logged)
has "the journal has its attach, in one line" "$(echo "$up_log" | grep -c "^deb($id)/data: .*driver.*placed.*$DATA")" '^1$'
has "the journal says when hvdrvd serves" "$up_log" "^hvdrvd [0-9.]* serves"
is "no error is logged" "$(journalctl -q -o cat -t hvdrvd -p warning)" ""

lap "waiting for the guest"
# ---- the extension in it: apt, DKMS, udev ----
has "dpkg" "$(gsh deb dpkg -s hvdrv-guest-dkms)" "Status: install ok installed"
has "dkms" "$(gsh deb dkms status)" "hvdrv/.*: installed"
has "the module is DKMS's" "$(gsh deb modinfo -n hvdrv)" "/updates/dkms/hvdrv.ko"
has "it is loaded" "$(g deb cat /proc/modules)" "^hvdrv "
is "the disk" "$(gsh deb 'test -b /dev/hvda && echo there')" there
is "its link" "$(g deb readlink -f /dev/disk/by-id/hvdrv-data)" /dev/hvda
works "mount by the link" gsh deb 'mkdir -p /mnt && mount /dev/disk/by-id/hvdrv-data /mnt'
works "what an earlier boot left is intact" gsh deb 'cd /mnt && sha256sum -c --status sums'
works "it writes more" gsh deb 'cd /mnt && dd if=/dev/urandom of=more bs=64k count=64 status=none && sha256sum more >>sums && sync && sha256sum -c --status sums && cd / && umount /mnt'

lap "the extension"
# ---- Debian's xl ----
is "xl is the dispatcher" "$(readlink -f "$(command -v xl)")" /usr/libexec/hvdrv/xl-hvdrv
has "before Debian's wrapper" "$(readlink -f /usr/sbin/xl)" "/xen-utils-wrapper$"
is "xl hvdrv-attach" "$(xl hvdrv-attach deb more class=block,backend=/data/more.img,size=64M)" /dev/hvdb
is "xl hvdrv-list" "$(xl hvdrv-list deb)" "$(hvdrv list deb)"
has "also through Debian's xen" "$(xen hvdrv-list deb)" "more.*/dev/hvdb|more"
gsh deb udevadm settle
is "the second disk's link" "$(g deb readlink -f /dev/disk/by-id/hvdrv-more)" /dev/hvdb
fails "an error's exit status is hvdrv's" 4 "has a device more already" xl hvdrv-attach deb more class=block,backend=/data/m2.img,size=4M
works "xl hvdrv-detach" xl hvdrv-detach deb more
gsh deb udevadm settle
is "no link after detach" "$(gsh deb 'ls /dev/disk/by-id/hvdrv-more /dev/hvdb 2>/dev/null')" ""
same=0
for c in 'domid deb' 'domid nobody' 'list deb' 'list nobody' 'frobnicate' 'help' 'create /none.cfg' 'create' 'vcpu-pin deb' 'domname 0' '-N create /none' 'help create' ''; do
    # shellcheck disable=SC2086
    a=$(xl $c 2>&1; echo "status $?"); b=$(/usr/sbin/xl $c 2>&1; echo "status $?")
    # state, CPU time and free memory move on
    a=$(echo "$a" | sed 's/\( *[-rbpscd]\{6\}\)\{0,1\} *[0-9.]*$//'); b=$(echo "$b" | sed 's/\( *[-rbpscd]\{6\}\)\{0,1\} *[0-9.]*$//')
    if [ "$a" = "$b" ]; then same=$((same + 1)); else bad "xl $c: '$a', not '$b'"; fi
done
work "commands of xl that come through as they are" $same
is "its input too" "$(echo 'name = "x"' | xl create -n /dev/stdin 2>&1)" "$(echo 'name = "x"' | /usr/sbin/xl create -n /dev/stdin 2>&1)"

lap "xl"
# ---- rights ----
level=$(systemd-analyze security --no-pager hvdrvd | sed -n 's/.*exposure level for hvdrvd.service: \([0-9.]*\).*/\1/p')
note "systemd-analyze security hvdrvd: $level"
is "at most 2.0" "$(awk -v l="${level:-99}" 'BEGIN { print (l <= 2.0) ? "yes" : l }')" yes
w=$(workers)
is "one worker per guest" "$(echo "$w" | wc -w)" 1
is "its uid" "$(fact "$w" Uid)" "$(printf '%u\t%u\t%u\t%u' $((2000000000 + id)) $((2000000000 + id)) $((2000000000 + id)) $((2000000000 + id)))"
is "its rights" "$(fact "$w" CapEff) $(fact "$w" CapPrm) $(fact "$w" NoNewPrivs) $(fact "$w" Seccomp)" "0000000000000000 0000000000000000 1 2"
has "it has io_uring in this sandbox" "$(ls -l "/proc/$w/fd")" "io_uring"
fails "a mounted block device" 4 "in use in dom0" hvdrv attach deb x class=block,backend=/dev/vdb
truncate -s 8M /data/loop.img; l=$(losetup -f --show /data/loop.img)
fails "a file behind a loop device" 4 "in use in dom0 by loop device" hvdrv attach deb x class=block,backend=/data/loop.img
losetup -d "$l"

lap "rights"
# ---- NVMe commands past the block layer: not without the right to, which a drop-in of the unit gives ----
CONF=/etc/systemd/system/hvdrvd.service.d
to() { switch deb nv "$1" --deadline 2000000000 --timeout 90 || bad "nv: to $1: $out"; }
io() { json_of deb nv io; }
logged >/dev/null
works "an NVMe namespace" hvdrv attach deb nv class=block,backend=/dev/nvme0n1
to paravirtual
is "without the drop-in its block node serves" "$(io)" direct
has "and the journal says why" "$(logged)" "no NVMe passthrough, its block node serves: /dev/ng0n1: Operation not permitted"
to virtual
mkdir -p $CONF; ln -s /usr/share/hvdrv/nvme-passthrough.conf $CONF/
systemctl daemon-reload; works "restart with the drop-in" systemctl restart hvdrvd
until_ok 30 nv_ready && ok "it is served again" || bad "it is served again: $(hvdrv list deb)"
to paravirtual
is "with the drop-in it goes by commands" "$(io)" passthrough
n=$(fio_verify deb --filename=/dev/disk/by-id/hvdrv-nv --rw=randwrite --bsrange=512-64k --size=2m --iodepth=8) || bad "fio by commands"
work "bytes verified by commands" "$n"
work "requests by commands" "$(json_of deb nv passthrough_requests)"
w=$(workers)
is "the worker has no rights all the same" "$(fact "$w" CapEff) $(fact "$w" CapPrm)" "0000000000000000 0000000000000000"
gsh deb udevadm settle
works "detach" hvdrv detach deb nv
rm -r $CONF; systemctl daemon-reload; systemctl restart hvdrvd
until_ok 30 sh -c "hvdrv list deb | grep -q ready" || bad "without the drop-in again"
logged >/dev/null

lap "NVMe commands"
# ---- stop, start, restart and kill under load; it is active only when it can serve ----
works "a disk for the load" hvdrv attach deb load class=block,backend=/data/load.img,size=64M
LAB_EXEC_LIMIT=60 gsh deb "rm -f /run/stop; i=0; while [ ! -e /run/stop ]; do i=\$((i+1))
    fio --name=v --filename=/dev/disk/by-id/hvdrv-load --verify=crc32c --verify_fatal=1 --ioengine=libaio --direct=1 \
        --rw=randwrite --bs=4k --size=2m --iodepth=8 --rate_iops=100 --randseed=\$i --output-format=terse --terse-version=3 || exit 1; done" \
    >/run/lab/load 2>/run/lab/load.err &
load=$!
sleep 4
logged >/dev/null

works "stop" systemctl stop hvdrvd
is "no worker is left" "$(workers)" ""
out=$(logged)
has "the stop is logged" "$out" "^stopping"
sleep 2
# what the unit's state promises: at once, without waiting
systemctl start hvdrvd && hvdrv list deb >/run/lab/l 2>&1 && hvdrv attach deb quick class=block,backend=/data/quick.img,size=16M >/run/lab/q 2>&1
is "list and attach right after systemctl start" "$? $(cat /run/lab/q)" "0 /dev/hvdc"
is "a unit that notifies" "$(systemctl show -p Type --value hvdrvd) $(systemctl show -p Restart --value hvdrvd)" "notify always"
out=$(logged)
is "one line for each device that is taken up" "$(echo "$out" | grep -c "^deb($id)/\(data\|load\): .*taken up")" 2
is "one line for the new one" "$(echo "$out" | grep -c "^deb($id)/quick: .*placed")" 1
gsh deb udevadm settle			# it has a new disk open for a moment
works "detach" hvdrv detach deb quick
has "and one for its end" "$(logged)" "^deb\\($id\\)/quick: detached"
works "restart" systemctl restart hvdrvd
works "hvdrv show right after it" hvdrv show deb
p=$(pid); kill -9 "$p"
until_ok 20 sh -c "systemctl is-active -q hvdrvd && [ \$(systemctl show -p MainPID --value hvdrvd) != $p ]" && ok "systemd starts it after a kill" || bad "after a kill"
until_ok 30 both_ready && ok "it serves both disks after a kill" || bad "after a kill: $(hvdrv list deb)"
logged >/dev/null

lap "restarts under load"
# cannot WHAT PATTERN: it does not become active, says why once per try, is tried for ever; then mended
cannot() {
    if systemctl start hvdrvd 2>/dev/null; then bad "$1: systemctl start fails"; else ok "$1: systemctl start fails"; fi
    active && bad "$1: it is active" || ok "$1: not active"
    until_ok 60 sh -c "[ \$(systemctl show -p NRestarts --value hvdrvd) -ge 2 ]" && ok "$1: tried on and on" || bad "$1: no more tries"
    n=$(systemctl show -p NRestarts --value hvdrvd)
    log=$(logged)
    m=$(systemctl show -p NRestarts --value hvdrvd)
    is "$1: it says nothing else" "$(echo "$log" | grep -vE "$2")" ""
    note "$(echo "$log" | head -n 1)"
    tries=$(echo "$log" | wc -l)
    [ "$tries" -ge "$n" ] && [ "$tries" -le $((m + 2)) ] && ok "$1: one line per try" || bad "$1: $tries lines of $n to $m tries"
}
mended() {
    until_ok 30 systemctl is-active -q hvdrvd && ok "$1: active once mended, by itself" || bad "$1: not active though mended"
    until_ok 30 both_ready && ok "$1: it serves both disks" || bad "$1: $(hvdrv list deb)"
    logged >/dev/null
}
is "no start limit" "$(systemctl show -p StartLimitIntervalUSec --value hvdrvd)" 0
systemctl stop hvdrvd; logged >/dev/null
mkdir -p $DROP; printf '[Service]\nInaccessiblePaths=/run/xenstored /dev/xen/xenbus\n' >$DROP/lab.conf; systemctl daemon-reload
cannot "no xenstore" "^hvdrvd cannot serve: xenstore does not answer"
rm $DROP/lab.conf; systemctl daemon-reload
mended "no xenstore"
systemctl stop hvdrvd; logged >/dev/null
mv $REPO /root/repo; touch $REPO
cannot "a broken repository" "^hvdrvd cannot serve: the repository cannot be read: $REPO/images: Not a directory"
until_ok 60 sh -c "systemctl show -p StatusText hvdrvd | grep -q 'cannot serve: the repository'" && ok "its status tells" || bad "its status tells nothing"
rm $REPO; mv /root/repo $REPO
mended "a broken repository"

lap "not able to serve"
gsh deb touch /run/stop
wait $load; is "the load has ended well" "$? $(cat /run/lab/load.err)" "0 "
is "no I/O error in it" "$(awk -F';' '$5 != 0' /run/lab/load)" ""
work "runs of fio" "$(wc -l </run/lab/load)"
work "bytes verified" "$(awk -F';' '{ k += $6 } END { print k * 1024 }' /run/lab/load)"
works "detach after it" hvdrv detach deb load

lap "the end of the load"
# ---- no image: made by a process of its own, with the compiler of this dom0 ----
mkdir /root/images; mv $REPO/images/*.hvi /root/images/
works "a key" hvdrv-repo keygen local
logged >/dev/null
hvdrv attach --timeout 180 deb made class=block,backend=/data/made.img,size=16M >/run/lab/made 2>&1 &
a=$!
until_ok 60 pidof hvdrv-repo; p=$(pidof hvdrv-repo)
is "a one-shot process of hvdrvd generates" "$(tr '\0' ' ' </proc/"$p"/cmdline | cut -d' ' -f1) $(fact "$p" PPid)" "/usr/bin/hvdrv-repo $(pid)"
is "hvdrvd holds no key meanwhile" "$(ls -l "/proc/$(pid)/fd" | grep -c /etc/hvdrv)" 0
wait $a; is "attached" "$? $(cat /run/lab/made)" "0 /dev/hvdb"
is "one image was made" "$(ls $REPO/images | wc -l)" 1
has "it is signed by dom0's key" "$(hvdrv-repo show $REPO/images/*.hvi)" local
is "hvdrvd holds no key" "$(ls -l "/proc/$(pid)/fd" | grep -c /etc/hvdrv) $(grep -c hvdrv/keys/private "/proc/$(pid)/maps" "/proc/$(pid)/environ" "/proc/$(pid)/cmdline" | tr '\n' ' ')" "0 $(printf '/proc/%s/maps:0 /proc/%s/environ:0 /proc/%s/cmdline:0 ' "$(pid)" "$(pid)" "$(pid)")"
n=$(fio_verify deb --filename=/dev/disk/by-id/hvdrv-made --rw=randwrite --bs=4k --size="${C_mib}m" --iodepth=8) || bad "fio on it"
work "bytes verified on it" "$n"
works "detach it" hvdrv detach deb made

lap "generating"
# ---- xendomains again, as when dom0 goes down and comes up ----
works "xendomains restarts" systemctl restart xendomains
is "nothing was saved" "$(ls /var/lib/xen/save 2>/dev/null)" ""
lab-guest wait deb || bad "the guest answers again"
[ "$(domid deb)" != "$id" ] && ok "it is another domain" || bad "it is the same domain"
until_ok 60 lab-guest exec deb test -e /dev/disk/by-id/hvdrv-data && ok "its disk is there again" || bad "its disk is not there again"
works "all that was written is intact" gsh deb 'mount /dev/disk/by-id/hvdrv-data /mnt && cd /mnt && [ $(wc -l <sums) = 2 ] && sha256sum -c --status sums && cd / && umount /mnt'
is "its record is the same" "$(ls /var/lib/hvdrv/devices)" "$uuid.json"
f=$(guest_faults deb); is "the guest's kernel log is silent" "$f" ""
has "the release of the old one is logged" "$(logged)" "^deb\\($id\\)/data: the guest has gone: released"
xl destroy deb
until_ok 10 sh -c '! xenstore-ls /local/domain/0/backend/hvdrv | grep -q .'
is "xenstore is clean" "$(xenstore-ls /local/domain/0/backend/hvdrv; xenstore-ls /local/domain/0/hvdrv)" ""
lap "xendomains again"
# one line per event, each with domain, guest and device, or of hvdrvd itself
odd=$(journalctl -q -o cat --no-pager -t hvdrvd | grep -vE '^[a-z]+\([0-9]+\)(/[a-z]+)?: |^hvdrvd |^stopping')
is "every line of the journal says of whom it is" "$odd" ""
work "lines in the journal" "$(journalctl -q -o cat -t hvdrvd | wc -l)"
