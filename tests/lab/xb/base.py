# SPDX-License-Identifier: GPL-2.0-only
"""What every part of xenbox needs: errors that name the step, commands, the cache folder."""
import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import time

LAB = pathlib.Path(__file__).resolve().parent.parent      # tests/lab
SRC = LAB.parent.parent                                   # the project's root


class BenchError(Exception):
    """The bench itself failed (exit status 125): which step, and why."""

    def __init__(self, step, why):
        super().__init__(f"{step}: {why}")


class Skip(Exception):
    """Something optional cannot be had here; the caller counts a skip (exit status 77)."""


def build_dir():
    d = pathlib.Path(os.environ.get("HVDRV_BUILD", SRC))
    if not (d / "config.status").exists():
        raise BenchError("install", f"{d} is not configured: ./bootstrap && ./configure && make, or set HVDRV_BUILD")
    return d


def say(msg):
    print(f"xenbox: {msg}", file=sys.stderr, flush=True)


def run(step, argv, **kw):
    """Run argv; on failure raise BenchError with the end of what it printed."""
    kw.setdefault("stdout", subprocess.PIPE)
    kw.setdefault("stderr", subprocess.STDOUT)
    try:
        r = subprocess.run([str(a) for a in argv], check=False, **kw)
    except FileNotFoundError as e:
        raise BenchError(step, f"{e.filename} is not installed") from e
    if r.returncode:
        tail = (r.stdout or b"").decode("utf-8", "replace").strip().splitlines()[-12:]
        raise BenchError(step, f"{argv[0]} ended with {r.returncode}\n  " + "\n  ".join(tail))
    return (r.stdout or b"").decode("utf-8", "replace")


def sha(*parts):
    h = hashlib.sha256()
    for p in parts:
        if isinstance(p, pathlib.Path):
            files = sorted(f for f in p.rglob("*") if f.is_file() and "__pycache__" not in f.parts) if p.is_dir() else [p]
            for f in files:
                h.update(str(f.relative_to(p) if p.is_dir() else f.name).encode())
                h.update(f.read_bytes())
        else:
            h.update(str(p).encode() + b"\0")
    return h.hexdigest()[:16]


def cache_dir():
    d = os.environ.get("HVDRV_LAB_CACHE")
    if not d:
        d = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "hvdrv-lab")
    p = pathlib.Path(d)
    p.mkdir(parents=True, exist_ok=True)
    return p


@contextlib.contextmanager
def locked(name):
    """One builder at a time per thing; a second xenbox waits for the first."""
    with open(cache_dir() / f".{name}.lock", "w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def cached(name, key, build):
    """cache/NAME, built by build(dir) when absent or built from other inputs.

    The folder appears complete or not at all: it is built beside and renamed.
    """
    d = cache_dir() / name
    mark = d / ".key"
    if mark.exists() and mark.read_text() == key:
        return d
    with locked(name):
        if mark.exists() and mark.read_text() == key:
            return d
        tmp = cache_dir() / f"{name}.new"
        shutil.rmtree(tmp, ignore_errors=True)
        tmp.mkdir()
        t = time.monotonic()
        say(f"building {name}")
        build(tmp)
        (tmp / ".key").write_text(key)
        shutil.rmtree(d, ignore_errors=True)
        tmp.rename(d)
        say(f"built {name} in {time.monotonic() - t:.1f} s")
    return d
