#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# mapcost.sh TARGET TYPE ROUNDS COUNT [yes] - runs in the lab's dom0: a guest of TYPE with a device that it does not use, mapcost on its
# pool and TARGET. yes: and what dom0's kernel says of processes that die with I/O in flight; the last thing in this boot.
target=$1 type=$2 rounds=$3 count=$4 kill=$5
case $target in /dev/ram*) ins brd rd_nr=1 rd_size=16384 max_part=0 || exit 1;; esac
dd if=/dev/urandom of="$target" bs=64k count=128 2>/dev/null && sync || exit 1
lab-guest start m "$type" || exit 1
truncate -s 16M /root/disk && hvdrv attach m d class=block,backend=/root/disk || exit 1
set --
if [ -n "$kill" ]; then
    rmmod null_blk 2>/dev/null		# `ins` of another module may have loaded it
    ins null_blk nr_devices=1 gb=1 memory_backed=1 queue_mode=2 irqmode=2 completion_nsec=2000000000 hw_queue_depth=64 || exit 1
    set -- --kill /dev/nullb0
fi
dmesg -c >/dev/null
/root/mapcost --rounds "$rounds" --count "$count" "$@" m d "$target"
