# SPDX-License-Identifier: GPL-2.0-only
"""The images: dom0 (mini, debian), the guest's initramfs, the disk of tools that guests share."""
import functools
import hashlib
import os
import pathlib
import re
import shutil

from . import debian, debs, rootfs
from .base import LAB, SRC, BenchError, build_dir, cached, run, sha

RECIPES = sha(LAB / "xb", LAB / "dom0", LAB / "guest", LAB / "agent")

DOM0_MODS = """xen-evtchn xen-gntdev xen-gntalloc xen-privcmd xenfs xen-blkback virtio_pci virtio_console
    9pnet_virtio 9p virtio_blk loop ext4 crc32c_generic overlay""".split()
DOM0_LATER = ["nvme", "null_blk", "brd"]                      # loaded on demand: `ins NAME`
GUEST_MODS = "xen-blkfront xen-evtchn xen-gntalloc ext4 crc32c_generic".split()
GUEST_LATER = ["null_blk"]
XEN_BINS = """xl xenstored xenconsoled xenconsole xen-init-dom0 lsevtchn xen-diag libxl-save-helper
    xenstore-control""".split()
TOOLS = ["/usr/bin/fio", "/sbin/mke2fs", "/sbin/e2fsck", "/sbin/resize2fs", "/sbin/dumpe2fs", "/sbin/tune2fs",
         "/usr/bin/cmp", "/bin/dd", "/usr/bin/sha256sum", "/sbin/blockdev", "/sbin/blkdiscard", "/bin/lsblk",
         "/usr/bin/timeout", "/usr/bin/stat", "/usr/bin/truncate", "/usr/bin/od", "/usr/sbin/fstrim"]
FIO_KEEP = {"libnuma.so.1", "libz.so.1", "libm.so.6", "libaio.so.1", "libc.so.6"}


def agent():
    """The agent that runs commands in guests, over vchan: labd (guest) and labx (dom0)."""
    def build(d):
        for p in ("labd", "labx"):
            run("agent", ["cc", "-O2", "-Wall", "-o", d / p, LAB / "agent" / f"{p}.c", LAB / "agent" / "frame.c",
                          "-lxenvchan", "-lxenstore", "-lxenevtchn"])
    return cached("agent", sha(LAB / "agent"), build)


def install_lab(root, part):
    for f in sorted((LAB / part).rglob("*")):
        if f.is_file():
            dst = root / f.relative_to(LAB / part)
            dst.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(f, dst)
            dst.chmod(0o755)


def dom0_mini():
    xen = debs.xen_tree()
    release = (xen / "release").read_text()

    def build(d):
        tree, root = xen / "tree", d / "root"
        rootfs.busybox(root)
        libxen = next((tree / "usr/lib").glob("xen-4*"))
        rel = libxen.relative_to(tree)
        for sub in (rel / "bin", rel / "boot", "var/lib/xen", "var/lib/xenstored", "var/log/xen", "run/xen",
                    "run/xenstored", "etc/xen/auto", "etc/xen/scripts"):
            (root / sub).mkdir(parents=True, exist_ok=True)
        for b in XEN_BINS:
            shutil.copy(libxen / "bin" / b, root / rel / "bin")
        (root / "usr/lib/xen").symlink_to(libxen.name)
        shutil.copy(tree / "usr/bin/xenstore", root / "usr/bin/")
        for a in "read write ls list rm exists chmod watch".split():
            (root / "usr/bin" / f"xenstore-{a}").symlink_to("xenstore")
        wrap = root / "usr/lib/xen-common/bin"
        wrap.mkdir(parents=True)
        shutil.copy(tree / "usr/lib/xen-common/bin/xen-utils-wrapper", wrap)
        (root / "usr/sbin/xl").symlink_to("../lib/xen-common/bin/xen-utils-wrapper")
        qemu = tree / "usr/libexec/xen-qemu-system-i386"
        hvm_tree(root, tree, libxen, rel)
        rootfs.copy_libs(root, [*(root / rel / "bin").iterdir(), root / "usr/bin/xenstore",
                                agent() / "labx"], tree)
        (d / "hvm").mkdir()
        rootfs.copy_libs(d / "hvm", [qemu], tree)
        drop_present(d / "hvm", root)
        (d / "hvm/usr/libexec").mkdir(parents=True)
        shutil.copy(qemu, d / "hvm/usr/libexec/")
        # pthread_cancel in xl: without it xl create aborts
        shutil.copy("/lib/x86_64-linux-gnu/libgcc_s.so.1", root / "lib/x86_64-linux-gnu/")
        shutil.copy("/sbin/mke2fs", root / "sbin/mke2fs.real")
        rootfs.copy_libs(root, ["/sbin/mke2fs"])
        rootfs.copy_modules(root, tree, release, DOM0_MODS)
        rootfs.copy_modules(root, tree, release, DOM0_LATER, "etc/modules.later")
        (root / "etc/xen/xl.conf").touch()
        install_lab(root, "dom0")
        shutil.copy(agent() / "labx", root / "usr/bin/labx")
        rootfs.pack(root, d / "dom0.cpio.gz")
        rootfs.pack(d / "hvm", d / "hvm.cpio.gz")
        shutil.rmtree(root)
        shutil.rmtree(d / "hvm")

    return cached("dom0-mini", sha((xen / ".key").read_text(), RECIPES), build)


def hvm_tree(root, tree, libxen, rel):
    """What an HVM guest needs beside its device model: hvmloader and the firmware that it is given."""
    shutil.copy(libxen / "boot/hvmloader", root / rel / "boot")
    for sub, names in (("usr/share/seabios", ("bios-256k.bin", "vgabios-stdvga.bin")),
                       ("usr/share/qemu", ("linuxboot.bin", "linuxboot_dma.bin", "kvmvapic.bin")),
                       ("usr/share/qemu/keymaps", ("en-us",))):
        (root / sub).mkdir(parents=True, exist_ok=True)
        for n in names:
            for base in (tree, pathlib.Path("/")):
                for cand in (base / sub / n, base / "usr/share/seabios" / n):
                    if cand.exists() and not (root / sub / n).exists():
                        shutil.copy(cand, root / sub / n)


def drop_present(extra, base):
    for f in sorted(extra.rglob("*")):
        if f.is_file() and (base / f.relative_to(extra)).exists():
            f.unlink()


def guest(kernel=None):
    """Initramfs of a guest: busybox, the agent, a few modules; its tools come from the disk of tools."""
    xen = debs.xen_tree()
    of = kernel or xen
    release = (of / "release").read_text()

    def build(d):
        root = d / "root"
        rootfs.busybox(root)
        rootfs.copy_modules(root, of / "tree", release, GUEST_MODS)
        rootfs.copy_modules(root, of / "tree", release, GUEST_LATER, "etc/modules.later")
        install_lab(root, "guest")
        (root / "sbin/labd").write_bytes((agent() / "labd").read_bytes())
        (root / "sbin/labd").chmod(0o755)
        rootfs.copy_libs(root, [agent() / "labd"], xen / "tree")
        rootfs.pack(root, d / "guest.cpio", gz=False)
        shutil.rmtree(root)

    return cached(f"guest-{of.name}", sha((of / ".key").read_text(), RECIPES), build)


def tools():
    """A read-only ext4 disk with fio, e2fsprogs and coreutils, attached to every guest and to dom0."""
    missing = [t for t in TOOLS if not pathlib.Path(t).exists()]
    if missing:
        raise BenchError("images", f"not installed: {' '.join(missing)} (packages fio, e2fsprogs, coreutils)")

    def build(d):
        root, stubs = d / "root", d / "stubs"
        (root / "bin").mkdir(parents=True)
        rootfs.stub_libs("/usr/bin/fio", FIO_KEEP, stubs)
        for t in TOOLS:
            shutil.copy(t, root / "bin")
        for n in ("ext4", "ext3", "ext2"):
            (root / "bin" / f"mkfs.{n}").symlink_to("mke2fs")
        (root / "bin/fsck.ext4").symlink_to("e2fsck")
        rootfs.copy_libs(root, [t for t in TOOLS if t != "/usr/bin/fio"])
        for name, path in rootfs.libs_of(["/usr/bin/fio"]).items():
            if name in FIO_KEEP:
                shutil.copy(path, root / "lib/x86_64-linux-gnu" / name)
        for s in stubs.iterdir():
            shutil.copy(s, root / "lib/x86_64-linux-gnu")
        shutil.copy("/etc/mke2fs.conf", root)
        xen = debs.xen_tree() / "tree"
        shutil.copy(xen / "usr/bin/xenstore", root / "bin")
        for a in "read write ls rm".split():
            (root / "bin" / f"xenstore-{a}").symlink_to("xenstore")
        rootfs.copy_libs(root, [xen / "usr/bin/xenstore"], xen)
        run("tools", ["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", root, "-L", "labtools",
                      d / "tools.ext4", "48M"])
        shutil.rmtree(root)
        shutil.rmtree(stubs)

    return cached("tools", sha(LAB / "xb" / "images.py", debs.candidates("fio", "e2fsprogs", "coreutils")), build)


def dom0_debian():
    return debian.dom0_root()


def dom0_debian_initrd():
    return debian.dom0_initrd(agent(), [*DOM0_MODS, "overlay"])


def guest_debian():
    """A stock Debian guest with the extension's package installed by apt."""
    return debian.guest(next(packages().glob("hvdrv-guest-dkms_*.deb")), agent())


@functools.lru_cache(None)
def packages():
    """The folder with this build's Debian packages."""
    run("packages", ["make", "-s", "-C", build_dir(), "debs-current"])
    return build_dir() / "debs"


def next_packages(into):
    """The packages for dom0, the same ones as another version, into a folder."""
    for deb in sorted(d for d in packages().glob("*_amd64.deb") if "-dev_" not in d.name):
        d = into / "unpacked" / deb.name
        d.parent.mkdir(parents=True, exist_ok=True)
        run("next version", ["dpkg-deb", "-R", deb, d])
        control = d / "DEBIAN/control"
        version = re.search(r"(?m)^Version: (.*)$", control.read_text())[1]
        control.write_text(re.sub(rf"(?m)^(Version: |Depends: .*\(= ){re.escape(version)}", rf"\g<1>{version}+1", control.read_text()))
        run("next version", ["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "-b", d, into])
    shutil.rmtree(into / "unpacked")


def debian_files(into):
    """What the Debian boot has beside its scenario, as xenbox's options; its writable files in the folder `into`.

    /dev/disk/by-id/virtio-labdisk1 is the guest's root, labdisk2 its data: a filesystem that holds `before` and its
    checksum, as an earlier boot of dom0 would have left it. /root/next has the packages as of a next version.
    """
    img = guest_debian()
    root, data = into / "guest.ext4", into / "data.ext4"
    run("guest root", ["cp", "--reflink=auto", "--sparse=always", img / "guest.ext4", root])
    old = into / "old"
    old.mkdir()
    blob = os.urandom(4 << 20)
    (old / "before").write_bytes(blob)
    (old / "sums").write_text(f"{hashlib.sha256(blob).hexdigest()}  before\n")
    run("guest data", ["mke2fs", "-q", "-t", "ext4", "-d", old, data, "64M"])
    next_packages(into / "next")
    return ["--disk", root, "--disk", data, "--file", into / "next", "--file", f"{SRC}/docs/tour.md",
            "--file", img / "install.log"]
