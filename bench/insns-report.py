#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""insns-report.py DIR <LINES - instructions per request, by function, from what bench/insns.sh has kept in DIR.

Only a module's own code is counted, not what it calls in the kernel. With --listing WAY:CASE, that way's instructions with their
counts per request, as objdump shows them.
"""
import argparse
import bisect
import collections
import pathlib
import re
import subprocess
import sys
import tempfile

ENDBR = bytes.fromhex("f30f1efa")
COPY = re.compile(rb"\xf3\x48?[\xa4\xa5\xaa\xab]", re.S)    # rep movs, rep stos: QEMU counts each round
COMPLETION = re.compile(r"interrupt|complet|_irq|end_request|final_status|add_id_to|reap|_done|softirq|timeout|driver_complete")


class Module:
    """A way's module as it was in the guest: octets and functions by address."""
    def __init__(self, folder, way):
        self.sections = []
        for line in (folder / f"{way}.octets").read_text().splitlines():
            _, at, octets = line.split()
            self.sections.append((int(at, 16), bytes.fromhex(octets)))
        names = {}
        for line in (folder / f"{way}.symbols").read_text().splitlines():
            at, kind, name = line.split()[:3]
            if kind in "tT":
                names[int(at, 16)] = name
        for at, name in list(names.items()):
            names.setdefault(self.jump(at), name.replace("driver_detach", "driver_shared"))   # detach is not called; what follows it is
        self.at = sorted(names)
        self.names = [names[a] for a in self.at]

    def jump(self, at):
        """Where an entry of a driver goes on: it begins with a jump. Else at."""
        for start, text in self.sections:
            code = text[at - start:at - start + 9] if 0 <= at - start < len(text) else b""
            skip = 4 if code.startswith(ENDBR) else 0
            if code[skip:skip + 1] == b"\xe9":
                return at + skip + 5 + int.from_bytes(code[skip + 1:skip + 5], "little", signed=True)
        return at

    def has(self, at, octets):
        return any(s <= at and text[at - s:at - s + len(octets)] == octets for s, text in self.sections if at < s + len(text))

    def function(self, at):
        i = bisect.bisect(self.at, at) - 1
        return self.names[i] if i >= 0 else "?"


def counts(path):
    got = {}
    for line in path.read_text().splitlines():
        at, octets, n = line.split()
        got[int(at, 16), bytes.fromhex(octets)] = int(n)
    return got


def executed(folder, way, case, module):
    before, after = counts(folder / f"{way}-{case}.before"), counts(folder / f"{way}-{case}.after")
    done = {k: n - before.get(k, 0) for k, n in after.items() if n > before.get(k, 0) and module.has(*k)}
    at = {a: n for (a, _), n in done.items()}
    return {(a, o): min(n, at.get(a + len(o), n)) if COPY.fullmatch(o) else n for (a, o), n in done.items()}


def listing(module, done, requests):
    for start, text in sorted(module.sections):
        with tempfile.NamedTemporaryFile() as f:
            f.write(text)
            f.flush()
            out = subprocess.run(["objdump", "-D", "-b", "binary", "-mi386:x86-64", "--no-show-raw-insn", f"--adjust-vma={start:#x}", f.name],
                                 check=True, stdout=subprocess.PIPE, text=True).stdout
        times = {at: n for (at, _), n in done.items()}
        last = None
        for line in out.splitlines():
            m = re.match(r" *([0-9a-f]+):\t(.*)", line)
            at = int(m[1], 16) if m else None
            if at in times:
                if module.function(at) != last:
                    last = module.function(at)
                    print(f"\n{last}:")
                print(f"{times[at] / requests:8.2f}  {m[2]}")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("folder", type=pathlib.Path)
    p.add_argument("--listing", metavar="WAY:CASE")
    opts = p.parse_args()
    runs = [line.split()[1:] for line in sys.stdin if line.startswith("RUN ")]
    modules, detail = {}, []
    print("| case | way | submit | completion | together |\n|---|---|---|---|---|")
    for way, case, requests in sorted(runs, key=lambda r: r[1]):
        module = modules.setdefault(way, Module(opts.folder, way))
        done, n = executed(opts.folder, way, case, module), int(requests)
        if opts.listing == f"{way}:{case}":
            detail.append((module, done, n))
        by = collections.Counter()
        for (at, _), times in done.items():
            by[module.function(at)] += times
        ends = sum(t for f, t in by.items() if COMPLETION.search(f))
        begins = sum(by.values()) - ends
        print(f"| {case} | {way} | {begins / n:.0f} | {ends / n:.0f} | {(begins + ends) / n:.0f} |")
        print(f"  {way} {case}: {n} requests: " + ", ".join(f"{f} {t / n:.1f}" for f, t in by.most_common()), file=sys.stderr)
    for d in detail:
        listing(*d)


main()
