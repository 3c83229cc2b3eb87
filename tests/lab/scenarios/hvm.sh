# SPDX-License-Identifier: GPL-2.0-only
# one HVM guest: attach, write, verify, detach
. /lab/lib.sh
need_data
drop pv pvh
LAB_START_LIMIT=900 lab-guest start hvm hvm mem=224 || { bad "an HVM guest starts"; exit; }
attach hvm h 16 >/dev/null || bad "attach"
n=$(fio_verify hvm --filename=/dev/hvda --rw=randwrite --bs=4k --size="${C_mib}m" --iodepth=8) || bad "fio"
work "bytes verified" "$n"
n=$(fio_verify hvm --filename=/dev/hvda --rw=write --bs=252k --size="${C_mib}m" --iodepth=2) || bad "fio 252k"
is "the file in dom0 is what the guest reads" "$(sha256sum </data/hvm-h.img | cut -d' ' -f1)" "$(g hvm sha256sum /dev/hvda | cut -d' ' -f1)"
works "detach" hvdrv detach hvm h
is "nothing is left in the guest" "$(held hvm)" "devices 0 disks 0 slots 0 pages 0 grants 0 ports 0 requests 0 "
f=$(guest_faults hvm); is "the guest's kernel log is silent" "$f" ""
drop hvm
