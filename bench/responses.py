"""Responses without a server: an app called directly, into a send that drops what it is given."""

from __future__ import annotations

import asyncio
import functools
import importlib.machinery
import importlib.util
import os
import subprocess
import sysconfig
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import server
from apps.pages import JSON, html
from apps.plain_python import PlainPythonMiddleware
from apps.version0 import Version0Middleware
from requests_per_second import FETCH, NAVIGATION
from starlette.applications import Starlette
from starlette_hot_reload import HotReload

Message = dict[str, Any]
App = Callable[..., Awaitable[None]]

FLOOR = "forward only (floor)"
CONTENDERS = ("bare", FLOOR, "ours", "plain Python", "0.3's method")
_TAG = b"<script data-cursor="


@dataclass(frozen=True)
class Case:
    media_type: bytes
    chunks: tuple[bytes, ...]
    headers: Mapping[str, str]

    @property
    def size(self) -> int:
        return sum(map(len, self.chunks))

    @property
    def is_page(self) -> bool:
        return self.media_type.startswith(b"text/html")


def _page(size: int, chunks: int = 1) -> Case:
    body = html(size).encode()
    step = -(-len(body) // chunks)
    parts = tuple(body[i : i + step] for i in range(0, len(body), step))
    return Case(b"text/html; charset=utf-8", parts, NAVIGATION)


CASES = {
    "JSON, fetched": Case(b"application/json", (JSON,), FETCH),
    "JSON, navigated to": Case(b"application/json", (JSON,), NAVIGATION),
    "HTML, 1 kB": _page(1_000),
    "HTML, 10 kB": _page(10_000),
    "HTML, 100 kB": _page(100_000),
    "HTML, 1 MB": _page(1_000_000),
    "HTML, 100 kB streamed": _page(100_000, chunks=100),
}


def scope_of(case: Case) -> Message:
    raw = [(b"host", b"127.0.0.1:8000")]
    raw += [(name.lower().encode(), value.encode()) for name, value in case.headers.items()]
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


@functools.cache
def forward_type() -> Callable[[App], App]:
    """The floor, forward.c, compiled for this Python."""
    with tempfile.TemporaryDirectory(prefix="hotreload-bench-") as directory:
        library = Path(directory, "forward.so")
        compiler = os.environ.get("CC", "cc")
        include = sysconfig.get_path("include")
        source = server.HERE / "forward.c"
        flags = ["-O3", "-fPIC", "-shared", f"-I{include}"]
        subprocess.run([compiler, *flags, "-o", library, source], check=True)
        loader = importlib.machinery.ExtensionFileLoader("forward", str(library))
        spec = importlib.util.spec_from_loader("forward", loader)
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        loader.exec_module(module)
    made: Callable[[App], App] = module.Forward
    return made


@asynccontextmanager
async def apps_of(case: Case) -> AsyncIterator[dict[str, App]]:
    """Every contender around one bare app, checked, and ours with its engine running."""
    bare = _bare_app(case)
    with tempfile.TemporaryDirectory(prefix="hotreload-bench-") as directory:
        # Set up as the outermost layer, as an app of Starlette has it, with nothing else inside.
        host = Starlette(debug=True)
        host.middleware_stack = bare
        HotReload(watch_dirs=[directory]).setup(host)
        ours: App = host.middleware_stack
        wrapped: list[App] = [
            bare,
            forward_type()(bare),
            ours,
            PlainPythonMiddleware(bare),
            Version0Middleware(bare),
        ]
        apps = dict(zip(CONTENDERS, wrapped, strict=True))
        async with _lifespan(ours):
            await _check(apps, case)
            yield apps


async def call(app: App, scope: Message, times: int) -> None:
    for _ in range(times):
        await app(scope.copy(), _never, _drop)


async def _never() -> Message:
    raise AssertionError("no app here asks for the request")


async def _drop(message: Message) -> None:
    pass


def _bare_app(case: Case) -> App:
    headers = [(b"content-type", case.media_type)]
    if len(case.chunks) == 1:
        headers.append((b"content-length", str(case.size).encode()))

    *chunks, last = case.chunks

    async def app(scope: Message, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": headers.copy()})
        for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": last})

    return app


async def _check(apps: Mapping[str, App], case: Case) -> None:
    """The contenders that follow our rule put the tag at the same byte, and change nothing else."""
    bodies: dict[str, bytes] = {}
    for name, app in apps.items():
        messages: list[Message] = []

        async def keep(message: Message, messages: list[Message] = messages) -> None:
            messages.append(message)

        await app(scope_of(case), _never, keep)
        bodies[name] = b"".join(message.get("body", b"") for message in messages)
        if bodies[name].count(b"<script") != (case.is_page and name not in ("bare", FLOOR)):
            raise RuntimeError(f"{name} does not serve what it should")
    places = {name: bodies[name].find(_TAG) for name in ("ours", "plain Python")}
    if len(set(places.values())) != 1:
        raise RuntimeError(f"the tag is not at the same place: {places}")
    for name, place in places.items():
        before, _, rest = bodies[name].partition(_TAG)
        without = before + rest.partition(b"</script>")[2] if place >= 0 else before
        if without != bodies["bare"]:
            raise RuntimeError(f"{name} changes more than the tag")


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
