# SPDX-License-Identifier: GPL-2.0-only
# what every other scenario relies on: lab-guest passes arguments, data and the status as they are, and says when it cannot
. /lab/lib.sh
need pv pv vcpus="$LAB_SMP"
is "arguments are kept" "$(g pv printf '<%s>' 'a b' "it's" '"q"' '' "$(printf 'x\ny')" '$HOME' '*' '\n')" '<a b><it'"'"'s><"q"><><x
y><$HOME><*><\n>'
dd if=/dev/urandom of=/tmp/b bs=1000 count=300 2>/dev/null
lab-guest exec pv cat </tmp/b >/tmp/o && cmp /tmp/b /tmp/o && ok "300,000 bytes there and back" || bad "300,000 bytes there and back"
lab-guest exec pv sh -c 'cat >&2; echo out; exit 37' </tmp/b >/tmp/o 2>/tmp/e; st=$?
is "the status" $st 37
is "what it says" "$(cat /tmp/o)" out
cmp /tmp/b /tmp/e && ok "what it complains of" || bad "what it complains of"
gsh pv 'kill -9 $$' >/dev/null 2>&1; is "a signal" $? 137
gsh pv 'dd if=/dev/zero of=/dev/null' >/dev/null 2>&1 & busy=$!
is "beside a load" "$(g pv echo here)" here
gsh pv 'killall dd'; wait $busy
fails "a guest that is not there" 1 "no guest nobody runs" lab-guest exec nobody true
lab-guest start short pv mem=128 || bad "another guest starts"
has "its console" "$(gsh short 'echo to the console >/dev/console'; sleep 1; lab-guest console short)" "to the console"
works "it is told to stop" lab-guest stop short
until_ok 20 sh -c '! xl domid short' && ok "and has stopped" || bad "it is there still"
work "assertions" "$(grep -c pass $RESULTS)"
