# SPDX-License-Identifier: GPL-2.0-only
"""Real Debian roots: dom0 with systemd and Debian's xen-utils, without hvdrv; a guest with the DKMS package, its root on hvdrv-root."""
import os
import pathlib
import shutil
import subprocess

from . import debs, rootfs
from .base import LAB, Skip, cached, run, sha

COMMON = ["systemd-sysv", "udev", "dbus", "kmod", "procps", "e2fsprogs"]
# what hvdrv's packages depend on, and the compiler that they recommend: nothing is downloaded in the machine
DOM0 = COMMON + ["xen-utils-4.17", "xenstore-utils", "bash-completion", "gcc", "libc6-dev", "libevent-core-2.1-7",
                 "libjson-c5", "libsodium23", "libconfig9", "libzydis4.0", "liburing2", "libseccomp2", "libelf1",
                 "libuuid1", "libxenmisc4.17", "iproute2"]
GUEST = COMMON + ["dkms", "linux-headers-amd64", "initramfs-tools", "fio"]
TRIM = ["drivers/gpu", "drivers/media", "drivers/net/ethernet", "drivers/net/wireless", "drivers/staging",
        "drivers/infiniband", "drivers/usb", "drivers/iio", "drivers/scsi", "drivers/hwmon", "drivers/input", "sound",
        "net/bluetooth", "net/wireless", "net/mac80211", "drivers/isdn", "drivers/bluetooth", "drivers/edac",
        "drivers/infiniband", "drivers/video", "drivers/mtd", "drivers/nfc", "drivers/leds", "drivers/crypto"]


def sources():
    lines = []
    for uri, suites, key in debs.machine_mirrors():
        opt = f"[signed-by={key}] " if key else ""
        lines += [f"deb {opt}{uri} {s} main" for s in suites if s.startswith("bookworm") and "backports" not in s]
    return lines


def debootstrap(root, packages, hooks=()):
    if os.geteuid():
        raise Skip("a Debian root is made as root only")
    if not shutil.which("mmdebstrap"):
        raise Skip("mmdebstrap is not installed: no Debian root can be made")
    args = ["mmdebstrap", "--mode=root", "--variant=minbase", f"--include={','.join(packages)}",
            "--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
            "--dpkgopt=path-exclude=/usr/share/doc/*"]
    args += [f"--customize-hook={h}" for h in hooks]
    run("mmdebstrap", [*args, "bookworm", root], input="\n".join(sources()).encode() + b"\n")


def add_modules(root, xen, release):
    """The kernel's modules without what no lab machine has; Debian's own scripts load what they need."""
    src = xen / "tree/lib/modules" / release
    dst = root / "lib/modules" / release
    dst.parent.mkdir(parents=True, exist_ok=True)
    skip = {src / "kernel" / t for t in TRIM}
    shutil.copytree(src, dst, dirs_exist_ok=True,
                    ignore=lambda d, names: [n for n in names if pathlib.Path(d, n) in skip or n in ("build", "source")])
    run("depmod", ["depmod", "-b", root, release])


def quiet_systemd(root, keep=()):
    """Units that only cost boot time here."""
    for u in ("apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service "
              "fstrim.timer systemd-networkd.service systemd-resolved.service getty.target systemd-timesyncd.service "
              "systemd-update-utmp.service systemd-machine-id-commit.service systemd-hwdb-update.service "
              "systemd-journal-flush.service ldconfig.service systemd-boot-random-seed.service "
              "systemd-journal-catalog-update.service systemd-sysusers.service systemd-logind.service "
              "systemd-update-utmp-runlevel.service systemd-tmpfiles-clean.timer systemd-pstore.service "
              "modprobe@.service sys-kernel-tracing.mount dev-hugepages.mount dev-mqueue.mount "
              "proc-sys-fs-binfmt_misc.automount sys-fs-fuse-connections.mount").split():
        if u not in keep:
            link = root / "etc/systemd/system" / u
            link.unlink(missing_ok=True)
            link.symlink_to("/dev/null")
    (root / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    (root / "etc/fstab").write_text("")
    (root / "etc/hostname").write_text("lab\n")


def make_ext4(root, out, label, slack=64):
    size = int(run("du", ["du", "-sm", "--apparent-size", root]).split()[0])
    run("mke2fs", ["mke2fs", "-q", "-t", "ext4", "-d", root, "-L", label, "-m", "0", out,
                   f"{size + size // 8 + slack}M"])


def early_root(d, init, xen, release, mods):
    """The folder of an initramfs with busybox, modules and this init; the caller packs and removes it."""
    ini = d / "ini"
    rootfs.busybox(ini)
    rootfs.copy_modules(ini, xen / "tree", release, mods)
    shutil.copy(init, ini / "init")
    (ini / "init").chmod(0o755)
    return ini


def dom0_root():
    """root.ext4: a Debian root, read-only, shared by runs."""
    xen = debs.xen_tree()
    key = sha((xen / ".key").read_text(), LAB / "xb" / "debian.py",
              debs.candidates("systemd", "gcc-12", "xen-utils-4.17"))

    def build(d):
        root = d / "root"
        debootstrap(root, DOM0)
        add_modules(root, xen, (xen / "release").read_text())
        quiet_systemd(root)
        (root / "etc/default/xen").write_text("XENCONSOLED_ARGS=\"--log=guest --log-dir=/var/log/xen/console\"\n")
        for s in ("bench", "img", "tools"):
            (root / s).mkdir()
        make_ext4(root, d / "root.ext4", "labroot")
        shutil.rmtree(root)

    return cached("dom0-debian", key, build)


def dom0_initrd(agent, mods):
    """initrd.cpio.gz: puts a writable layer, the bench's tools and this run's files over the root."""
    xen = debs.xen_tree()
    key = sha((xen / ".key").read_text(), LAB / "xb", LAB / "dom0", LAB / "dom0-debian", LAB / "agent", " ".join(mods))

    def build(d):
        ini = early_root(d, LAB / "dom0-debian/init", xen, (xen / "release").read_text(), mods)
        over = ini / "overlay"
        for part, dst in (("dom0/lab", "lab"), ("dom0/bin", "usr/bin"), ("dom0-debian/units", "etc/systemd/system")):
            for f in sorted((LAB / part).iterdir()):
                to = over / dst / f.name
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(f, to)
                to.chmod(0o644 if "units" in part else 0o755)
        shutil.copy(agent / "labx", over / "usr/bin/labx")
        rootfs.pack(ini, d / "initrd.cpio.gz")
        shutil.rmtree(ini)

    return cached("dom0-debian-initrd", key, build)


def guest(deb, agent):
    """A stock Debian guest on which the DKMS package was installed with apt: guest.ext4, install.log, and its own initrd.img."""
    xen = debs.xen_tree()
    release = (xen / "release").read_text()
    key = sha((xen / ".key").read_text(), LAB / "xb" / "debian.py", deb, LAB / "guest-debian", LAB / "agent",
              debs.candidates("dkms", "linux-headers-amd64", "initramfs-tools"))

    def build(d):
        root = d / "root"
        # a kernel and an initramfs of before: apt's installation of the package then builds the module, and brings it into the other
        hooks = [f'mkdir -p "$1/lib/modules" && cp -a {xen}/tree/lib/modules/{release} "$1/lib/modules/"',
                 f'copy-in {deb} /root',
                 f'copy-in {LAB}/guest-debian/initramfs /etc/initramfs-tools/conf.d',
                 'printf "ext4\ncrc32c_generic\n" >"$1/etc/initramfs-tools/modules"',
                 f'cp "$1"/usr/src/linux-headers-{release}/.config "$1/boot/config-{release}"; : >"$1/boot/vmlinuz-{release}"',
                 f'chroot "$1" update-initramfs -c -k {release}',
                 f'chroot "$1" sh -c "cd /root && apt-get install -y --no-install-recommends ./{deb.name}" >"{d}/install.log" 2>&1',
                 f'chroot "$1" modinfo -k {release} -n hvdrv']
        debootstrap(root, GUEST, hooks)
        shutil.copy(root / f"boot/initrd.img-{release}", d / "initrd.img")
        for t in TRIM:
            shutil.rmtree(root / "lib/modules" / release / "kernel" / t, ignore_errors=True)
        run("purge", ["chroot", root, "sh", "-c", "rm -rf /usr/lib/gcc /usr/src/linux-headers-* /var/lib/apt/lists/* "
                      "/var/cache/apt/*; rm -f /usr/bin/*-gcc-12 /usr/bin/*-cpp-12 /usr/bin/*-lto*"])
        quiet_systemd(root)
        for f in sorted((LAB / "guest-debian/units").iterdir()):
            shutil.copy(f, root / "etc/systemd/system")
            wants = root / "etc/systemd/system/multi-user.target.wants"
            wants.mkdir(exist_ok=True)
            (wants / f.name).symlink_to(f"/etc/systemd/system/{f.name}")
        shutil.copy(agent / "labd", root / "usr/sbin/labd")
        rootfs.copy_libs_flat(root / "usr/lib/x86_64-linux-gnu", [agent / "labd"], xen / "tree")
        make_ext4(root, d / "guest.ext4", "labguest", 96)
        shutil.rmtree(root)

    return cached("guest-debian", key, build)
