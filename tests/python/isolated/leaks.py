"""Twenty thousand requests of every kind; fails if anything is left of them."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from starlette.types import Message, Receive, Scope, Send
from support import NAVIGATION, PAGE, LayerUnderTest, body, html, http_scope, make_engine, start

REQUESTS = 20_000
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


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        under = LayerUnderTest(make_engine(Path(directory)))
        layer = under.wrap(app)
        for _ in range(2):  # what asyncio and the interpreter keep for good
            asyncio.run(serve(layer, 500))
        objects, counts = census(), watched(under, layer)
        blocks = sys.getallocatedblocks()
        asyncio.run(serve(layer, REQUESTS))
        grown = census() - objects
        assert sum(grown.values()) < 100, grown
        for before, after in zip(counts, watched(under, layer), strict=True):
            assert abs(after - before) < 100, (counts, watched(under, layer))
        assert sys.getallocatedblocks() - blocks < 500, sys.getallocatedblocks() - blocks
        cursor = under.engine.now()
        for _ in range(REQUESTS):
            under.engine.since(cursor)
            under.engine.hello(None, 1)
            under.engine.stats()
            under.engine.take_notes()
        assert sys.getallocatedblocks() - blocks < 500, sys.getallocatedblocks() - blocks


main()
