# SPDX-License-Identifier: GPL-2.0-only
# keys and versions: a newer driver by another key takes the place of the one that runs, under load; its key is revoked, and another's
# takes its place; an older one does not come back; what nobody needs is deleted; a vendor's driver is for its devices only
. /lab/lib.sh
need_data
R=/var/lib/hvdrv K=/etc/hvdrv/keys N=/root/others
DEADLINE=2000000000
image() { json_of pv "$1" image; }
signer() { json_of pv "$1" signer; }
find_it() { hvdrv-repo find --class block --mode virtual --os-type linux --os-release "$(g pv uname -r)" --os-arch x86_64 --os-abi linux-kernel; }
# refresh WHAT IMAGE SIGNER: in place, in the mode that the device has, and it goes on
refresh() {
    mode=$(path pv)
    switch pv t --refresh --deadline $DEADLINE || bad "$1"
    has "$1" "$out" "^refreshed, switch [0-9]+: freeze"
    carried=$((carried + $(json_of pv t carried_begun)))
    is "$1: the driver" "$(image t)" "$2"
    is "$1: who has signed it" "$(signer t)" "$3"
    is "$1: mode and path" "$(path pv)" "$mode"
}
# what a scenario after this one has, is what was there before
cp -a $R/repo /run/lab/repo0 && cp -a $K /run/lab/keys0
put_back() {
    rm -rf $R/repo $K $R/versions
    cp -a /run/lab/repo0 $R/repo; cp -a /run/lab/keys0 $K
}

need pv pv vcpus="$LAB_SMP"
held0=$(held pv)
carried=0
attach pv t 64 >/dev/null || bad "attach"
first=$(image t)
is "the first driver's signer" "$(signer t)" lab
stamp_in pv /run/lab/trust --size 33554432 --max-kib 128 &
load=$!

# ---- a newer one ----
fails "a newer driver, by a key that nobody trusts" 5 "not trusted" hvdrv-repo import $N/next.hvi
works "its key is trusted" hvdrv-repo trust $N/next.pub --expires 2999-12-31
works "another key is trusted" hvdrv-repo trust $N/third.pub
works "the newer driver" hvdrv-repo import $N/next.hvi
next=$out
is "it is what would be placed" "$(find_it)" "$next"
is "of itself nothing changes" "$(image t)" "$first"
i=0; while [ $i -lt "$C_n" ] || { [ $carried = 0 ] && [ $i -lt $((C_n + 20)) ]; }; do
    i=$((i + 1))
    refresh "the newer one, in place" "$next" next
    hvdrv-repo remove "$next" && hvdrv-repo import $N/third.hvi >/run/lab/third || bad "another in its place"
    refresh "the same, signed by another" "$next" third
    hvdrv-repo remove "$next" && hvdrv-repo import $N/next.hvi >/run/lab/third || bad "it comes back"
done
refresh "the newer one, again" "$next" next
has "what the guest's kernel is built with" "$(xenstore-read "/local/domain/$(domid pv)/device/hvdrv/0/os/features")" "ibt|rethunk|pti"
works "a driver of a higher version, for kernels built with nothing of that" hvdrv-repo import $N/plain.hvi
works "refresh, of the driver that fits best" hvdrv retarget pv t --refresh
is "it says so" "$out" "it has the driver that fits best already"
switch pv t paravirtual --deadline $DEADLINE && switch pv t virtual --deadline $DEADLINE || bad "there and back: $out"
is "back from another mode, the newer one" "$(image t)" "$next"

# ---- its key is revoked ----
works "its key is revoked" hvdrv-repo revoke next --reason 'a laptop was stolen'
is "a revoked key's drivers in guests" "$(hvdrv list --revoked | awk '$2 ~ /^[0-9]/ { print $1, $3, $5 }')" "pv t next"
has "why" "$(hvdrv list --revoked)" "revoked on .*: a laptop was stolen"
has "gc keeps what a guest uses" "$(hvdrv-repo gc --dry-run)" "kept, a guest uses it: key next was revoked"
fails "refresh, and only that is there" 1 "nothing was changed: .* key next was revoked" hvdrv retarget pv t --refresh
hvdrv-repo remove "$next"
fails "refresh, and only an older one is there" 1 "version 1 of blkif, and version 2 was placed on this host: attach the device with allow-older=1" \
    hvdrv retarget pv t --refresh
is "it goes on with what it has" "$(image t)" "$next"
rm -f /data/o.img
fails "a new device does not get the older one either" 5 "allow-older=1" hvdrv attach pv o class=block,backend=/data/o.img,size=4M
rm -f /data/o.img
works "but where that is asked for" hvdrv attach pv o class=block,backend=/data/o.img,size=4M,allow-older=1
is "it is the older one" "$(image o)" "$first"
hvdrv detach pv o
works "the same driver, by another key" hvdrv-repo import $N/third.hvi
is "it is the same" "$out" "$next"
refresh "away from the revoked key" "$next" third
is "nobody runs a revoked key's driver" "$(hvdrv list --revoked | awk '$2 ~ /^[0-9]/')" ""
kill -9 "$(cat /run/lab/hvdrvd.pid)"
until_ok 20 hvdrv show pv t || bad "hvdrvd comes back"
is "after a restart of hvdrvd" "$(signer t)" third
works "gc" hvdrv-repo gc
has "gc: the older one" "$out" "^${first%"${first#????????????}"}  removed: superseded by"
fails "what the revoked key has signed is not stored again" 5 "key next was revoked" hvdrv-repo import $N/next.hvi

# ---- a vendor's ----
if [ -b /dev/nvme0n1 ]; then
    works "a vendor's key" hvdrv-repo trust $N/acme.pub --vendor 1b36
    works "its driver" hvdrv-repo import $N/acme.hvi
    acme=$out
    works "a device of this vendor" hvdrv attach pv v "class=block,backend=/dev/nvme0n1,range=0+8192,mode=paravirtual"
    disk=$out
    is "has its driver" "$(image v) $(signer v)" "$acme acme"
    is "which reads" "$(g pv dd if="$disk" bs=64k count=4 iflag=direct 2>/dev/null | wc -c)" 262144
    switch pv t paravirtual --deadline $DEADLINE || bad "to paravirtual: $out"
    is "a file has no vendor, and has another" "$(signer t)" lab
    works "detach it" hvdrv detach pv v
fi

stamp_end pv $load
stamp_right /run/lab/trust
work "requests carried that were begun" $carried
is "no errors" "$(json_of pv t errors)" 0
works "detach" hvdrv detach pv t
put_back
is "the guest holds what it held before" "$(held pv)" "$held0"
f=$(guest_faults pv); is "the guest's kernel log is silent" "$f" ""
