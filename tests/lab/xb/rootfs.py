# SPDX-License-Identifier: GPL-2.0-only
"""Building blocks of the images: busybox roots, shared libraries, kernel modules, cpio archives."""
import lzma
import os
import pathlib
import re
import shutil
import subprocess

from .base import BenchError, run

LIBDIRS = ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib")


def busybox(root):
    for d in "bin sbin etc proc sys dev tmp run root usr/bin usr/sbin var/log var/lib var/lock mnt".split():
        (root / d).mkdir(parents=True, exist_ok=True)
    (root / "var/run").symlink_to("../run")
    src = shutil.which("busybox", path="/bin:/usr/bin:/sbin:/usr/sbin")
    if not src:
        raise BenchError("images", "busybox-static is not installed")
    shutil.copy(src, root / "bin/busybox")
    for a in run("busybox", [src, "--list"]).split():
        if not (root / "bin" / a).exists():
            (root / "bin" / a).symlink_to("busybox")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
    (root / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")


def libs_of(binaries, *trees):
    env = dict(os.environ)
    env["LD_LIBRARY_PATH"] = ":".join(str(t / d) for t in trees if t for d in LIBDIRS)
    libs = {}
    for b in binaries:
        r = subprocess.run(["ldd", str(b)], env=env, capture_output=True, text=True, check=False)
        for m in re.finditer(r"(\S+) => (not found|/\S+)", r.stdout):
            if m.group(2) == "not found":
                raise BenchError("images", f"{b} needs {m.group(1)}, which is not here")
            libs[m.group(1)] = m.group(2)
    return libs


def copy_libs(root, binaries, tree=None):
    """The shared libraries of binaries (looked for in tree and root first) into root, and the loader."""
    dst = root / "lib/x86_64-linux-gnu"
    dst.mkdir(parents=True, exist_ok=True)
    (root / "lib64").mkdir(exist_ok=True)
    shutil.copy("/lib64/ld-linux-x86-64.so.2", root / "lib64/")
    for name, path in libs_of(binaries, tree, root).items():
        if not pathlib.Path(path).is_relative_to(root):
            shutil.copy(path, dst / name)                      # follows the link: one file under the soname


def copy_libs_flat(dst, binaries, tree):
    """Into a root that has its own libc: only what is not there."""
    for name, path in libs_of(binaries, tree).items():
        if not (dst / name).exists() and not (dst.parents[2] / "lib/x86_64-linux-gnu" / name).exists():
            shutil.copy(path, dst / name)


def copy_modules(root, tree, release, names, order="etc/modules.order"):
    """Modules and what they depend on, in load order, listed in root/etc/modules.order."""
    seen = []
    for n in names:
        out = run("modules", ["modprobe", "-d", tree, "-S", release, "--show-depends", n])
        for m in re.finditer(r"^insmod (\S+)", out, re.M):
            if m.group(1) not in seen:
                seen.append(m.group(1))
    with open(root / order, "a") as f:
        for m in seen:
            rel = "/" + str(pathlib.Path(m).relative_to(tree)).removesuffix(".xz")
            (root / rel[1:]).parent.mkdir(parents=True, exist_ok=True)
            if m.endswith(".xz"):
                (root / rel[1:]).write_bytes(lzma.decompress(pathlib.Path(m).read_bytes()))
            else:
                shutil.copy(m, root / rel[1:])
            f.write(rel + "\n")


def pack(root, out, gz=True):
    """newc cpio; several may be appended to each other, the kernel unpacks them in turn."""
    with open(out, "wb") as f:
        cmd = "find . -print0 | LC_ALL=C sort -z | cpio --null -o -H newc -R 0:0 --quiet" + (" | gzip -n1" if gz else "")
        r = subprocess.run(["sh", "-c", cmd], cwd=root, stdout=f, check=False)
    if r.returncode:
        raise BenchError("images", f"cpio of {root} failed")


def stub_libs(program, keep, out):
    """Empty stand-ins for the libraries of program that it needs only to start (Debian's fio links Ceph).

    Each has the soname and every versioned symbol that the program imports, so that the loader is content.
    """
    out.mkdir(parents=True, exist_ok=True)
    dyn = run("stubs", ["readelf", "-d", program])
    ver = run("stubs", ["readelf", "-V", program])
    needed = [n for n in re.findall(r"NEEDED.*\[(.+?)\]", dyn) if n not in keep]
    owner, lib = {}, None
    for m in re.finditer(r"File: (\S+)|Name: (\S+)\s+Flags", ver):
        lib = m.group(1) or lib
        if m.group(2):
            owner.setdefault(m.group(2), lib)
    syms = {n: {} for n in needed}
    for line in run("stubs", ["nm", "-D", "--undefined-only", "--with-symbol-versions", program]).splitlines():
        if line.split()[0] != "U":
            continue                                       # weak ones may stay undefined
        name, _, v = line.split()[-1].replace("@@", "@").partition("@")
        lib = owner.get(v) if v else "librados.so.2"
        if lib in syms:
            syms[lib].setdefault(v, []).append(name)
    for lib, vers in syms.items():
        names = [s for ss in vers.values() for s in ss]
        (out / "s.S").write_text(".text\n" + "".join(f".globl {s}\n.type {s},@function\n{s}: ud2\n" for s in names))
        (out / "s.map").write_text("".join(f"{v} {{ global: {'; '.join(ss)}; }};\n" for v, ss in vers.items() if v))
        script = [f"-Wl,--version-script={out}/s.map"] if any(vers) else []
        run("stubs", ["cc", "-shared", "-nostdlib", f"-Wl,-soname,{lib}", *script, "-o", out / lib, out / "s.S"])
    for f in ("s.S", "s.map"):
        (out / f).unlink(missing_ok=True)
