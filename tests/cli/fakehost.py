# SPDX-License-Identifier: GPL-2.0-only
"""A host for the commands without Xen: fakehost.py XENSTORE-SOCKET HVDRVD-SOCKET [PATH=VALUE...].

A xenstored of one transaction at a time, and a hvdrvd that answers at once: a new device is ready, but one called slow*
stays as it is and one called bad* fails; one called used* does not detach. Writes below /quota fail, and all writes after
/full exists. It ends when its standard input does.
"""
import json
import os
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
    data = text.encode()
    conn.sendall(struct.pack("<4I", kind, req, txn, len(data)) + data)


def switch(store, at, back, good):
    """A switch as hvdrvd records it; one that is undone is not tried again."""
    seq = 1 + int(store.nodes.get(at + "/retarget/seq", "0"))
    record = {"from": store.nodes[back + "/mode"], "to": store.nodes[at + "/want"], "who": "admin", "freeze-ns": 848000,
              "stall-ns": 5250000, "carried-ready": 4, "carried-begun": 28, "carried-done": 1,
              "reason": "" if good else "the guest is paused: `xl unpause` it first", "seq": seq,
              "state": "done", "result": "committed" if good else "undone"}
    if good:
        store.write(back + "/mode", record["to"])
    else:
        store.nodes[at + "/want"] = record["from"]
    for key, value in record.items():
        store.write(at + "/retarget/" + key, str(value))


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
        elif request == "resize":
            store.write(back + "/limits/sectors", "16384")
            store.write(at + "/resize", "done")
        elif store.nodes.get(back + "/mode") and store.nodes.get(at + "/want") not in (None, store.nodes[back + "/mode"]):
            switch(store, at, back, not name.startswith("logs"))
        elif store.nodes.get(at + "/status") == "new" and name.startswith("bad"):
            store.write(at + "/error", "the backend is in use: it is mounted")
            store.write(at + "/error-code", "16")
            store.write(at + "/status", "failed")
        elif store.nodes.get(at + "/status") == "new" and not name.startswith("slow"):
            for key, value in ((front + "/disk", "hvda"), (back + "/limits/sectors", "8192"), (back + "/mode", "virtual"),
                               (at + "/path", "copy"), (at + "/cache", "direct"), (at + "/status", "ready")):
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


def serve_daemon(conn):
    question = json.loads(conn.recv(65536) or b"{}")
    answer = {"version": "test"}
    if question.get("cmd") == "show":
        answer = {"devices": [{"id": 0, "queues": 2, "image": "0123456789ab", "read_requests": 3, "read_bytes": 12288,
                               "rejects": {"range": 1, "opcode": 0}}]}
    conn.send(json.dumps(answer).encode())


def main():
    store, sel = Store(), selectors.DefaultSelector()
    for word in sys.argv[3:]:
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
                        serve_daemon(conn)
                        conn.close()
                else:
                    serve_store(store, s)
            except (EOFError, ConnectionError):
                store.watches = [w for w in store.watches if w[0] is not s]
                sel.unregister(s)
                s.close()


main()
