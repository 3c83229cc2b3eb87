#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Reads the RUN lines of block.sh. A row per case and way: IOPS, ratio to blkback of the same round (median, spread), latencies,
hvdrv's hypercalls per request, CPU time per request of dom0 and of the guest (the null device's is taken off)."""
import collections
import statistics
import sys

FIELDS = ("iops", "p50", "p99", "max", "requests", "calls", "dom0", "guest")
runs = collections.defaultdict(lambda: collections.defaultdict(dict))     # case -> way -> round -> {field: value}
for line in sys.stdin:
    f = line.split()
    if len(f) == 6 + len(FIELDS) and f[0] == "RUN":
        runs[f[3], f[4], f[5]][f[2]][f[1]] = dict(zip(FIELDS, map(float, f[6:])))
    elif line.startswith("RUN"):
        sys.exit(f"not a whole run: {line}")
if not runs:
    sys.exit("no RUN lines")


def median(way, field):
    return statistics.median(r[field] for r in way.values())


print("| case | way | IOPS | to blkback (smallest to largest) | p50/p99/max us | hypercalls | CPU us: dom0, guest |")
print("|---|---|---|---|---|---|---|")
ratios = collections.defaultdict(list)
for (rw, bs, qd), ways in runs.items():
    null, back = ways.get("null"), ways.get("blkback", {})
    if not null:
        sys.exit(f"{rw} {bs} depth {qd}: the null device was not measured")
    for name, way in ways.items():
        r = sorted(way[n]["iops"] / back[n]["iops"] for n in way if n in back)
        if r and ":" in name:
            ratios[name].append(statistics.median(r))
        own = [0 if name in ("null", "dom0") else median(null, k) for k in ("dom0", "guest")]
        print(f"| {rw} {bs}, depth {qd} | {name} | {median(way, 'iops'):.0f} | "
              f"{f'{statistics.median(r):.2f} ({r[0]:.2f} to {r[-1]:.2f})' if r else '-'} | "
              f"{median(way, 'p50'):.0f}/{median(way, 'p99'):.0f}/{median(way, 'max'):.0f} | {median(way, 'calls'):.2f} | "
              f"{median(way, 'dom0') - own[0]:.0f}, {median(way, 'guest') - own[1]:.0f} |")
for name, r in ratios.items():
    print(f"\n{name}: geometric mean of the ratios to blkback: {statistics.geometric_mean(r):.2f}")
