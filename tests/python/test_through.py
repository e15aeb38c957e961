"""Starlette's own middleware and responses, through the layer: nothing changes but one tag."""

from __future__ import annotations

import asyncio
import copy
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import jinja2
import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask, BackgroundTasks
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket
from starlette_hot_reload import HotReload, HotReloadMiddleware
from support import (
    DEADLINE,
    EVENTS_PATH,
    NAVIGATION,
    PAGE,
    TAG,
    Exchange,
    LayerUnderTest,
    alive,
    body,
    body_of,
    call,
    headers_of,
    html,
    http_scope,
    no_receive,
    run,
    sender,
    start,
)

# Starlette 0.35 says this of its own StaticFiles.
pytestmark = pytest.mark.filterwarnings("ignore:The 'method' parameter is not used")

FETCH = [(b"host", b"localhost"), (b"sec-fetch-dest", b"empty"), (b"sec-fetch-mode", b"cors")]
STYLE = [(b"host", b"localhost"), (b"sec-fetch-dest", b"style")]
LAN = [(b"host", b"192.0.2.1"), (b"accept", b"text/html,*/*;q=0.8")]
HTMX = [*LAN, (b"hx-request", b"true")]
GZIP = (b"accept-encoding", b"gzip, deflate, br")
NO_CACHE = (b"cache-control", b"no-cache")
VARY = (b"vary", b"Sec-Fetch-Dest")
LARGE = PAGE + b"<!--" + b"x" * (1 << 20) + b"-->"


async def connected() -> Message:
    """The receive() of a client that stays."""
    await asyncio.Event().wait()
    raise AssertionError


def exchange(
    layer: LayerUnderTest, app: ASGIApp, scope: Scope | None = None, receive: Any = connected
) -> Exchange:
    result = Exchange()
    wrapped = layer.wrap(result.inside(app))
    result.sent = run(wrapped, http_scope() if scope is None else scope, receive)
    return result


def untagged(content: bytes) -> bytes:
    """`content` without the one tag that it has to hold."""
    rest, count = TAG.subn(b"", content)
    assert count == 1, content[:200]
    return rest


def is_page(sent: list[Message], content: bytes = PAGE) -> bool:
    """Is it `content` with one tag, and a length that is right, if there is one?"""
    headers = headers_of(sent[0])
    length = headers.get(b"content-length")
    return untagged(body_of(sent)) == content and length in (None, b"%d" % len(body_of(sent)))


# ---- what is not injected --------------------------------------------------------------------


def route(respond: Callable[[Request], Response]) -> ASGIApp:
    """A whole Starlette application around one endpoint."""

    async def endpoint(request: Request) -> Response:
        return respond(request)

    methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"]
    return Starlette(routes=[Route("/{path:path}", endpoint, methods=methods)])


def refuse(request: Request) -> Response:
    raise HTTPException(404, "not here")


def cookies(request: Request) -> Response:
    response = JSONResponse({"a": 1})
    response.set_cookie("a", "1")
    response.set_cookie("b", "2")
    return response


async def numbers() -> AsyncIterator[bytes]:
    for number in range(3):
        yield b"%d" % number


NOT_PAGES: dict[str, ASGIApp] = {
    "json": route(lambda request: JSONResponse({"a": [1, 2, 3]})),
    "text": route(lambda request: PlainTextResponse("<!doctype html><html>")),
    "nothing": route(lambda request: Response(status_code=204)),
    "empty": route(lambda request: Response()),
    "redirect": route(lambda request: RedirectResponse("/there")),
    "not modified": route(lambda request: Response(status_code=304)),
    "refusal": route(refuse),
    "no route": Starlette(),
    "cookies": route(cookies),
    "stream": route(lambda request: StreamingResponse(numbers(), media_type="text/plain")),
    "threaded stream": route(lambda request: StreamingResponse(iter([b"a", b"", b"b"]))),
    "events": route(lambda request: StreamingResponse(numbers(), media_type="text/event-stream")),
    "download": route(
        lambda request: HTMLResponse(PAGE, headers={"content-disposition": "attachment"})
    ),
    "partial page": route(
        lambda request: HTMLResponse(
            PAGE[:9], 206, {"content-range": "bytes 0-8/71", "cache-control": "no-store"}
        )
    ),
    "bytearray": sender(start([(b"content-type", b"image/png")]), body(bytearray(b"x" * 99))),
    "memoryview": sender(start([(b"content-type", b"image/png")]), body(memoryview(b"x" * 99))),
    "trailers": sender(
        {**start([(b"content-type", b"text/css")]), "trailers": True},
        body(b"a{}", True),
        body(),
        {"type": "http.response.trailers", "headers": [(b"digest", b"x")], "more_trailers": False},
    ),
    "hints": sender(
        {"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]},
        {"type": "http.response.push", "path": "/a.css", "headers": []},
        start(),
        body(b"x"),
    ),
    "debug": sender({"type": "http.response.debug", "info": {}}, start(), body(b"x")),
    "zero copy": sender(
        start([(b"content-type", b"video/mp4")]),
        {"type": "http.response.zerocopysend", "file": 3, "count": 9, "more_body": True},
        body(b"x"),
    ),
    "pathsend": sender(
        start([(b"content-type", b"video/mp4")]),
        {"type": "http.response.pathsend", "path": "/x.mp4"},
    ),
    "no body": sender(start()),
    "no message": sender(),
}
REQUESTS: dict[str, Scope] = {
    "navigation": http_scope(),
    "fetch": http_scope(headers=FETCH),
    "sheet": http_scope(headers=STYLE),
    "htmx": http_scope(headers=HTMX),
    "unknown": http_scope(headers=[]),
    "plain": http_scope(headers=LAN),
    "head": http_scope(method="HEAD"),
    "post": http_scope(method="POST"),
    "put": http_scope(method="PUT"),
    "delete": http_scope(method="DELETE", headers=FETCH),
    "options": http_scope(method="OPTIONS", headers=[]),
}


def assert_untouched(result: Exchange, *lacks: tuple[bytes, bytes]) -> None:
    """The server got what the app said, object by object; only the start may be a copy with `lacks`
    at the end of its headers, and only where there are some."""
    expected = result.said
    if lacks:
        first = result.said[0]
        assert first["headers"][-len(lacks) :] != list(lacks)
        assert result.sent[0] == {**first, "headers": [*first["headers"], *lacks]}
        expected = [result.sent[0], *result.said[1:]]
    assert len(result.sent) == len(expected)
    assert all(a is b for a, b in zip(result.sent, expected, strict=True))


@pytest.mark.parametrize("request_name", REQUESTS)
@pytest.mark.parametrize("name", NOT_PAGES)
def test_what_is_not_injected_is_the_very_sequence_of_messages(
    layer: LayerUnderTest, name: str, request_name: str
) -> None:
    request = {**REQUESTS[request_name]}
    before = copy.deepcopy(request)

    async def work() -> tuple[list[Message], Exchange]:
        without = await call(NOT_PAGES[name], copy.deepcopy(request), connected)
        result = Exchange()
        inside = result.inside(NOT_PAGES[name])
        result.sent = await call(layer.wrap(inside), request, connected)
        return without, result

    without, result = asyncio.run(work())
    assert_untouched(result)
    assert result.sent == without
    assert {key: request[key] for key in before} == before


# A page as a script gets it. What is added, and no more: a browser would keep by guess what has
# validators and says nothing about caching; and what says for how long it may be kept could be
# shown as a page, without the tag, unless the cache is told that the destination matters.
@pytest.mark.parametrize(
    ("headers", "method", "added"),
    [
        ([], "GET", []),
        ([(b"etag", b'"1"')], "GET", [NO_CACHE]),
        ([(b"last-modified", b"Sun, 01 Nov 2026 00:00:00 GMT")], "GET", [NO_CACHE]),
        ([(b"etag", b'"1"')], "POST", []),
        ([(b"etag", b'"1"'), (b"cache-control", b"no-store")], "GET", []),
        ([(b"cache-control", b"no-cache")], "GET", []),
        ([(b"cache-control", b"max-age=60")], "GET", [VARY]),
        ([(b"cache-control", b"max-age=60"), (b"etag", b'"1"')], "GET", [VARY]),
        ([(b"expires", b"Sun, 01 Nov 2037 00:00:00 GMT")], "GET", [VARY]),
        ([(b"cache-control", b"max-age=60"), (b"vary", b"Accept")], "GET", [VARY]),
        ([(b"cache-control", b"max-age=60"), (b"vary", b"accept, sec-fetch-dest")], "GET", []),
        ([(b"cache-control", b"max-age=60"), (b"vary", b"*")], "GET", []),
        ([(b"cache-control", b"max-age=60")], "POST", []),
        ([(b"cache-control", b"max-age=60")], "PUT", []),
    ],
)
def test_a_fetched_page_differs_at_most_in_what_caches_need(
    layer: LayerUnderTest, headers: Any, method: str, added: Any
) -> None:
    app = sender(html(*headers), body(PAGE, True), body(b"end"))
    result = exchange(layer, app, http_scope(headers=FETCH, method=method))
    assert_untouched(result, *added)


@pytest.mark.parametrize("request_name", ["fetch", "sheet", "navigation", "plain", "unknown"])
@pytest.mark.parametrize(
    ("headers", "added"),
    [
        ([(b"etag", b'"1"')], [NO_CACHE]),
        ([(b"etag", b'"1"'), (b"cache-control", b"max-age=60")], []),
        ([(b"etag", b'"1"'), (b"expires", b"0")], []),
        ([(b"cache-control", b"max-age=60")], []),
    ],
)
def test_a_sheet_differs_at_most_in_what_caches_need(
    layer: LayerUnderTest, request_name: str, headers: Any, added: Any
) -> None:
    app = sender(start([(b"content-type", b"text/css"), *headers]), body(b"a{}"))
    assert_untouched(exchange(layer, app, REQUESTS[request_name]), *added)


@pytest.mark.parametrize("content", [b"<li>x</li>", b"", b"&nbsp;", b"<!-- <html> -->", b"\0" * 99])
@pytest.mark.parametrize("cuts", [1, 3])
def test_a_fragment_on_plain_http_is_the_very_sequence_of_messages(
    layer: LayerUnderTest, content: bytes, cuts: int
) -> None:
    parts = [body(content, True)] * (cuts - 1) + [body(content)]
    result = exchange(
        layer, sender(html((b"etag", b'"1"'), NO_CACHE), *parts[-1:]), REQUESTS["plain"]
    )
    assert_untouched(result)
    result = exchange(layer, sender(html(), *parts), REQUESTS["plain"])
    assert body_of(result.sent) == content * cuts


@pytest.mark.parametrize("name", ["fetch", "sheet", "htmx", "unknown", "put", "delete", "options"])
def test_the_app_of_what_is_no_page_gets_the_servers_own_scope(
    layer: LayerUnderTest, name: str
) -> None:
    scope = {**REQUESTS[name], "extensions": {"http.response.pathsend": {}}}
    assert exchange(layer, sender(), scope).seen is scope


# ---- compression -----------------------------------------------------------------------------


def compressed(*contents: bytes | dict[str, Any]) -> ASGIApp:
    def respond(request: Request) -> Response:
        content = contents[int(request.path_params["path"] or 0)]
        return HTMLResponse(content) if isinstance(content, bytes) else JSONResponse(content)

    return GZipMiddleware(route(respond), minimum_size=10)


@pytest.mark.parametrize("content", [PAGE, LARGE])
def test_gzip_inside_leaves_a_page_as_it_is(layer: LayerUnderTest, content: bytes) -> None:
    scope = http_scope(headers=[*NAVIGATION, GZIP])
    sent = exchange(layer, compressed(content), scope).sent
    assert is_page(sent, content)
    assert b"content-encoding" not in headers_of(sent[0])
    assert b"content-length" in headers_of(sent[0])


def test_gzip_inside_still_codes_what_is_fetched(layer: LayerUnderTest) -> None:
    data = {"a": list(range(99))}
    app = compressed(data, PAGE)
    for path, content in (("/0", data), ("/1", PAGE)):
        result = exchange(layer, app, http_scope(path, headers=[*FETCH, GZIP]))
        assert_untouched(result)
        assert headers_of(result.sent[0])[b"content-encoding"] == b"gzip"
        plain = gzip.decompress(body_of(result.sent))
        assert plain == content or json.loads(plain) == content


def test_gzip_inside_does_not_code_json_that_a_person_looks_at(layer: LayerUnderTest) -> None:
    data = {"a": list(range(99))}
    result = exchange(layer, compressed(data), http_scope(headers=[*NAVIGATION, GZIP]))
    assert_untouched(result)
    assert json.loads(body_of(result.sent)) == data


@pytest.mark.parametrize("content", [PAGE, LARGE])
def test_gzip_outside_codes_the_page_with_its_tag(layer: LayerUnderTest, content: bytes) -> None:
    app = GZipMiddleware(layer.wrap(route(lambda request: HTMLResponse(content))), minimum_size=10)
    sent = run(app, http_scope(headers=[*NAVIGATION, GZIP]), connected)
    headers = headers_of(sent[0])
    assert headers[b"content-encoding"] == b"gzip"
    assert headers.get(b"content-length") in (None, b"%d" % len(body_of(sent)))
    assert untagged(gzip.decompress(body_of(sent))) == content


def test_gzip_outside_codes_a_page_in_pieces(layer: LayerUnderTest) -> None:
    pieces = [PAGE[:20], PAGE[20:], b"x" * 99, b"end"]
    app = route(lambda request: StreamingResponse(iter(pieces), media_type="text/html"))
    sent = run(GZipMiddleware(layer.wrap(app)), http_scope(headers=[*NAVIGATION, GZIP]), connected)
    assert untagged(gzip.decompress(body_of(sent))) == b"".join(pieces)


# ---- Starlette's other middleware ------------------------------------------------------------


def dispatching(app: ASGIApp) -> ASGIApp:
    async def dispatch(request: Request, call_next: RequestResponseEndpoint) -> Response:
        request.state.seen = True
        response = await call_next(request)
        response.headers["x-seen"] = "1"
        return response

    return BaseHTTPMiddleware(app, dispatch=dispatch)


@pytest.mark.parametrize("content", [PAGE, LARGE])
@pytest.mark.parametrize("place", ["inside", "outside"])
def test_a_page_passes_base_http_middleware(
    layer: LayerUnderTest, place: str, content: bytes
) -> None:
    layer.outermost = place == "inside"
    app = route(lambda request: HTMLResponse(content))
    app = layer.wrap(dispatching(app)) if place == "inside" else dispatching(layer.wrap(app))
    sent = run(app, http_scope(), connected)
    assert is_page(sent, content)
    assert headers_of(sent[0])[b"x-seen"] == b"1"


@pytest.mark.parametrize("outermost", [True, False])
def test_only_a_server_is_given_views(layer: LayerUnderTest, outermost: bool) -> None:
    layer.outermost = outermost
    sent = run(layer.wrap(route(lambda request: HTMLResponse(LARGE))), http_scope(), connected)
    assert is_page(sent, LARGE)
    views = [message for message in sent if isinstance(message.get("body"), memoryview)]
    assert bool(views) is outermost


def test_what_is_no_page_passes_base_http_middleware(layer: LayerUnderTest) -> None:
    app = dispatching(route(lambda request: JSONResponse({"seen": request.state.seen})))
    result = exchange(layer, app)
    assert_untouched(result)
    assert json.loads(body_of(result.sent)) == {"seen": True}


@pytest.mark.parametrize("place", ["inside", "outside"])
def test_a_session_is_set_and_read(layer: LayerUnderTest, place: str) -> None:
    from starlette.middleware.sessions import SessionMiddleware  # needs itsdangerous

    def respond(request: Request) -> Response:
        request.session["visits"] = request.session.get("visits", 0) + 1
        return HTMLResponse(b"<!doctype html><p>visit %d" % request.session["visits"])

    app = route(respond)
    if place == "inside":
        app = layer.wrap(SessionMiddleware(app, "secret"))
    else:
        app = SessionMiddleware(layer.wrap(app), "secret")
    first = run(app, http_scope(), connected)
    cookie = headers_of(first[0])[b"set-cookie"].split(b";")[0]
    second = run(app, http_scope(headers=[*NAVIGATION, (b"cookie", cookie)]), connected)
    assert is_page(first, b"<!doctype html><p>visit 1")
    assert is_page(second, b"<!doctype html><p>visit 2")


def test_each_cookie_of_a_page_stays_a_header_of_its_own(layer: LayerUnderTest) -> None:
    def respond(request: Request) -> Response:
        response = HTMLResponse(PAGE)
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        return response

    result = exchange(layer, route(respond))
    assert is_page(result.sent)
    kept = [pair for pair in result.said[0]["headers"] if pair[0] != b"content-length"]
    assert [pair for pair in result.sent[0]["headers"] if pair in kept] == kept
    assert len(kept) == 3


def test_a_debug_page_is_injected_and_the_exception_still_raised(layer: LayerUnderTest) -> None:
    error = RuntimeError("a fault")

    def respond(request: Request) -> Response:
        raise error

    result = Exchange()
    app = route(respond)
    app.debug = True  # type: ignore[attr-defined]

    async def main() -> None:
        async def send(message: Message) -> None:
            result.sent.append(message)

        scope = http_scope(headers=[*NAVIGATION, (b"accept", b"text/html")])
        with pytest.raises(RuntimeError) as raised:
            await layer.wrap(result.inside(app))(scope, connected, send)
        assert raised.value is error

    asyncio.run(main())
    assert result.sent[0]["status"] == 500
    assert is_page(result.sent, body_of(result.said))
    assert b"RuntimeError" in body_of(result.sent)


def test_the_page_of_an_http_exception_is_injected(layer: LayerUnderTest) -> None:
    async def not_found(request: Request, error: Exception) -> Response:
        return HTMLResponse(PAGE, 404)

    sent = exchange(layer, Starlette(exception_handlers={404: not_found})).sent
    assert sent[0]["status"] == 404
    assert is_page(sent)


def test_a_mounted_apps_page_has_the_address_of_the_outermost(layer: LayerUnderTest) -> None:
    inner = route(lambda request: HTMLResponse(PAGE))
    app = Starlette(routes=[Mount("/a", Starlette(routes=[Mount("/b", inner)]))])
    sent = exchange(layer, app, http_scope("/a/b/c")).sent
    assert is_page(sent)
    match = TAG.search(body_of(sent))
    assert match
    assert match["src"] == EVENTS_PATH.encode() + b"/client.js"


def test_apps_set_up_in_one_another_give_one_tag(tmp_path: Path) -> None:
    inner = Starlette(debug=True, routes=[Route("/", lambda request: HTMLResponse(PAGE))])
    HotReload([tmp_path], events_path="/inner").setup(inner)
    between = Middleware(HotReloadMiddleware, watch_dirs=[tmp_path], events_path="/between")
    outer = Starlette(debug=True, routes=[Mount("/in", inner)], middleware=[between])
    HotReload([tmp_path], events_path="/outer").setup(outer)
    sent = run(outer, http_scope("/in/"), connected)
    assert is_page(sent)
    match = TAG.search(body_of(sent))
    assert match
    assert match["src"] == b"/outer/client.js"


@pytest.mark.parametrize("headers", [[(b"etag", b'"1"')], [(b"cache-control", b"max-age=9")]])
def test_two_layers_say_what_caches_need_once(layer: LayerUnderTest, headers: Any) -> None:
    app = layer.wrap(layer.wrap(sender(html(*headers), body(PAGE))))
    once = run(layer.wrap(sender(html(*headers), body(PAGE))), http_scope(headers=FETCH))
    assert run(app, http_scope(headers=FETCH)) == once


# ---- files -----------------------------------------------------------------------------------

SITE = {"index.html": PAGE, "a.css": b"a{}" * 99, "a.json": b"{}", "404.html": PAGE + b"404"}


@pytest.fixture
def site(tmp_path: Path) -> ASGIApp:
    for name, content in SITE.items():
        (tmp_path / name).write_bytes(content)
    return StaticFiles(directory=tmp_path, html=True)


def conditions(sent: list[Message]) -> list[tuple[bytes, bytes]]:
    headers = headers_of(sent[0])
    return [
        (b"if-none-match", headers[b"etag"]),
        (b"if-modified-since", headers[b"last-modified"]),
    ]


@pytest.mark.parametrize("name", ["index.html", "a.css", "a.json"])
def test_a_file_that_is_no_page_keeps_its_validators_and_304(
    layer: LayerUnderTest, site: ASGIApp, name: str
) -> None:
    first = exchange(layer, site, http_scope("/" + name, FETCH))
    assert_untouched(first, NO_CACHE)
    assert body_of(first.sent) == SITE[name]
    for condition in conditions(first.sent):
        again = exchange(layer, site, http_scope("/" + name, [*FETCH, condition]))
        assert_untouched(again, NO_CACHE)
        assert again.sent[0]["status"] == 304


def test_a_page_that_is_a_file_has_no_validators_and_never_a_304(
    layer: LayerUnderTest, site: ASGIApp
) -> None:
    known = conditions(run(site, http_scope("/index.html"), connected))
    for path in ("/index.html", "/"):
        sent = exchange(layer, site, http_scope(path, [*NAVIGATION, *known])).sent
        assert sent[0]["status"] == 200
        assert is_page(sent)
        assert not {b"etag", b"last-modified", b"accept-ranges"} & headers_of(sent[0]).keys()
        assert headers_of(sent[0])[b"cache-control"] == b"no-cache"
    missing = exchange(layer, site, http_scope("/nothing", [*NAVIGATION, *known])).sent
    assert missing[0]["status"] == 404
    assert is_page(missing, SITE["404.html"])


def test_a_range_is_answered_as_without_the_layer_unless_it_is_of_a_page(
    layer: LayerUnderTest, site: ASGIApp
) -> None:
    wanted = (b"range", b"bytes=2-9")
    for path in ("/a.css", "/index.html"):
        without = run(site, http_scope(path, [*FETCH, wanted]), connected)
        if without[0]["status"] != 206:
            assert b"accept-ranges" not in headers_of(without[0])  # a Starlette without ranges
        assert_untouched(exchange(layer, site, http_scope(path, [*FETCH, wanted])), NO_CACHE)
    sent = exchange(layer, site, http_scope("/index.html", [*NAVIGATION, wanted])).sent
    assert sent[0]["status"] == 200
    assert is_page(sent)


def test_a_file_in_many_pieces_is_a_page(layer: LayerUnderTest, tmp_path: Path) -> None:
    (tmp_path / "large.html").write_bytes(LARGE)
    sent = exchange(layer, route(lambda request: FileResponse(tmp_path / "large.html"))).sent
    assert is_page(sent, LARGE)
    assert len(sent) > 10
    assert headers_of(sent[0])[b"content-length"] == b"%d" % len(body_of(sent))


def file_sender(name: str) -> ASGIApp:
    """Lets the server send the file where that is offered."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(html())
        if "http.response.zerocopysend" in scope["extensions"]:
            await send({"type": "http.response.zerocopysend", "file": 3})
        elif "http.response.pathsend" in scope["extensions"]:
            await send({"type": "http.response.pathsend", "path": name})
        else:
            await send(body(PAGE))

    return app


@pytest.mark.parametrize("offered", ["http.response.pathsend", "http.response.zerocopysend"])
def test_files_are_sent_by_the_server_unless_they_are_pages(
    layer: LayerUnderTest, offered: str
) -> None:
    extensions: dict[str, Any] = {offered: {}, "http.response.trailers": {}}
    app = file_sender("/x")
    fetched = exchange(layer, app, http_scope(headers=FETCH, extensions=extensions))
    assert_untouched(fetched)
    assert fetched.sent[1]["type"] == offered
    page = exchange(layer, app, http_scope(extensions=extensions))
    assert is_page(page.sent)
    assert page.seen["extensions"] == {"http.response.trailers": {}}
    assert extensions == {offered: {}, "http.response.trailers": {}}


def test_starlettes_own_files_are_read_through_for_a_page(
    layer: LayerUnderTest, site: ASGIApp
) -> None:
    scope = http_scope("/index.html", extensions={"http.response.pathsend": {}})
    assert is_page(exchange(layer, site, scope).sent)


# ---- templates -------------------------------------------------------------------------------


def templated() -> ASGIApp:
    environment = jinja2.Environment(
        loader=jinja2.DictLoader({"page.html": "<!doctype html><p>{{ word }}"}), autoescape=True
    )
    templates = Jinja2Templates(env=environment)
    return route(
        lambda request: templates.TemplateResponse(request, "page.html", {"word": "hello"})
    )


@pytest.mark.parametrize("headers", [NAVIGATION, FETCH])
def test_the_template_is_told_to_a_server_that_asks(layer: LayerUnderTest, headers: Any) -> None:
    scope = http_scope(headers=headers, extensions={"http.response.debug": {}})
    result = exchange(layer, templated(), scope)
    assert result.sent[0] is result.said[0]
    info = result.sent[0]["info"]
    assert info["template"].name == "page.html"
    assert info["context"]["word"] == "hello"
    assert TAG.sub(b"", body_of(result.sent)) == b"<!doctype html><p>hello"


@pytest.mark.parametrize("extensions", [None, {}, {"http.response.trailers": {}}])
def test_the_template_is_not_told_to_a_server_that_does_not(
    layer: LayerUnderTest, extensions: Any
) -> None:
    scope = http_scope() if extensions is None else http_scope(extensions=extensions)
    sent = exchange(layer, templated(), scope).sent
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert is_page(sent, b"<!doctype html><p>hello")


# ---- streams, tasks, and clients that leave --------------------------------------------------


@pytest.mark.parametrize("make", [iter, lambda parts: as_async(parts)], ids=["sync", "async"])
def test_a_streamed_page_arrives_piece_by_piece(layer: LayerUnderTest, make: Any) -> None:
    parts = [PAGE[:30], PAGE[30:], b"x", b"y" * 99]
    result = exchange(
        layer, route(lambda request: StreamingResponse(make(parts), media_type="text/html"))
    )
    assert is_page(result.sent, b"".join(parts))
    assert [message.get("more_body") for message in result.sent[1:]] == [True] * 4 + [False]
    assert all(a is b for a, b in zip(result.sent[3:], result.said[3:], strict=True))


async def as_async(parts: list[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


class Visit:
    """A client that leaves after a few messages, while `busy` does not come to an end."""

    def __init__(self, busy: str, headers: list[tuple[bytes, bytes]]) -> None:
        version = "2.4" if busy == "refused" else "2.3"
        self.scope = http_scope(headers=headers, asgi={"version": "3.0", "spec_version": version})
        self.busy = busy
        self.log: list[str] = []
        self.left = anyio.Event()

    async def receive(self) -> Message:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def leave(self) -> None:
        self.left.set()
        try:
            await anyio.sleep_forever()
        except BaseException as error:
            self.log.append(f"{self.busy}: {type(error).__name__}")
            raise

    async def send(self, message: Message) -> None:
        await anyio.lowlevel.checkpoint()
        self.log.append(message["type"])
        if len(self.log) == 4 and self.busy == "send":
            await self.leave()
        if len(self.log) == 4 and self.busy == "refused":
            self.left.set()
            raise OSError("the client has left")

    async def content(self) -> AsyncIterator[bytes]:
        try:
            while True:
                if len(self.log) == 4 and self.busy == "content":
                    await self.leave()
                yield PAGE
        finally:
            self.log.append("closed")

    async def task(self) -> None:
        self.log.append("task")

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self.content()) as content:  # type: ignore[type-var]
            response = StreamingResponse(
                content, media_type="text/html", background=BackgroundTask(self.task)
            )
            try:
                await response(scope, receive, send)
            except Exception as error:
                self.log.append(f"the app sees {error!r}")
                raise

    async def run(self, wrap: Callable[[ASGIApp], ASGIApp]) -> None:
        with anyio.fail_after(DEADLINE):
            try:
                await wrap(self.app)(self.scope, self.receive, self.send)
            except Exception as error:
                self.log.append(f"the server sees {error!r}")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("busy", ["send", "content", "refused"])
@pytest.mark.parametrize("headers", [NAVIGATION, FETCH, LAN], ids=["page", "fetch", "plain"])
def test_an_endless_page_ends_as_without_the_layer_when_the_client_leaves(
    layer: LayerUnderTest, backend: str, busy: str, headers: Any
) -> None:
    without, within = Visit(busy, headers), Visit(busy, headers)
    anyio.run(without.run, lambda app: app, backend=backend)
    anyio.run(within.run, layer.wrap, backend=backend)
    assert "closed" in without.log
    assert within.log == without.log


@pytest.mark.parametrize("at", range(1, 6))
@pytest.mark.parametrize("kind", [NAVIGATION, FETCH, LAN], ids=["page", "fetch", "plain"])
def test_what_the_servers_send_raises_reaches_the_app_itself(
    layer: LayerUnderTest, at: int, kind: Any
) -> None:
    error = OSError("the client has left")
    caught: list[BaseException] = []
    count = 0

    async def send(message: Message) -> None:
        nonlocal count
        count += 1
        if count >= at:
            raise error

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send(html())
            for part in (PAGE[:20], PAGE[20:], b"x"):
                await send(body(part, True))
            await send(body())
        except OSError as found:
            caught.append(found)
            raise

    async def main() -> None:
        with pytest.raises(OSError, match="has left") as raised:
            await layer.wrap(app)(http_scope(headers=kind), no_receive, send)
        assert raised.value is error

    asyncio.run(main())
    assert caught == [error]
    assert count == at


@pytest.mark.parametrize("kind", [NAVIGATION, FETCH, LAN], ids=["page", "fetch", "plain"])
@pytest.mark.parametrize("after", range(4))
def test_an_apps_exception_is_the_same_object_wherever_it_is_raised(
    layer: LayerUnderTest, after: int, kind: Any
) -> None:
    error = RuntimeError("a fault")
    messages = [html(), body(PAGE[:20], True), body(PAGE[20:], True)][:after]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await sender(*messages)(scope, receive, send)
        raise error

    async def main() -> None:
        with pytest.raises(RuntimeError) as raised:
            await layer.wrap(app)(http_scope(headers=kind), no_receive, lambda message: nothing())
        assert raised.value is error

    async def nothing() -> None: ...

    asyncio.run(main())


def test_an_exception_at_the_call_itself_passes(layer: LayerUnderTest) -> None:
    error = TypeError("no coroutine")

    def app(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        raise error

    with pytest.raises(TypeError) as raised:
        layer.wrap(app)(http_scope(), no_receive, no_receive)  # type: ignore[arg-type]
    assert raised.value is error


@pytest.mark.parametrize("kind", [NAVIGATION, FETCH], ids=["page", "fetch"])
def test_background_tasks_run_when_the_response_is_out(layer: LayerUnderTest, kind: Any) -> None:
    log: list[str] = []

    async def send(message: Message) -> None:
        log.append(message["type"])

    def respond(request: Request) -> Response:
        tasks = BackgroundTasks()
        tasks.add_task(log.append, "sync")
        tasks.add_task(later)
        return HTMLResponse(PAGE, background=tasks)

    async def later() -> None:
        log.append("async")

    async def main() -> None:
        await layer.wrap(route(respond))(http_scope(headers=kind), connected, send)

    asyncio.run(main())
    assert log == ["http.response.start", "http.response.body", "sync", "async"]


def test_a_head_of_a_page_has_the_headers_of_the_page(layer: LayerUnderTest, site: ASGIApp) -> None:
    page = exchange(layer, site, http_scope("/index.html"))
    head = exchange(layer, site, http_scope("/index.html", method="HEAD"))

    def kept(message: Message) -> list[tuple[bytes, bytes]]:
        return [pair for pair in message["headers"] if pair[0] != b"content-length"]

    assert kept(head.sent[0]) == kept(page.sent[0])
    assert b"content-length" not in headers_of(head.sent[0])
    assert all(a is b for a, b in zip(head.sent[1:], head.said[1:], strict=True))


def test_a_request_body_is_read_by_the_app_alone(layer: LayerUnderTest) -> None:
    messages = [
        {"type": "http.request", "body": b"a", "more_body": True},
        {"type": "http.request", "body": b"b", "more_body": False},
    ]

    async def receive() -> Message:
        return messages.pop(0)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        content = await Request(scope, receive).body()
        await HTMLResponse(b"<!doctype html><p>" + content)(scope, receive, send)

    sent = exchange(layer, app, http_scope(method="POST"), receive).sent
    assert is_page(sent, b"<!doctype html><p>ab")


# ---- other connections -----------------------------------------------------------------------


def test_a_websocket_passes_untouched(layer: LayerUnderTest) -> None:
    async def echo(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(await socket.receive_text())
        await socket.close(1001)

    incoming = [
        {"type": "websocket.connect"},
        {"type": "websocket.receive", "text": PAGE.decode()},
    ]

    async def receive() -> Message:
        return incoming.pop(0)

    scope = {**http_scope(), "type": "websocket", "subprotocols": []}
    app = Starlette(routes=[WebSocketRoute("/", echo)])
    result = exchange(layer, app, scope, receive)
    assert result.seen is scope
    assert_untouched(result)
    assert [message["type"] for message in result.sent] == [
        "websocket.accept",
        "websocket.send",
        "websocket.close",
    ]
    assert result.sent[1]["text"] == PAGE.decode()


def test_the_state_of_a_lifespan_reaches_the_requests(tmp_path: Path) -> None:
    thing = object()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
        yield {"thing": thing}

    def respond(request: Request) -> Response:
        assert request.state.thing is thing
        return HTMLResponse(PAGE)

    async def endpoint(request: Request) -> Response:
        return respond(request)

    app = Starlette(debug=True, lifespan=lifespan, routes=[Route("/", endpoint)])
    HotReload([tmp_path]).setup(app)
    state: dict[str, Any] = {}

    async def shared(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": state}, receive, send)

    async def main() -> None:
        async with alive(shared):
            assert state == {"thing": thing}
            assert is_page(await call(shared, http_scope()))

    asyncio.run(main())


def test_a_lifespan_that_fails_is_told_to_the_server_as_it_is(tmp_path: Path) -> None:
    error = RuntimeError("no database")

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        raise error
        yield

    def fails(wrap: bool) -> list[Message]:
        app = Starlette(debug=True, lifespan=lifespan)
        if wrap:
            HotReload([tmp_path]).setup(app)
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "lifespan.startup"}

        async def send(message: Message) -> None:
            sent.append(message)

        async def main() -> None:
            with pytest.raises(RuntimeError) as raised:
                await app({"type": "lifespan", "state": {}}, receive, send)
            assert raised.value is error

        asyncio.run(main())
        return [{**message, "message": "RuntimeError" in message["message"]} for message in sent]

    assert fails(True) == fails(False) == [{"type": "lifespan.startup.failed", "message": True}]
