# SPDX-License-Identifier: GPL-2.0-only
"""Makes the fuzzers' seeds: seeds.py SRCDIR BUILDDIR OUT -> OUT/fuzz-NAME/*."""
import os
import re
import struct
import subprocess
import sys
import tempfile

SRC, BUILD, OUT = sys.argv[1:4]
HEADER = 512


def put(name, seeds):
    folder = os.path.join(OUT, "fuzz-" + name)
    os.makedirs(folder, exist_ok=True)
    for i, data in enumerate(seeds):
        with open(os.path.join(folder, "seed-%02d" % i), "wb") as f:
            f.write(data if isinstance(data, bytes) else data.encode())


def read(*path):
    with open(os.path.join(SRC, *path), "rb") as f:
        return f.read()


def header(code, payload, magic=b"HVDRVIMG", fmt=2, vendor=b""):
    entries = [k * 32 for k in range(5)] + [0] * 3
    h = magic + struct.pack("<8I8IQ", fmt, HEADER, code, payload, 1, 1, 2, 1, *entries, 1700000000)
    for text, size in (("blkif", 32), ("block", 16), ("virtual", 16), ("linux", 16), ("x86_64", 16),
                       ("linux-kernel", 32), ("6.1,6.3..6.6,6.12", 64), ("hvdrv-repo-0", 32)):
        h += text.encode().ljust(size, b"\0")
    return (h.ljust(432, b"\0") + vendor).ljust(HEADER, b"\0")


def keeper():
    head = "hvdrv-keeper 1\n"
    one = "5 0 1 2 4 3 1001 1002 1003 1004\n"
    put("keeper", [head + "end\n", head + one + "end\n", head + one + "5 1 2 2 4 4 5 1 2 3 4\nend\n", head + one, head + one[:-6],
                   "hvdrv-keeper 2\nend\n", head + "5 0 1 2 4 0 1 2 3 4\nend\n", ""])


def image():
    code = (b"\xf3\x0f\x1e\xfa\x31\xc0\xc3\xcc" + b"\xcc" * 24) * 6
    whole = header(len(code), len(code) + 8) + code + b"constant"
    put("image", [b"\0" + whole, b"\1" + whole, b"\1" + whole[:-9], b"\0" + whole[:100], b"\0",
                  b"\0" + header(4, 4, b"NOTANIMG") + b"1234", b"\0" + header(4, 4, fmt=1) + b"1234", b"\0" + header(4, 4, fmt=3) + b"1234",
                  b"\1" + header(len(code), len(code), vendor=b"144d") + code])


def index():
    def record(version, created, vendor=b"", rel=b"6.1", mode=b"virtual", ident=7):
        r = b""
        for text, size in ((b"block", 16), (mode, 16), (b"linux", 16), (b"x86_64", 16), (b"linux-kernel", 32), (vendor, 16), (rel, 64),
                           (b"blkif", 32)):
            r += text.ljust(size, b"\0")
        return r + bytes([ident]) * 32 + bytes(32) + struct.pack("<QII", created, version, 1) + bytes(16)

    def whole(*records):
        return b"HVDRVIDX" + struct.pack("<IIQQqq", 1, 304, len(records), 0, 1700000000, 5) + bytes(32) + b"".join(records)
    put("index", [b"\0" + whole(record(1, 1)), b"\1" + whole(), b"\1" + whole(record(1, 1)), b"\1" + whole(record(2, 1), record(1, 9), record(1, 8)),
                  b"\1" + whole(record(1, 1, mode=b"paravirtual"), record(1, 1), record(1, 1, b"144d"), record(0, 1, b"144d", b"5.10,6.1..6.6")),
                  b"\1" + whole(record(1, 1), record(2, 1)), b"\1" + whole(record(1, 1, rel=b"a b")), b"\1" + whole(record(1, 1))[:-1],
                  b"\1" + whole(record(1, 1, ident=1), record(1, 1, ident=2)), b"\0", b""])


def params():
    base = "class=block,backend=/srv/disk.img"
    put("params", [base, base + ",ro,shared", base + ",size=20G,name=data,mode=virtual", "name=data, " + base,
                   base + ",allow-older=1,trusted=1", base + ",place=foreign,format=raw,size=1048576k", "class=net,backend=x", "backend=/x,,=,size=-1",
                   base + ",size=0x1000", base + ",range=2048+131072", base + ",range=0+1,shared,mode=auto", base + ",range=8", base + ",range=+",
                   base + ",range=0x10+0x8,mode=paravirtual", base + ",range=36028797018963967+1", base + ",size=16777216T", base + ",driver=virtio-blk", base + ",name=" + "n" * 32, ""])


def guestcfg():
    dev = '"name=data,class=block,backend=/srv/a.img"'
    put("guestcfg", [b"\0" + t.encode() for t in (
        'name = "web1"\nmemory = 512\nhvdrv = [ %s ]\n' % dev, 'name="w"\nhvdrv=[%s, %s]\n' % (dev, dev),
        'uuid = "8f2a510e-6d3b-4c77-9a10-7e461bd2035c"\nhvdrv = "x"\n', "hvdrv = [ [ 'a' ] ]\n", "# nothing\n", "broken = [")]
        + [b"\1" + t.encode() for t in (dev, "'name=b,class=block,backend=/b,ro'", "", "[]", ",".join([dev] * 17))]
        + [b"\x81" + dev.encode()])


def record():
    one = '{"name":"data","params":"class=block,backend=/x","from":"config"}'
    put("record", ['{"format":1,"devices":[%s]}' % d for d in (
        one, "", one + ',{"name":"added","params":"class=block,backend=/y,ro","from":"persist"}', "null", "7", '{"name":"a/b","params":"class=block,backend=/x"}')]
        + ['{"format":2,"devices":[]}', "[]", "{", "", '{"format":"x","devices":{}}', "\0"])


def desc():
    device, system = read("repo", "devices", "blkif.conf"), read("repo", "oses", "linux-x86_64.inc")
    small = b'device="d";class="block";mode="virtual";skeleton="ring";version=1;queue={fixed_pages=1;pages_per_tag=0;};\n'
    tail = b"numbers={a={b=1;};};layout={r={f={at=0;size=4;};};};opcode={read=0;write=1;write_fua=2;flush=3;discard=4;" \
           b"write_zeroes=5;};status={ok=0;};"
    put("desc", [device, read("repo", "devices", "nvme.conf"), system, small + tail, small, device.replace(b"stride", b"a-b*"), system.replace(b"0xf3", b"0xfff3"),
                 device.replace(b'"ring"', b'"../ring"'), b"a = ", b'version = "x";', b'@include "none.inc"\n', b'os="x";\n @include "../x.inc"\n',
                 system.replace(b'"6.12"', b'"6.3..6.1"')])


def elf():
    source = b"static const int t[4] = {1, 2, 3, 4};\nint f(int i) { return t[i & 3]; }\nint v;\n"
    seeds = [b"", b"\x7fELF"]
    compiler = os.environ.get("CC", "cc").split()[0]
    with tempfile.TemporaryDirectory() as tmp:
        for extra in (["-Wl,-Ttext=0"], ["-Wl,-Ttext=0", "-Dv=v __attribute__((section(\".x\")))"], ["-c"]):
            out = os.path.join(tmp, "out")
            run = subprocess.run([compiler, "-x", "c", "-", "-O2", "-nostdlib", "-static", "-fPIE", "-fno-asynchronous-unwind-tables",
                                  "-Wl,-e0", "-Wl,--build-id=none", "-o", out] + extra, input=source, capture_output=True, check=False)
            if run.returncode == 0:
                with open(out, "rb") as f:
                    seeds.append(f.read())
    put("elf", seeds)


def kernel():
    big = bytearray(8192)
    big[0x1f1:0x1f2] = b"\x0f"
    big[0x202:0x210] = b"HdrS\x0f\x02" + bytes(6) + struct.pack("<H", 0x1000)
    big[0x1200:0x1220] = b"6.1.0-56-amd64 (x@y) #1 SMP\0".ljust(32, b"\0")
    notes = struct.pack("<III", 4, 8, 6) + b"Xen\0linux\0\0\0"
    text = b".rodata\0Linux version 6.1.0-56-amd64 (x)\n"
    at = 64 + 56 + 2 * 64
    elf_file = b"\x7fELF\2\1\1".ljust(16, b"\0") + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0, 64, 120, 0, 64, 56, 1, 64, 2, 1)
    elf_file += struct.pack("<IIQQQQQQ", 4, 4, at, 0, 0, len(notes), len(notes), 4)
    elf_file += struct.pack("<IIQQQQIIQQ", 0, 1, 0, 0, at + len(notes), len(text), 0, 0, 1, 0) * 2
    put("kernel", [bytes(big), bytes(big[:0x1204]), elf_file + notes + text, elf_file + notes, elf_file[:90], b""])


# ---- the ring: entries as the public header lays them out ----

def request(op, segs, sector=8, tag=1):
    e = struct.pack("<BBHIQQ", op, len(segs), 0, 0, tag, sector)
    return (e + b"".join(struct.pack("<IBBH", *s, 0) for s in segs)).ljust(112, b"\0")


def ranged(op, sector, sectors):
    return struct.pack("<BBHIQQQ", op, 0, 0, 0, 3, sector, sectors).ljust(112, b"\0")


def indirect(op, n, page):
    return struct.pack("<BBHIQQHHI", 6, op, n, 0, 4, 16, 0, 0, page).ljust(112, b"\0")


def blkif():
    limits = struct.pack("<BIBBI", 0x7e & ~32, 2048, 0, 63, 63 * 4096) + struct.pack("<I", 0xfffffff0)
    two = [(5, 0, 7), (6, 0, 7)]
    entries = [request(0, two), request(1, [(5, 3, 4)]), request(65, two), request(3, []), ranged(5, 0, 64), ranged(64, 8, 8),
               indirect(0, 2, 9), indirect(1, 63, 9), indirect(5, 1, 9), request(0, [(5, 6, 3)]), request(0, two, 2047),
               request(99, two), request(1, two * 6)]
    write, move, take, answer, push, arm = b"\x08", b"\x00", b"\x04", b"\x06", b"\x0f", b"\x07"

    def play(*list_):
        out = limits
        for i, e in enumerate(list_):
            out += write + bytes([(0xf0 + i) & 63]) + e + move + b"\1" + take
            if e[0] == 6:
                out += b"".join(struct.pack("<IBBH", 7, 0, 7, 0) for _ in range(e[2]))
        return out + answer + b"\0" + push + arm
    put("blkif", [play(e) for e in entries] + [play(*entries), limits + (move + b"\x7f" + take) * 3,
                                               limits + move + b"\2" + take * 2 + move + b"\xff" + take * 3])


def nvme():
    limits = struct.pack("<BIBBI", 0x1e, 2048, 0, 63, 63 * 4096) + struct.pack("<I", 0)

    def command(op, prp1=5 << 12, prp2=6 << 12, slba=8, nlb=7, control=0, nsid=1, flags=0, cid=4):
        return struct.pack("<BBHIQQQQQHH", op, flags, cid, nsid, 0, 0, prp1, prp2, slba, nlb, control).ljust(64, b"\0")

    def discard(nr=0, attributes=4, prp1=9 << 12):
        return struct.pack("<BBHIQQQQII", 9, 0, 3, 1, 0, 0, prp1, 0, nr, attributes).ljust(64, b"\0")
    write, move, take, answer, push, arm, again = b"\x08", b"\x00", b"\x04", b"\x06", b"\x0f", b"\x07", b"\x17"
    pages = {16: b"".join(struct.pack("<Q", (20 + i) << 12) for i in range(2)), 496: b"".join(struct.pack("<Q", (20 + i) << 12) for i in range(62))}
    entries = [(command(0), b""), (command(2), b""), (command(1, control=0x4000), b""), (command(8), b""), (command(2, nlb=15), b""),
               (command(2, 5 << 12 | 512), b""), (command(1, nlb=23, prp2=9 << 12), pages[16]), (command(2, nlb=503, prp2=9 << 12), pages[496]),
               (discard(), struct.pack("<IIQ", 0, 64, 8)), (discard(1), b""), (discard(attributes=0), b""), (command(2, nsid=2), b""),
               (command(2, 0), b""), (command(2, slba=2047), b""), (command(99), b""), (command(2, flags=0x40), b""), (command(2, nlb=0xffff), b"")]

    def play(*list_):
        out = limits
        for i, (e, page) in enumerate(list_):
            out += write + bytes([i]) + e + move + b"\1" + take + page
        return out + (answer + b"\0") * len(list_) + push + arm
    put("nvme", [play(e) for e in entries] + [play(*entries), play(*entries) + again + take, limits + (move + b"\x7f" + take) * 2,
                                              limits + move + b"\2" + take * 2 + move + b"\xff" + take, play(*entries * 8)])


def virtq():
    limits = struct.pack("<BIBBI", 0x1e, 2048, 0, 63, 63 * 4096) + struct.pack("<H", 0xfffe)
    move, whole, octet, take, answer, push, arm, again = b"\x00", b"\x08", b"\x10", b"\x04", b"\x06", b"\x0f", b"\x07", b"\x17"

    def request(type_, data, sector=8, tag=1):
        return whole + struct.pack("<BBBBH", tag, 2 + data, type_, 3, sector) + move + b"\1"

    def spoilt(at, value):
        return octet + struct.pack("<HB", 3 * 4096 + at, value)
    entries = [request(0, 1), request(1, 2), request(65, 63), request(4, 0), request(11, 1), request(13, 1), request(0, 64), request(3, 1),
               request(1, 1, 2047), request(0, 1) + spoilt(48 + 14, 9), request(0, 1) + spoilt(48 + 32 + 14, 2), request(1, 1) + spoilt(48 + 32 + 12, 4)]
    ranged = request(11, 1) + spoilt(16, 8) + spoilt(24, 8)
    put("virtq", [limits + e + take + answer + b"\0" + push + arm for e in entries + [ranged]]
        + [limits + b"".join(e + take for e in entries) + (answer + b"\0") * 12 + push + again + arm, limits + move + b"\x7f" + take * 3,
           limits + (request(0, 1) + take) * 40])


def desc_guest():
    def good(queues, depth, pages, *changes, pool=0):
        return bytes([1 | (queues - 1) << 1, depth - 1, pages - 1, pool]) + b"".join(struct.pack("<Hh", *c) for c in changes) + b"\0\0\0\0\0"
    put("desc-guest", [good(1, 32, 34), good(8, 128, 130), good(8, 128, 160), good(2, 64, 66, (2, 1)), good(1, 8, 8, (1, 9)),
                       good(1, 8, 8, (3, 5)), good(1, 8, 8, (8, 1)), good(1, 8, 8, (40, 0)), good(8, 128, 130, (1024, 0)),
                       good(1, 64, 66, pool=1), good(8, 128, 160, pool=255), good(2, 64, 66, (11, 2049), pool=2), good(1, 8, 8, (1, 1), pool=9),
                       bytes([0, 31, 33]) + struct.pack("<8I", 0x44564948, 1, 0, 100, 1, 32, 9, 34)])


def check():
    body = [b"\xc3\xcc", b"\xeb\x00\xcc", b"\x48\x8b\x05\x00\x00\x00\x00\xc3\xcc", b"\x67\x8b\x05\x00\x00\x00\x00\xc3\xcc",
            b"\x48\xcf\xcc", b"\xcf\xcc", b"\x9d\xc3\xcc", b"\x9c\xc3\xcc", b"\x0f\x01\xd0\xcc", b"\xfa\xcc", b"\xcd\x80\xcc",
            b"\x65\x48\x8b\x00\xc3\xcc", b"\xff\xe0\xcc", b"\x48\x89\x05\x00\x00\x00\x00\xcc", b"\xa1" + b"\0" * 8 + b"\xcc",
            b"\xe8\xfb\xff\xff\xff\xc3\xcc", b"\x66\x0f\x1f\x84\x00\x00\x00\x00\x00\xcc", b"\x0f\xae\xf0\xcc", b"\xf0\x0f\xb1\x0f\xcc",
            b"\xf3\xa4\xcc", b"\x0f\x6f\x00\xcc", b"\xeb\xff\xc0\xcc", b"\x0f", b"\xc2\x08\x00\xcc", b"\xcb\xcc", b"\x67\x8b\x00\xc3\xcc",
            b"\x67\xe3\x00\xc3\xcc", b"\xe2\xfe\xcc", b"\x8e\xd8\xcc", b"\x1e\xcc", b"\x0f\xa1\xcc", b"\x62\xf1\x7c\x48\x28\xc0\xcc"]
    # the rows of the gate's own test, each with the end that it gets there
    rows = re.findall(r'\{ "[^"]*", "([0-9a-f]+)"', read("tests", "unit", "t-gate.c").decode())
    body += [bytes.fromhex(r) + b"\x31\xc0\xc3\xcc" for r in rows]
    put("check", [b"\1\10" + b for b in body] + [b"\0\0" + (b"\xf3\x0f\x1e\xfa\x31\xc0\xc3\xcc" + b"\xcc" * 24) * 5, b"\0\0"])


def store():
    uuid = "/vm/8f2a510e-6d3b-4c77-9a10-7e461bd2035c"
    put("store", ["\0\x10\0\0\0" + "12\0", "\0\xff\xff\0\0" + "0x1f\0", "\1" + "20G\0" + "00" * 16 + "\0\x1b[31m\\x\0", "\1" + "6.1.0\0" + "6.1..6.6,6.12\0" + "6.2\0",
                  "\2\5\0" + uuid + "\0" + "0\n1\n3\0data\0x\0y\0", "\3web1\0data\0" + "0\n5\n7\0name\0web1\0" + uuid + "\0" + "0\n4\0a\0data\0" + uuid + "\0",
                  "\3" + "5\0data\0" + uuid + "-1\0" + "2\0data\0" + uuid + "\0", "\4" + "0\n1\n999\n1000\nx\0", "\3Domain-0\0x\0"])


def worker():
    """Steps: 0 a message of hvdrvd, 2 hang up, 3 event, 4 a write into a ring, 7 serve."""
    def say(kind, bits=0, rest=b""):
        return bytes([0, kind, bits]) + rest
    add = say(1, 0, bytes([1, 2]) + bytes(range(10, 18)))

    def ring(at, data):
        return b"\4\0" + struct.pack("<HB", at, len(data)) + data

    def go(*entries):
        out = b"".join(ring(64 + 112 * i, e) for i, e in enumerate(entries))
        return out + ring(0, struct.pack("<I", len(entries))) + b"\3\x0a\7\7"
    two = [(5, 0, 7), (6, 0, 7)]
    put("worker", [add, add + say(0) + say(4) + say(2), add + go(request(0, two)), add + go(request(1, two), request(3, [])),
                   add + go(indirect(1, 2, 9)) + struct.pack("<IBBH", 5, 0, 7, 0) * 2, add + go(ranged(5, 0, 64), ranged(64, 8, 8)) + say(4),
                   add + ring(0, b"\xff\xff\xff\x7f") + b"\3\x0a\7", add + go(request(0, [(7, 0, 7)])) + b"\2" + say(0) + say(5), add + add,
                   say(1, 16, bytes([1, 2]) + bytes(range(10, 18))) + go(request(0, two), request(1, two), request(1, [(9, 0, 7), (5, 0, 7)])),
                   say(1, 32, bytes([1, 2])), say(1, 1, bytes([8, 4]) + bytes(range(1, 9))) + say(3, 1) + say(2, 1) + b"\7", say(9), b"\1\x09\0abcdefghi",
                   add + go(request(0, two), request(1, two)) + say(5) + b"\7",
                   *(say(1 + 15 * f, 0, bytes([1, 2, 66]) + bytes(range(11, 18))) + ring(0, bytes(range(64))) + b"\3\x0a\7\7" for f in range(1, 5))])


for make in (image, index, params, guestcfg, record, desc, elf, blkif, nvme, virtq, desc_guest, check, store, worker, keeper, kernel):
    make()
