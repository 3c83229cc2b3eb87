# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh disable=SC2154  # srcdir, builddir, tmp: from tests/lib/t.sh
# Golden output of commands.

# Paths, ids and times that differ from run to run.
mask() {
    sed -E -e "s,$tmp,TMP,g" -e "s,$builddir/(\.libs/)?(lt-)?,,g" -e 's/\b[0-9a-f]{64}\b/ID/g' -e 's/(^|[^-0-9a-f])[0-9a-f]{12}\b/\1ID/g' \
        -e 's/[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}/TIME/' -e "s/\b$(setting PACKAGE_VERSION | sed 's/\./\\./g')\b/VERSION/g"
}

# gold WHAT STATUS COMMAND...: what COMMAND prints, both streams, is standard input, and it ends with STATUS
gold() {
    what=$1 want=$2
    shift 2
    mask >"$tmp/.gold"
    "$@" >"$tmp/.raw" 2>&1 </dev/null
    got=$?
    mask <"$tmp/.raw" >"$tmp/.got"
    if [ "$got" = "$want" ] && cmp -s "$tmp/.gold" "$tmp/.got"; then
        ok "$what"
    else
        bad "$what (status $got, $want expected)"
        diff -u "$tmp/.gold" "$tmp/.got" | sed 's/^/    /'
    fi
}

# json WHAT EXPRESSION COMMAND...: COMMAND prints JSON for which Python's EXPRESSION over d is true
json() {
    what=$1 expr=$2
    shift 2
    if ! have python3; then skip "$what: no python3"; return; fi
    if "$@" >"$tmp/.raw" 2>"$tmp/.err" &&
        python3 -c 'import json, sys; d = json.load(sys.stdin); sys.exit(0 if eval(sys.argv[1]) else 1)' "$expr" <"$tmp/.raw"; then
        ok "$what"
    else
        bad "$what: $expr"; sed 's/^/    /' "$tmp/.raw" "$tmp/.err"
    fi
}
