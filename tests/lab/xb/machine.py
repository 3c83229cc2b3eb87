# SPDX-License-Identifier: GPL-2.0-only
"""One run: QEMU with Xen, dom0 and what the caller asked for; the scenario's output and status come out."""
import gzip
import os
import pathlib
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

from . import debs, images, rootfs
from .base import LAB, BenchError, build_dir, cache_dir, run, say

GUEST_OVERHEAD = 24          # MiB of Xen's per guest: page tables, grant and maptrack frames
XEN_OVERHEAD = 160
BOOT_LIMIT = {"mini": 540, "debian": 1260}
DOM0_MEM = {"mini": 640, "debian": 1536}
NVME2_MIB = 32


def install_build(into):
    """`make install` of this build for dom0, with the shared libraries that its programs need."""
    run("install", ["make", "-s", "-C", build_dir(), "install", f"DESTDIR={into}"])
    for src in sorted((LAB / "dom0progs").glob("*.c")):          # the bench's own programs in dom0, with the library as installed
        run("dom0progs", ["cc", "-O2", "-Wall", "-o", into / "usr/bin" / src.stem, src, "-I", into / "usr/include", "-L", into / "usr/lib",
                          "-lhvdrv", "-lxenstore"])
    shutil.rmtree(into / "usr/include", ignore_errors=True)
    prepare_repository(into)
    progs = [f for f in into.rglob("*") if f.is_file() and not f.is_symlink() and f.read_bytes()[:4] == b"\x7fELF"]
    rootfs.copy_libs(into, progs, debs.xen_tree() / "tree")


def prepare_repository(into):
    """Dom0 has no compiler: its driver images are made here, as on an admin's build machine; the secret key stays."""
    repo = [into / "usr/bin/hvdrv-repo", "--repo", into / "var/lib/hvdrv/repo", "--keys", into / "etc/hvdrv/keys",
            "--data", into / "usr/share/hvdrv"]
    run("repository", [*repo, "keygen", "lab"])
    for dev in sorted((into / "usr/share/hvdrv/devices").glob("*.conf")):
        run("repository", [*repo, "generate", "--key", "lab", "--device", dev.stem, "--os", "linux-6.1-x86_64"])
    shutil.rmtree(into / "etc/hvdrv/keys/private")


class Port:
    """A virtio-serial port: QEMU listens, we connect; bytes go to sink as they come."""

    def __init__(self, path, sink=None):
        self.path, self.sink, self.sock = path, sink, None

    def arg(self, n, name):
        return ["-chardev", f"socket,id=c{n},path={self.path},server=on,wait=off",
                "-device", f"virtserialport,bus=vs.0,nr={n},chardev=c{n},name={name}"]

    def connect(self, proc):
        """False: QEMU has ended, or does not get that far."""
        end = time.monotonic() + 20
        while time.monotonic() < end and proc.poll() is None:
            try:
                self.sock = socket.socket(socket.AF_UNIX)
                self.sock.connect(str(self.path))
                break
            except OSError:
                time.sleep(0.02)
        else:
            return False
        if self.sink:
            self.thread = threading.Thread(target=self._copy, daemon=True)
            self.thread.start()
        return True

    def _copy(self):
        while True:
            try:
                b = self.sock.recv(65536)
            except OSError:
                return
            if not b:
                return
            try:
                self.sink.write(b)
                self.sink.flush()
            except OSError:
                return


class Machine:
    def __init__(self, opts):
        self.o = opts
        self.run = pathlib.Path(tempfile.mkdtemp(prefix="run-", dir=cache_dir()))
        self.bench = self.run / "bench"
        self.keep = self.bench / "keep"
        (self.keep / "consoles").mkdir(parents=True)
        self.serial = self.keep / "serial.log"
        self.status = None

    # --- what dom0 is given -------------------------------------------------
    def prepare(self):
        o = self.o
        self.xen = debs.xen_tree()
        self.qemu = ["qemu-system-x86_64"]
        # a software CPU saves and restores vector registers by hand at each change of process, and computes with them by calls
        self.cpu = "EPYC,-smap,-monitor,-xsave,-xsaveopt,-xsavec,-xgetbv1,-avx,-avx2,-fma,-f16c"
        if o.nvme and not o.nvme_shadow:
            q = debs.backports_qemu() / "tree"
            self.qemu = [str(q / "usr/bin/qemu-system-x86_64"), "-L", str(q / "usr/share/qemu"),
                         "-L", str(q / "usr/share/seabios")]
        elif not shutil.which(self.qemu[0]):
            raise BenchError("qemu", "qemu-system-x86 is not installed")
        images.tools()
        over = self.run / "root"
        over.mkdir()
        self.build = build_dir()
        if o.dom0 == "mini":
            install_build(over)
        else:
            (over / "root").mkdir()
            for f in images.packages().glob("*.deb"):
                shutil.copy(f, over / "root")
        for spec in o.file:
            src, _, dst = spec.partition(":")
            dst = over / (dst.lstrip("/") if dst else "root/" + os.path.basename(src.rstrip("/")))
            dst.parent.mkdir(parents=True, exist_ok=True)
            if os.path.isdir(src):
                shutil.copytree(src, dst, symlinks=True, dirs_exist_ok=True)
            else:
                shutil.copy(src, dst)
        self.guest_overlay()
        env = {"LAB_SMP": o.smp, "LAB_MEM": o.mem, "LAB_DOM0": o.dom0, "LAB_NVME": o.nvme or "",
               "LAB_GUESTS": o.guests, "LAB_SHELL": "1" if o.shell else ""}
        env.update({k: v for k, v in os.environ.items() if k.startswith("LABSET_")})
        (self.bench / "env").write_text("".join(f"{k}='{v}'\n" for k, v in env.items()))
        if not o.shell:
            shutil.copy(o.script, self.bench / "script")
            (self.bench / "script").chmod(0o755)
        cmd = " ".join(shlex.quote(a) for a in ["/bench/script", *o.args])
        (self.bench / "cmd").write_text(f"exec {cmd}\n", errors="surrogateescape")
        self.initrd(over)

    def guest_overlay(self):
        """The guests' initramfs, and with --kernel-next another one for guests of that kernel."""
        g = self.run / "guest"
        (g / "lib").mkdir(parents=True)
        self.guest_programs(g)
        if self.o.kernel_next:
            kernel = debs.backports_kernel()
            debs.module_for(kernel, g / "lib")
            self.guest_pack(g, images.guest(kernel), "guest-next.cpio.gz")
        for ko in sorted((self.build / "frontend/linux").glob("*.ko")) + sorted((self.build / "tests/lab/mods").glob("*.ko")):
            shutil.copy(ko, g / "lib")
        self.guest_pack(g, images.guest(), "guest.cpio.gz")

    def guest_programs(self, g):
        prog = self.build / "tests/lab/guestprogs"
        if prog.is_dir():
            (g / "sbin").mkdir()
            progs = [p for p in prog.iterdir() if p.is_file() and p.read_bytes()[:4] == b"\x7fELF"]
            for p in progs:
                shutil.copy(p, g / "sbin")
            rootfs.copy_libs(g, progs, debs.xen_tree() / "tree")

    def guest_pack(self, g, image, name):
        rootfs.pack(g, self.run / "guest.cpio", gz=False)
        with open(self.bench / name, "wb") as out:                 # one stream: libxl looks into the gzip
            raw = (image / "guest.cpio").read_bytes() + (self.run / "guest.cpio").read_bytes()
            out.write(gzip.compress(raw, 1, mtime=0))

    def initrd(self, over):
        parts = []
        if self.o.dom0 == "mini":
            parts = [images.dom0_mini() / "dom0.cpio.gz"]
        else:
            parts = [images.dom0_debian_initrd() / "initrd.cpio.gz"]
            moved = self.run / "moved"
            moved.mkdir()
            over.rename(moved / "overlay")
            over = moved
        rootfs.pack(over, self.run / "over.cpio.gz")
        with open(self.run / "initrd", "wb") as out:
            for p in [*parts, self.run / "over.cpio.gz"]:
                out.write(p.read_bytes())

    def command(self):
        o = self.o
        dom0 = DOM0_MEM[o.dom0]
        mem = XEN_OVERHEAD + dom0 + o.guests * (o.mem + GUEST_OVERHEAD)
        xen = (f"com1=115200,8n1 console=com1 conring_size=1M loglvl=all guest_loglvl=all noreboot dom0_mem={dom0}M,max:{dom0}M "
               f"dom0_max_vcpus={o.smp} cpuidle=0 spec-ctrl=no,eager-fpu")
        # what judges by the clock would judge this machine: its software CPU may stand still for as long as the host likes
        lin = "console=hvc0 earlyprintk=xen rdinit=/init nosoftlockup rcupdate.rcu_cpu_stall_suppress=1 sysctl.kernel.hung_task_timeout_secs=0"
        # half of what a process costs are mitigations, new addresses (each has to be translated again), cleared pages, hooks
        lin += " mitigations=off norandmaps init_on_alloc=0 audit=0" + (" lsm=none cgroup_disable=memory" if o.dom0 == "mini" else "")
        q = [*self.qemu, "-accel", "tcg,thread=multi", "-cpu", self.cpu, "-m", str(mem), "-smp", str(o.smp),
             "-nodefaults", "-display", "none", "-no-reboot", "-monitor", "none", "-serial", f"file:{self.serial}",
             "-kernel", str(self.xen / "xen.elf"), "-append", xen,
             "-initrd", f"{self.xen / 'vmlinux'} {lin},{self.run / 'initrd'}",
             "-device", "virtio-serial-pci,id=vs"]
        for tag, path, ro in (("bench", self.bench, "off"), ("img", cache_dir(), "on")):
            q += ["-fsdev", f"local,id={tag},path={path},security_model=none,readonly={ro}",
                  "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]
        if o.plugin:
            q += ["-plugin", f"{pathlib.Path(o.plugin).resolve()},dir={self.keep}"]
        if o.beside:
            q += ["-qmp", f"unix:{self.run / 'qmp'},server=on,wait=off"]
        q += self.disks()
        for n, p in self.ports.items():
            q += p.arg(*n)
        if o.shell:
            q += ["-chardev", "stdio,id=tty,signal=off", "-device", "virtconsole,bus=vs.0,nr=9,chardev=tty"]
        return q

    def disks(self):
        o, q, n = self.o, [], 0

        def add(path, serial, ro=False):
            nonlocal n
            flags = ",readonly=on" if ro else ""
            # unsafe: a flush ends here, it does not wait for the host's own disk
            fmt = f"file={path},if=none,id=d{n},format=raw,cache=unsafe,discard=unmap{flags}"
            q.extend(["-drive", fmt, "-device", f"virtio-blk-pci,drive=d{n},serial={serial}"])
            n += 1

        # SeaBIOS stands still with five virtio disks and an NVMe: the Debian dom0 has its tools from the host's folder, by a loop device
        if o.dom0 == "mini":
            add(images.tools() / "tools.ext4", "labtools", True)
        else:
            add(images.dom0_debian() / "root.ext4", "labroot", True)
        for i, f in enumerate(o.disk):
            add(pathlib.Path(f).resolve(), f"labdisk{i}")
        if o.nvme:
            q += self.nvme()
        return q

    def nvme(self):
        """One controller: namespace 1 as asked for, namespace 2 beside it, small and with larger blocks."""
        o, q = self.o, []
        slow = f",throttling.iops-total={o.nvme_iops}" if o.nvme_iops else ""
        for n, mib, flags in ((1, o.nvme, slow), (2, NVME2_MIB, "")):
            img = self.run / f"nvme{n}.img"
            with open(img, "wb") as f:
                f.truncate(mib << 20)
            q += ["-drive", f"file={img},if=none,id=nv{n},format=raw,cache=unsafe,discard=unmap{flags}"]
        return q + ["-device", "nvme,id=nvme,serial=labnvme,drive=nv1,max_ioqpairs=16" + ("" if o.nvme_shadow else ",dbcs=off"),
                    "-device", "nvme-ns,bus=nvme,drive=nv2,nsid=2,shared=off,logical_block_size=4096,physical_block_size=4096"]

    # --- the run ------------------------------------------------------------
    def boot(self):
        o = self.o
        self.ctl = Port(self.run / "ctl")
        self.ports = {(1, "lab.ctl"): self.ctl, (2, "lab.out"): Port(self.run / "out", sys.stdout.buffer),
                      (3, "lab.err"): Port(self.run / "err", sys.stderr.buffer)}
        self.proc = subprocess.Popen(self.command(), stdin=None if o.shell else subprocess.DEVNULL,
                                     stdout=None if o.shell else open(self.keep / "qemu.log", "wb"),
                                     stderr=subprocess.STDOUT if not o.shell else None)
        for p in self.ports.values():
            if not p.connect(self.proc):
                raise BenchError("qemu", f"it ended ({self.proc.poll()}) before its ports were there" + self.tail())
        self.lines = self.ctl.sock.makefile("r", encoding="ascii", errors="replace")
        limit = BOOT_LIMIT[o.dom0]
        if self.expect("ready", limit) is None:
            if self.proc.poll() is not None:
                raise BenchError("boot", f"QEMU ended with {self.proc.returncode} before dom0 was ready" + self.tail())
            raise BenchError("boot", f"dom0 was not ready within {limit} s" + self.tail())
        threading.Thread(target=self.keep_awake, daemon=True).start()
        if o.beside:
            self.beside = subprocess.Popen([pathlib.Path(o.beside).resolve(), self.run / "qmp", self.keep])

    def keep_awake(self):
        """QEMU loses the timer of a CPU that has halted now and then: all would stand until some interrupt comes. This is one."""
        while self.proc.poll() is None:
            try:
                self.ctl.sock.sendall(b"awake\n")
            except OSError:
                return
            time.sleep(2)

    def expect(self, word, limit, silence=float("inf")):
        """The rest of the next control line that begins with word; None when time or QEMU ended first, or dom0 says nothing for
        `silence` seconds: QEMU also loses CPUs for good (two of them, a PVH guest), and then no interrupt helps."""
        end = time.monotonic() + limit
        self.heard = time.monotonic()
        got = []

        def read():
            for line in self.lines:
                self.heard = time.monotonic()
                if line.startswith(word):
                    got.append(line[len(word):].strip())
                    return

        t = threading.Thread(target=read, daemon=True)
        t.start()
        while t.is_alive() and time.monotonic() < end:
            before = time.monotonic()
            t.join(0.05)
            if time.monotonic() - before > 1:              # this machine itself stood still
                self.heard += time.monotonic() - before
            if self.proc.poll() is not None:
                t.join(1)
                break
            if time.monotonic() - self.heard >= silence:
                (self.keep / "stood-still").touch()
                break
        return got[0] if got else None

    def wait(self):
        limit = self.o.timeout
        st = self.expect("exit ", limit, self.o.silence)
        if st is not None:
            for p in list(self.ports.values())[1:]:
                p.thread.join(0.3)                         # the last bytes before QEMU goes
            return int(st)
        if self.proc.poll() is not None:
            raise BenchError("run", "the machine ended before the script" + self.tail())
        if (self.keep / "stood-still").exists():
            raise BenchError("run", f"dom0 has not answered for {self.o.silence:g} s: QEMU has lost a CPU" + self.tail())
        say(f"the script did not end within {limit} s")
        self.ctl.sock.sendall(b"collect\n")
        self.expect("collected", 30)
        return 124

    def tail(self):
        try:
            lines = self.serial.read_text(errors="replace").splitlines()[-15:]
        except OSError:
            lines = []
        return "; the serial log ends with\n  " + "\n  ".join(lines)

    def end(self):
        proc = getattr(self, "proc", None)
        if proc and proc.poll() is None:
            proc.terminate()
            try:
                proc.wait(5)
            except subprocess.TimeoutExpired:
                proc.kill()
                proc.wait()
        if getattr(self, "beside", None):
            self.beside.kill()
            self.beside.wait()
        if self.o.keep:
            shutil.copytree(self.keep, self.o.keep, dirs_exist_ok=True)
        if not os.environ.get("XENBOX_KEEP_RUN"):
            shutil.rmtree(self.run, ignore_errors=True)
