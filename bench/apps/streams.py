"""Event streams of each contender for the directory BENCH_WATCH_DIR, with default settings."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import arel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette_hot_reload import HotReload
from watchfiles import awatch

from . import version0
from .closed_files import observe

WATCH_DIR = Path(os.environ["BENCH_WATCH_DIR"])


async def watchfiles_events() -> AsyncIterator[bytes]:
    yield b": ready\n\n"
    async for changes in awatch(WATCH_DIR):
        yield _event(sorted(path for _, path in changes))


async def watchdog_events() -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    paths: asyncio.Queue[str] = asyncio.Queue()
    observer = observe(WATCH_DIR, lambda path: loop.call_soon_threadsafe(paths.put_nowait, path))
    try:
        yield b": ready\n\n"
        while True:
            yield _event([await paths.get()])
    finally:
        observer.stop()


def _event(files: list[str]) -> bytes:
    return f"data: {json.dumps({'files': files})}\n\n".encode()


def _stream(events: AsyncIterator[bytes]) -> Response:
    return StreamingResponse(events, media_type="text/event-stream")


async def from_watchfiles(request: Request) -> Response:
    return _stream(watchfiles_events())


async def from_watchdog(request: Request) -> Response:
    return _stream(watchdog_events())


async def from_version0(request: Request) -> Response:
    return _stream(version0.changed_events(WATCH_DIR))


arel_reload = arel.HotReload(paths=[arel.Path(str(WATCH_DIR))])


@asynccontextmanager
async def arel_lifespan(app: Starlette) -> AsyncIterator[None]:
    await arel_reload.startup()
    yield
    await arel_reload.shutdown()


ours = Starlette(debug=True)
HotReload(watch_dirs=[WATCH_DIR]).setup(ours)

ours_polling = Starlette(debug=True)
HotReload(watch_dirs=[WATCH_DIR], polling=True).setup(ours_polling)

with_watchfiles = Starlette(debug=True, routes=[Route("/events", from_watchfiles)])
with_watchdog = Starlette(debug=True, routes=[Route("/events", from_watchdog)])
version0_scan = Starlette(debug=True, routes=[Route("/events", from_version0)])
with_arel = Starlette(
    debug=True, routes=[WebSocketRoute("/events", arel_reload)], lifespan=arel_lifespan
)
