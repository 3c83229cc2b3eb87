# SPDX-License-Identifier: GPL-2.0-only
# two guests on ranges of one NVMe namespace, mediated, by NVMe commands: verified under load, drivers replaced, workers killed;
# nothing outside of the ranges changes; dom0's page cache is right after each way back to its block node; a partition; fallbacks
. /lab/lib.sh
D=/dev/nvme0n1 NG=/dev/ng0n1
DEADLINE=2000000000
# ranges in sectors, at odd places and with no gap between them
pv_at=2051 pv_len=49149 pvh_at=51200 pvh_len=49153
# bytes from sector $1 on, $2 of them, that are no U; the device is slow: all by 1 MiB that can be
strange() {
    end=$(($1 + $2)) first=$((($1 + 2047) / 2048)); last=$((end / 2048))
    { dd if=$D bs=512 skip="$1" count=$((first * 2048 - $1)); dd if=$D bs=1M skip=$first count=$((last - first)) iflag=direct
      dd if=$D bs=512 skip=$((last * 2048)) count=$((end - last * 2048)); } 2>/dev/null | tr -d U | wc -c
}
to() { switch "$1" n "$2" --deadline $DEADLINE --timeout 90 || bad "$1: to $2: $out"; }
served() { [ -n "$(json_of "$1" n queues)" ]; }
# with a queue that is not empty; of a bench that is too slow for that, with what it has
flying() { [ "$(json_of "$1" n in_flight)" -gt 8 ]; }
fenced() { tail -n +"$log0" $KEEP/hvdrvd.log | grep -c 'what the worker before had begun has ended'; }
passed() { json_of "$1" n passthrough_requests; }
blocks() { awk '{ print $1, $5 }' /sys/block/nvme0n1/stat; }		# requests that dom0's block layer has counted
# put GUEST BYTE: the first 64 KiB of its disk, past all caches of its own; get: what dom0 reads there, by its page cache
put() { gsh "$1" "dd if=/dev/zero bs=64k count=1 2>/dev/null | tr '\\0' '$2' >/tmp/p; dd if=/tmp/p of=/dev/hvda bs=64k oflag=direct conv=notrunc,fsync 2>/dev/null"; }
get() { dd if=$D bs=512 skip="$1" count=128 2>/dev/null | tr -s 'A-Z'; }

until_ok 20 test -b $D -a -c $NG || { bad "no NVMe: xenbox --nvme"; exit 1; }
sectors=$(cat /sys/block/nvme0n1/size)
dd if=/dev/zero bs=1M count=$((sectors / 2048)) 2>/dev/null | tr '\0' U | dd of=$D bs=1M oflag=direct iflag=fullblock 2>/dev/null
is "a pattern on all of it" "$(strange 0 "$sectors")" 0
need pv pv vcpus="$LAB_SMP"
need pvh pvh vcpus="$(few_cpus pvh)"
works "pv: attach" hvdrv attach pv n "class=block,backend=$D,range=$pv_at+$pv_len"
works "pvh: attach, the range behind it" hvdrv attach pvh n "class=block,backend=$D,range=$pvh_at+$pvh_len"
for n in pv pvh; do
    is "$n: in mode virtual by the block node" "$(json_of $n n io) $(passed $n)" "direct 0"
    to $n paravirtual
    is "$n: in mode paravirtual by commands" "$(json_of $n n io)" passthrough
    w=$(json_of $n n worker_pid)
    is "$n: its worker has no capability" "$(grep -c '^Cap\(Prm\|Eff\):[[:space:]]*0*$' "/proc/$w/status")" 2
    is "$n: and another user" "$(awk '/^Uid/ { print ($2 >= 2000000000) }' "/proc/$w/status")" 1
done

# load: stamps in the first 16 MiB, fio's checksums behind them
for n in pv pvh; do
    stamp_in $n /run/lab/nvme.$n --size 16777216 --max-kib 252 &
    eval "load_$n=$!"
done
sleep 1
before="$(blocks)" p0=$(passed pv) p1=$(passed pvh)
fio_verify pv --filename=/dev/hvda --offset=16m --rw=randwrite --bsrange=512-252k --size=3m --iodepth=16 >/run/lab/nvme.fio.pv &
fio_pv=$!
bytes=$(fio_verify pvh --filename=/dev/hvda --offset=16m --rw=randwrite --bs=4k --size=512k --iodepth=32) || bad "pvh: fio"
wait $fio_pv || bad "pv: fio"
work "pv: bytes that fio verified" "$(cat /run/lab/nvme.fio.pv)"
work "pvh: bytes that fio verified" "$bytes"
is "dom0's block layer saw nothing of it" "$(blocks)" "$before"
work "pv: requests by commands" $(($(passed pv) - p0))
work "pvh: requests by commands" $(($(passed pvh) - p1))

# drivers are replaced, and the way to the device with them; workers are killed
carried=0 log0=$(grep -c . $KEEP/hvdrvd.log)
i=0; while [ $i -lt "$C_n" ] || { { [ "$(fenced)" = 0 ] || [ "$carried" = 0 ]; } && [ $i -lt $((C_n + 15)) ]; }; do
    i=$((i + 1))
    for m in virtual paravirtual; do
        to pv $m
        carried=$((carried + $(json_of pv n carried_begun)))
    done
    until_ok 5 flying pvh
    kill -9 "$(json_of pvh n worker_pid)"
    until_ok 60 served pvh || bad "kill $i: pvh is served again"
    to pvh virtual; to pvh paravirtual
    [ $((i % 2)) = 0 ] || { until_ok 5 flying pv; kill -9 "$(json_of pv n worker_pid)"; until_ok 60 served pv || bad "kill $i: pv is served again"; }
done
work "switches under load, and kills" $i
work "requests carried that were begun" $carried
work "times that another worker took over requests" "$(tail -n +"$log0" $KEEP/hvdrvd.log | grep 'taken over by another worker' | grep -vc ' 0 requests')"
work "times that the fence was waited for" "$(fenced)"
for n in pv pvh; do
    eval "stamp_end $n \$load_$n"
    stamp_right /run/lab/nvme.$n $n
    is "$n: by commands again" "$(json_of $n n io)" passthrough
    is "$n: no errors" "$(json_of $n n errors)" 0
done

# dom0's page cache
for n in pv pvh; do
    at=$pv_at; [ $n = pv ] || at=$pvh_at
    put $n A; is "$n: dom0 reads what was written" "$(get $at)" A
    put $n B; is "$n: commands pass dom0's page cache by" "$(get $at)" A
    to $n virtual
    gsh $n "dd if=/dev/zero of=/dev/hvda bs=512 seek=40000 count=1 oflag=direct conv=notrunc,fsync 2>/dev/null"
    is "$n: back at the block node it is right" "$(get $at)" B
    put $n C; is "$n: and stays so" "$(get $at)" C
    # somebody in dom0 writes by the page cache, and does not wait for it
    dd if=/dev/zero bs=64k count=1 2>/dev/null | tr '\0' D | dd of=$D bs=512 seek=$at conv=notrunc 2>/dev/null
    to $n paravirtual
    gsh $n "dd if=/dev/zero of=/dev/hvda bs=512 seek=40000 count=1 oflag=direct conv=notrunc,fsync 2>/dev/null"
    is "$n: the guest sees what dom0 wrote before" "$(gsh $n "dd if=/dev/hvda bs=64k count=1 iflag=direct 2>/dev/null | tr -s A-Z")" D
    is "$n: and so does dom0" "$(get $at)" D
    put $n E
    works "$n: detach in paravirtual mode" hvdrv detach $n n
    is "$n: detached, dom0 reads what was written last" "$(get $at)" E
done
blockdev --flushbufs $D
is "before the ranges nothing has changed" "$(strange 0 $pv_at)" 0
is "nor behind them" "$(strange $((pvh_at + pvh_len)) $((sectors - pvh_at - pvh_len)))" 0

# a partition: where it begins is added
# one from sector 22535, 16384 of them
{ printf '\0\0\0\0\203\0\0\0\007\130\0\0\0\100\0\0'; dd if=/dev/zero bs=48 count=1 2>/dev/null; printf '\125\252'; } |
    dd of=$D bs=1 seek=446 conv=notrunc 2>/dev/null
sync; blockdev --rereadpt $D; until_ok 10 test -b ${D}p1
sum() { { dd if=$D bs=512 skip=22000 count=538; dd if=$D bs=512 skip=38919 count=500; } 2>/dev/null | md5sum; }
around=$(sum)
works "a partition" hvdrv attach pv n "class=block,backend=${D}p1,range=3+16381"
to pv paravirtual
is "by commands" "$(json_of pv n io)" passthrough
gsh pv "dd if=/dev/zero bs=512 count=16381 2>/dev/null | tr '\\0' P >/tmp/p; dd if=/tmp/p of=/dev/hvda bs=1M oflag=direct conv=notrunc,fsync 2>/dev/null; rm /tmp/p"
work "requests by commands" "$(passed pv)"
works "detach" hvdrv detach pv n
blockdev --flushbufs $D			# the disk and its partition have a page cache each
is "it is written to where it is, all of it" "$(dd if=$D bs=512 skip=22538 count=16381 2>/dev/null | tr -d P | wc -c)" 0
is "and nothing around it" "$(sum)" "$around"

# what may not, or cannot be had by commands
works "shared with dom0" hvdrv attach pv n "class=block,backend=$D,shared"
to pv paravirtual
is "its block node serves" "$(json_of pv n io)" direct
works "detach" hvdrv detach pv n
mv $NG $NG.away
works "no character device" hvdrv attach pv n "class=block,backend=$D"
to pv paravirtual
is "the block node serves" "$(json_of pv n io) $(passed pv)" "direct 0"
has "and the log says why" "$(tail -n 5 $KEEP/hvdrvd.log)" "no NVMe passthrough, its block node serves: $NG: No such"
n=$(fio_verify pv --filename=/dev/hvda --rw=randwrite --bs=4k --size=512k --iodepth=8) || bad "fio on the block node"
work "bytes verified by it" "$n"
works "detach" hvdrv detach pv n
mv $NG.away $NG
for n in pv pvh; do f=$(guest_faults $n); is "$n: the guest's kernel log is silent" "$f" ""; done
is "dom0's kernel log is silent" "$(dmesg | faults)" ""
rmmod nvme
