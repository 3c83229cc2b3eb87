# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh disable=SC2154  # srcdir, builddir, tmp: from tests/lib/t.sh
# A name space of our own that looks like a dom0; the test starts itself again in it.
have python3 || { skip "no python3"; finish; }
have unshare || { skip "no unshare"; finish; }

# The name space: /dev with /dev/xen, /run and /var/lib of our own. The build and the tests stay where they are.
if [ -z "$HV_IN_DOM0" ]; then
    if unshare -m true 2>/dev/null; then how=-m; else how=-rm; fi
    unshare $how true 2>/dev/null || { skip "no name spaces here"; finish; }
    case $builddir in /run/* | /dev/* | /var/lib/*) skip "the build is where our own folders would be"; finish ;; esac
    rm -rf "$tmp"
    HV_IN_DOM0=1 srcdir=$srcdir exec unshare $how "$0"
fi
trap 'umount -l /dev "$tmp/dev" 2>/dev/null; rm -rf "$tmp"' EXIT
in_dom0() {
    mkdir "$tmp/dev" && mount -t tmpfs none "$tmp/dev" && mkdir "$tmp/dev/xen" && : >"$tmp/dev/xen/privcmd" || return
    for d in null zero urandom; do : >"$tmp/dev/$d" && mount --bind "/dev/$d" "$tmp/dev/$d" || return; done
    mount --rbind "$tmp/dev" /dev && mount -t tmpfs none /run
}
check "the name space is made" in_dom0
[ "$failed" -eq 0 ] || finish
