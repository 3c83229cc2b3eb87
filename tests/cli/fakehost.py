# SPDX-License-Identifier: GPL-2.0-only
"""A host for the commands without Xen: fakehost.py XENSTORE-SOCKET HVDRVD-SOCKET [PATH=VALUE...] [@FILE], in FILE with a NUL behind each.

A xenstored of one transaction at a time, and a hvdrvd that answers at once: a new device is ready, but one called slow*
stays as it is, one called joins* waits for another guest, and one called bad* fails; a guest has a pool, but not for devices called
logs*; one called used* does not detach, late* does not take over a new driver. Writes below /quota fail, and all writes after /full
exists. /tick, /worker, /watch, /version and /inspected say what hvdrvd answers. It ends when its standard input does.
"""
import json
import os
import re
import selectors
import socket
import struct
import sys

DIRECTORY, READ, WATCH, UNWATCH, BEGIN, END, WRITE, MKDIR, RM, PERMS, EVENT, ERROR = 1, 2, 4, 5, 6, 7, 11, 12, 13, 14, 15, 16
ADMIN = "/local/domain/0/hvdrv"


class Store:
    def __init__(self):
        self.nodes = {}
        self.watches = []       # (connection, path, token)

    def write(self, path, value):
        if "/full" in self.nodes:
            raise OSError("ENOSPC")
        at = ""
        for part in path.strip("/").split("/")[:-1]:
            at += "/" + part
            self.nodes.setdefault(at, "")
        self.nodes[path] = value
        self.fire(path)

    def rm(self, path):
        if path not in self.nodes:
            raise OSError("ENOENT")
        for p in [p for p in self.nodes if p == path or p.startswith(path + "/")]:
            del self.nodes[p]
        self.fire(path)

    def get(self, path):
        if path not in self.nodes:
            raise OSError("ENOENT")
        return self.nodes[path]

    def children(self, path):
        self.get(path)
        names = [p[len(path) + 1:] for p in self.nodes if p.startswith(path + "/")]
        return sorted({n for n in names if "/" not in n}, key=lambda n: (len(n), n))

    def fire(self, path):
        for conn, at, token in self.watches:
            if path == at or path.startswith(at + "/") or at.startswith(path + "/"):
                send(conn, EVENT, 0, 0, "%s\0%s\0" % (path, token))


def send(conn, kind, req, txn, text):
    data = text.encode(errors="surrogateescape")
    conn.sendall(struct.pack("<4I", kind, req, txn, len(data)) + data)


def switch(store, at, back, good, late):
    """A switch as hvdrvd records it; one that is undone is not tried again. Late: not taken over, switched back when that was read."""
    seq = 1 + int(store.nodes.get(at + "/retarget/seq", "0"))
    record = {"from": store.nodes[back + "/mode"], "to": store.nodes[at + "/want"], "who": "admin", "freeze-ns": 848000,
              "stall-ns": 5250000, "carried-ready": 4, "carried-begun": 28, "carried-done": 1,
              "reason": "" if good else "the guest is paused: `xl unpause` it first", "seq": seq,
              "state": "done", "result": "committed" if good else "undone"}
    if late:
        record.update({"result": "unconfirmed", "reason": "the guest did not take over its requests in time"})
    if good and not late:
        store.write(back + "/mode", record["to"])
    else:
        store.nodes[at + "/want"] = store.nodes[back + "/mode"]
    record_switch(store, at, record)


def switch_back(store, at):
    seq, come_from = int(store.nodes[at + "/retarget/seq"]), store.nodes[at + "/retarget/from"]
    record_switch(store, at, {"from": store.nodes[at + "/retarget/to"], "to": come_from, "who": "revert-of:%d" % seq, "seq": seq + 1,
                              "reason": "", "result": "committed"})


def record_switch(store, at, record):
    for key, value in record.items():
        store.write(at + "/retarget/" + key, str(value))


def path_of(store, at, name):
    return "copy" if name.startswith("logs") or store.nodes.get(at + "/want-path") == "copy" else "pool"


def weighed(store, at):
    """The parameters with the weight that is wished."""
    params = store.nodes[at + "/params"]
    return re.sub("weight=[0-9]+", "weight=" + store.nodes[at + "/weight"], params) if at + "/weight" in store.nodes else params


def react(store):
    """What hvdrvd and the guest would do."""
    for path in [p for p in store.nodes if p.startswith(ADMIN + "/") and p.endswith("/name")]:
        at = path[:-len("/name")]
        name, domid, dev = store.nodes[path], store.nodes[at + "/domid"], at.rsplit("/", 1)[1]
        front, back = "/local/domain/%s/device/hvdrv/%s" % (domid, dev), "/local/domain/0/backend/hvdrv/%s/%s" % (domid, dev)
        request = store.nodes.pop(at + "/request", "")
        if request.startswith("detach") and (not name.startswith("used") or request == "detach-force"):
            for p in (front, back, at):
                store.rm(p)
        elif request.startswith("detach"):
            store.write(at + "/status", "in-use")
        elif store.nodes.get(at + "/retarget/result") == "unconfirmed":
            switch_back(store, at)
        elif request == "resize":
            store.write(back + "/limits/sectors", "16384")
            store.write(at + "/resize", "done")
        elif store.nodes.get(at + "/want-path", "") != "" and path_of(store, at, name) != store.nodes[at + "/path"]:
            store.write(at + "/path", path_of(store, at, name))
        elif weighed(store, at) != store.nodes[at + "/params"]:
            store.write(at + "/params", weighed(store, at))
        elif store.nodes.get(back + "/mode") and store.nodes.get(at + "/want") not in (None, "auto", store.nodes[back + "/mode"]):
            switch(store, at, back, not name.startswith("logs"), name.startswith("late"))
        elif store.nodes.get(at + "/status") == "new" and name.startswith("joins"):
            store.write(at + "/error", "the guest is paused: `xl unpause` it first")
            store.write(at + "/status", "joining")
        elif store.nodes.get(at + "/status") == "new" and name.startswith("bad"):
            store.write(at + "/error", "the backend is in use: it is mounted" if name != "badwords" else "the guest says: \x1b[2Jgone\nhvdrv: all is well")
            store.write(at + "/error-code", "16")
            store.write(at + "/status", "failed")
        elif store.nodes.get(at + "/status") == "new" and not name.startswith("slow"):
            for key, value in ((front + "/disk", "hvda"), (back + "/limits/sectors", "8192"), (back + "/mode", "virtual"),
                               (at + "/path", path_of(store, at, name)), (at + "/pool-pages", "0" if name.startswith("logs") else "512"),
                               (at + "/cache", "direct"), (at + "/status", "ready")):
                store.write(key, value)


def perform(store, conn, kind, args):
    if kind == READ:
        return store.get(args[0])
    if kind == DIRECTORY:
        return "".join(n + "\0" for n in store.children(args[0]))
    if kind == WRITE:
        store.write(args[0], args[1])
    elif kind == MKDIR and args[0] not in store.nodes:
        store.write(args[0], "")
    elif kind == RM:
        store.rm(args[0])
    elif kind == WATCH:
        store.watches.append((conn, args[0], args[1]))
        send(conn, EVENT, 0, 0, "%s\0%s\0" % (args[0], args[1]))
    elif kind == UNWATCH:
        store.watches.remove((conn, args[0], args[1]))
    elif kind == BEGIN:
        return "1\0"
    return "OK\0"


def receive(conn, n):
    data = b""
    while len(data) < n:
        more = conn.recv(n - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def serve_store(store, conn):
    kind, req, txn, size = struct.unpack("<4I", receive(conn, 16))
    args = receive(conn, size).decode().split("\0", 1 if kind == WRITE else -1)
    try:
        send(conn, kind, req, txn, perform(store, conn, kind, args))
        if kind == END and args[0] == "T" or kind == WRITE and not txn:
            react(store)
    except OSError as e:
        send(conn, ERROR, req, txn, "%s\0" % e)


OPS = ("read", "write", "flush", "discard", "write_zeroes")
ENDS = [1 << p for p in range(10, 34)]


def counts(reads, writes, latency_ns):
    """What a worker counts in one mode: requests of 4 KiB that all took as long."""
    n = reads + writes
    c = {"%s_requests" % op: {"read": reads, "write": writes}.get(op, 0) for op in OPS}
    c.update({"%s_bytes" % op: 4096 * c["%s_requests" % op] for op in OPS if op != "flush"})
    c.update({"errors": 0, "orphans": 0, "turns": 0, "pool_requests": 2 * n // 3, "passthrough_requests": n // 2, "copy_hypercalls": n, "events_sent": n // 3, "events_received": n,
              "latency_count": n, "latency_sum_ns": n * latency_ns, "latency_buckets": [[e, n if latency_ns < e else 0] for e in ENDS],
              "rejects": {"range": 1 if n else 0, "opcode": 0}})
    for q in "p50", "p99", "max":
        c["latency_%s_ns" % q] = 1 << latency_ns.bit_length() if n else 0
    return c


def times(values):
    v = sorted(values) or [0]
    return {"count": len(values), "sum_ns": sum(values), "p50_ns": v[len(v) // 2], "p99_ns": v[-1], "max_ns": v[-1],
            "buckets": [[e, len([x for x in values if x < e])] for e in ENDS]}


def device(store, tick):
    """Device 0 of a guest, which has been switched twice; each question finds it 2 s older, 200 reads and 100 writes further."""
    modes = {"virtual": counts(3, 0, 9000), "paravirtual": counts(200 * tick, 100 * tick, 70000)}
    row = {"id": 0, "phase": "connected", "state_ns": 5000000000, "queues": 2, "io": "direct", "image": "0123456789ab", "in_flight": 0, "waiting_for_turn": 0, "pool_pages": 512,
           "served_since": "2026-11-21T14:00:00Z", "served_ns": 2000000000 * (tick + 1), "modes": modes,
           "switches": {"since": "2026-11-21T13:00:00Z", "committed": 2 * min(tick, 1), "undone": 0, "unconfirmed": 0,
                        "by": {who: {r: 2 * min(tick, 1) if (who, r) == ("admin", "committed") else 0 for r in
                                     ("committed", "undone", "unconfirmed")} for who in ("admin", "policy", "revert")},
                        "carried_ready": 4, "carried_begun": 28, "carried_done": 1,
                        "freeze": times([848000, 912000] if tick else []), "stall": times([5250000, 117489000] if tick else [])}}
    row.update({k: modes["virtual"][k] + modes["paravirtual"][k] for k in counts(0, 0, 0) if isinstance(modes["virtual"][k], int)})
    if "/direct" in store.nodes:        # it has had hardware queues: what its guest has counted
        guest = {k: v for k, v in counts(50, 20, 0).items() if k.endswith(("_requests", "_bytes", "errors")) and not k.startswith(("pool", "passthrough"))}
        modes["direct"] = dict(guest, counted_by="guest", looks=140)
        row.update({k: row[k] + guest[k] for k in guest})
        if store.nodes["/direct"] == "timed":
            guest = modes["direct"]
            guest.update({k: v for k, v in counts(4, 1, 60000).items() if k.startswith("latency")})
            row.update({k: row[k] + guest[k] for k in ("latency_count", "latency_sum_ns")})
    row["latency_buckets"] = [[e, sum(b[1] for b in x)] for e, *x in zip(ENDS, *(m["latency_buckets"] for m in modes.values() if "latency_buckets" in m))]
    row["rejects"] = modes["virtual"]["rejects"]
    if "/worker" in store.nodes:        # a process that stands for the worker
        row["worker_pid"] = int(store.nodes["/worker"])
    if "/inspected" in store.nodes:
        row.update(json.loads(store.nodes["/inspected"]))
    return row


def tell(conn, uuid):
    """All kinds of events, once; then the end."""
    at = {"domain": "we\x1bb", "domid": 5, "device": "data", "id": 0}
    switch = {"switch": 7, "who": "admin", "from": "virtual", "to": "paravirtual"}
    done = {"freeze_ns": 848000, "stall_ns": 5250000, "carried_ready": 4, "carried_begun": 28, "carried_done": 1}
    events = [{"event": "listening", "version": "test"},
              {"event": "worker-started", "domain": "web1", "domid": 5, "pid": 99},
              {"event": "state", **at, "state": "ready"},
              {"event": "switch-begin", **at, **switch},
              {"event": "switch-end", **at, **switch, "result": "committed", "reason": "", **done},
              {"event": "lost", "count": 12},
              {"event": "switch-end", **at, **switch, "result": "undone", "reason": "the guest is paused", **done},
              {"event": "state", **at, "state": "failed", "reason": "the guest says: no\nmemory"},
              {"event": "worker-ended", "domain": "web1", "domid": 5, "pid": 99, "reason": "killed by signal 9"}]
    for seq, e in enumerate(events):
        if seq and e["event"] != "lost":
            e = {"seq": seq, "time": "2026-11-21T14:00:00.%03dZ" % seq, **e}
        conn.send(json.dumps(e).encode())


def serve_daemon(store, conn):
    question = json.loads(conn.recv(65536) or b"{}")
    if question.get("cmd") == "events":
        tell(conn, question.get("uuid"))
        return
    answer = {"version": store.nodes.get("/version", "test"), "pid": os.getpid(), "watch_pid": int(store.nodes.get("/watch", os.getpid()))}
    if question.get("cmd") == "show":
        tick = int(store.nodes.get("/tick", "0"))
        store.nodes["/tick"] = str(tick + 1 if "/ticks" in store.nodes else tick)
        answer = {"devices": [device(store, tick)]}
    if question.get("cmd") == "dry-run":
        # the second device's guest is paused; an answer without a text is that of a hvdrvd that does not know the question
        answer = {0: {"text": "it can switch to %s now" % question.get("mode")}, 1: {"error": 16, "text": "it cannot switch to "
                  "%s now: the guest is paused: `xl unpause` it first" % question.get("mode")}}.get(question.get("id"), {})
    conn.send(json.dumps(answer).encode())


def main():
    store, sel = Store(), selectors.DefaultSelector()
    words = sys.argv[3:]
    for word in [w for w in words if w.startswith("@")]:
        with open(word[1:], encoding="utf-8", errors="surrogateescape") as f:
            words += f.read().split("\0")[:-1]
    for word in [w for w in words if not w.startswith("@")]:
        store.write(*word.split("=", 1))
    listeners = {}
    for path, kind in ((sys.argv[1], socket.SOCK_STREAM), (sys.argv[2], socket.SOCK_SEQPACKET)):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        s = socket.socket(socket.AF_UNIX, kind)
        s.bind(path)
        s.listen()
        listeners[s] = kind
        sel.register(s, selectors.EVENT_READ)
    sel.register(sys.stdin, selectors.EVENT_READ)
    while True:
        for key, _ in sel.select():
            s = key.fileobj
            if s is sys.stdin:
                return
            try:
                if s in listeners:
                    conn, _ = s.accept()
                    if listeners[s] == socket.SOCK_STREAM:
                        sel.register(conn, selectors.EVENT_READ)
                    else:
                        serve_daemon(store, conn)
                        conn.close()
                else:
                    serve_store(store, s)
            except (EOFError, ConnectionError):
                store.watches = [w for w in store.watches if w[0] is not s]
                sel.unregister(s)
                s.close()


main()
