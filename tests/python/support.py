"""Raw ASGI, a real uvicorn, and a client of the stream."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import anyio
from ports import free_port
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette_hot_reload import _core

DEADLINE = 60.0
EVENTS_PATH = "/__starlette_hot_reload"
NAVIGATION = [(b"host", b"localhost"), (b"sec-fetch-dest", b"document")]
EVENT_SOURCE = [(b"host", b"localhost"), (b"accept", b"text/event-stream")]
PAGE = b"<!doctype html><html><head><title>x</title></head><body>x</body></html>"
TAG = re.compile(
    rb'<script data-cursor="(?P<cursor>[0-9a-f]{16}\.[0-9a-f]{16})"(?: async="")?'
    rb' src="(?P<src>[^"?]*)\?(?P<version>[0-9a-f]{16})"></script>'
)

Headers = list[tuple[bytes, bytes]]


def http_scope(
    path: str = "/",
    headers: Iterable[tuple[bytes, bytes]] | None = None,
    method: str = "GET",
    **more: Any,
) -> dict[str, Any]:
    """A browser's request: for the stream at the events path, else for a page."""
    if headers is None:
        headers = EVENT_SOURCE if path.endswith(EVENTS_PATH) else NAVIGATION
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "scheme": "http",
        "query_string": b"",
        "headers": list(headers),
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
        **more,
    }


def start(headers: Iterable[tuple[bytes, bytes]] = (), status: int = 200) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def html(*more: tuple[bytes, bytes], status: int = 200) -> dict[str, Any]:
    return start([(b"content-type", b"text/html; charset=utf-8"), *more], status)


def body(content: Any = b"", more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": content, "more_body": more}


def sender(*messages: Message) -> ASGIApp:
    """An app that sends just these."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    return app


def layer_of(app: Any) -> _core.Layer:
    """Of an app that hot reload is wrapped around."""
    while not isinstance(app, _core.Layer):
        app = app.app
    return app


async def no_receive() -> Message:
    raise AssertionError("receive() was called")


async def never(*_: Any) -> None:
    raise AssertionError("not to be called")


@dataclass
class LayerUnderTest:
    """A layer with an engine that does not run, and what it logs."""

    engine: _core.Engine
    outermost: bool = True
    reasons: list[tuple[str, str]] = field(default_factory=list)
    notes: list[tuple[str, list[tuple[bytes, bytes]]]] = field(default_factory=list)

    def wrap(
        self, app: ASGIApp, endpoint: ASGIApp = never, events_path: str = EVENTS_PATH
    ) -> _core.Layer:
        return _core.Layer(
            app,
            events_path=events_path,
            endpoint=endpoint,
            lifespan=never,
            start=lambda scope: self.engine,
            warn=lambda path, reason: self.reasons.append((path, reason)),
            note=lambda path, headers: self.notes.append((path, headers)),
            outermost=self.outermost,
            morph=False,
        )

    def run(self, app: ASGIApp, scope: Scope | None = None) -> list[Message]:
        return run(self.wrap(app), http_scope() if scope is None else scope)

    def send(self, *messages: Message, scope: Scope | None = None) -> list[Message]:
        """What the server gets when an app sends `messages`."""
        return self.run(sender(*messages), scope)


async def call(
    app: Callable[[Scope, Receive, Send], Awaitable[None]], scope: Scope, receive: Any = no_receive
) -> list[Message]:
    """What `app` sends."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        await asyncio.sleep(0)
        sent.append(message)

    await app(scope, receive, send)
    return sent


def run(
    app: Callable[[Scope, Receive, Send], Awaitable[None]], scope: Scope, receive: Any = no_receive
) -> list[Message]:
    return asyncio.run(call(app, scope, receive))


@asynccontextmanager
async def alive(app: ASGIApp) -> AsyncIterator[None]:
    """The time between an app's start-up and its shutdown. A failure is raised."""
    steps: asyncio.Queue[Message] = asyncio.Queue()
    answers: asyncio.Queue[Message] = asyncio.Queue()
    task = asyncio.ensure_future(app({"type": "lifespan", "state": {}}, steps.get, answers.put))

    async def step(name: str) -> None:
        await steps.put({"type": f"lifespan.{name}"})
        answer = await asyncio.wait_for(answers.get(), DEADLINE)
        if answer["type"] != f"lifespan.{name}.complete":
            await task
            raise AssertionError(answer)

    await step("startup")
    try:
        yield
    finally:
        await step("shutdown")
        await task


@dataclass
class Exchange:
    """One request: what its app saw and said, and what reached the server."""

    seen: Scope = field(default_factory=dict)
    said: list[Message] = field(default_factory=list)
    sent: list[Message] = field(default_factory=list)

    def inside(self, app: ASGIApp) -> ASGIApp:
        """`app`, with what passes between it and the layer around it recorded."""

        async def recorded(scope: Scope, receive: Receive, send: Send) -> None:
            self.seen = scope

            async def said(message: Message) -> None:
                self.said.append(message)
                await send(message)

            await app(scope, receive, said)

        return recorded


def make_engine(*roots: Path, boot: int = 1, **options: Any) -> _core.Engine:
    chosen: dict[str, Any] = {
        "polling": 0,
        "poll_interval": 0.05,
        "exclude": [],
        "served": [],
        "morph": False,
    }
    chosen.update(options)
    base = os.fsencode(roots[0]) if roots else b"/"
    return _core.Engine([os.fsencode(root) for root in roots], base=base, boot=boot, **chosen)


RunAsync = Callable[[Callable[[], Awaitable[None]]], None]
"""Runs an async function to its end; see the fixture `run_async`."""


class Connection:
    """One stream, in a task group."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.ended = anyio.Event()
        self._gone = anyio.Event()
        self._changed = anyio.Event()
        self._asked = False

    async def run(self, app: ASGIApp, scope: Scope) -> None:
        await app(scope, self.receive, self.send)
        self.ended.set()

    async def receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.messages.append(message)
        self._changed.set()
        self._changed = anyio.Event()

    async def wait_for(self, text: bytes, times: int = 1) -> None:
        """Until it has been sent so often."""
        while body_of(self.messages).count(text) < times:
            await self._changed.wait()

    def leave(self) -> None:
        self._gone.set()


def headers_of(message: Message) -> dict[bytes, bytes]:
    return dict(message["headers"])


def body_of(messages: Sequence[Message]) -> bytes:
    return b"".join(
        bytes(message.get("body", b""))
        for message in messages
        if message["type"] == "http.response.body"
    )


def save(path: Path, content: str | bytes = "x") -> None:
    """Write a file at one moment: who is kept between making it and writing it is told of twice.
    The name of the draft is never told."""
    draft = path.with_name(f"draft{threading.get_ident()}~")
    draft.write_bytes(content.encode() if isinstance(content, str) else content)
    draft.replace(path)


EXITING = 0x4
"""PF_EXITING of the kernel; see proc(5)."""


def threads() -> int:
    """How many this process has. One that was joined is listed until the kernel is done with it,
    and does not count."""
    count = 0
    for path in Path("/proc/self/task").glob("*/stat"):
        with suppress(OSError):
            flags = int(path.read_text().rpartition(")")[2].split()[6])
            count += not flags & EXITING
    return count


# ---- a real server ---------------------------------------------------------------------------


class Server:
    """``uvicorn main:app`` in a directory of its own, on a port of its own."""

    def __init__(
        self, directory: Path, *arguments: str, target: str = "main:app", **environment: str
    ) -> None:
        self.log: list[str] = []
        self._port = free_port()
        self._changed = threading.Condition()
        self._is_read = False
        self.process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", target, "--port", str(self._port), *arguments],
            cwd=directory,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self.log.append(line)
                self._changed.notify_all()
        with self._changed:
            self._is_read = True
            self._changed.notify_all()

    def wait_for(self, text: str, count: int = 1) -> str:
        """The `count`-th line that holds `text`."""

        def found() -> list[str]:
            return [line for line in self.log if text in line]

        with self._changed:
            done = self._changed.wait_for(lambda: len(found()) >= count or self._is_read, DEADLINE)
            lines = found() if done else []
            assert len(lines) >= count, f"no {text!r} in:\n" + "".join(self.log)
            return lines[count - 1]

    def save_until(self, path: Path, text: str) -> None:
        """Change a file until the log holds `text`: a reloader does not see what changes before its
        own first look, and does not say when that was."""
        content = path.read_text()
        deadline = time.monotonic() + DEADLINE
        with self._changed:
            while not any(text in line for line in self.log):
                assert time.monotonic() < deadline, "".join(self.log)
                content += "\n"
                path.write_text(content)
                self._changed.wait(0.3)

    @property
    def port(self) -> int:
        self.wait_for("Application startup complete")
        deadline = time.monotonic() + DEADLINE
        while True:  # with --reload nothing in the log says that the child listens
            try:
                socket.create_connection(("127.0.0.1", self._port), DEADLINE).close()
                return self._port
            except ConnectionRefusedError:
                assert time.monotonic() < deadline, "".join(self.log)
                time.sleep(0.01)

    def get(
        self, path: str = "/", headers: dict[str, str] | None = None, method: str = "GET"
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        try:
            connection.request(method, path, headers=headers or {})
            response = connection.getresponse()
            content = response.read()
            return response.status, {k.lower(): v for k, v in response.getheaders()}, content
        finally:
            connection.close()

    def page(self, path: str = "/") -> bytes:
        return self.get(path, {"Sec-Fetch-Dest": "document"})[2]

    def stop(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        try:
            return self.process.wait(DEADLINE)
        finally:
            self._reader.join(DEADLINE)

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # It leads a session of its own, all of which Ctrl-C reaches; what is killed writes no
        # counters of coverage.
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(DEADLINE)
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(DEADLINE)
        self._reader.join(DEADLINE)
        assert self.process.stdout is not None
        self.process.stdout.close()


@dataclass
class Event:
    kind: str
    id: str
    data: Any


@contextmanager
def stream(server: Server, path: str = EVENTS_PATH, **headers: str) -> Iterator[Iterator[Event]]:
    """The events of one connection; they end with it."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE)
    connection.request("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})
    response = connection.getresponse()
    assert response.status == 200, response.read()
    assert response.getheader("content-type") == "text/event-stream"
    try:
        yield _events(response)
    finally:
        response.close()
        connection.close()


def _events(response: http.client.HTTPResponse) -> Iterator[Event]:
    event = Event("message", "", None)
    while line := response.readline():
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name == "event":
            event.kind = value
        elif name == "id":
            event.id = value
        elif name == "data":
            event.data = json.loads(value)
        elif not name:
            if event.data is not None:
                yield event
            event = Event("message", "", None)
