# SPDX-License-Identifier: GPL-2.0-only
"""Reads Prometheus' text format 0.0.4 strictly: prometheus.py <TEXT. Says what is wrong, else how many samples there are.

HELP and TYPE stand once and first; the samples of a metric together; no series twice; names and escapes as they must be; counters
are called _total and are not negative; a histogram's buckets grow, end in +Inf, and agree with its _count.
"""
import math
import re
import sys

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"')
VALUE = re.compile(r"[+-]?(?:\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|Inf)\Z|NaN\Z")


class Wrong(Exception):
    pass


def need(ok, what):
    if not ok:
        raise Wrong(what)


def parse_labels(text):
    labels, at = {}, 0
    while at < len(text):
        m = LABEL.match(text, at)
        need(m and m.group(1) not in labels and not m.group(1).startswith("__"), "labels: " + text[at:])
        labels[m.group(1)] = re.sub(r"\\(.)", lambda e: {"n": "\n"}.get(e.group(1), e.group(1)), m.group(2))
        at = m.end()
        if at < len(text):
            need(text[at] == "," and at + 1 < len(text), "labels: " + text[at:])
            at += 1
    return labels


def parse_sample(line):
    m = re.match(r"([^\s{]+)(?:\{(.*)\})? (\S+)\Z", line)
    need(m and NAME.match(m.group(1)), "no sample")
    need(VALUE.match(m.group(3)), "value")
    return m.group(1), parse_labels(m.group(2) or ""), float(m.group(3).replace("Inf", "inf"))


class Family:
    def __init__(self, name, kind):
        self.name, self.kind, self.samples = name, kind, []

    def owns(self, name):
        if self.kind == "histogram":
            return name in (self.name + "_bucket", self.name + "_sum", self.name + "_count")
        return name == self.name

    def check(self):
        if self.kind == "counter":
            need(self.name.endswith("_total"), "a counter is not called _total")
            need(all(v >= 0 for _, _, v in self.samples), "a counter is negative")
        if self.kind == "histogram":
            self.check_histogram()

    def check_histogram(self):
        series = {}
        for name, labels, v in self.samples:
            le = labels.get("le")
            need((le is not None) == name.endswith("_bucket"), "le is missing, or where it does not belong")
            key = tuple(sorted((k, x) for k, x in labels.items() if k != "le"))
            s = series.setdefault(key, {"buckets": [], "_sum": None, "_count": None})
            if le is not None:
                s["buckets"].append((float(le.replace("Inf", "inf")), v))
            else:
                s[name[len(self.name):]] = v
        for s in series.values():
            b = s["buckets"]
            need(b and b[-1][0] == math.inf, "no bucket +Inf, or not the last")
            need(all(x[0] < y[0] and x[1] <= y[1] for x, y in zip(b, b[1:])), "buckets that do not grow")
            need(s["_count"] == b[-1][1], "_count is not the bucket +Inf")
            need(s["_sum"] is not None and (s["_sum"] > 0) <= (s["_count"] > 0), "_sum")


def parse(text):
    need(text.endswith("\n"), "the last line has no end")
    families, helped, now, seen = {}, None, None, set()
    for number, line in enumerate(text.split("\n")[:-1], 1):
        try:
            if line.startswith("# HELP "):
                helped = line.split(" ", 3)[2]
                need(NAME.match(helped) and helped not in families and len(line.split(" ", 3)) == 4, "HELP")
            elif line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                need(name == helped and name not in families, "TYPE without HELP, or twice")
                need(kind in ("counter", "gauge", "histogram"), "TYPE")
                now = families[name] = Family(name, kind)
            else:
                name, labels, value = parse_sample(line)
                need(now is not None and now.owns(name), "not under its TYPE")
                key = (name, tuple(sorted(labels.items())))
                need(key not in seen, "twice")
                seen.add(key)
                now.samples.append((name, labels, value))
        except Wrong as e:
            raise Wrong("line %d: %s: %s" % (number, e, line)) from None
    for f in families.values():
        try:
            f.check()
        except Wrong as e:
            raise Wrong("%s: %s" % (f.name, e)) from None
    return families


def main():
    try:
        families = parse(sys.stdin.buffer.read().decode("utf-8"))
    except (Wrong, UnicodeDecodeError) as e:
        print(e)
        sys.exit(1)
    print(len(families), "metrics,", sum(len(f.samples) for f in families.values()), "samples")


if __name__ == "__main__":
    main()
