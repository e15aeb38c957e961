"""Importing the package, and setting it up, starts nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

# What an app of Starlette has imported already, and the server with it; and what is asked with.
BEFORE = """\
import asyncio, json, logging, os, pathlib, signal, sys, threading
import starlette.applications, starlette.staticfiles
"""

LOOK = """\
def look():
    try:
        children = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        children = None
    return {
        "threads": sorted(os.listdir("/proc/self/task")),
        "Python's threads": [thread.name for thread in threading.enumerate()],
        "open files": sorted(os.readlink(f"/proc/self/fd/{fd}") for fd in range(3, 64)
                             if os.path.exists(f"/proc/self/fd/{fd}")),
        "children": children,
        "signals": [repr(signal.getsignal(n)) for n in sorted(signal.valid_signals())],
        "environment": dict(os.environ),
        "hooks": [repr(sys.excepthook), repr(threading.excepthook), len(sys.meta_path)],
    }
"""

# The standard library's that Starlette may not have imported, all of them small.
LIGHT = {"hmac", "importlib._abc", "importlib.util", "ipaddress", "secrets"}


def answer(script: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", BEFORE + LOOK + script],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_import_starts_nothing() -> None:
    before, after = answer(
        "before = look()\nimport starlette_hot_reload\nprint(json.dumps([before, look()]))"
    )
    assert after == before


def test_set_up_starts_nothing() -> None:
    before, after = answer(
        "import starlette_hot_reload as it\n"
        "before = look()\n"
        "app = starlette.applications.Starlette(debug=True)\n"
        "it.HotReload().setup(app)\n"
        "it.HotReloadMiddleware(starlette.applications.Starlette())\n"
        "print(json.dumps([before, look()]))"
    )
    assert after == before


def test_the_import_brings_nothing_heavy() -> None:
    brought = answer(
        "before = set(sys.modules)\n"
        "import starlette_hot_reload\n"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    others = {name for name in brought if name.partition(".")[0] != "starlette_hot_reload"}
    assert others <= LIGHT
    assert set(brought) - others, "the package was there before"
