#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Reads the RUN lines of block.sh: medians per way, ratios hvdrv/blkback of the same rounds with their spread, latencies."""
import collections
import statistics
import sys

FIELDS = ("iops", "p50", "p99", "max")
runs = collections.defaultdict(lambda: collections.defaultdict(dict))     # case -> way -> round -> {field: value}
for line in sys.stdin:
    f = line.split()
    if len(f) == 10 and f[0] == "RUN":
        runs[f[3], f[4], f[5]][f[2]][f[1]] = dict(zip(FIELDS, map(float, f[6:])))


def median(way, field):
    return statistics.median(r[field] for r in way.values())


def latencies(way):
    return "/".join(f"{median(way, k):.0f}" for k in FIELDS[1:])


print(f"{'case':22} {'IOPS: null':>10} {'blkback':>8} {'hvdrv':>8}   {'hvdrv/blkback (spread)':26} "
      f"{'us less null: blkback':>21} {'hvdrv':>6}   p50/p99/max us: blkback, hvdrv")
ratios = []
for (rw, bs, qd), ways in runs.items():
    null, back, ours = (ways.get(w) for w in ("nullb0", "xvdb", "hvda"))
    if not (null and back and ours):
        sys.exit(f"{rw} {bs} QD{qd}: a way was not measured")
    r = sorted(ours[n]["iops"] / back[n]["iops"] for n in ours if n in back)
    ratios.append(statistics.median(r))
    own = 1e6 / median(null, "iops")
    print(f"{rw:10} {bs:>5} QD{qd:<3} {median(null, 'iops'):10.0f} {median(back, 'iops'):8.0f} {median(ours, 'iops'):8.0f}   "
          f"{ratios[-1]:5.2f} ({r[0]:.2f} to {r[-1]:.2f}, {len(r)} rounds) "
          f"{1e6 / median(back, 'iops') - own:21.0f} {1e6 / median(ours, 'iops') - own:6.0f}   "
          f"{latencies(back)}, {latencies(ours)}")
if not ratios:
    sys.exit("no RUN lines")
print(f"geometric mean of the ratios: {statistics.geometric_mean(ratios):.2f}")
