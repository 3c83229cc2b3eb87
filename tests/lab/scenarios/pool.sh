# SPDX-License-Identifier: GPL-2.0-only
# path pool: data goes by pages of the guest's module, verified, in both modes, large requests beside the pool; the path is
# changed under load and while the driver is replaced; a PV guest that forks, makes a filesystem and unpacks into it while
# the pool is mapped goes on; no pool, a small one and a former path are served by grant copy; nothing is left after a detach
. /lab/lib.sh
need_data
DEADLINE=2000000000
total=0 switches=0
counter() { g "$1" sed -n "s/^$2 //p" /sys/kernel/debug/hvdrv/counters; }
calls() { echo $(($(json_of "$1" "$2" copy_hypercalls))); }
to() { switch "$1" p "$2" --path "$3" --deadline $DEADLINE --timeout 90 || bad "$1: to $2, path $3: $out"; }

several() { [ "$(gsh "$1" "awk '{ print \$1 + \$2 }' /sys/block/hvda/inflight")" -gt 5 ]; }
# crowd GUEST: more large requests at once than the pool holds: their worker stands still until they are there
crowd() {
    worker=$(json_of "$1" p worker_pid)
    kill -STOP "$worker"
    fio_verify "$1" --filename=/dev/hvda --rw=randwrite --bs=252k --size=8m --iodepth=32 --iodepth_batch=32 >/run/lab/pool.crowd &
    crowd=$!
    until_ok 20 several "$1" || bad "$1: large requests at once"
    kill -CONT "$worker"
    wait $crowd || bad "$1: 252k"
    total=$((total + $(cat /run/lab/pool.crowd)))
}

for type in ${C_types:-pv pvh}; do
    drop $type; need $type $type vcpus="$(few_cpus $type)"
    held0=$(held $type)
    attach $type p 64 >/dev/null || bad "$type: attach"
    is "$type: the path is pool" "$(json_of $type p path)" pool
    work "$type: pages of the pool" "$(json_of $type p pool_pages)"
    is "$type: the guest has as many" "$(counter $type pool)" "$(json_of $type p pool_pages)"
    for mode in virtual paravirtual; do
        to $type $mode pool
        c0=$(calls $type p)
        n=$(fio_verify $type --filename=/dev/hvda --rw=randwrite --bs=4k --size=2m --iodepth=8) || bad "$type: $mode 4k"
        total=$((total + ${n:-0}))
        is "$type: $mode: copies by Xen for 4k requests" $(($(calls $type p) - c0)) 0
        crowd $type
        work "$type: $mode: copies by Xen for what did not fit" $(($(calls $type p) - c0))
        to $type $mode copy
        pooled=$(counter $type pooled); c0=$(calls $type p)
        n=$(fio_verify $type --filename=/dev/hvda --rw=randwrite --bsrange=512-64k --size=4m --iodepth=8) ||
            bad "$type: $mode copy"
        total=$((total + ${n:-0}))
        is "$type: $mode: requests by the pool in path copy" "$(counter $type pooled)" "$pooled"
        work "$type: $mode: copies by Xen in path copy" $(($(calls $type p) - c0))
    done
    note "$type: $(hvdrv show $type p | grep -E 'hypercalls|pool of' | tr '\n' ' ')"

    # drivers and paths change under load
    to $type virtual pool
    stamp_in $type /run/lab/pool.$type --size 33554432 --max-kib 128 &
    load=$!
    sleep 3
    i=0; while [ $i -lt "$C_n" ]; do
        i=$((i + 1))
        to $type paravirtual pool; to $type virtual "$([ $((i % 2)) = 0 ] && echo copy || echo pool)"
        switches=$((switches + 2))
    done
    stamp_end $type $load
    stamp_right /run/lab/pool.$type $type

    # pages of the guest become page tables all the time while the pool is mapped
    to $type paravirtual pool
    works "$type: mkfs" g $type mkfs.ext4 -q /dev/hvda
    works "$type: mount" g $type mount /dev/hvda /mnt
    gsh $type 'cd /tools && find . -type f -size -400k | head -n 400 | xargs tar cf /mnt/t.tar && sync' >/run/lab/pool.tar 2>&1 || bad "$type: tar: $(tail -n 2 /run/lab/pool.tar)"
    LAB_EXEC_LIMIT=300 gsh $type "mkdir /mnt/x /mnt/y
        ( i=0; while [ \$i -lt $((C_n * 20)) ]; do /bin/true & /bin/true & /bin/true; wait; i=\$((i + 1)); done; echo \$i >/mnt/forks ) &
        tar xf /mnt/t.tar -C /mnt/x && sync && echo 3 >/proc/sys/vm/drop_caches && tar xf /mnt/t.tar -C /mnt/y && wait
        sync; echo 3 >/proc/sys/vm/drop_caches; diff -r /mnt/x /mnt/y && echo same; find /mnt/x -type f | wc -l; cat /mnt/forks" >/run/lab/pool.storm 2>&1 ||
        bad "$type: storm: $(tail -n 3 /run/lab/pool.storm)"
    is "$type: unpacked twice, the same" "$(sed -n 1p /run/lab/pool.storm)" same
    work "$type: files" "$(sed -n 2p /run/lab/pool.storm)"
    work "$type: rounds of forks" "$(sed -n 3p /run/lab/pool.storm)"
    works "$type: unmount" g $type umount /mnt
    works "$type: the filesystem is clean" g $type e2fsck -fn /dev/hvda
    is "$type: pages of the pool are still mapped" "$(json_of $type p pool_pages)" "$(counter $type pool)"
    work "$type: requests by the pool" "$(json_of $type p pool_requests)"
    works "$type: detach" hvdrv detach $type p
    is "$type: the guest holds what it held before" "$(held $type)" "$held0"
    is "$type: and no pool" "$(counter $type pool)" 0

    # as the module's parameter says, from the next attach on
    for pages in 0 5; do
        gsh $type "echo $pages >/sys/module/hvdrv/parameters/pool_pages"
        attach $type q 8 >/dev/null || bad "$type: attach with $pages pages"
        is "$type: a pool of $pages" "$(json_of $type q pool_pages)" $((pages * $(json_of $type q queues)))
        n=$(fio_verify $type --filename=/dev/hvda --rw=randwrite --bs=16k --size=2m --iodepth=8) || bad "$type: small pool"
        total=$((total + ${n:-0}))
        [ "$(json_of $type q pool_pages)" != 0 ] ||
            fails "$type: no pool" 1 "the guest has no pool" hvdrv retarget $type q virtual --path pool
        works "$type: detach" hvdrv detach $type q
    done
    f=$(guest_faults $type); is "$type: the guest's kernel log is silent" "$f" ""
    is "$type: the guest holds what it held before" "$(held $type)" "$held0"
    drop $type
done
is "dom0's kernel log is silent" "$(dmesg | faults)" ""
work "bytes verified" $total
work "switches under load" $switches
