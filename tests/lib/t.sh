# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# For test scripts: counted results, a folder of their own. Run by `make check` in the build tree; $srcdir is set.
# shellcheck disable=SC2034  # for those who include this
srcdir=$(cd "${srcdir:-.}" && pwd) builddir=$(pwd)
passed=0 failed=0 skipped=0
tmp=$(mktemp -d "${TMPDIR:-/tmp}/hvdrv-test-XXXXXX") || exit 99
trap 'chmod -R u+w "$tmp" 2>/dev/null; rm -rf "$tmp"' EXIT
trap 'exit 99' INT TERM HUP

ok() { passed=$((passed + 1)); echo "ok $1"; }
skip() { skipped=$((skipped + 1)); echo "skip $1"; }
bad() { failed=$((failed + 1)); echo "FAIL $1"; }

# check WHAT COMMAND...: ok when COMMAND succeeds; what it prints is shown when not
check() {
    what=$1; shift
    if "$@" >"$tmp/.out" 2>&1; then ok "$what"; else bad "$what"; sed 's/^/    /' "$tmp/.out"; fi
}

# nothing WHAT TEXT: ok when TEXT is empty, else TEXT is what is wrong
nothing() {
    if [ -z "$2" ]; then ok "$1"; else bad "$1"; printf '%s\n' "$2" | sed 's/^/    /'; fi
}

# same WHAT EXPECTED GOT: files
same() { check "$1" diff -u "$2" "$3"; }

have() { command -v "$1" >/dev/null 2>&1; }

# setting NAME: a variable of the build
setting() { sed -n "s/^$1 = //p" "$builddir/Makefile"; }

finish() {
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ]; exit
}
