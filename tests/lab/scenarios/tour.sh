# SPDX-License-Identifier: GPL-2.0-only
# docs/tour.md as it stands there: each command is run, in dom0 or in the guest, and has to print what stands below it, numbers and ids apart;
# a line of ... is any lines. The guest's image was made before (xb/debian.py): what apt printed in it is compared, not run again. With what was
# really printed, the page is in the kept folder as tour.md. It leaves a guest, web, and the next version of the packages
. /lab/lib.sh
need_data
export LC_ALL=C DEBIAN_FRONTEND=noninteractive LAB_START_LIMIT=900
TOUR=/root/tour.md REAL=$KEEP/tour.md D=/run/lab/tour
mkdir -p $D /dev/vg /srv/web
ln -sf /dev/disk/by-id/virtio-labdisk1 /dev/vg/web-root
ln -sf /img/xen/vmlinux /img/guest-debian/initrd.img /srv/web/
mount --bind /data /srv/web 2>/dev/null && ln -sf /img/xen/vmlinux /img/guest-debian/initrd.img /srv/web/

# what differs from run to run: numbers, their units, ids, the width of columns
plain() { sed -E 's/\x1b\[[0-9;]*m//g; s/[0-9a-f]{12,}/ID/g; s/[0-9]+([.,:+-][0-9]+)*/N/g; s/N [KMG]iB/N B/g; s/[[:space:]]+/ /g; s/ $//'; }
# a pattern of the shell: nothing but lines of ... is special
pattern() { plain | sed 's/[][*?\\]/\\&/g; s/^\.\.\.$/*/'; }
# same WANT GOT: files
same() {
    want=$(pattern <"$1") got=$(plain <"$2")
    # shellcheck disable=SC2254
    case $got in $want) ;; *) return 1;; esac
}
in_dom0() { sh -c "cd /root; $1" </dev/null 2>&1 | grep -v '^(Reading database .*%$'; }
in_web() {
    case $1 in
    "apt-get install"*) grep -v '^(Reading database .*%$' /root/install.log;;
    *) LAB_EXEC_LIMIT=300 gsh web "$1" 2>&1;;
    esac
}
# step PLACE COMMAND: runs it, what was wanted is in $D/want
writes() { awk -v m="$1" '$1 == "in" && $2 == "mode" { on = $3 == m } on && $1 == "write" { print $2; exit }' $D/got; }
commands=0
said() { printf '%s\n' "$line" >>$REAL; }
step() {
    commands=$((commands + 1))
    "in_$1" "$2" >$D/got
    { printf '%s# %s\n' "$1" "$2"; cat $D/got; } >>$REAL
    same $D/want $D/got && ok "$1# $2" || bad "$1# $2: $(head -c 2000 $D/got)"
    # numbers are not compared; that the load went on in both modes is what this one is about
    [ "$2" != "hvdrv show web data" ] || for m in virtual paravirtual; do work "writes in mode $m" "$(writes $m)"; done
}
: >$REAL
block='' cmd='' was=''
another() { now=$(domid web) && [ "$now" != "$was" ]; }
# the last command of a block is run when its end, or the next one, is seen
flush() { [ -z "$cmd" ] || step "$place" "$cmd"; cmd=''; : >$D/want; }
flush
while IFS= read -r line <&3; do
    case $block$line in
    '```console') block=console; said;;
    '```text') block=text file=''; said;;
    'console```') flush; block=''; said;;
    'text```') block=''; said;;
    console'dom0# '* | console'web# '*) flush; place=${line%%#*} cmd=${line#*# };;
    console*) printf '%s\n' "$line" >>$D/want;;
    text'# /'*) file=${line#\# }; : >"$file"; said;;
    text*) printf '%s\n' "$line" >>"$file"; said;;
    '<!-- wait: '*) said; until_ok 120 another && lab-guest wait web || bad "the guest answers"; was=$(domid web);;
    *) said;;
    esac
done 3<$TOUR
work "commands of the tour" $commands
f=$(guest_faults web); is "the guest's kernel log is silent" "$f" ""
