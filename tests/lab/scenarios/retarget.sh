# SPDX-License-Identifier: GPL-2.0-only
# the driver is replaced in place under load, to paravirtual and back, on a slow target: nothing lost, all kinds of requests carried,
# the addresses and the rest of the module's code stay, the logs are silent. Beside the checker's disk, one with fio and one with a
# filesystem in a guest that is short of memory; their drivers are replaced, too
. /lab/lib.sh
DEADLINE=2000000000	# of the bench: pauses are printed, not judged
SLOW_NS=80000000
back() { xenstore-read "/local/domain/0/backend/hvdrv/$(domid "$1")/0/$2"; }
# numbers FILE COLUMN
numbers() { awk -v c="$2" '{ print $c }' "$1" | sort -n | awk '{ v[NR] = $1 } END { printf "p50 %.3f, p99 %.3f, max %.3f ms", v[int((NR + 1) / 2)] / 1e6, v[int(NR * 0.99 + 0.999)] / 1e6, v[NR] / 1e6 }'; }
sums() { g "$1" textsum hvdrv .text .text.unlikely .rodata; }
# files GUEST DISK: copies, unpacks and compares files until /stop is there, with less memory left for its page cache than they
# need; prints the rounds and how many pages the kernel has reclaimed
files() {
    LAB_EXEC_LIMIT=36000 gsh "$1" "mkfs.ext4 -q $2 && mount $2 /mnt && mkdir -p /short /mnt/0 || exit 1
        (cd /tools && find . -type f -size -200k | head -n 25 | xargs tar cf /mnt/t.tar) && tar xf /mnt/t.tar -C /mnt/0 &&
            dd if=/dev/xvdz of=/mnt/big bs=1M count=14 2>/dev/null && sync || exit 1
        mount -t tmpfs -o size=100% none /short
        dd if=/dev/zero of=/short/f bs=1M count=\$((\$(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 1024 - 20)) 2>/dev/null
        i=0; until [ -e /stop ]; do
            i=\$((i + 1)); cp /mnt/big /mnt/copy && mkdir /mnt/\$i && tar xf /mnt/t.tar -C /mnt/\$i || exit 1
            cmp /mnt/big /mnt/copy && diff -r /mnt/0 /mnt/\$i && rm -r /mnt/copy /mnt/\$i && echo \$i >/rounds || exit 1
            sleep 5			# a guest of one CPU has the checker's load, too
        done
        umount /short; rm /stop; umount /mnt && e2fsck -fn $2 >/tmp/fsck 2>&1 &&
            echo \$i && awk '/^pgsteal_(kswapd|direct) / { n += \$2 } END { print n }' /proc/vmstat" >"/run/lab/files.$1" 2>"/run/lab/files.$1.err"
}
# raw GUEST DISK: fio's checksums, again and again; prints how many bytes were verified
raw() {
    verified=0
    until [ -e /run/lab/raw.stop ]; do
        n=$(fio_verify "$1" --filename="$2" --rw=randwrite --bsrange=512-128k --size=2m --iodepth=32) || return
        verified=$((verified + n)); sleep 4
    done
    echo "$verified"
}
# aside GUEST NAME: its driver is replaced and comes back. A guest that is late, busy with its memory, is switched back: that is said
aside() {
    for m in paravirtual virtual; do
        if out=$(hvdrv retarget "$1" "$2" $m --deadline $DEADLINE --timeout 90 2>&1); then asides=$((asides + 1)); continue; fi
        case $out in *"it was switched back"*) note "$1/$2: to $m: the guest was late";; *) bad "$1/$2: switch to $m: $out";; esac
    done
}
# others GUEST: two more disks and their loads; others_end: what these have shown
others() {
    asides=0
    raw=$(hvdrv attach "$1" f "class=block,backend=/slow/$1.raw,size=16M") || bad "$1: attach f"
    fs=$(hvdrv attach "$1" m "class=block,backend=/data/$1.fs,size=48M") || bad "$1: attach m"
    rm -f /run/lab/raw.stop
    raw "$1" "$raw" >"/run/lab/raw.$1" 2>&1 & raw_load=$!
    files "$1" "$fs" & files_load=$!
}
others_end() {
    until_ok 120 gsh "$1" 'test -e /rounds'
    touch /run/lab/raw.stop; gsh "$1" "touch /stop"
    wait $raw_load $files_load
    work "$1: bytes that fio verified meanwhile" "$(cat "/run/lab/raw.$1")"
    work "$1: times that files were unpacked and compared, short of memory" "$(sed -n 1p "/run/lab/files.$1")"
    work "$1: pages reclaimed meanwhile" "$(sed -n 2p "/run/lab/files.$1")"
    head -n 5 "/run/lab/files.$1.err"
    work "$1: switches of these two" $asides
    works "$1: detach f" hvdrv detach "$1" f
    works "$1: detach m" hvdrv detach "$1" m
}
# least: of what the switches so far have carried, the kind that was carried least often
least() { awk '{ for (c = 3; c <= 11; c++) n[c] += $c } END { m = n[3]; for (c in n) if (n[c] < m) m = n[c]; print m + 0 }' /run/lab/switches; }
# enough TYPES: switches of so many guests have carried their part of every kind; how often the load has a kind under way is chance
enough() { [ "$(least)" -ge $((${C_least:-10} * $1)) ]; }
# gaps GUEST N: N pairs of switches, the longest time that no request of the checker ended in each, and in a stretch as long without one
mark() { gsh "$1" 'kill -USR1 $(pidof stamp)' || bad "$1: the checker takes no mark"; }
ticks() { read -r up _ </proc/uptime; echo "${up%.*}${up#*.}"; }	# of 10 ms
gaps() {
    k=0; mark "$1"
    while [ $k -lt "$2" ]; do
        k=$((k + 1))
        for m in paravirtual virtual; do
            t=$(ticks)
            switch "$1" t $m --deadline $DEADLINE || bad "$1: switch to $m: $out"
            mark "$1"
            usleep $((($(ticks) - t) * 10000))
            mark "$1"
        done
    done
    g "$1" sed 1d /gaps >/run/lab/gaps
    awk 'NR % 2 { print $1 * 1000 }' /run/lab/gaps >>/run/lab/gaps.switch
    awk 'NR % 2 == 0 { print $1 * 1000 }' /run/lab/gaps >>/run/lab/gaps.without
    is "$1: stretches with and without a switch" "$(grep -c . /run/lab/gaps)" $(($2 * 4))
}
# a filesystem whose device keeps each request for a while, so that there is always something to carry
need_data
slow_device memory_backed=1 discard=1 cache_size=8 irqmode=2 completion_nsec=$SLOW_NS
mke2fs.real -q -F -t ext4 -b 4096 -N 64 -O ^has_journal -E nodiscard /dev/nullb0 65536 && mkdir -p /slow && mount -t ext4 /dev/nullb0 /slow || { bad "the slow filesystem"; exit 1; }
: >/run/lab/switches
: >/run/lab/gaps.switch
: >/run/lab/gaps.without
done=0
for guest in $(echo "$C_guests" | tr , ' '); do
    done=$((done + 1)) type=${guest%:*}
    [ "$(g $type nproc 2>/dev/null)" = "${guest#*:}" ] || drop $type
    need $type $type vcpus="${guest#*:}"
    hvdrv attach $type t "class=block,backend=/slow/$type.img,size=64M" >/dev/null || bad "$type: attach"
    before=$(back $type address; back $type entry/submit; back $type entry/adopt) code=$(sums $type)
    work "$type: sections of the module" "$(echo "$code" | grep -c .)"
    stamp_in $type /run/lab/retarget.$type --size 33554432 --max-kib 128 --rare 12 --gaps /gaps &
    load=$!
    [ "$C_others" = 0 ] || others $type
    sleep 2
    switch $type t paravirtual --deadline $DEADLINE && switch $type t virtual --deadline $DEADLINE	# the first ones, not counted
    i=0; while [ $i -lt "$C_n" ] || { [ $i -lt $((C_n * 4)) ] && ! enough $done; }; do
        # now and then a CPU waits with a record that is READY, the queue's lock held: others end unseen meanwhile
        gsh $type 'echo 1200000,0,0 >/sys/module/hvdrv/parameters/linger'
        switches $type "$(domid $type)" t "$C_every" 150 $DEADLINE >>/run/lab/switches || { bad "$type: a switch failed"; break; }
        i=$((i + C_every))
        [ "$C_others" = 0 ] || [ $((i / C_every % 4)) != 2 ] || { aside $type f; aside $type m; }
    done
    [ $i -ge "$C_n" ] && ok "$type: pairs of switches: $i" || bad "$type: pairs of switches: $i of $C_n"
    gaps $type "$C_gaps"
    is "$type: entry addresses are the same" "$(back $type address; back $type entry/submit; back $type entry/adopt)" "$before"
    is "$type: the module's code and constants are the same" "$(sums $type)" "$code"
    stamp_end $type $load
    [ "$C_others" = 0 ] || others_end $type
    stamp_right /run/lab/retarget.$type $type
    switch $type t paravirtual --deadline $DEADLINE || bad "$type: to paravirtual: $out"
    n=$(fio_verify $type --filename=/dev/hvda --rw=randwrite --bs=4k --size=2m --iodepth=32) || bad "$type: paravirtual, verified"
    work "$type: bytes verified in paravirtual mode" "$n"
    works "$type: detach in paravirtual mode" hvdrv detach $type t
    f=$(guest_faults $type); is "$type: the guest's kernel log is silent" "$f" ""
done
until_ok 20 umount /slow
no_slow_device
is "dom0's kernel log is silent" "$(dmesg | faults)" ""
note "freeze $(numbers /run/lab/switches 1); stall $(numbers /run/lab/switches 2)"
note "longest time without a completion: with a switch $(numbers /run/lab/gaps.switch 1); as long without one $(numbers /run/lab/gaps.without 1)"
total=$(grep -c . /run/lab/switches) carried=$(awk '$3 > 0' /run/lab/switches | grep -c .)
work "switches under load" "$total"
[ $((carried * 10)) -ge $((total * 9)) ] && ok "at least 90 % of them carried something: $carried" || bad "only $carried of $total switches carried something"
c=3
for k in requests READY BEGUN DONE reads writes flushes discards write-zeroes; do
    n=$(awk -v c=$c '{ n += $c } END { print n + 0 }' /run/lab/switches) c=$((c + 1))
    [ "$n" -ge "${C_least:-10}" ] && ok "$k carried: $n" || bad "$k carried: $n"
done
