#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""sample.py SOCKET DIR - beside a machine of the lab (xenbox --beside): while DIR/profile-now is there, from 2 s after it came and for 5 s, what each
CPU of the machine executes, by QEMU's monitor. It looks at the registers without stopping a CPU; what they tell is the end of the last
translated block. DIR/profile.LABEL then has a line for each place: CPU, address (idle: -), how often. LABEL is the file's content."""
import collections
import json
import pathlib
import re
import socket
import sys
import time

CPU = re.compile(r"CPU#(\d+).*?RIP=([0-9a-f]+).*?HLT=(\d)", re.S)


class Monitor:
    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)
        self.lines = self.sock.makefile("r")
        self.lines.readline()
        self.ask("qmp_capabilities")

    def ask(self, command, **args):
        self.sock.sendall(json.dumps({"execute": command, "arguments": args}).encode() + b"\n")
        for line in self.lines:
            answer = json.loads(line)
            if "return" in answer:
                return answer["return"]
        sys.exit(0)                                       # QEMU has ended

    def places(self):
        text = self.ask("human-monitor-command", **{"command-line": "info registers -a"})
        return [(int(n), "-" if halted == "1" else rip) for n, rip, halted in CPU.findall(text)]


def sample(monitor, folder, label):
    seen = collections.Counter()
    time.sleep(2)
    end = time.monotonic() + 5
    while time.monotonic() < end:
        seen.update(monitor.places())
        time.sleep(0.004)
    (folder / f"profile.{label}").write_text("".join(f"{cpu} {at} {n}\n" for (cpu, at), n in seen.items()))


def main():
    monitor, folder = Monitor(sys.argv[1]), pathlib.Path(sys.argv[2])
    now, last = folder / "profile-now", ""
    while True:
        label = now.read_text().strip() if now.exists() else ""
        if label and label != last:
            sample(monitor, folder, label)
        last = label
        time.sleep(0.05)


main()
