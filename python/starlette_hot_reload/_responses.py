"""Whole responses, sent by plain ASGI."""

from __future__ import annotations

from starlette.types import Scope, Send

__all__ = ["Headers", "answer", "header", "send_all"]

Headers = list[tuple[bytes, bytes]]


def header(scope: Scope, name: bytes) -> bytes:
    """The first value of a request's header, or nothing."""
    return next((value for key, value in scope["headers"] if key.lower() == name), b"")


async def answer(
    scope: Scope, send: Send, status: int, text: str, headers: Headers | None = None
) -> None:
    """A line of plain text."""
    body = (text + "\n").encode("ascii", "backslashreplace")
    plain = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send_all(scope, send, status, plain + (headers or []), body)


async def send_all(scope: Scope, send: Send, status: int, headers: Headers, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    content = b"" if scope["method"] == "HEAD" else body
    await send({"type": "http.response.body", "body": content, "more_body": False})
