"""A contender of apps/watchers.py in a process of its own, and what it reports."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import server

NAMES = {
    "ours": "ours",
    "ours, polling": "ours_polling",
    "watchfiles": "with_watchfiles",
    "watchdog": "with_watchdog",
    "0.3's method": "version0_scan",
}
_START_SECONDS = 120.0


class Report(NamedTuple):
    batches: int
    files: list[str]


class Start(NamedTuple):
    """Seconds for which it held its caller, and until it says that it watches."""

    held: float
    ready: float


class Watcher:
    def __init__(self, name: str, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin
        assert process.stdout
        self.name = name
        self.pid = process.pid
        self._input = process.stdin.fileno()
        self._output = process.stdout.fileno()
        self._poll = select.poll()
        self._poll.register(self._output, select.POLLIN)
        self._pending = b""

    def start(self) -> Start:
        begin = time.perf_counter()
        os.write(self._input, b"\n")
        held = self._line(_START_SECONDS)
        if held is None:
            raise RuntimeError(f"{self.name} did not start in time")
        self.expect(b"ready")
        return Start(float(held), time.perf_counter() - begin)

    def expect(self, line: bytes) -> None:
        if (found := self._line(_START_SECONDS)) != line:
            raise RuntimeError(f"{self.name}: {found!r} instead of {line!r}")

    def report(self, seconds: float) -> Report | None:
        """The next report. None: it did not come in time."""
        line = self._line(seconds)
        return None if line is None else Report(*json.loads(line))

    def wait(self, seconds: float) -> bool:
        return self._line(seconds) is not None

    def drain(self) -> int:
        """Take the reports that have come unasked for, and say how many."""
        count = 0
        while self._line(0) is not None:
            count += 1
        return count

    def _line(self, seconds: float) -> bytes | None:
        deadline = time.monotonic() + seconds
        while b"\n" not in self._pending:
            left = max(0.0, deadline - time.monotonic())
            if not self._poll.poll(left * 1e3):
                return None
            received = os.read(self._output, 1 << 20)
            if not received:
                raise RuntimeError(f"{self.name}: the watcher ended")
            self._pending += received
        line, _, self._pending = self._pending.partition(b"\n")
        return line


@contextmanager
def running(name: str, directory: Path) -> Iterator[Watcher]:
    """The contender called so in the tables, all imported, not yet started."""
    process = subprocess.Popen(
        [sys.executable, "-m", "apps.watchers", NAMES[name], directory],
        env=server.environment(directory),
        cwd=server.HERE,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        try:
            watcher = Watcher(name, process)
            watcher.expect(b"imported")
            yield watcher
        finally:
            server.stop(process)
