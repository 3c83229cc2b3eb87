#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""profile-report.py DIR <LINES - where the time of a request goes, from what bench/sample.py has kept in DIR and block.sh's RUN lines. dom0 has
CPU 0 of the machine to itself, the guest CPU 1. Time is shared out by the samples: microseconds per request."""
import bisect
import collections
import pathlib
import sys

CPUS = {0: "dom0", 1: "guest"}
KINDS = ("user", "kernel", "modules", "Xen", "idle")
TOP = 12


class Symbols:
    def __init__(self, path):
        rows = sorted((int(f[0], 16), " ".join(f[2:])) for f in (line.split() for line in path.read_text().splitlines()) if f[1] in "tTwW")
        self.at, self.names = [r[0] for r in rows], [r[1] for r in rows]

    def name(self, at):
        i = bisect.bisect(self.at, at) - 1
        return self.names[i] if i >= 0 else "?"


def kind(at):
    """By the layout of a PV guest of Xen: xen/include/asm/config.h, Documentation/x86/x86_64/mm.rst."""
    if at == "-":
        return "idle"
    a = int(at, 16)
    if a < 1 << 47:
        return "user"
    if 0xffff800000000000 <= a < 0xffff880000000000:
        return "Xen"
    return "modules" if a >= 0xffffffffc0000000 else "kernel"


def main():
    folder = pathlib.Path(sys.argv[1])
    symbols = {cpu: Symbols(folder / f"{who}.symbols") for cpu, who in CPUS.items()}
    details = []
    print("| case | way | IOPS | " + " | ".join(f"{who}: {', '.join(KINDS)}" for who in CPUS.values()) + " |")
    print("|---" * (3 + len(CPUS)) + "|")
    for f in (line.split() for line in sys.stdin if line.startswith("RUN ")):
        way, rw, bs, qd, iops = f[2:7]
        path = folder / f"profile.{way}-{rw}-{bs}-{qd}"
        if not path.exists():
            sys.exit(f"{path} is not there: the load ended before it was looked at")
        seen = {cpu: collections.Counter() for cpu in CPUS}
        for cpu, at, n in (line.split() for line in path.read_text().splitlines()):
            seen[int(cpu)][at] += int(n)
        cells = []
        for cpu, places in seen.items():
            us = 1e6 / float(iops) / sum(places.values())
            by, top = collections.Counter(), collections.Counter()
            for at, n in places.items():
                by[kind(at)] += n * us
                if kind(at) in ("kernel", "modules"):
                    top[symbols[cpu].name(int(at, 16))] += n * us
            cells.append(", ".join(f"{by[k]:.0f}" for k in KINDS))
            details.append(f"{way} {rw} {bs} depth {qd}, {CPUS[cpu]}'s kernel: " + ", ".join(f"{name} {t:.0f}" for name, t in top.most_common(TOP)))
        print(f"| {rw} {bs}, depth {qd} | {way} | {float(iops):.0f} | {' | '.join(cells)} |")
    print("\n" + "\n".join(details))


main()
