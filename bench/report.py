#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Reads the RUN lines of block.sh: medians and spreads per way, ratios against blkback in the same rounds."""
import collections
import statistics
import sys

NAMES = {"nullb0": "null device", "xvdb": "blkback", "hvda": "hvdrv virtual"}
runs = collections.defaultdict(dict)
for line in sys.stdin:
    f = line.split()
    if len(f) >= 8 and f[0] == "RUN":
        case = (f[3], f[4], int(f[5]))
        runs[case].setdefault(f[2], {})[int(f[1])] = float(f[6])
print(f"{'case':22} {'null':>9} {'blkback':>9} {'hvdrv':>9}   hvdrv/blkback: median (spread)   cost per request less null")
for case, ways in runs.items():
    med = {w: statistics.median(v.values()) for w, v in ways.items()}
    ratios = [ways["hvda"][r] / ways["xvdb"][r] for r in ways["hvda"] if ways["xvdb"].get(r)]
    cost = {w: 1e6 / med[w] - 1e6 / med["nullb0"] for w in ("xvdb", "hvda") if med[w] and med.get("nullb0")}
    print(f"{case[0]:10} {case[1]:>5} QD{case[2]:<3} {med['nullb0']:9.0f} {med['xvdb']:9.0f} {med['hvda']:9.0f}   "
          f"{statistics.median(ratios):5.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
          f"               {cost['xvdb']:7.0f} us  {cost['hvda']:7.0f} us")
