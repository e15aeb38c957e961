"""The method of starlette-hot-reload 0.1 to 0.3, written anew from its description.

It scans: each of six suffixes with rglob, every 250 ms, on the event loop, comparing modification
times. It injects: the whole body is collected, decoded, `</body>` replaced, encoded again. Both are
written the way Starlette's own middleware is, neither careless nor tuned.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime, timezone
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SUFFIXES = (".html", ".jinja2", ".css", ".js", ".svg", ".json")
POLL_SECONDS = 0.25
TAG = '<script src="/__starlette_hot_reload/client.js" async></script>'


async def changed_events(directory: Path) -> AsyncIterator[bytes]:
    """An event for each scan that found a file newer than it was."""
    known = _scan(directory)
    yield b": ready\n\n"
    while True:
        await asyncio.sleep(POLL_SECONDS)
        found = _scan(directory)
        changed = [path for path, mtime in found.items() if mtime > known.get(path, mtime)]
        known = found
        if changed:
            yield _event(changed)


def _scan(directory: Path) -> dict[Path, float]:
    return {
        path: path.stat().st_mtime for suffix in SUFFIXES for path in directory.rglob(f"*{suffix}")
    }


def _event(changed: list[Path]) -> bytes:
    payload = {
        "type": "css" if all(path.suffix == ".css" for path in changed) else "reload",
        "timestamp": datetime.now(timezone.utc).isoformat(),
        "files": [str(path) for path in changed],
    }
    return f"data: {json.dumps(payload)}\n\n".encode()


class Version0Middleware:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        await self.app(scope, receive, _BufferingSend(send))


class _BufferingSend:
    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._chunks: list[bytes] = []

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = Headers(raw=message["headers"])
            if headers.get("content-type", "").startswith("text/html"):
                self._start = message
                return
        elif self._start is not None:
            self._chunks.append(message.get("body", b""))
            if message.get("more_body", False):
                return
            await self._send_page(self._start)
            return
        await self._send(message)

    async def _send_page(self, start: Message) -> None:
        text = b"".join(self._chunks).decode("utf-8")
        if "</body>" in text:
            text = text.replace("</body>", TAG + "</body>")
        else:
            text += TAG
        body = text.encode("utf-8")
        MutableHeaders(raw=start["headers"])["content-length"] = str(len(body))
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body})
