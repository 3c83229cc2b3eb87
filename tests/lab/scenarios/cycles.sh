# SPDX-License-Identifier: GPL-2.0-only
# attach and detach many times: grants, event channels, descriptors, memory, xenstore nodes, the module's counters are
# the same before and after
. /lab/lib.sh
need_data
# a guest of its own, without the disk of tools: blkback's persistent grants come and go as they like
need cyc pv vcpus="$LAB_SMP" mem=128 cfg='disk = [ ]'
id=$(domid cyc)
attach cyc keep 4 >/dev/null || bad "attach keep"		# so that the worker stays, and is measured
pid() { cat /run/lab/hvdrvd.pid 2>/dev/null || pidof hvdrvd; }
worker() { pidof hvdrv-worker | tr ' ' '\n' | while read -r p; do tr '\0' ' ' </proc/$p/cmdline | grep -q " $id " && echo "$p"; done; }
fds() { ls /proc/$1/fd | wc -l; }
rss() { awk '/VmRSS/ { print $2 }' /proc/$1/status; }
# active grants of the domain, by Xen's debug key
grants() {
    xl dmesg -c >/dev/null; xl debug-keys g
    xl dmesg | awk -v d="$id" '/grant-table for remote/ { on = $0 ~ ("remote d" d "( |$)") } on && /\[0x[0-9a-f]+\]/ { n++ } END { print n + 0 }'
}
ports() { lsevtchn "$id" 2>/dev/null | grep -vc Unused; }
nodes() { xenstore-ls -f / | wc -l; }
cycle() {
    rm -f /data/cyc-c.img
    hvdrv attach cyc c class=block,backend=/data/cyc-c.img,size=4M >/dev/null && hvdrv detach cyc c
}
state() { echo "grants $(grants) ports $(ports) nodes $(nodes) fds $(fds "$(pid)") $(fds "$(worker)") module $(held cyc)"; }
i=0; while [ $i -lt 5 ]; do cycle || bad "warm-up cycle $i"; i=$((i + 1)); done
before=$(state); m0=$(rss "$(pid)"); w0=$(rss "$(worker)")
i=0; while [ $i -lt "$C_n" ]; do cycle || { bad "cycle $i"; break; }; i=$((i + 1)); done
after=$(state); m1=$(rss "$(pid)"); w1=$(rss "$(worker)")
work "cycles" $i
work "mapped grants seen by Xen's debug key while a disk is attached" "$(grants)"
note "before: $before"
is "equal before and after $i cycles" "$after" "$before"
note "resident memory: hvdrvd $m0 -> $m1 KiB, worker $w0 -> $w1 KiB"
works "hvdrvd's memory does not grow" [ $((m1 - m0)) -le 128 ]
works "the worker's memory does not grow" [ $((w1 - w0)) -le 128 ]
works "detach keep" hvdrv detach cyc keep
works "the worker ends when the guest has no device" until_ok 10 sh -c "! pidof hvdrv-worker"
drop cyc
