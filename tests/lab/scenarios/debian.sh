# SPDX-License-Identifier: GPL-2.0-only
# a Debian dom0 with systemd, udev, Debian's xl and xendomains; behind the tour, which has installed and upgraded the packages, and whose
# guest runs: a stock Debian, on which apt installed the extension's package, its root on a disk of hvdrv. At last the packages are
# purged. See xb/images.py, debian_files, for the disks
. /lab/lib.sh
need_data
DATA=/dev/disk/by-id/virtio-labdisk2
DROP=/run/systemd/system/hvdrvd.service.d
REPO=/var/lib/hvdrv/repo
REAL_XL=/usr/libexec/hvdrv/real/xl

pid() { systemctl show -p MainPID --value hvdrvd; }
active() { systemctl is-active -q hvdrvd; }
# what hvdrvd and its workers have logged since the last call; systemd's own lines about it are not among them
logged() { journalctl --sync; journalctl -q -o cat --no-pager -t hvdrvd --cursor-file=/run/lab/cursor; }
workers() { pidof hvdrv-worker; }
fact() { sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status"; }
last=$(up)
both_ready() { [ "$(hvdrv list web | grep -c ready)" = 3 ] && hvdrv show web; }
nv_ready() { hvdrv list web | grep -q 'nv.*ready'; }
lap() { note "$1: $(($(up) - last)) s"; last=$(up); }

# ---- the guest of the tour, its root on hvdrv-root, with another disk from now on ----
mkdir -p /etc/xen/auto; ln -sf /etc/xen/web.cfg /etc/xen/auto/
id=$(domid web)
note "dom0 is up since $(up) s; userspace: $(systemd-analyze time 2>/dev/null | head -n 1)"
logged >/dev/null
is "attach" "$(hvdrv attach web data class=block,backend=$DATA --persist)" /dev/hvdb
uuid=$(xl list -v web | awk 'NR == 2 { print $NF }'); case $uuid in *-*-*) ;; *) uuid=$(xenstore-read "/local/domain/$id/vm" | sed 's,/vm/,,');; esac
is "recorded by its UUID" "$(ls /var/lib/hvdrv/devices)" "$uuid.json"
up_log=$(logged)
has "the journal has its attach, in one line" "$(echo "$up_log" | grep -c "^web($id)/data: .*driver.*placed.*$DATA")" '^1$'
has "the journal says when hvdrvd serves" "$(journalctl -q -o cat --no-pager -t hvdrvd)" "^hvdrvd [0-9.+]* serves"
is "no error is logged" "$(journalctl -q -o cat -t hvdrvd -p warning)" ""

lap "another disk"
# ---- the extension in it: apt, DKMS, udev ----
has "dpkg" "$(gsh web dpkg -s hvdrv-guest-dkms)" "Status: install ok installed"
has "dkms" "$(gsh web dkms status)" "hvdrv/.*: installed"
has "the module is DKMS's" "$(gsh web modinfo -n hvdrv)" "/updates/dkms/hvdrv.ko"
has "it is loaded" "$(g web cat /proc/modules)" "^hvdrv "
is "the root filesystem is on a disk of hvdrv" "$(g web findmnt --noheadings --output SOURCE /) $(g web readlink -f /dev/disk/by-id/hvdrv-root)" "/dev/disk/by-id/hvdrv-root /dev/hvda"
is "its link" "$(g web readlink -f /dev/disk/by-id/hvdrv-data)" /dev/hvdb
works "mount by the link" gsh web 'mkdir -p /mnt && mount /dev/disk/by-id/hvdrv-data /mnt'
works "what an earlier boot left is intact" gsh web 'cd /mnt && sha256sum -c --status sums'
works "it writes more" gsh web 'cd /mnt && dd if=/dev/urandom of=more bs=64k count=64 status=none && sha256sum more >>sums && sync && sha256sum -c --status sums && cd / && umount /mnt'

lap "the extension"
# ---- Debian's xl ----
is "xl is the dispatcher" "$(readlink -f "$(command -v xl)")" /usr/libexec/hvdrv/xl-hvdrv
has "Xen's own is kept" "$(readlink -f /usr/sbin/xl.distrib)" "/xen-utils-wrapper$"
is "xl hvdrv-attach" "$(xl hvdrv-attach web more class=block,backend=/data/more.img,size=64M)" /dev/hvdc
is "xl hvdrv-list" "$(xl hvdrv-list web)" "$(hvdrv list web)"
has "also through Debian's xen" "$(xen hvdrv-list web)" "more.*/dev/hvdc|more"
gsh web udevadm settle
is "the second disk's link" "$(g web readlink -f /dev/disk/by-id/hvdrv-more)" /dev/hvdc
fails "an error's exit status is hvdrv's" 4 "has a device more already" xl hvdrv-attach web more class=block,backend=/data/m2.img,size=4M
works "xl hvdrv-detach" xl hvdrv-detach web more
gsh web udevadm settle
is "no link after detach" "$(gsh web 'ls /dev/disk/by-id/hvdrv-more /dev/hvdc 2>/dev/null')" ""
same=0
for c in 'domid web' 'domid nobody' 'list web' 'list nobody' 'frobnicate' 'help' 'create /none.cfg' 'create' 'vcpu-pin web' 'domname 0' '-N create /none' 'help create' ''; do
    # shellcheck disable=SC2086
    a=$(xl $c 2>&1; echo "status $?"); b=$($REAL_XL $c 2>&1; echo "status $?")
    # state, CPU time and free memory move on
    a=$(echo "$a" | sed 's/\( *[-rbpscd]\{6\}\)\{0,1\} *[0-9.]*$//'); b=$(echo "$b" | sed 's/\( *[-rbpscd]\{6\}\)\{0,1\} *[0-9.]*$//')
    if [ "$a" = "$b" ]; then same=$((same + 1)); else bad "xl $c: '$a', not '$b'"; fi
done
work "commands of xl that come through as they are" $same
is "its input too" "$(echo 'name = "x"' | xl create -n /dev/stdin 2>&1)" "$(echo 'name = "x"' | $REAL_XL create -n /dev/stdin 2>&1)"

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
fails "a mounted block device" 4 "in use in dom0" hvdrv attach web x class=block,backend=/dev/vdb
truncate -s 8M /data/loop.img; l=$(losetup -f --show /data/loop.img)
fails "a file behind a loop device" 4 "in use in dom0 by loop device" hvdrv attach web x class=block,backend=/data/loop.img
losetup -d "$l"

lap "rights"
# ---- NVMe commands past the block layer: not without the right to, which a drop-in of the unit gives ----
CONF=/etc/systemd/system/hvdrvd.service.d
to() { switch web nv "$1" --deadline 2000000000 --timeout 90 || bad "nv: to $1: $out"; }
io() { json_of web nv io; }
logged >/dev/null
works "an NVMe namespace" hvdrv attach web nv class=block,backend=/dev/nvme0n1
to paravirtual
is "without the drop-in its block node serves" "$(io)" direct
has "and the journal says why" "$(logged)" "no NVMe passthrough, its block node serves: /dev/ng0n1: Operation not permitted"
to virtual
mkdir -p $CONF; ln -s /usr/share/hvdrv/nvme-passthrough.conf $CONF/
systemctl daemon-reload; works "restart with the drop-in" systemctl restart hvdrvd
until_ok 30 nv_ready && ok "it is served again" || bad "it is served again: $(hvdrv list web)"
to paravirtual
is "with the drop-in it goes by commands" "$(io)" passthrough
n=$(fio_verify web --filename=/dev/disk/by-id/hvdrv-nv --rw=randwrite --bsrange=512-64k --size=2m --iodepth=8) || bad "fio by commands"
work "bytes verified by commands" "$n"
work "requests by commands" "$(json_of web nv passthrough_requests)"
w=$(workers)
is "the worker has no rights all the same" "$(fact "$w" CapEff) $(fact "$w" CapPrm)" "0000000000000000 0000000000000000"
gsh web udevadm settle
works "detach" hvdrv detach web nv
rm -r $CONF; systemctl daemon-reload; systemctl restart hvdrvd
until_ok 30 sh -c "hvdrv list web | grep -q ready" || bad "without the drop-in again"
logged >/dev/null

lap "NVMe commands"
# ---- stop, start, restart and kill under load; it is active only when it can serve ----
works "a disk for the load" hvdrv attach web load class=block,backend=/data/load.img,size=64M
LAB_EXEC_LIMIT=60 gsh web "rm -f /run/stop; i=0; while [ ! -e /run/stop ]; do i=\$((i+1))
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
systemctl start hvdrvd && hvdrv list web >/run/lab/l 2>&1 && hvdrv attach web quick class=block,backend=/data/quick.img,size=16M >/run/lab/q 2>&1
is "list and attach right after systemctl start" "$? $(cat /run/lab/q)" "0 /dev/hvdd"
is "a unit that notifies" "$(systemctl show -p Type --value hvdrvd) $(systemctl show -p Restart --value hvdrvd)" "notify always"
out=$(logged)
is "one line for each device that is taken up" "$(echo "$out" | grep -c "^web($id)/\(root\|data\|load\): .*taken up")" 3
is "one line for the new one" "$(echo "$out" | grep -c "^web($id)/quick: .*placed")" 1
gsh web udevadm settle			# it has a new disk open for a moment
works "detach" hvdrv detach web quick
has "and one for its end" "$(logged)" "^web\\($id\\)/quick: detached"
works "restart" systemctl restart hvdrvd
works "hvdrv show right after it" hvdrv show web
p=$(pid); kill -9 "$p"
until_ok 20 sh -c "systemctl is-active -q hvdrvd && [ \$(systemctl show -p MainPID --value hvdrvd) != $p ]" && ok "systemd starts it after a kill" || bad "after a kill"
until_ok 30 both_ready && ok "it serves its disks after a kill" || bad "after a kill: $(hvdrv list web)"
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
    until_ok 30 both_ready && ok "$1: it serves its disks" || bad "$1: $(hvdrv list web)"
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
gsh web touch /run/stop
wait $load; is "the load has ended well" "$? $(cat /run/lab/load.err)" "0 "
is "no I/O error in it" "$(awk -F';' '$5 != 0' /run/lab/load)" ""
work "runs of fio" "$(wc -l </run/lab/load)"
work "bytes verified" "$(awk -F';' '{ k += $6 } END { print k * 1024 }' /run/lab/load)"
works "detach after it" hvdrv detach web load

lap "the end of the load"
# ---- no image: made by a process of its own, with the compiler of this dom0 ----
mkdir /root/images; mv $REPO/images/*.hvi /root/images/
logged >/dev/null
hvdrv attach --timeout 180 web made class=block,backend=/data/made.img,size=16M >/run/lab/made 2>&1 &
a=$!
until_ok 60 pidof hvdrv-repo; p=$(pidof hvdrv-repo)
is "a one-shot process of hvdrvd generates" "$(tr '\0' ' ' </proc/"$p"/cmdline | cut -d' ' -f1) $(fact "$p" PPid)" "/usr/bin/hvdrv-repo $(pid)"
is "hvdrvd holds no key meanwhile" "$(ls -l "/proc/$(pid)/fd" | grep -c /etc/hvdrv)" 0
wait $a; is "attached" "$? $(cat /run/lab/made)" "0 /dev/hvdc"
is "one image was made" "$(ls $REPO/images | wc -l)" 1
has "it is signed by dom0's key" "$(hvdrv-repo show $REPO/images/*.hvi)" local
is "hvdrvd holds no key" "$(ls -l "/proc/$(pid)/fd" | grep -c /etc/hvdrv) $(grep -c hvdrv/keys/private "/proc/$(pid)/maps" "/proc/$(pid)/environ" "/proc/$(pid)/cmdline" | tr '\n' ' ')" "0 $(printf '/proc/%s/maps:0 /proc/%s/environ:0 /proc/%s/cmdline:0 ' "$(pid)" "$(pid)" "$(pid)")"
n=$(fio_verify web --filename=/dev/disk/by-id/hvdrv-made --rw=randwrite --bs=4k --size="${C_mib}m" --iodepth=8) || bad "fio on it"
work "bytes verified on it" "$n"
works "detach it" hvdrv detach web made

lap "generating"
# ---- xendomains again, as when dom0 goes down and comes up ----
works "xendomains restarts" systemctl restart xendomains
is "xendomains has started it" "$(systemctl is-active xendomains)" active
is "nothing was saved" "$(ls /var/lib/xen/save 2>/dev/null)" ""
lab-guest wait web || bad "the guest answers again"
is "its kernel waited for none of its devices when it went down" "$(grep -c 'timeout closing' /var/log/xen/console/guest-web.log)" 0
[ "$(domid web)" != "$id" ] && ok "it is another domain" || bad "it is the same domain"
until_ok 60 lab-guest exec web test -e /dev/disk/by-id/hvdrv-data && ok "its disk is there again" || bad "its disk is not there again"
works "all that was written is intact" gsh web 'mount /dev/disk/by-id/hvdrv-data /mnt && cd /mnt && [ $(wc -l <sums) = 2 ] && sha256sum -c --status sums && cd / && umount /mnt'
is "its record is the same" "$(ls /var/lib/hvdrv/devices)" "$uuid.json"
f=$(guest_faults web); is "the guest's kernel log is silent" "$f" ""
has "the release of the old one is logged" "$(logged)" "^web\\($id\\)/data: the guest has gone: released"
xl destroy web
until_ok 10 sh -c '! xenstore-ls /local/domain/0/backend/hvdrv | grep -q .'
is "xenstore is clean" "$(xenstore-ls /local/domain/0/backend/hvdrv; xenstore-ls /local/domain/0/hvdrv)" ""
lap "xendomains again"
# one line per event, each with domain, guest and device, or of hvdrvd itself
odd=$(journalctl -q -o cat --no-pager -t hvdrvd | grep -vE '^[a-z]+\([0-9]+\)(/[a-z]+)?: |^hvdrvd |^stopping')
is "every line of the journal says of whom it is" "$odd" ""
work "lines in the journal" "$(journalctl -q -o cat -t hvdrvd | wc -l)"

# ---- purged, on this dom0 ----
rmdir $DROP
works "purge" apt-get purge -y hvdrv hvdrv-xl hvdrv-repo libhvdrv0
is "nothing of hvdrv runs" "$(pgrep -l hvdrv)" ""
is "nothing of it is left" "$(find /etc /usr /var/lib /run -xdev -name '*hvdrv*' ! -path '/var/lib/dpkg/*' ! -path '/run/lab/*' 2>/dev/null)" ""
is "xl is Xen's own again" "$(readlink -f "$(command -v xl)")" "$(readlink -f /usr/lib/xen-common/bin/xen-utils-wrapper)"
lap "purge"
