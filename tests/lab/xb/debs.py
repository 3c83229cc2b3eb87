# SPDX-License-Identifier: GPL-2.0-only
"""Debian's packages for the bench: found by asking apt, unpacked, never installed."""
import functools
import lzma
import pathlib
import re
import shutil
import struct
import subprocess

from .base import BenchError, Skip, cache_dir, cached, run, say, sha


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
    out.write_bytes(lzma.LZMADecompressor().decompress(b[start:start + length]))


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


def backports_qemu():
    """QEMU 10 from backports, unpacked (nvme with dbcs=off). Skip when it cannot be had.

    The machine's apt configuration is not touched: own source list, own lists and cache folders.
    """
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
    pkgs = ["qemu-system-x86", "qemu-system-common", "qemu-system-data", "seabios"]

    def build(d):
        download(pkgs, d / "debs", [*args, "-t", "bookworm-backports"])
        unpack((d / "debs").glob("*.deb"), d / "tree")
        shutil.rmtree(d / "debs")

    if (cache_dir() / "qemu-backports/.key").exists():
        return cache_dir() / "qemu-backports"
    try:
        run("backports", ["apt-get", *args, "update"])
        return cached("qemu-backports", "1", build)
    except BenchError as e:
        say(f"no QEMU from backports: {e}")
        raise Skip("QEMU 10 from Debian's backports cannot be had (nvme needs it)") from e
