"""What is served at and below the events path: the stream, and the browser's client."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import anyio
from starlette.types import Receive, Scope, Send

from ._core import client_file, heartbeat_frame
from ._hosts import is_foreign, refused_host
from ._log import logger
from ._responses import answer, send_all
from ._status import FACTS, FOREIGN, PAGE, Status, Stream, wants_page

if TYPE_CHECKING:
    from ._hub import Hub
    from ._runtime import Runtime

__all__ = ["Endpoint"]

RETRY = 500
"""Milliseconds until a browser's own reconnect."""
LIFE = 10.0
"""Seconds that a stream lives where the end of the server cannot be seen."""
_HOSTS_KEPT = 16

_STREAM_HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store, no-transform"),
    (b"x-accel-buffering", b"no"),
]


class Endpoint:
    """The ASGI app of the events path."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._status = Status(runtime)
        self._refused: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = refused_host(scope, self._runtime.config.allowed_hosts)
        if refused is not None:
            self._warn_of_host(refused)
            text = (
                f"starlette-hot-reload does not answer to the host {refused!r}. If it is yours, "
                "add it to the option allowed_hosts."
            )
            await answer(scope, send, 403, text)
            return
        if is_foreign(scope) and not wants_page(scope):
            # It could read no answer, but a stream would be kept open for it all the same.
            await answer(scope, send, 403, FOREIGN)
            return
        name = _name_below(scope, self._runtime.config.events_path)
        if name == FACTS:
            await self._status.send_facts(scope, send)
        elif name == PAGE or (not name and scope["method"] == "GET" and wants_page(scope)):
            self._runtime.start(scope)
            await self._status.send_page(scope, send, name)
        elif name:
            await _send_file(scope, send, name)
        elif scope["method"] == "POST":
            await self._status.hear(scope, receive, send)
        elif scope["method"] != "GET":
            await answer(scope, send, 405, "Only GET and POST.", [(b"allow", b"GET, POST")])
        elif self._runtime.start(scope) is None:
            await answer(scope, send, 503, "Hot reload is off; the log says why.")
        else:
            await self._stream(scope, receive, send)

    def _warn_of_host(self, host: str) -> None:
        """Once for each host, and not for ever: who asks may choose its name."""
        if host not in self._refused and len(self._refused) < _HOSTS_KEPT:
            self._refused.add(host)
            self._runtime.warn(host, "add this host to allowed_hosts to let it connect")

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        life = float("inf") if self._runtime.server.watch(scope) else LIFE
        hub = self._runtime.hub()
        try:
            hub.open_stream()
        except OSError as error:  # the client comes again
            self._runtime.complain_of_hub(error)
            await answer(scope, send, 503, "No stream can be had; the log says why.")
            return
        try:
            await self._run_stream(hub, life, scope, receive, send)
        finally:
            hub.close_stream()

    async def _run_stream(
        self, hub: Hub, life: float, scope: Scope, receive: Receive, send: Send
    ) -> None:
        # Every open stream keeps what is here: hence no closure, and one cancel scope alone.
        stream = self._status.open_stream(hub, scope)
        logger.debug("stream opened for %s", scope.get("client"))
        try:
            frame, stream.cursor = hub.engine.hello(_client_cursor(scope), RETRY)
            await send({"type": "http.response.start", "status": 200, "headers": _STREAM_HEADERS})
            await send({"type": "http.response.body", "body": frame, "more_body": True})
            async with anyio.create_task_group() as group:
                group.cancel_scope.deadline = anyio.current_time() + life
                group.start_soon(_watch_disconnect, stream, receive, group.cancel_scope)
                await _pump(hub, stream, send)
                group.cancel_scope.cancel()
            if not stream.has_left:
                is_final = hub.is_ending and self._runtime.server.is_final
                last = hub.engine.shutdown_frame() if is_final else b""
                await send({"type": "http.response.body", "body": last, "more_body": False})
        finally:
            self._status.close_stream(hub, stream)
            logger.debug("stream closed for %s", scope.get("client"))


async def _watch_disconnect(
    stream: Stream, receive: Receive, cancel_scope: anyio.CancelScope
) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    stream.has_left = True
    cancel_scope.cancel()


async def _pump(hub: Hub, stream: Stream, send: Send) -> None:
    """Send what changes until the hub ends, and a heartbeat when nothing does."""
    beats = hub.beats
    while not hub.is_ending:
        woken = hub.woken  # before asking, so that nothing falls between
        frame, stream.cursor = hub.engine.since(stream.cursor)
        frame += stream.take()
        if not frame and beats != hub.beats:
            frame = heartbeat_frame()
        if frame:
            beats = hub.beats
            await send({"type": "http.response.body", "body": frame, "more_body": True})
        else:
            await woken.wait()


def _client_cursor(scope: Scope) -> str | None:
    """Where the client is: Last-Event-ID is the browser's own word, and newer than the address."""
    for name, value in scope["headers"]:
        if name.lower() == b"last-event-id" and value:
            return str(value, "latin-1")
    query = parse_qsl(str(scope.get("query_string", b""), "latin-1"))
    return next((value for name, value in query if name == "cursor"), None)


def _name_below(scope: Scope, events_path: str) -> str:
    """What follows the events path; before it the root path may stand, even twice."""
    path: str = scope["path"]
    root_path: str = scope.get("root_path", "").rstrip("/")
    begin, end = 0, len(events_path)
    while not path.startswith(events_path, begin) or path[end : end + 1] not in {"", "/"}:
        if not root_path or not path.startswith(root_path, begin):
            return path
        begin, end = begin + len(root_path), end + len(root_path)
    return path[end:].lstrip("/")


async def _send_file(scope: Scope, send: Send, name: str) -> None:
    file = client_file(name.encode("utf-8", "surrogateescape"))
    if file is None:
        await answer(scope, send, 404, "Not found.")
        return
    if scope["method"] not in {"GET", "HEAD"}:
        await answer(scope, send, 405, "Only GET and HEAD.", [(b"allow", b"GET, HEAD")])
        return
    media_type, content, etag = file
    # A part that is asked for by its version never changes.
    is_versioned = bool(scope["query_string"])
    headers = [
        (b"etag", etag),
        (b"cache-control", b"max-age=31536000, immutable" if is_versioned else b"no-cache"),
        (b"x-content-type-options", b"nosniff"),
        # Under Cross-Origin-Embedder-Policy a worker needs it on its own script.
        (b"cross-origin-embedder-policy", b"require-corp"),
    ]
    if _is_fresh(scope, etag):
        await send_all(scope, send, 304, headers, b"")
        return
    headers.append((b"content-type", media_type))
    headers.append((b"content-length", b"%d" % len(content)))
    await send_all(scope, send, 200, headers, content)


def _is_fresh(scope: Scope, etag: bytes) -> bool:
    """RFC 9110, section 13.1.2; the comparison is weak."""
    tags = [
        tag.strip().removeprefix(b"W/")
        for name, value in scope["headers"]
        if name.lower() == b"if-none-match"
        for tag in value.split(b",")
    ]
    return etag in tags or b"*" in tags
