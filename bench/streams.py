"""Many open streams in one process: the memory of each, and one save told to all."""

from __future__ import annotations

import http.client
import os
import resource
import select
import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import proc
import server
from report import Bar, Chart, Column, Goal, Group, Row, Section, percentile

STREAMS, QUICK_STREAMS = 10_000, 1_000
SPARE_DESCRIPTORS = 200
SETTLE_SECONDS = 1.0
WARM_UP = 20  # streams that come and go before memory is counted
LOST_SECONDS = 60.0
ALONE = "the server alone"
RESPONSE = "StreamingResponse"
APPS = {
    ALONE: ("apps.many:alone", "/events", b"data: "),
    RESPONSE: ("apps.many:with_response", "/events", b"data: "),
    "ours": ("apps.streams:ours", "/__starlette_hot_reload", b'data: {"type"'),
    "arel": ("apps.streams:with_arel", "/events", b"reload"),
}


@dataclass
class Outcome:
    name: str
    count: int
    bytes_each: float
    seconds: list[float]


def run(quick: bool) -> Section:
    count = QUICK_STREAMS if quick else STREAMS
    with _descriptors(count + SPARE_DESCRIPTORS):
        outcomes = [_measure(name, count) for name in APPS]
    alone, _, ours, _ = outcomes
    return Section(
        title=f"{count:,} open streams in one process, one save",
        notes=[
            "one uvicorn after the other; memory: resident, added once all streams are open",
            f"{ALONE}: an ASGI app without Starlette that waits for an event; {RESPONSE}: the same "
            "as Starlette's response; both are told by a request instead of a save",
            "told: close() of the file, or the start of the request, until the last byte of the "
            "event is read; one client reads all streams, on the same machine",
            "arel's streams are WebSockets",
        ],
        columns=[
            Column("contender", ""),
            Column("streams", "streams"),
            Column("told", "told"),
            Column("bytes_each", "bytes/stream"),
            Column("over_alone", "over alone"),
            Column("of_alone", "x alone", 2),
            Column("first_ms", "first ms", 1),
            Column("p25_ms", "p25 ms", 1),
            Column("p50_ms", "p50 ms", 1),
            Column("p75_ms", "p75 ms", 1),
            Column("last_ms", "last ms", 1),
        ],
        rows=[_row(outcome, alone) for outcome in outcomes],
        says=_says(outcomes),
        goals=_goals(ours, alone),
        charts=[_memory_chart(outcomes)],
    )


@contextmanager
def _descriptors(count: int) -> Iterator[None]:
    """For this process and those that it starts."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft, hard = limit
    if hard != resource.RLIM_INFINITY and hard < count:
        raise RuntimeError(f"streams needs {count} descriptors; `ulimit -Hn` is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)


def _measure(name: str, count: int) -> Outcome:
    app, path, mark = APPS[name]
    with ExitStack() as stack:
        directory = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="hotreload-bench-"))
        )
        file = directory / "site.css"
        file.write_text("body { --save: 0 }\n")
        running = stack.enter_context(server.running(app, directory))
        request = _request(name, running.port, path)
        for _ in range(WARM_UP):
            _open(running.port, request).close()
        time.sleep(SETTLE_SECONDS)
        before = proc.resident_kib(running.pid)
        streams = []
        for _ in range(count):
            streams.append(stack.enter_context(_open(running.port, request)))
        time.sleep(SETTLE_SECONDS)
        added = (proc.resident_kib(running.pid) - before) * 1024
        tell = _request_tell(running.port) if name in (ALONE, RESPONSE) else _saving(file)
        return Outcome(name, count, added / count, _tell(streams, mark, tell))


def _request(name: str, port: int, path: str) -> bytes:
    wanted = (
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
        if name == "arel"
        else "Accept: text/event-stream\r\n"
    )
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: http://127.0.0.1:{port}\r\n"
        f"{wanted}\r\n"
    ).encode()


def _open(port: int, request: bytes) -> socket.socket:
    """A stream of which the head, and the first words where it has some, are read."""
    stream = socket.create_connection(("127.0.0.1", port), 20)
    stream.sendall(request)
    data = b""
    while not data.endswith(b"\n\n\r\n" if b"chunked" in data.lower() else b"\r\n\r\n"):
        received = stream.recv(65536)
        if not received:
            raise RuntimeError(f"the server closed a stream: {data!r}")
        data += received
    return stream


def _saving(file: Path) -> Callable[[], float]:
    def save() -> float:
        fd = os.open(file, os.O_WRONLY | os.O_TRUNC)
        os.write(fd, b"body { --save: 1 }\n")
        start = time.perf_counter()
        os.close(fd)
        return start

    return save


def _request_tell(port: int) -> Callable[[], float]:
    def tell() -> float:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LOST_SECONDS)
        connection.connect()
        start = time.perf_counter()
        connection.request("GET", "/tell")
        return start

    return tell


def _tell(streams: list[socket.socket], mark: bytes, tell: Callable[[], float]) -> list[float]:
    """Seconds until each stream had its event; streams without one are left out."""
    poll = select.epoll()
    waiting = {stream.fileno(): stream for stream in streams}
    for descriptor, stream in waiting.items():
        stream.setblocking(False)
        poll.register(descriptor, select.EPOLLIN)
    seconds = []
    start = tell()
    deadline = start + LOST_SECONDS
    with poll:
        while waiting and (left := deadline - time.perf_counter()) > 0:
            for descriptor, _ in poll.poll(left):
                if mark in waiting[descriptor].recv(65536):
                    seconds.append(time.perf_counter() - start)
                    poll.unregister(descriptor)
                    del waiting[descriptor]
    return seconds


def _row(outcome: Outcome, alone: Outcome) -> Row:
    seconds = outcome.seconds
    row: Row = {
        "contender": outcome.name,
        "streams": outcome.count,
        "told": len(seconds),
        "bytes_each": round(outcome.bytes_each),
        "over_alone": round(outcome.bytes_each - alone.bytes_each),
        "of_alone": outcome.bytes_each / alone.bytes_each,
    }
    if seconds:
        row |= {
            "first_ms": min(seconds) * 1e3,
            "p25_ms": percentile(seconds, 25) * 1e3,
            "p50_ms": statistics.median(seconds) * 1e3,
            "p75_ms": percentile(seconds, 75) * 1e3,
            "last_ms": max(seconds) * 1e3,
        }
    return row


def _says(outcomes: list[Outcome]) -> list[str]:
    return [
        f"{outcome.name}: {len(outcome.seconds):,} of {outcome.count:,} told, the last after "
        f"{max(outcome.seconds, default=LOST_SECONDS) * 1e3:.0f} ms; "
        f"{outcome.bytes_each / 1024:.1f} KiB a stream."
        for outcome in outcomes
    ]


def _goals(ours: Outcome, alone: Outcome) -> list[Goal]:
    added = ours.bytes_each - alone.bytes_each
    return [
        Goal(
            key="told",
            what=f"{ours.count:,} open streams, one save",
            target="all told",
            measured=f"{len(ours.seconds):,} told, the last after "
            f"{max(ours.seconds, default=LOST_SECONDS) * 1e3:.0f} ms",
            reached=len(ours.seconds) == ours.count,
        ),
        Goal(
            key="memory",
            what="memory per stream, ours beside the server's own",
            target="no more than the server's own",
            measured=f"{added:,.0f} bytes beside {alone.bytes_each:,.0f}",
            reached=added <= alone.bytes_each,
        ),
    ]


def _memory_chart(outcomes: list[Outcome]) -> Chart:
    return Chart(
        name="streams",
        title=f"Memory of one of {outcomes[0].count:,} open streams",
        unit="KiB, server and all",
        groups=[Group("", [Bar(o.name, o.bytes_each / 1024) for o in outcomes])],
    )
