# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh disable=SC2154  # srcdir: from tests/lib/t.sh
# files: the project's own files, one per line, relative to $srcdir: as git has them, or, in a tarball, those that no
# autotool and no build made.
files() {
    if [ -e "$srcdir/.git" ]; then
        # -co: also a file that is new and not added yet
        git -C "$srcdir" -c safe.directory="$srcdir" ls-files -co --exclude-standard | while read -r f; do
            [ ! -f "$srcdir/$f" ] || echo "$f"
        done
    else
        (cd "$srcdir" && find . -type f | sed 's,^\./,,' |
            grep -vE '^(build|m4/|build-aux/|autom4te|config\.|configure$|aclocal|Makefile|libtool|stamp)|/build/|\.(o|lo|la|ko|so|log|trs|pyc|Po|Plo)$|/\.')
    fi
}
