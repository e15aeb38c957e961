"""What a response costs more: the app called directly, without a server, into a send that drops."""

from __future__ import annotations

import asyncio
import gc
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from apps.pages import JSON, html
from apps.version0 import Version0Middleware
from report import Cell, Column, Section
from requests_per_second import FETCH, NAVIGATION
from starlette_hot_reload import HotReloadMiddleware

Message = dict[str, Any]
App = Callable[..., Awaitable[None]]

TURN_SECONDS = 0.01
CASES: dict[str, tuple[bytes, bytes, Mapping[str, str]]] = {
    "JSON, fetched": (b"application/json", JSON, FETCH),
    "JSON, navigated to": (b"application/json", JSON, NAVIGATION),
    **{
        f"HTML, {title}": (b"text/html; charset=utf-8", html(size).encode(), NAVIGATION)
        for title, size in [
            ("1 kB", 1_000),
            ("10 kB", 10_000),
            ("100 kB", 100_000),
            ("1 MB", 1_000_000),
        ]
    },
}


def run(quick: bool) -> Section:
    rounds = 10 if quick else 60
    rows = [asyncio.run(_compare(title, rounds)) for title in CASES]
    return Section(
        title="Added time of one response, in process",
        notes=[
            "a bare ASGI app that sends one start and one body, called without a server; medians "
            f"of {rounds} rounds in turns, {TURN_SECONDS * 1e3:.0f} ms each or one call",
            "added: the difference to the bare app of the same round; the pages are ASCII",
        ],
        columns=[
            Column("response", ""),
            Column("bytes", "bytes"),
            Column("bare_us", "bare us", 2),
            Column("added_ours_us", "ours: added us", 2),
            Column("added_version0_us", "0.3's method: added us", 2),
            Column("ratio", "ours / 0.3", 5),
            Column("one_in", "0.3 / ours", 1),
        ],
        rows=rows,
    )


def _make_app(media_type: bytes, body: bytes) -> App:
    size = str(len(body)).encode()

    async def app(scope: Message, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        headers = [(b"content-type", media_type), (b"content-length", size)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


def _make_scope(headers: Mapping[str, str]) -> Message:
    raw = [(b"host", b"127.0.0.1:8000")]
    raw += [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/page",
        "raw_path": b"/page",
        "query_string": b"",
        "root_path": "",
        "headers": raw,
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
    }


async def _compare(title: str, rounds: int) -> dict[str, Cell]:
    media_type, body, headers = CASES[title]
    bare = _make_app(media_type, body)
    scope = _make_scope(headers)
    with tempfile.TemporaryDirectory(prefix="hotreload-bench-") as directory:
        ours = HotReloadMiddleware(bare, watch_dirs=[directory])
        apps: dict[str, App] = {"bare": bare, "ours": ours, "version0": Version0Middleware(bare)}
        async with _lifespan(ours):
            await _check(apps, scope, is_page=media_type.startswith(b"text/html"))
            calls = {name: await _calibrate(app, scope) for name, app in apps.items()}
            turns: dict[str, list[float]] = {name: [] for name in apps}
            for number in range(rounds):
                for name in list(apps)[:: -1 if number % 2 else 1]:
                    turns[name].append(await _time(apps[name], scope, calls[name]))
    added = {
        name: statistics.median(a - b for a, b in zip(turns[name], turns["bare"], strict=True))
        * 1e6
        for name in ("ours", "version0")
    }
    return {
        "response": title,
        "bytes": len(body),
        "bare_us": statistics.median(turns["bare"]) * 1e6,
        "added_ours_us": added["ours"],
        "added_version0_us": added["version0"],
        "ratio": added["ours"] / added["version0"],
        "one_in": added["version0"] / added["ours"],
    }


async def _calibrate(app: App, scope: Message) -> int:
    """How many calls fill a turn."""
    await _time(app, scope, 3)
    return max(1, int(TURN_SECONDS / await _time(app, scope, 20)))


async def _time(app: App, scope: Message, calls: int) -> float:
    """Seconds a call."""
    gc.collect()
    gc.disable()
    start = time.perf_counter()
    for _ in range(calls):
        await app(scope.copy(), _never, _drop)
    seconds = time.perf_counter() - start
    gc.enable()
    return seconds / calls


async def _never() -> Message:
    raise AssertionError("no app here asks for the request")


async def _drop(message: Message) -> None:
    pass


async def _check(apps: Mapping[str, App], scope: Message, is_page: bool) -> None:
    for name, app in apps.items():
        messages: list[Message] = []

        async def keep(message: Message, messages: list[Message] = messages) -> None:
            messages.append(message)

        await app(scope.copy(), _never, keep)
        body = b"".join(message.get("body", b"") for message in messages)
        if body.count(b"<script") != (is_page and name != "bare"):
            raise RuntimeError(f"{name} does not serve what it should")


@asynccontextmanager
async def _lifespan(app: App) -> AsyncIterator[None]:
    to_app: asyncio.Queue[Message] = asyncio.Queue()
    from_app: asyncio.Queue[Message] = asyncio.Queue()
    task = asyncio.ensure_future(
        app({"type": "lifespan", "asgi": {"version": "3.0"}}, to_app.get, from_app.put)
    )
    await to_app.put({"type": "lifespan.startup"})
    await from_app.get()
    try:
        yield
    finally:
        await to_app.put({"type": "lifespan.shutdown"})
        await from_app.get()
        await task
