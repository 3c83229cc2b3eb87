# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh disable=SC2154  # srcdir, builddir: from tests/lib/t.sh
# files: the project's own files, one per line, relative to $srcdir: as git has them, or, in a tarball, those that were
# put there by hand.
files() {
    if [ -e "$srcdir/.git" ]; then
        # -co: also a file that is new and not added yet
        git -C "$srcdir" -c safe.directory="$srcdir" ls-files -co --exclude-standard | while read -r f; do
            [ ! -f "$srcdir/$f" ] || echo "$f"
        done
    else
        make -s --no-print-directory -C "$builddir" print-dist 2>/dev/null | tr ' ' '\n' | (cd "$srcdir" && xargs sh -c 'find "$@" -type f' x) | sort -u |
            grep -vE '^(m4/|build-aux/|configure$|aclocal|config\.h\.in$|Makefile\.in$)|/build/|\.(o|ko|mod\.c|cmd|Po)$|/\.|guestprogs/'
    fi
}
