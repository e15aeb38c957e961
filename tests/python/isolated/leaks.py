"""Many requests and connections of every kind; fails if anything is left of them.

python tests/python/isolated/leaks.py [requests connections]
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import sys
import tempfile
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from starlette.applications import Starlette
from starlette.types import Message, Receive, Scope, Send
from starlette_hot_reload import HotReload
from support import (
    EVENTS_PATH,
    NAVIGATION,
    PAGE,
    Connection,
    LayerUnderTest,
    alive,
    body,
    html,
    http_scope,
    make_engine,
    start,
)

REQUESTS, CONNECTIONS = map(int, sys.argv[1:] or ["20000", "2000"])
PATH = "/a/path"
ROOT_PATH = "/a root"

CONTENTS: list[list[Message]] = [
    [html((b"content-length", b"71"), (b"etag", b"x")), body(PAGE)],
    [html(), body(b"<!doctype html><he", True), body(b"ad>", True), body(b"x")],
    [html(), body(b"", True), body(b"<p>")],
    [html(), body(b"<!doctype html><hea", True), {"type": "something.new"}],
    [start([(b"content-type", b"text/css"), (b"etag", b"x")]), body(b"x")],
    [html(), {"type": "http.response.body", "body": 3}],
    [{**html(), "trailers": True}, body(PAGE), {"type": "http.response.trailers", "headers": []}],
    [html()],
    [{"type": "http.response.start", "headers": 3}],
]


async def receive() -> Message:
    raise AssertionError


async def send(message: Message) -> None: ...


async def failing_send(message: Message) -> None:
    await asyncio.sleep(0)
    raise OSError


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    for message in CONTENTS[scope["number"] % len(CONTENTS)]:
        await send(message)


async def serve(layer: Any, count: int) -> None:
    for number in range(count):
        headers = NAVIGATION if number % 4 else [(b"accept", b"*/*")]
        scope = http_scope(PATH, headers, root_path=ROOT_PATH, number=number, extensions={})
        await layer(scope, receive, send)
        if number % 10 == 0:
            with contextlib.suppress(OSError):
                await layer(scope, receive, failing_send)


def census() -> Counter[str]:
    gc.collect()
    return Counter(type(thing).__name__ for thing in gc.get_objects())


def watched(under: LayerUnderTest, layer: Any) -> list[int]:
    return [
        sys.getrefcount(thing)
        for thing in (None, True, PATH, ROOT_PATH, layer, under.engine, app, send, receive)
    ]


def resident() -> int:
    """In bytes."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


total_references: Callable[[], int] = getattr(sys, "gettotalrefcount", lambda: 0)
"""Only a debug build of the interpreter counts them."""


class Flat:
    """What must not grow from one half to the other: whatever grows with the number does."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._seen: list[tuple[int, ...]] = []
        self._resident: list[int] = []

    def look(self) -> None:
        gc.collect()
        self._seen.append(
            (tracemalloc.get_traced_memory()[0], sys.getallocatedblocks(), total_references())
        )
        self._resident.append(resident())

    def check(self) -> None:
        memory, blocks, references = (b - a for a, b in zip(*self._seen[-2:], strict=True))
        pages = self._resident[-1] - self._resident[-2]
        shown = f"{self._name}: {memory} bytes traced, {blocks} blocks, {pages >> 10} KiB resident"
        if hasattr(sys, "gettotalrefcount"):
            shown += f", {references} references"
        print(f"{shown} more after the second half", flush=True)
        assert memory < 64 << 10, shown
        assert blocks < 500, shown
        assert references < 1000, shown
        assert pages < 2 << 20, shown


def requests(directory: Path) -> None:
    under = LayerUnderTest(make_engine(directory))
    layer = under.wrap(app)
    for _ in range(2):  # what asyncio and the interpreter keep for good
        asyncio.run(serve(layer, 500), debug=False)
    objects, counts = census(), watched(under, layer)
    flat = Flat(f"{REQUESTS} requests")
    flat.look()
    for _ in range(2):
        asyncio.run(serve(layer, REQUESTS // 2), debug=False)
        flat.look()
    flat.check()
    grown = census() - objects
    assert sum(grown.values()) < 100, grown
    for before, after in zip(counts, watched(under, layer), strict=True):
        assert abs(after - before) < 100, (counts, watched(under, layer))


def questions(directory: Path) -> None:
    engine = make_engine(directory)
    flat = Flat(f"{REQUESTS} questions")
    cursor = engine.now()
    for _ in range(3):
        for _ in range(REQUESTS // 2):
            engine.since(cursor)
            engine.hello(cursor, 1)
            engine.stats()
            engine.take_notes()
            engine.hold(True)
            engine.waiting(None)
            engine.tell(cursor)
            engine.hold(False)
            engine.sync()
            engine.is_synced()
            engine.roots()
            engine.take_batches()
            engine.shutdown_frame()
            with contextlib.suppress(ValueError):
                engine.since("no cursor")
            with contextlib.suppress(TypeError):
                make_engine(boot="x")  # type: ignore[arg-type]
        flat.look()
    flat.check()


def engines(directory: Path) -> None:
    """Each with a batch that waits and one in its history."""
    flat = Flat(f"{CONNECTIONS // 20} engines")
    for turn in range(3):
        for number in range(CONNECTIONS // 40):
            engine = make_engine(directory)
            # Before it starts: what was saved a moment ago may be told of.
            engine.hold(True)
            engine.start()
            assert engine.wait_ready(20)
            cursor = engine.now()
            engine.subscribe()
            (directory / "file").write_text(f"{turn} {number}")
            while not (waiting := engine.waiting(None)):
                pass
            assert engine.since(cursor)[0] == b""
            engine.tell(waiting[2])
            assert engine.since(cursor)[0]
            if number % 3:
                engine.take_batches()
                engine.take_notes()
                engine.stop()
        flat.look()
    flat.check()


async def connect(app: Any) -> None:
    stream = Connection()
    stream.leave()
    await stream.run(app, http_scope(EVENTS_PATH, server=None))


async def connections(directory: Path) -> None:
    app = Starlette(debug=True)
    HotReload(watch_dirs=[directory]).setup(app)
    flat = Flat(f"{CONNECTIONS} connections")
    async with alive(app):
        for _ in range(3):
            for _ in range(CONNECTIONS // 2):
                await connect(app)
            flat.look()
        objects = census()
        for _ in range(100):
            await connect(app)
        grown = census() - objects
        assert sum(grown.values()) < 50, grown
    flat.check()


def main() -> None:
    tracemalloc.start()
    for task in requests, questions, engines:
        with tempfile.TemporaryDirectory() as directory:
            task(Path(directory))
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(connections(Path(directory)), debug=False)


main()
