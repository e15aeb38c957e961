"""The request path, message by message."""

from __future__ import annotations

import asyncio
import copy
import itertools
import re
import sys
import types
from collections.abc import Awaitable, Callable, Generator, Iterator
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send
from starlette_hot_reload import _core
from starlette_hot_reload._core import client_file
from support import (
    EVENTS_PATH,
    NAVIGATION,
    PAGE,
    TAG,
    Exchange,
    LayerUnderTest,
    body,
    body_of,
    headers_of,
    html,
    http_scope,
    never,
    no_receive,
    run,
    sender,
    start,
)

LENGTH = (b"content-length", b"%d" % len(PAGE))
LAN = [(b"host", b"192.0.2.1"), (b"accept", b"text/html,*/*;q=0.8")]


def same(sent: list[Message], *messages: Message) -> bool:
    return len(sent) == len(messages) and all(a is b for a, b in zip(sent, messages, strict=True))


# ---- what is not a page ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["websocket", "something.new"])
def test_other_connections_reach_the_app_as_they_came(layer: LayerUnderTest, kind: str) -> None:
    seen: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.extend((scope, receive, send))

    async def send(message: Message) -> None: ...

    scope = {"type": kind, "path": EVENTS_PATH}
    asyncio.run(wait(layer.wrap(app)(scope, no_receive, send)))
    assert seen[0] is scope
    assert seen[1] is no_receive
    assert seen[2] is send


async def wait(awaitable: Awaitable[None]) -> None:
    await awaitable


def test_the_apps_own_awaitable_comes_back(layer: LayerUnderTest) -> None:
    coroutines: list[Any] = []

    async def work() -> None: ...

    def app(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        coroutines.append(work())
        return coroutines[-1]  # type: ignore[no-any-return]

    for headers in (NAVIGATION, LAN, [(b"sec-fetch-dest", b"empty")]):
        awaitable = layer.wrap(app)(http_scope(headers=headers), no_receive, never)
        assert awaitable is coroutines[-1]
        asyncio.run(wait(awaitable))


@pytest.mark.parametrize(
    "scope",
    [
        http_scope(headers=[(b"sec-fetch-dest", b"empty"), (b"accept", b"text/html")]),
        http_scope(headers=[(b"accept", b"*/*")]),
        http_scope(headers=[*LAN, (b"hx-request", b"true")]),
        http_scope(method="PUT"),
        http_scope(headers=[]),
    ],
)
def test_a_request_for_no_page_gets_the_very_messages(layer: LayerUnderTest, scope: Scope) -> None:
    messages = html(LENGTH), body(PAGE)
    assert same(layer.send(*messages, scope=scope), *messages)


@pytest.mark.parametrize("status", [204, 205, 206, 304])
def test_a_status_without_a_document_gets_the_very_messages(
    layer: LayerUnderTest, status: int
) -> None:
    messages = html(status=status), body()
    assert same(layer.send(*messages), *messages)


@pytest.mark.parametrize(
    "headers",
    [
        [(b"content-type", b"application/json")],
        [(b"content-type", b"text/htmlx")],
        [(b"content-type", b"text/html; charset=utf-16")],
        [(b"content-type", b"application/xhtml+xml")],
        [(b"content-type", b"text/html"), (b"content-encoding", b"br")],
        [(b"content-type", b"text/html"), (b"content-disposition", b"attachment")],
        [],
    ],
)
def test_a_response_that_is_no_page_gets_the_very_messages(
    layer: LayerUnderTest, headers: Any
) -> None:
    messages = start(headers), body(PAGE)
    assert same(layer.send(*messages), *messages)


def test_a_fragment_on_plain_http_gets_the_very_messages(layer: LayerUnderTest) -> None:
    messages = html((b"etag", b'"1"'), (b"cache-control", b"private")), body(b"<li>x</li>")
    assert same(layer.send(*messages, scope=http_scope(headers=LAN)), *messages)


def test_where_a_person_would_wonder_the_reason_is_told(layer: LayerUnderTest) -> None:
    layer.send(html((b"content-encoding", b"br")), body(b"x"), scope=http_scope("/page"))
    layer.send(start([(b"content-type", b"image/png")]), body(b"x"))
    assert [path for path, _ in layer.reasons] == ["/page"]


@pytest.mark.parametrize(
    "odd",
    [
        {"type": "http.response.start", "status": 200, "headers": iter([(b"a", b"b")])},
        {"type": "http.response.start", "status": 200, "headers": [(b"a", b"b", b"c")]},
        {"type": "http.response.start", "status": 200, "headers": [("content-type", "text/html")]},
        {"type": "http.response.start", "status": 200, "headers": [b"ab"]},
        {"type": "http.response.start", "status": 200, "headers": [(b"content-type", "text/html")]},
        {"type": "http.response.start", "status": "200", "headers": []},
        {"type": "http.response.start", "status": 1000, "headers": []},
        {"type": "http.response.start", "status": 10**30, "headers": []},
        {"type": "http.response.start", "headers": []},
        {"type": "http.response.start", "status": 200},
    ],
)
def test_an_odd_start_gets_the_very_messages(layer: LayerUnderTest, odd: Message) -> None:
    messages = odd, body(PAGE)
    assert same(layer.send(*messages), *messages)


class Undecided:
    def __bool__(self) -> bool:
        raise ZeroDivisionError


@pytest.mark.parametrize(
    "odd",
    [
        "text",
        {"type": "http.response.body", "body": PAGE, "more_body": Undecided()},
        {"type": "http.response.body", "body": "text"},
        {"type": "http.response.body", "body": 7},
        {"type": "http.response.body", "body": [60, 104]},
        {"type": "http.response.pathsend", "path": "/x"},
        {"type": "http.response.zerocopysend", "file": 3},
        {"type": "something.new"},
        {"kind": "no type"},
    ],
)
def test_after_an_odd_message_all_pass_in_order(layer: LayerUnderTest, odd: Any) -> None:
    messages = html(LENGTH), odd, body(PAGE)
    assert same(layer.send(*messages), *messages)


def test_messages_before_the_start_pass_and_the_page_is_still_injected(
    layer: LayerUnderTest,
) -> None:
    debug = {"type": "http.response.debug", "info": {}}
    sent = layer.send(debug, html(), body(PAGE))
    assert sent[0] is debug
    assert TAG.search(body_of(sent))


@pytest.mark.parametrize(
    "change",
    [
        {"headers": iter(())},
        {"headers": [(b"accept", "b")]},
        {"headers": [[b"a"]]},
        {"method": None},
        {"method": b"GET"},
    ],
)
def test_an_odd_request_reaches_the_app_as_it_came(
    layer: LayerUnderTest, change: dict[str, Any]
) -> None:
    seen: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.extend((scope, receive, send))

    scope = {**http_scope(), **change}
    asyncio.run(wait(layer.wrap(app)(scope, no_receive, never)))
    assert seen[0] is scope
    assert seen[2] is never


@pytest.mark.parametrize(
    "change", [{"path": None}, {"path": b"/"}, {"path": 7}, {"path": "\ud800"}]
)
def test_an_odd_path_is_none_of_ours(layer: LayerUnderTest, change: dict[str, Any]) -> None:
    sent = layer.send(html(), body(PAGE), scope={**http_scope(), **change})
    assert TAG.search(body_of(sent))


@pytest.mark.parametrize("root_path", [None, b"/a", 7])
def test_an_odd_root_path_is_none(layer: LayerUnderTest, root_path: Any) -> None:
    path = "/a" + EVENTS_PATH
    sent = layer.send(html(), body(PAGE), scope=http_scope(path, NAVIGATION, root_path=root_path))
    match = TAG.search(body_of(sent))
    assert match
    assert match["src"] == EVENTS_PATH.encode() + b"/client.js"


def test_a_call_that_is_not_asgis_reaches_the_app_as_it_came(layer: LayerUnderTest) -> None:
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def app(*args: Any, **kwargs: Any) -> None:
        calls.append((args, kwargs))

    wrapped: Any = layer.wrap(app)  # type: ignore[arg-type]
    scope = http_scope()
    wrapped(scope)
    wrapped(scope=scope, receive=no_receive, send=never)
    wrapped("scope", no_receive, never)
    assert calls == [
        ((scope,), {}),
        ((), {"scope": scope, "receive": no_receive, "send": never}),
        (("scope", no_receive, never), {}),
    ]


@pytest.mark.parametrize(
    "engine", ["no engine", None, ZeroDivisionError()], ids=["another", "none", "failing"]
)
def test_without_an_engine_a_page_is_as_the_app_sent_it(
    engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    unraisable: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: unraisable.append(args.exc_value))

    def start(scope: Scope) -> Any:
        if isinstance(engine, Exception):
            raise engine
        return engine

    messages = html(), body(PAGE)
    layer = _core.Layer(
        sender(*messages),
        events_path=EVENTS_PATH,
        endpoint=never,
        lifespan=never,
        start=start,
        warn=never,
        note=never,
        outermost=True,
        morph=False,
    )
    assert same(run(layer, http_scope()), *messages)
    assert unraisable == ([engine] if isinstance(engine, Exception) else [])


def test_a_layer_checks_what_it_is_given(layer: LayerUnderTest) -> None:
    with pytest.raises(TypeError):
        _core.Layer(never)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="invalid"):
        layer.wrap(never, events_path="/\ud800")
    wrapped = layer.wrap(never)
    with pytest.raises(TypeError, match="Engine or None"):
        wrapped.engine = 3  # type: ignore[assignment]
    wrapped.engine = layer.engine
    assert wrapped.engine is layer.engine
    wrapped.engine = None
    assert wrapped.engine is None


# ---- a page ----------------------------------------------------------------------------------


def test_a_page_gets_one_tag_and_a_true_length(layer: LayerUnderTest) -> None:
    sent = layer.send(html(LENGTH), body(PAGE))
    content = body_of(sent)
    match = TAG.search(content)
    assert match
    assert content[: match.start()] + content[match.end() :] == PAGE
    assert content[: match.start()].endswith(b"<head>")
    assert match["src"] == EVENTS_PATH.encode() + b"/client.js"
    file = client_file(b"client.js")
    assert file
    assert match["version"] in file[2], "what it names is what is served"
    assert headers_of(sent[0])[b"content-length"] == b"%d" % len(content)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]


def test_the_apps_objects_are_not_changed(layer: LayerUnderTest) -> None:
    scope = http_scope(
        headers=[*NAVIGATION, (b"if-none-match", b"x")],
        extensions={"http.response.pathsend": {}},
    )
    messages = [html(LENGTH, (b"etag", b"x")), body(PAGE)]
    before = copy.deepcopy((scope, messages))
    layer.send(*messages, scope=scope)
    assert (scope, messages) == before


def test_validators_and_digests_go_and_the_page_is_not_cached(layer: LayerUnderTest) -> None:
    gone = [b"ETag", b"Last-Modified", b"Accept-Ranges", b"Content-MD5", b"Digest"]
    sent = layer.send(html(*((name, b"x") for name in gone), (b"X-Other", b"1")), body(PAGE))
    assert sent[0]["headers"] == [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"X-Other", b"1"),
        (b"cache-control", b"no-cache"),
        (b"vary", b"Sec-Fetch-Dest"),
    ]


def test_what_the_app_says_about_caching_stays(layer: LayerUnderTest) -> None:
    said = [(b"cache-control", b"max-age=9"), (b"vary", b"Accept, Sec-Fetch-Dest")]
    sent = layer.send(html(*said), body(PAGE))
    assert sent[0]["headers"][1:] == said


@pytest.mark.parametrize("lengths", [[b"71", b"71"], [b"-1"], [b"1 "], [b""], [b"9" * 30]])
def test_a_length_in_doubt_is_dropped(layer: LayerUnderTest, lengths: list[bytes]) -> None:
    sent = layer.send(html(*((b"Content-Length", value) for value in lengths)), body(PAGE))
    assert b"Content-Length" not in headers_of(sent[0])
    assert TAG.search(body_of(sent))


def test_the_app_of_a_page_sees_no_validators_and_no_codings(layer: LayerUnderTest) -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    conditions = [
        (b"If-None-Match", b"x"),
        (b"if-modified-since", b"x"),
        (b"range", b"bytes=0-"),
        (b"if-range", b"x"),
        (b"Accept-Encoding", b"gzip"),
        (b"cookie", b"a=b"),
    ]
    extensions: dict[str, Any] = {
        "http.response.pathsend": {},
        "http.response.zerocopysend": {},
        "http.response.debug": {},
    }
    layer.run(app, http_scope(headers=NAVIGATION + conditions, extensions=extensions))
    assert seen[0]["headers"] == [
        *NAVIGATION,
        (b"Accept-Encoding", b"identity"),
        (b"cookie", b"a=b"),
    ]
    assert seen[0]["extensions"] == {"http.response.debug": {}}


def test_of_many_headers_none_too_many_is_seen(layer: LayerUnderTest) -> None:
    many = [(b"x-%d" % number, b"") for number in range(70)]
    hidden = [(b"if-none-match", b'"1"'), (b"range", b"bytes=0-")]
    exchange = Exchange()
    scope = http_scope(headers=[*hidden, *many, *hidden, (b"accept-encoding", b"br"), *NAVIGATION])
    layer.run(exchange.inside(sender(html(), body(PAGE))), scope)
    assert exchange.seen["headers"] == [*many, (b"accept-encoding", b"identity"), *NAVIGATION]


def change_headers(message: Message) -> None:
    message["headers"] = 3


def empty_headers(message: Message) -> None:
    message["headers"].clear()


def spoil_headers(message: Message) -> None:
    message["headers"][:] = [3, (b"a",), (b"content-length", 7)]


@pytest.mark.parametrize("change", [change_headers, empty_headers, spoil_headers])
def test_what_becomes_of_a_start_after_it_was_sent_breaks_no_page(
    layer: LayerUnderTest, change: Callable[[Message], None]
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        message = html(LENGTH)
        await send(message)
        change(message)
        await send(body(PAGE))

    sent = layer.run(app)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert TAG.sub(b"", body_of(sent)) == PAGE


def test_odd_trailers_are_the_very_message(layer: LayerUnderTest) -> None:
    odd = {"type": "http.response.trailers", "headers": 3}
    sent = layer.send({**html(), "trailers": True}, body(PAGE), odd)
    assert TAG.search(body_of(sent))
    assert sent[-1] is odd


@pytest.mark.parametrize("convert", [bytes, bytearray, memoryview])
def test_every_kind_of_bytes_is_a_body(layer: LayerUnderTest, convert: Any) -> None:
    assert TAG.search(body_of(layer.send(html(), body(convert(PAGE)))))


def test_headers_may_be_lists_and_tuples(layer: LayerUnderTest) -> None:
    message = {**start(), "headers": ([b"content-type", b"text/html"],)}
    assert TAG.search(body_of(layer.send(message, body(PAGE))))


def test_a_body_message_may_leave_everything_out(layer: LayerUnderTest) -> None:
    sent = layer.send(html(), {"type": "http.response.body"})
    assert TAG.fullmatch(body_of(sent)) or body_of(sent) == b""


def test_an_error_page_gets_the_tag(layer: LayerUnderTest) -> None:
    assert TAG.search(body_of(layer.send(html(status=500), body(PAGE))))


def test_a_page_on_plain_http_gets_the_tag(layer: LayerUnderTest) -> None:
    assert TAG.search(body_of(layer.send(html(), body(PAGE), scope=http_scope(headers=LAN))))


def test_the_cursor_is_of_the_beginning_of_the_request(layer: LayerUnderTest) -> None:
    inside: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        inside.append(layer.engine.now())
        await send(html())
        await send(body(PAGE))

    before = layer.engine.now()
    match = TAG.search(body_of(layer.run(app)))
    assert match
    assert before <= match["cursor"].decode() <= inside[0]


def test_a_page_that_holds_the_tag_passes_untouched(layer: LayerUnderTest) -> None:
    tagged = body_of(layer.send(html(), body(PAGE)))
    messages = html(), body(tagged)
    assert same(layer.send(*messages), *messages)


@pytest.mark.parametrize("length", range(1, len(b'<script data-cursor="')))
def test_a_page_that_ends_in_the_beginning_of_a_tag_gets_its_own(
    layer: LayerUnderTest, length: int
) -> None:
    content = b"<!doctype html><html><head>" + b'<script data-cursor="'[:length]
    for messages in ([body(content)], [body(content[:-1], True), body(content[-1:])]):
        sent = body_of(layer.send(html(), *messages))
        assert TAG.search(sent)
        assert TAG.sub(b"", sent) == content


def test_a_layer_in_a_layer_adds_nothing(layer: LayerUnderTest) -> None:
    inner = layer.wrap(sender(html(LENGTH), body(PAGE)), events_path="/inner")
    content = body_of(run(layer.wrap(inner), http_scope()))
    assert [match["src"] for match in TAG.finditer(content)] == [
        EVENTS_PATH.encode() + b"/client.js"
    ]


# ---- chunks ----------------------------------------------------------------------------------


def chunked(content: bytes, *cuts: int) -> list[Message]:
    edges = [0, *cuts, len(content)]
    parts = [content[a:b] for a, b in itertools.pairwise(edges)]
    return [body(part, index < len(parts) - 1) for index, part in enumerate(parts)]


@pytest.mark.parametrize(
    "content", [PAGE, b"<!-- c --><html lang=en><HEAD>x", b" \n<p>hello</p>", b"just text"]
)
def test_where_a_body_is_cut_changes_nothing(layer: LayerUnderTest, content: bytes) -> None:
    whole = TAG.sub(b"<TAG>", body_of(layer.send(html(), body(content))))
    assert whole.count(b"<TAG>") == 1
    cuts = [(i,) for i in range(len(content) + 1)] + [tuple(range(1, len(content)))]
    for cut in cuts:
        sent = layer.send(html(LENGTH), *chunked(content, *cut))
        assert TAG.sub(b"<TAG>", body_of(sent)) == whole
        assert len(sent) == 2 + len(cut)
        assert [message["more_body"] for message in sent[1:]] == [True] * len(cut) + [False]


def test_the_start_is_not_held_beyond_the_first_body_message(layer: LayerUnderTest) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(html(LENGTH))
        assert not sent
        await send(body(b"", more=True))
        assert [message["type"] for message in sent] == [
            "http.response.start",
            "http.response.body",
        ]
        assert b"content-length" not in headers_of(sent[0])
        await send(body(b"<!doctype html> <he", more=True))
        assert len(b"<!doctype html> <he") - len(body_of(sent)) < 16
        await send(body(b"ad>", more=True))
        await send(body(b"rest"))

    asyncio.run(wait(layer.wrap(app)(http_scope(), no_receive, send)))
    assert TAG.sub(b"", body_of(sent)) == b"<!doctype html> <head>rest"


def test_after_the_tag_every_message_is_the_apps_own(layer: LayerUnderTest) -> None:
    rest = [body(b"a", more=True), {"type": "http.response.body", "body": b"b"}]
    sent = layer.send(html(), body(PAGE, more=True), *rest)
    assert same(sent[2:], *rest)


def test_bytes_held_back_go_out_before_an_odd_message(layer: LayerUnderTest) -> None:
    odd = {"type": "something.new"}
    sent = layer.send(html(), body(b"<!doctype html><hea", more=True), odd, body(b"d>"))
    assert body_of(sent) == b"<!doctype html><head>"
    assert sent[-2] is odd


@pytest.mark.parametrize("more", [True, False])
def test_a_large_body_is_not_copied(layer: LayerUnderTest, more: bool) -> None:
    large = PAGE + bytes(1 << 20)
    size = b"%d" % len(large)
    sent = layer.send(html((b"content-length", size)), body(large, more), body(b"end"))
    content = body_of(sent[:3])
    assert TAG.sub(b"", content) == large
    assert headers_of(sent[0])[b"content-length"] == b"%d" % len(content)
    assert [message["more_body"] for message in sent[1:3]] == [True, more]
    assert isinstance(sent[2]["body"], memoryview)
    assert sent[2]["body"].obj is large

    sent = layer.send(html(), body(b"<!doctype html> <he", True), body(b"ad>" + large, more))
    assert TAG.sub(b"", body_of(sent)) == b"<!doctype html> <head>" + large


def test_trailers_lose_what_is_no_longer_true(layer: LayerUnderTest) -> None:
    trailers = {
        "type": "http.response.trailers",
        "headers": [(b"content-digest", b"x"), (b"x-time", b"1")],
        "more_trailers": False,
    }
    sent = layer.send({**html(), "trailers": True}, body(PAGE), trailers)
    assert sent[-1] == {**trailers, "headers": [(b"x-time", b"1")]}
    messages = {**start([(b"content-type", b"text/css")]), "trailers": True}, body(b"x"), trailers
    assert same(layer.send(*messages), *messages)


# ---- HEAD, caches ----------------------------------------------------------------------------


def test_head_of_a_page_has_no_length_and_no_body(layer: LayerUnderTest) -> None:
    scope = http_scope(method="HEAD")
    sent = layer.send(html(LENGTH, (b"etag", b"x")), body(), scope=scope)
    assert not {b"content-length", b"etag"} & headers_of(sent[0]).keys()
    assert body_of(sent) == b""


def test_head_of_what_may_be_a_page_gets_the_very_messages(layer: LayerUnderTest) -> None:
    messages = html(LENGTH), body()
    assert same(layer.send(*messages, scope=http_scope(headers=LAN, method="HEAD")), *messages)


@pytest.mark.parametrize("headers", [NAVIGATION, [(b"sec-fetch-dest", b"style")]])
def test_what_a_browser_would_keep_by_guess_is_revalidated(
    layer: LayerUnderTest, headers: Any
) -> None:
    css = [(b"content-type", b"text/css"), (b"etag", b"x"), (b"content-length", b"1")]
    content = body(b"x")
    sent = layer.send(start(css), content, scope=http_scope(headers=headers))
    assert sent[0]["headers"] == [*css, (b"cache-control", b"no-cache")]
    assert sent[1] is content


@pytest.mark.parametrize(
    "more", [(b"cache-control", b"max-age=1"), (b"expires", b"0"), (b"x", b"y")]
)
def test_what_says_when_it_expires_gets_the_very_messages(layer: LayerUnderTest, more: Any) -> None:
    validators = [] if more[0] == b"x" else [(b"etag", b"x")]
    messages = start([(b"content-type", b"text/css"), *validators, more]), body(b"x")
    assert same(layer.send(*messages), *messages)


# ---- addresses -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "root_path"),
    [
        (EVENTS_PATH, ""),
        (EVENTS_PATH + "/client.js", ""),
        (EVENTS_PATH + "/", ""),
        ("/api" + EVENTS_PATH, "/api"),
        ("/api" + EVENTS_PATH + "/client.js", "/api/"),
        (EVENTS_PATH, "/api"),
        ("/api/api" + EVENTS_PATH, "/api"),
    ],
)
def test_the_events_path_is_answered_with_any_root_path(
    layer: LayerUnderTest, path: str, root_path: str
) -> None:
    scope = http_scope(path, root_path=root_path)
    assert same(run(layer.wrap(never, endpoint=sender(html())), scope)) is False


@pytest.mark.parametrize(
    ("path", "root_path"),
    [("/", ""), (EVENTS_PATH + "x", ""), ("/x" + EVENTS_PATH, ""), ("/apix" + EVENTS_PATH, "/api")],
)
def test_other_paths_reach_the_app(layer: LayerUnderTest, path: str, root_path: str) -> None:
    assert layer.send(html(), body(PAGE), scope=http_scope(path, root_path=root_path))


@pytest.mark.parametrize(
    ("root_path", "address"),
    [
        ("", b"/__starlette_hot_reload/client.js"),
        ("/api/", b"/api/__starlette_hot_reload/client.js"),
        ('/ä b"', b"/%C3%A4%20b%22/__starlette_hot_reload/client.js"),
        ("//evil.example", b"/evil.example/__starlette_hot_reload/client.js"),
        ("/", b"/__starlette_hot_reload/client.js"),
    ],
)
def test_the_scripts_address_holds_the_root_path(
    layer: LayerUnderTest, root_path: str, address: bytes
) -> None:
    match = TAG.search(
        body_of(layer.send(html(), body(PAGE), scope=http_scope(root_path=root_path)))
    )
    assert match
    assert match["src"] == address


# ---- policies --------------------------------------------------------------------------------

STRICT = b"script-src 'strict-dynamic' 'sha256-x'"


def policy(value: bytes) -> tuple[bytes, bytes]:
    return b"content-security-policy", value


def told_policy(sent: list[Message]) -> bytes:
    return headers_of(sent[0])[b"content-security-policy"]


def test_where_nothing_but_a_nonce_lets_it_run_the_tag_has_one(layer: LayerUnderTest) -> None:
    nonces = set()
    for _ in range(3):
        sent = layer.send(html(policy(STRICT)), body(PAGE))
        match = re.search(rb'<script data-cursor=[^>]* nonce="([^"]+)"></script>', body_of(sent))
        assert match
        assert told_policy(sent) == STRICT + b" 'nonce-" + match[1] + b"'"
        nonces.add(match[1])
    assert len(nonces) == 3
    assert layer.notes


def test_where_the_page_has_a_nonce_the_tag_takes_it(layer: LayerUnderTest) -> None:
    own = b"script-src 'nonce-abc'"
    sent = layer.send(html(policy(own)), body(PAGE))
    assert b' nonce="abc"></script>' in body_of(sent)
    assert told_policy(sent) == own
    assert not layer.notes


def test_where_no_worker_may_run_the_tag_says_so(layer: LayerUnderTest) -> None:
    sent = layer.send(html(policy(b"worker-src 'none'")), body(PAGE))
    assert b' data-share=""></script>' in body_of(sent)


def test_a_page_in_a_sandbox_is_left_alone_and_told_of(layer: LayerUnderTest) -> None:
    messages = html((b"cache-control", b"no-store"), policy(b"sandbox")), body(PAGE)
    assert same(layer.send(*messages), *messages)
    [(path, reason)] = layer.reasons
    assert path == "/"
    assert "sandbox" in reason


@pytest.mark.parametrize(
    "proxy", [b"via", b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"]
)
def test_behind_a_proxy_a_policy_names_no_host(layer: LayerUnderTest, proxy: bytes) -> None:
    strict = html(policy(b"default-src 'none'"))
    host = (b"host", b"localhost:8000")
    straight = layer.send(
        strict, body(PAGE), scope=http_scope(headers=[host, (b"sec-fetch-dest", b"document")])
    )
    assert b"localhost:8000" in told_policy(straight)
    for headers in ([host, (proxy, b"x")], [(proxy, b"x"), host]):
        scope = http_scope(headers=[*headers, (b"sec-fetch-dest", b"document")])
        told = told_policy(layer.send(strict, body(PAGE), scope=scope))
        assert told == b"default-src 'none'; script-src 'self'; connect-src 'self'"


# ---- awaiting --------------------------------------------------------------------------------


class Custom(Exception):
    pass


def test_what_is_no_message_is_refused_as_by_a_server(layer: LayerUnderTest) -> None:
    async def app(scope: Scope, receive: Receive, send: Any) -> None:
        for call in (send, lambda: send(html(), html()), lambda: send(message=html())):
            with pytest.raises(TypeError, match="one message"):
                call()
        await send(html())
        await send(body(PAGE))

    assert TAG.search(body_of(layer.run(app)))


@pytest.mark.parametrize("failing", ["http.response.start", "http.response.body"])
def test_what_a_server_raises_at_the_call_reaches_the_app(
    layer: LayerUnderTest, failing: str
) -> None:
    def send(message: Message) -> Awaitable[None]:
        if message["type"] == failing:
            raise Custom
        return asyncio.sleep(0)

    sequence = collect(layer, send)
    with pytest.raises(Custom):
        asyncio.run(wait(sequence))


def test_an_apps_exception_passes(layer: LayerUnderTest) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(html())
        raise Custom

    with pytest.raises(Custom):
        layer.run(app)


@pytest.mark.parametrize("failing", ["http.response.start", "http.response.body"])
def test_a_servers_exception_reaches_the_app(layer: LayerUnderTest, failing: str) -> None:
    caught: list[BaseException] = []

    async def send(message: Message) -> None:
        await asyncio.sleep(0)
        if message["type"] == failing:
            raise Custom

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(html())
        try:
            await send(body(PAGE))
        except Custom as error:
            caught.append(error)

    asyncio.run(wait(layer.wrap(app)(http_scope(), no_receive, send)))
    assert len(caught) == 1


@pytest.mark.parametrize("stuck", ["http.response.start", "http.response.body"])
def test_a_cancellation_arrives_in_the_servers_send(layer: LayerUnderTest, stuck: str) -> None:
    sent: list[str] = []

    async def main() -> None:
        reached = asyncio.Event()

        async def send(message: Message) -> None:
            sent.append(message["type"])
            if message["type"] == stuck:
                reached.set()
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    sent.append("cancelled")
                    raise

        app = layer.wrap(sender(html(), body(PAGE)))

        async def work() -> None:
            await app(http_scope(), no_receive, send)

        task = asyncio.create_task(work())
        await asyncio.wait_for(reached.wait(), 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert sent[-2:] == [stuck, "cancelled"]


def test_a_send_that_outlives_a_cancellation_sends_the_rest(layer: LayerUnderTest) -> None:
    sent: list[str] = []

    async def main() -> None:
        reached = asyncio.Event()

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                reached.set()
                with pytest.raises(asyncio.CancelledError):
                    await asyncio.Event().wait()
            sent.append(message["type"])

        app = layer.wrap(sender(html(), body(PAGE)))

        async def work() -> None:
            await app(http_scope(), no_receive, send)

        task = asyncio.create_task(work())
        await asyncio.wait_for(reached.wait(), 10)
        task.cancel()
        await task

    asyncio.run(main())
    assert sent == ["http.response.start", "http.response.body"]


@types.coroutine
def suspend() -> Generator[None, None, None]:
    yield


def collect(layer: LayerUnderTest, inner: Any) -> Any:
    """The awaitable that the body of a page comes to."""
    awaitables: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(html())
        awaitables.append(send(body(PAGE)))

    asyncio.run(wait(layer.wrap(app)(http_scope(), no_receive, inner)))
    return awaitables[0]


class Twice:
    """An awaitable that is no coroutine."""

    def __init__(self, log: list[Any], message: Message) -> None:
        self.log = log
        self.message = message

    def __await__(self) -> Generator[str, str, None]:
        self.log.append((self.message["type"], (yield "one"), (yield "two")))


def test_a_sequence_drives_any_awaitable_like_a_coroutine(layer: LayerUnderTest) -> None:
    log: list[Any] = []
    sequence = collect(layer, lambda message: Twice(log, message))
    assert [sequence.send(None), sequence.send("a"), sequence.send("b")] == ["one", "two", "one"]
    assert sequence.send("c") == "two"
    with pytest.raises(StopIteration):
        sequence.send("d")
    assert log == [("http.response.start", "a", "b"), ("http.response.body", "c", "d")]
    with pytest.raises(StopIteration):
        sequence.send(None)


def test_a_sequence_that_is_closed_closes_what_it_awaits(layer: LayerUnderTest) -> None:
    log: list[str] = []

    async def inner(message: Message) -> None:
        try:
            await suspend()
        finally:
            log.append(message["type"])

    sequence = collect(layer, inner)
    sequence.send(None)
    sequence.close()
    assert log == ["http.response.start"]
    with pytest.raises(StopIteration):
        sequence.send(None)


class Plain:
    """An awaitable whose iterator has nothing but a next."""

    def __await__(self) -> Iterator[None]:
        return iter([None])


def test_a_sequence_is_closed_whatever_it_awaits(layer: LayerUnderTest) -> None:
    begun = collect(layer, lambda message: Plain())
    begun.send(None)
    fresh, done = collect(layer, never), collect(layer, lambda message: Plain())
    assert list(done) == [None, None]
    for sequence in begun, fresh, done:
        assert sequence.close() is None
        assert list(sequence) == []


def test_a_thrown_exception_ends_what_knows_no_throw(layer: LayerUnderTest) -> None:
    sequence = collect(layer, lambda message: Plain())
    sequence.send(None)
    with pytest.raises(TypeError):
        sequence.throw()
    with pytest.raises(Custom):
        sequence.throw(Custom)


def test_who_awaits_on_after_an_exception_is_driven_on(layer: LayerUnderTest) -> None:
    sent: list[str] = []

    async def inner(message: Message) -> None:
        try:
            await suspend()
        except Custom:
            await suspend()
        sent.append(message["type"])

    sequence = collect(layer, inner)
    sequence.send(None)
    assert sequence.throw(Custom) is None
    assert sent == []
    assert list(sequence) == [None]
    assert sent == ["http.response.start", "http.response.body"]


@pytest.mark.parametrize("thrown", [(Custom,), (Custom("x"),), (Custom, "x"), (Custom, None, None)])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_is_thrown_into_a_sequence_comes_out(layer: LayerUnderTest, thrown: Any) -> None:
    fresh = collect(layer, never)
    with pytest.raises(Custom):
        fresh.throw(*thrown)

    async def inner(message: Message) -> None:
        await suspend()

    begun = collect(layer, inner)
    begun.send(None)
    with pytest.raises(Custom):
        begun.throw(*thrown)


def test_holding_the_start_takes_no_turn_of_the_loop(layer: LayerUnderTest) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        awaitable: Any = send(html())
        assert list(awaitable.__await__()) == []
        assert await awaitable is None

    layer.run(app)
