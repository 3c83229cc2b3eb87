# SPDX-License-Identifier: GPL-2.0-only
"""Debian's packages for the bench: found by asking apt, unpacked, never installed."""
import functools
import lzma
import os
import pathlib
import re
import shutil
import struct
import subprocess

from .base import LAB, BenchError, Skip, cache_dir, cached, run, say, sha


@functools.lru_cache(None)
def apt_depends(pkg):
    """Direct dependencies of pkg, as apt sees them on this machine."""
    out = run("apt", ["apt-cache", "depends", "--no-recommends", "--no-suggests", pkg])
    return re.findall(r"^\s+Depends: ([a-z0-9][^\s<>:]*)", out, re.M)


def dep_named(pkg, pattern):
    for d in apt_depends(pkg):
        if re.fullmatch(pattern, d):
            return d
    raise BenchError("apt", f"{pkg} depends on nothing like {pattern}; is `apt-get update` needed?")


@functools.lru_cache(None)
def candidates(*pkgs):
    """The versions that apt would install, as one text: the key of what is built from them."""
    out = run("apt", ["apt-cache", "policy", *pkgs])
    found = re.findall(r"^(\S+):\n.*\n  Candidate: (\S+)", out, re.M)
    for p in pkgs:
        if (p, "(none)") in found or p not in dict(found):
            raise BenchError("apt", f"no package {p}; is `apt-get update` needed?")
    return " ".join(f"{p}={v}" for p, v in sorted(found))


def kernel_release():
    return dep_named("linux-image-amd64", r"linux-image-\d.*")[len("linux-image-"):]


def download(pkgs, into, apt_args=()):
    into.mkdir(parents=True, exist_ok=True)
    run("download", ["apt-get", *apt_args, "-o", "APT::Sandbox::User=root", "download", *pkgs], cwd=into)


def unpack(debs, tree):
    for d in sorted(debs):
        run("unpack", ["dpkg", "-x", d, tree])


def extract_vmlinux(vmlinuz, out):
    """The uncompressed ELF kernel inside a bzImage (Documentation/x86/boot.rst: payload_offset, payload_length)."""
    b = vmlinuz.read_bytes()
    setup = (b[0x1F1] or 4) + 1
    off, length = struct.unpack_from("<II", b, 0x248)
    start = setup * 512 + off
    payload = b[start:start + length]
    if payload[:4] == b"\x28\xb5\x2f\xfd":                # zstd; behind it stands the size
        out.write_bytes(subprocess.run(["zstd", "-dcq"], input=payload[:-4], stdout=subprocess.PIPE, check=True).stdout)
    else:
        out.write_bytes(lzma.LZMADecompressor().decompress(payload))


@functools.lru_cache(None)
def xen_tree():
    """Xen, its tools and libraries, and Debian's kernel: folder with tree/, xen.elf, vmlinux."""
    krel = kernel_release()
    hyp = dep_named("xen-system-amd64", r"xen-hypervisor-\d.*")
    utils = dep_named("xen-system-amd64", r"xen-utils-\d.*")
    pkgs = [hyp, utils, "xen-utils-common", "xenstore-utils", f"linux-image-{krel}", "qemu-system-xen", "seabios",
            "libxenhypfs1", "libxendevicemodel1", "libxentoolcore1", "libuuid1"]
    pkgs += [d for d in apt_depends(utils) if d.startswith("lib") and d != "libc6"]
    key = sha(candidates(*pkgs), "1")

    def build(d):
        download(pkgs, d / "debs")
        unpack((d / "debs").glob("*.deb"), d / "tree")
        shutil.rmtree(d / "debs")
        run("depmod", ["depmod", "-b", d / "tree", krel])
        gz = next((d / "tree/boot").glob("xen-*.gz"))
        with open(d / "xen.elf", "wb") as f:              # ELF32 multiboot: QEMU's -kernel takes it
            subprocess.run(["zcat", gz], stdout=f, check=True)
        extract_vmlinux(d / "tree/boot" / f"vmlinuz-{krel}", d / "vmlinux")
        (d / "release").write_text(krel)

    return cached("xen", key, build)


def machine_mirrors():
    """(URI, suites, keyring) of the machine's own Debian archive, from its apt configuration."""
    found = []
    for f in [pathlib.Path("/etc/apt/sources.list"), *sorted(pathlib.Path("/etc/apt/sources.list.d").glob("*"))]:
        if not f.is_file():
            continue
        text = f.read_text(errors="replace")
        if f.suffix == ".sources":
            for stanza in re.split(r"\n\s*\n", text):
                kv = dict(re.findall(r"^([A-Za-z-]+):\s*(.+)$", stanza, re.M))
                for uri in kv.get("URIs", "").split():
                    found.append((uri, kv.get("Suites", "").split(), kv.get("Signed-By", "")))
        elif f.suffix == ".list":
            for m in re.finditer(r"^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)", text, re.M):
                key = re.search(r"signed-by=(\S+)", m.group(1) or "")
                found.append((m.group(2), [m.group(3)], key.group(1) if key else ""))
    return found


def main_mirror():
    for uri, suites, key in machine_mirrors():
        if "bookworm" in suites:
            return uri, key
    raise BenchError("apt", "this machine has no source with the suite bookworm")


def backports():
    """apt's options for Debian's backports. The machine's apt configuration is not touched: own source list, own lists and cache
    folders."""
    uri, key = main_mirror()
    apt = cache_dir() / "apt-backports"
    for sub in ("lists/partial", "cache/archives/partial"):
        (apt / sub).mkdir(parents=True, exist_ok=True)
    opt = f"[signed-by={key}] " if key else ""
    (apt / "sources.list").write_text("".join(
        f"deb {opt}{uri} {s} main\n" for s in ("bookworm", "bookworm-updates", "bookworm-backports")))
    args = []
    for k, v in {"Dir::Etc::SourceList": apt / "sources.list", "Dir::Etc::SourceParts": "-",
                 "Dir::State::Lists": apt / "lists", "Dir::Cache": apt / "cache",
                 "APT::Sandbox::User": "root"}.items():
        args += ["-o", f"{k}={v}"]
    return [*args, "-t", "bookworm-backports"]


def from_backports(name, what, build):
    """What build(folder, apt's options) makes, once; Skip when backports cannot be had."""
    if (cache_dir() / name / ".key").exists():
        return cache_dir() / name
    try:
        args = backports()
        run("backports", ["apt-get", *args, "update"])
        return cached(name, "1", lambda d: build(d, args))
    except BenchError as e:
        say(f"no {what} from backports: {e}")
        raise Skip(f"{what} from Debian's backports cannot be had") from e


def backports_qemu():
    """QEMU 10, unpacked: nvme with dbcs=off."""
    pkgs = ["qemu-system-x86", "qemu-system-common", "qemu-system-data", "seabios"]

    def build(d, args):
        download(pkgs, d / "debs", args)
        unpack((d / "debs").glob("*.deb"), d / "tree")
        shutil.rmtree(d / "debs")

    return from_backports("qemu-backports", "QEMU 10 (nvme needs it)", build)


def backports_kernel():
    """The next kernel for guests, Linux 6.12, and what its modules are built with: folder with tree/, vmlinux, release."""
    def build(d, args):
        shown = run("apt", ["apt-cache", *args, "show", "linux-headers-amd64"])
        found = re.search(r"^Depends:.*linux-headers-((6\.12\.\S*)-amd64)", shown, re.M)
        if not found:
            raise BenchError("apt", "Debian's backports have no Linux 6.12")
        krel, base = found.groups()
        download([f"linux-image-{krel}", f"linux-headers-{krel}", f"linux-headers-{base}-common", f"linux-kbuild-{base}"], d / "debs", args)
        unpack((d / "debs").glob("*.deb"), d / "tree")
        shutil.rmtree(d / "debs")
        run("depmod", ["depmod", "-b", d / "tree", krel])
        headers = d / "tree/usr/src" / f"linux-headers-{krel}"
        (headers / "vmlinux").unlink(missing_ok=True)     # only for BTF, which needs pahole
        extract_vmlinux(d / "tree/boot" / f"vmlinuz-{krel}", d / "vmlinux")
        (d / "release").write_text(krel)

    return from_backports("kernel-next", "Linux 6.12", build)


def module_for(kernel, into):
    """hvdrv.ko of this build's sources, for a kernel that is not installed here."""
    src = LAB.parent.parent
    headers = kernel / "tree/usr/src" / f"linux-headers-{(kernel / 'release').read_text()}"
    # it includes its other half by the path where that would be installed
    (headers / "Makefile").write_text(f"include {next((kernel / 'tree/usr/src').glob('linux-headers-*-common'))}/Makefile\n")
    parts = sorted((src / "frontend/linux").glob("*.[ch]"))

    def build(d):
        for f in [*parts, src / "frontend/linux/Kbuild"]:
            shutil.copy(f, d)
        env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS")}
        run("module", ["make", "-s", "-C", headers, f"M={d}", f"HVDRV_INC={src / 'include'}", "modules"], env=env)
        run("module", ["strip", "-g", d / "hvdrv.ko"])

    shutil.copy(cached("module-next", sha((kernel / "release").read_text(), src / "include/hvdrv/abi.h", *parts), build) / "hvdrv.ko", into)
