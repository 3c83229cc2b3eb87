# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh disable=SC2034
# common.sh - what ./quickstart and ./runtests share (sourced, POSIX sh): steps with their times, packages, the build
now() { date +%s; }
began=$(now)
JOBS=$(nproc 2>/dev/null || echo 2)

# step WHAT CMD...: runs it; what it prints goes to a file, and its end is shown when it fails
step() {
    what=$1; shift
    t=$(now)
    printf '%-44s' "$what ..."
    if "$@" >"$LOGS/step.log" 2>&1; then
        echo "ok, $(($(now) - t)) s"
    else
        st=$?
        echo "failed, status $st"
        tail -n 30 "$LOGS/step.log" | sed 's/^/    /'
        return $st
    fi
}

packages() { sed -n "s/^\($1\): //p" tests/packages; }

# missing KINDS: names of the packages that are not installed. KINDS as in a regular expression: build\|lab
missing() {
    for p in $(packages "$1"); do
        dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || echo "$p"
    done
}

install() {
    apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "$@"
}

# need_packages KINDS: installs them as root; says the one command otherwise
need_packages() {
    want=$(missing "$1" | tr '\n' ' ')
    if [ -z "$want" ]; then
        apt-cache show linux-image-amd64 >/dev/null 2>&1 || [ "$(id -u)" != 0 ] || step "apt's lists" apt-get update -q
    elif [ "$(id -u)" = 0 ]; then
        # shellcheck disable=SC2086
        step "install packages: $(echo $want | wc -w)" install $want
    else
        echo "$0: packages are missing; as root run: apt-get install --no-install-recommends $want" >&2
        exit 1
    fi
}

configure_tree() { ./bootstrap && ./configure -q --prefix=/usr --sysconfdir=/etc --localstatedir=/var "$@"; }

# build_tree keep|again: the build in the tree, which the lab uses; keep: as it was configured, if it was
build_tree() {
    { [ "$1" = keep ] && [ -f config.status ]; } || step "configure" configure_tree --enable-werror || return
    step "build" make -j"$JOBS"
}
