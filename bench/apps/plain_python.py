"""Our own rule in plain Python, so that a figure says what C is worth.

Same place, same decisions from the heads, same headers, also streamed; written for speed, with one
regular expression and nothing per byte in Python. It leaves out what costs a page of the bench
nothing: coded bodies, Content-Security-Policy, HEAD, trailers, and an app's faulty messages.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

Header = tuple[bytes, bytes]

LIMIT = 65536
TAG = (
    b'<script data-cursor="%016x.%016x" async="" src="/__starlette_hot_reload/client.js"></script>'
)
_BOOT = 1

# 13.2.5 of the HTML standard. Each repeated part is followed by what cannot continue it, so that
# nothing is matched in two ways and a tag without an end costs one pass.
_SPACE = rb"[\t\n\f\r ]"
_NAME_ENDS = rb"(?=[\t\n\f\r />])"
_VALUE = rb"""(?:"[^"]*"|'[^']*'|[^\t\n\f\r "'>][^\t\n\f\r >]*(?=[\t\n\f\r >])|(?=>))"""
_ATTRIBUTE = (
    rb"[^\t\n\f\r />][^\t\n\f\r />=]*(?=[\t\n\f\r />=])"
    rb"(?:%(space)s*=%(space)s*%(value)s|(?!%(space)s*=))"
) % {b"space": _SPACE, b"value": _VALUE}
_TAG_ENDS = rb"(?:[\t\n\f\r /]|%s)*>" % _ATTRIBUTE
_NUMBER = rb"(?:0*(?:9|10|12|13|32)(?=[^0-9])|x0*(?:9|a|c|d|20)(?=[^0-9a-f]));?"
_PREFIX = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:"
    rb"%(space)s+"
    rb"|(?P<doctype><!doctype[^>]*>)"
    rb"|(?P<html><html%(ends)s%(rest)s)"
    rb"|<!--(?:-?>|.*?--!?>)"
    rb"|<!(?!-?-?\Z|--)[^>]*>|<\?[^>]*>|</(?:[^a-z>][^>]*)?>"
    rb"|</(?!(?:head|body|html|br)%(ends)s)[a-z][^\t\n\f\r />]*%(ends)s%(rest)s"
    rb"|&(?-i:Tab|NewLine);|&\#%(number)s"
    rb")*(?P<head><head%(ends)s%(rest)s)?"
    % {b"space": _SPACE, b"ends": _NAME_ENDS, b"rest": _TAG_ENDS, b"number": _NUMBER},
    re.IGNORECASE | re.DOTALL,
)
# What, at the end of the bytes so far, may yet turn out to be skipped.
_OPEN = re.compile(
    rb"|\xef\xbb?"
    rb"|<(?:[!?].*|/(?!(?:head|body|html|br)%(ends)s).*)?"
    rb"|<(?:h|ht|htm|he|hea|b|bo|bod|body|(?:html|head)(?:[\t\n\f\r />].*)?)"
    rb"|&(?:(?-i:T|Ta|Tab|N|Ne|New|NewL|NewLi|NewLin|NewLine))?"
    rb"|&\#0*(?:[12]?[0-9]|3[0-2])?|&\#x0*(?:1?[0-9a-f]|20)?" % {b"ends": _NAME_ENDS},
    re.IGNORECASE | re.DOTALL,
)
_BODY = re.compile(rb"<body" + _NAME_ENDS, re.IGNORECASE)
_ASCII = re.compile(rb"utf-?8|us-ascii|ascii|iso-8859|windows-|latin", re.IGNORECASE)

_UNDECIDED, _UNTOUCHED = -1, -2


def find_place(data: bytes, certain: bool, ended: bool) -> int:
    """Where the tag goes into what begins with `data`; _UNDECIDED: more is needed; _UNTOUCHED."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _UNTOUCHED
    match = _PREFIX.match(data)
    assert match  # it may be empty
    place = match.end()
    if match["head"] is None:
        if _OPEN.fullmatch(data, place) and not (ended and place == len(data)):
            return _UNDECIDED if not ended and len(data) < LIMIT else _UNTOUCHED
        if data.startswith((b"\0", b"<\0"), place):
            return _UNTOUCHED
    signs = certain or match["doctype"] or match["html"] or match["head"]
    return place if signs or _BODY.match(data, place) else _UNTOUCHED


_FRAGMENTS = {b"hx-request", b"turbo-frame", b"x-requested-with", b"datastar-request"}
_CONDITIONS = {b"if-none-match", b"if-modified-since", b"range", b"if-range"}
_DROPPED = {
    b"etag",
    b"last-modified",
    b"accept-ranges",
    b"content-md5",
    b"digest",
    b"content-digest",
    b"repr-digest",
    b"content-length",
}
_NO, _MAYBE, _YES = range(3)


def _page_of_request(method: str, headers: dict[bytes, bytes]) -> int:
    if method not in ("GET", "POST"):
        return _NO
    destination = headers.get(b"sec-fetch-dest")
    if destination is None:
        wanted = b"text/html" in headers.get(b"accept", b"")
        return _MAYBE if wanted and _FRAGMENTS.isdisjoint(headers) else _NO
    if destination == b"empty":
        return _YES if headers.get(b"sec-fetch-mode") == b"navigate" else _NO
    return _YES if destination in (b"document", b"iframe", b"frame") else _NO


def _is_page(status: int, headers: dict[bytes, bytes]) -> bool:
    if status < 200 or status in (204, 205, 206, 304) or b"content-encoding" in headers:
        return False
    media_type, _, parameters = headers.get(b"content-type", b"").partition(b";")
    if media_type.strip().lower() != b"text/html":
        return False
    _, _, charset = parameters.partition(b"charset=")
    if charset and not _ASCII.match(charset.strip(b' "')):
        return False
    return headers.get(b"content-disposition", b"inline").startswith(b"inline")


def _page_scope(scope: Scope) -> Scope:
    headers = [
        (name, b"identity") if name == b"accept-encoding" else (name, value)
        for name, value in scope["headers"]
        if name not in _CONDITIONS
    ]
    return {**scope, "headers": headers}


class PlainPythonMiddleware:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http":
            return self.app(scope, receive, send)
        page = _page_of_request(scope["method"], dict(scope["headers"]))
        if page != _NO:
            return self.app(_page_scope(scope), receive, _PageSend(send, page == _YES))
        if scope["method"] == "GET":
            return self.app(scope, receive, _FreshSend(send))
        return self.app(scope, receive, send)


class _FreshSend:
    """Sees to it that no browser keeps the response by guess."""

    __slots__ = ("_send",)

    def __init__(self, send: Send) -> None:
        self._send = send

    def __call__(self, message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            message = _fresh(message, dict(message["headers"]))
        return self._send(message)


def _fresh(start: Message, headers: dict[bytes, bytes]) -> Message:
    if b"cache-control" in headers or b"expires" in headers:
        return start
    if b"etag" not in headers and b"last-modified" not in headers:
        return start
    return {**start, "headers": [*start["headers"], (b"cache-control", b"no-cache")]}


class _PageSend:
    """Holds the start until the first of the body, and no more bytes than the place needs."""

    __slots__ = ("_certain", "_cursor", "_held", "_passes", "_send", "_start")

    def __init__(self, send: Send, certain: bool) -> None:
        self._send = send
        self._certain = certain
        self._cursor = time.monotonic_ns() // 1000
        self._start: Message | None = None
        self._held = b""
        self._passes = False

    async def __call__(self, message: Message) -> None:
        if self._passes:
            await self._send(message)
        elif message["type"] == "http.response.start":
            await self._send_start(message)
        else:
            await self._send_body(message)

    async def _send_start(self, message: Message) -> None:
        headers = dict(message["headers"])
        if _is_page(message["status"], headers):
            self._start = message
            return
        self._passes = True
        await self._send(_fresh(message, headers))

    async def _send_body(self, message: Message) -> None:
        more = message.get("more_body", False)
        data = self._held + message.get("body", b"")
        place = find_place(data, self._certain, not more)
        if place == _UNDECIDED:
            self._held = data
            return
        self._passes = True
        grown = 0
        if place != _UNTOUCHED:
            tag = TAG % (_BOOT, self._cursor)
            grown = len(tag)
            data = b"".join((data[:place], tag, data[place:]))
        assert self._start is not None
        await self._send(_tagged_start(self._start, grown) if grown else self._start)
        await self._send({**message, "body": data})


def _tagged_start(start: Message, grown: int) -> Message:
    headers: list[Header] = start["headers"]
    kept = [header for header in headers if header[0] not in _DROPPED]
    kept += _new_headers(dict(headers), grown)
    return {**start, "headers": kept}


def _new_headers(headers: dict[bytes, bytes], grown: int) -> Iterable[Header]:
    if length := headers.get(b"content-length"):
        yield b"content-length", b"%d" % (int(length) + grown)
    if b"cache-control" not in headers and b"expires" not in headers:
        yield b"cache-control", b"no-cache"
    if b"sec-fetch-dest" not in headers.get(b"vary", b"").lower():
        yield b"vary", b"Sec-Fetch-Dest"
