"""From a save to its event: close() here to the last byte at a client on loopback."""

from __future__ import annotations

import heapq
import os
import random
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import server
from report import Chart, Column, Goal, Group, Row, Section, bar, compared, percentile
from stream import EventStream
from websocket_stream import WebSocketStream

# Longer than the period of each poller is wide, so that saves meet every phase of it alike, and
# beyond the 300 ms within which our watcher takes a second save for a part of the same burst.
PAUSE_SECONDS = (0.35, 0.65)
# livereload tells of no save within 3 s of the one that it told of last.
LIVERELOAD_PAUSE_SECONDS = (3.1, 3.9)
LIVERELOAD_HELLO = [
    b'{"command": "hello", "protocols": ["http://livereload.com/protocols/official-7"]}',
    b'{"command": "info", "url": "http://127.0.0.1/"}',
]
LOST_SECONDS = 5.0
FLOOR = "inotify to TCP (floor)"
P50_MS, P99_MS = 2.0, 5.0  # over the floor, at most
DIRECTORIES, FILES_EACH = 20, 10


class Channel(Protocol):
    def wait(self, seconds: float) -> bool: ...
    def drain(self) -> int: ...


@dataclass
class Contender:
    name: str
    files: Sequence[Path]
    channel: Channel
    saves: int
    pause_seconds: tuple[float, float] = PAUSE_SECONDS
    seconds: list[float] = field(default_factory=list)
    lost: int = 0
    repeated: int = 0
    number: int = 0

    def save(self) -> float | None:
        """Save the next file; seconds until its event, or None if it did not come."""
        self.number += 1
        content = b"body { --save: %d }\n" % self.number
        file = self.files[self.number % len(self.files)]
        fd = os.open(file, os.O_WRONLY | os.O_TRUNC)
        os.write(fd, content)
        start = time.perf_counter()
        os.close(fd)
        return time.perf_counter() - start if self.channel.wait(LOST_SECONDS) else None

    def warm_up(self) -> None:
        """Until the first event: a watcher may still be starting when its stream is open."""
        for _ in range(3):
            if self.save() is not None:
                time.sleep(PAUSE_SECONDS[1])
                self.channel.drain()
                return
        raise RuntimeError(f"{self.name}: no event for a save")

    def measure(self) -> None:
        self.repeated += self.channel.drain()
        seconds = self.save()
        if seconds is None:
            self.lost += 1
        else:
            self.seconds.append(seconds)

    @property
    def is_done(self) -> bool:
        return len(self.seconds) + self.lost >= self.saves


class FloorChannel:
    """A byte a save."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def wait(self, seconds: float) -> bool:
        self._connection.settimeout(seconds)
        try:
            return len(self._connection.recv(1)) == 1
        except TimeoutError:
            return False

    def drain(self) -> int:
        self._connection.settimeout(0)
        try:
            return len(self._connection.recv(4096))
        except BlockingIOError:
            return 0


def run(quick: bool) -> Section:
    fast, polled, slow = (20, 12, 3) if quick else (100, 60, 20)
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hotreload-bench-")))
        contenders = [_start_floor(stack, root, fast)]
        for name, app, path, saves in [
            ("ours", "apps.streams:ours", "/__starlette_hot_reload", fast),
            ("ours, polling", "apps.streams:ours_polling", "/__starlette_hot_reload", polled),
            ("watchfiles", "apps.streams:with_watchfiles", "/events", fast),
            ("watchdog", "apps.streams:with_watchdog", "/events", fast),
            ("0.3's method", "apps.streams:version0_scan", "/events", polled),
        ]:
            contenders.append(
                _start_server(stack, root / app.partition(":")[2], name, app, path, saves)
            )
        contenders.append(_start_arel(stack, root / "arel", fast))
        contenders.append(_start_livereload(stack, root / "livereload", slow))
        for contender in contenders:
            contender.warm_up()
        take_turns(contenders)
    return _section(contenders)


def take_turns(contenders: list[Contender]) -> None:
    """One save at a time, the contenders in turns, so that noise of the machine hits all alike."""
    queue = [(_next_turn(contender), index) for index, contender in enumerate(contenders)]
    heapq.heapify(queue)
    while queue:
        due, index = heapq.heappop(queue)
        time.sleep(max(0.0, due - time.monotonic()))
        contender = contenders[index]
        contender.measure()
        if not contender.is_done:
            heapq.heappush(queue, (_next_turn(contender), index))
    time.sleep(PAUSE_SECONDS[1])
    for contender in contenders:
        contender.repeated += contender.channel.drain()


def _next_turn(contender: Contender) -> float:
    return time.monotonic() + random.uniform(*contender.pause_seconds)


def _make_site(directory: Path) -> Path:
    """A small site; gives its one file that is saved."""
    for i in range(DIRECTORIES):
        part = directory / f"part{i:02}"
        part.mkdir(parents=True)
        for j in range(FILES_EACH):
            suffix = ("html", "css", "js", "svg")[j % 4]
            (part / f"file{j:02}.{suffix}").write_text(f"{i} {j}\n")
    static = directory / "static"
    static.mkdir()
    file = static / "site.css"
    file.write_text("body { --save: 0 }\n")
    return file


def _start_server(
    stack: ExitStack, directory: Path, name: str, app: str, path: str, saves: int
) -> Contender:
    file = _make_site(directory)
    running = stack.enter_context(server.running(app, directory))
    channel = stack.enter_context(closing(EventStream(running.port, path)))
    return Contender(name, [file], channel, saves)


def _start_arel(stack: ExitStack, directory: Path, saves: int) -> Contender:
    file = _make_site(directory)
    running = stack.enter_context(server.running("apps.streams:with_arel", directory))
    channel = stack.enter_context(closing(WebSocketStream(running.port, "/events")))
    return Contender("arel", [file], channel, saves)


def _start_livereload(stack: ExitStack, directory: Path, saves: int) -> Contender:
    file = _make_site(directory)
    running = stack.enter_context(server.running_livereload(directory))
    channel = WebSocketStream(running.port, "/livereload", LIVERELOAD_HELLO)
    stack.enter_context(closing(channel))
    time.sleep(LIVERELOAD_PAUSE_SECONDS[1])  # since its start, too
    return Contender("livereload", [file], channel, saves, LIVERELOAD_PAUSE_SECONDS)


def _start_floor(stack: ExitStack, root: Path, saves: int) -> Contender:
    file = _make_site(root / "floor")
    program = root / "floor-program"
    compiler = os.environ.get("CC", "cc")
    subprocess.run([compiler, "-O2", "-o", program, server.HERE / "floor.c"], check=True)
    connection = stack.enter_context(_floor_connection(program, file.parent))
    return Contender(FLOOR, [file], FloorChannel(connection), saves)


@contextmanager
def _floor_connection(program: Path, directory: Path) -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        port = listener.getsockname()[1]
        process = subprocess.Popen([program, directory, str(port)])
        try:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(10)
                if connection.recv(1) != b"r":
                    raise RuntimeError("the floor program ended before it watched")
                yield connection
        finally:
            server.stop(process)


def _section(contenders: list[Contender]) -> Section:
    medians = {c.name: statistics.median(c.seconds) for c in contenders if c.seconds}
    floor, *rest = contenders
    ours = rest[0]
    rows: list[Row] = []
    for contender in contenders:
        row: Row = {
            "contender": contender.name,
            "saves": contender.saves,
            "lost": contender.lost,
            "repeated": contender.repeated,
        }
        if contender.seconds:
            p50, p99 = medians[contender.name], percentile(contender.seconds, 99)
            row |= {
                "p50_ms": p50 * 1e3,
                "p25_ms": percentile(contender.seconds, 25) * 1e3,
                "p75_ms": percentile(contender.seconds, 75) * 1e3,
                "p99_ms": p99 * 1e3,
                "over_floor_p50_ms": (p50 - medians[floor.name]) * 1e3,
                "over_floor_p99_ms": (p99 - percentile(floor.seconds, 99)) * 1e3,
                "ratio_to_floor": p50 / medians[floor.name],
                "ratio_to_ours": p50 / medians[ours.name] if ours.name in medians else None,
            }
        rows.append(row)
    return Section(
        title="One save: close() of the file to the last byte of its event, loopback TCP",
        notes=[
            f"each watches {DIRECTORIES * FILES_EACH + 1} files in {DIRECTORIES + 1} directories; "
            f"saves one at a time, in turns, each contender "
            f"{PAUSE_SECONDS[0]}-{PAUSE_SECONDS[1]} s after its last event",
            f"uvicorn, one process each, {server.HTTP}, {server.LOOP}; ratios are of the medians",
            "arel and livereload tell over a WebSocket; livereload has its own server, looks every "
            "800 ms and tells of no save within 3 s of the last, so its saves are few and "
            f"{LIVERELOAD_PAUSE_SECONDS[0]}-{LIVERELOAD_PAUSE_SECONDS[1]} s apart",
            "floor: a C program that reads inotify and writes a byte to a socket, bench/floor.c",
        ],
        columns=[
            Column("contender", ""),
            Column("saves", "saves"),
            Column("lost", "lost"),
            Column("repeated", "repeated"),
            Column("p50_ms", "p50 ms", 2),
            Column("p25_ms", "p25 ms", 2),
            Column("p75_ms", "p75 ms", 2),
            Column("p99_ms", "p99 ms", 2),
            Column("over_floor_p50_ms", "p50 - floor", 2),
            Column("over_floor_p99_ms", "p99 - floor", 2),
            Column("ratio_to_floor", "x floor", 1),
            Column("ratio_to_ours", "x ours", 2),
        ],
        rows=rows,
        says=_says(contenders, medians),
        goals=_goals(contenders),
        charts=[_chart(contenders)],
    )


def _says(contenders: list[Contender], medians: dict[str, float]) -> list[str]:
    milliseconds = {name: seconds * 1e3 for name, seconds in medians.items()}
    says = [compared(milliseconds, "ms at the median", 2)] if "ours" in medians else []
    floor, ours = (percentile(c.seconds or [0.0], 99) * 1e3 for c in contenders[:2])
    says.append(f"At the 99th percentile the floor takes {floor:.2f} ms, ours {ours:.2f} ms.")
    for contender in contenders:
        for count, what in [(contender.lost, "lost"), (contender.repeated, "told twice")]:
            if count:
                says.append(f"{contender.name}: {count} of {contender.saves} saves {what}.")
    return says


def _goals(contenders: list[Contender]) -> list[Goal]:
    floor, ours = (c.seconds for c in contenders[:2])
    if not ours:
        return []
    goals = []
    for percent, limit in [(50, P50_MS), (99, P99_MS)]:
        over = (percentile(ours, percent) - percentile(floor, percent)) * 1e3
        goals.append(
            Goal(
                key=f"p{percent}",
                what=f"one save to bytes at an SSE client, p{percent}",
                target=f"floor + {limit:.0f} ms",
                measured=f"floor {over:+.2f} ms",
                reached=over <= limit,
            )
        )
    return goals


def _chart(contenders: list[Contender]) -> Chart:
    bars = [bar(c.name, c.seconds, 1e3) for c in contenders if c.seconds]
    limit = bars[0].value + P50_MS
    return Chart(
        name="save",
        title="From a save to the last byte of its event",
        unit="ms (logarithmic), median and quartiles",
        groups=[Group("", bars, limit)],
        logarithmic=True,
    )
