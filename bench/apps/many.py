"""Streams that wait to be told by a request: the server's own, and one that Starlette makes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

told = asyncio.Event()


async def events() -> AsyncIterator[bytes]:
    yield b": ready\n\n"
    await told.wait()
    yield b"data: {}\n\n"
    await asyncio.Event().wait()


async def stream(request: Request) -> Response:
    return StreamingResponse(events(), media_type="text/event-stream")


async def tell(request: Request) -> Response:
    told.set()
    return Response()


with_response = Starlette(debug=True, routes=[Route("/events", stream), Route("/tell", tell)])


async def alone(scope: Scope, receive: Receive, send: Send) -> None:
    """The least that an app can do, so that what is kept is the server's."""
    if scope["type"] != "http":
        raise RuntimeError("no lifespan, no WebSocket")
    headers = [(b"content-type", b"text/event-stream")]
    if scope["path"] == "/tell":
        told.set()
        headers.append((b"content-length", b"0"))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b": ready\n\n", "more_body": True})
    await told.wait()
    await send({"type": "http.response.body", "body": b"data: {}\n\n", "more_body": True})
    await asyncio.Event().wait()
