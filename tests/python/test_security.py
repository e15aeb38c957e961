"""What docs/security.md says, attack by attack."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import socket
from pathlib import Path
from typing import Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Message, Receive, Scope, Send
from starlette_hot_reload import HotReload, HotReloadMiddleware, _status
from starlette_hot_reload._core import Layer, client_file
from support import (
    DEADLINE,
    EVENTS_PATH,
    PAGE,
    TAG,
    Connection,
    LayerUnderTest,
    Server,
    alive,
    body,
    body_of,
    call,
    headers_of,
    html,
    http_scope,
    layer_of,
    never,
    run,
    save,
    stream,
)

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "security.md"
CLIENT = f"{EVENTS_PATH}/client.js"
FACTS = f"{EVENTS_PATH}/status.json"
STATUS = f"{EVENTS_PATH}/status.html"
EVERYTHING = (EVENTS_PATH, CLIENT, FACTS, STATUS, f"{EVENTS_PATH}/no-such")
HOST = (b"host", b"localhost")
JSON = (b"content-type", b"application/json")
LONG = 64 << 10
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layer:
    monkeypatch.chdir(tmp_path)
    return layer_of(HotReloadMiddleware(Starlette(), watch_dirs=[tmp_path]))


def ask(app: Any, path: str, *headers: tuple[bytes, bytes], **scope: Any) -> Any:
    sent = run(app, http_scope(path, headers, **scope))
    return sent[0]["status"], headers_of(sent[0]), body_of(sent)


async def facts_of(app: Any) -> Any:
    return json.loads(body_of(await call(app, http_scope(FACTS, [HOST]))))


def in_life(app: Any, main: Any) -> None:
    async def limited() -> None:
        with anyio.fail_after(DEADLINE):
            async with alive(app):
                await main()

    asyncio.run(limited())


def test_every_test_that_the_document_names_exists() -> None:
    named = re.findall(r"`([\w.]+\.(?:py|mjs|c)): ([^`]+)`", DOCUMENT.read_text())
    assert len(named) > 40
    files = {path.name: path for path in (ROOT / "tests").glob("*/*test*.*")}
    for file, name in named:
        content = files[file].read_text()
        written = re.search(rf"(?:def |void |'){re.escape(name)}(?:\(|',)", content)
        assert written, f"{file} has no test called {name!r}"


# ---- another name for this machine -----------------------------------------------------------


@pytest.mark.parametrize("path", EVERYTHING)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "OPTIONS"])
def test_a_name_that_was_made_to_point_here_gets_nothing(
    app: Layer, path: str, method: str
) -> None:
    mine = [(b"sec-fetch-site", b"same-origin"), (b"origin", b"http://evil.example:8000")]
    host = (b"host", b"evil.example:8000")
    status, headers, content = ask(app, path, host, *mine, method=method)
    assert status == 403
    assert headers[b"cache-control"] == b"no-store"
    assert app.engine is None, "nothing was started for it"
    if method != "HEAD":
        assert b"'evil.example'" in content
        assert b"allowed_hosts" in content


@pytest.mark.parametrize(
    "host",
    [
        b"<script>alert(1)</script>",
        b"a\r\nset-cookie: b=c",
        b"a\x1b[31m\x00\x7f\x85",
        b"\xff\xfe\xe2\x80\xae",
        b"x" * LONG,
        b"." * LONG,
        b"[" + b":" * LONG + b"]",
        b"<" * LONG,
    ],
)
def test_a_refused_host_is_repeated_escaped_and_cut(
    app: Layer, host: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    status, headers, content = ask(app, CLIENT, (b"host", host))
    assert status == 403
    assert headers[b"content-type"] == b"text/plain; charset=utf-8"
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert len(content) < 1500
    (line,) = caplog.messages
    for text in (content.decode("ascii").removesuffix("\n"), line):
        assert not CONTROLS.search(text)
        assert len(text) < 1500
    assert all(b"\n" not in value and b"\r" not in value for value in headers.values())


def test_whoever_makes_up_hosts_fills_neither_log_nor_status(
    app: Layer, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(1000):
        assert ask(app, CLIENT, (b"host", b"%d.evil.example" % number))[0] == 403
    assert len(caplog.messages) == 16

    async def main() -> None:
        assert len((await facts_of(app))["warnings"]) <= 20

    in_life(app, main)


# ---- another site in the same browser ----------------------------------------------------------


@pytest.mark.parametrize("path", EVERYTHING)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("origin", [b"http://evil.example", b"http://localhost:1", b"null"])
def test_no_answer_can_be_read_by_another_origin(
    app: Layer, path: str, method: str, origin: bytes
) -> None:
    asks = [(b"access-control-request-method", b"GET")] if method == "OPTIONS" else []
    page = [(b"sec-fetch-dest", b"document")] if path == EVENTS_PATH else []
    for site in [], [(b"sec-fetch-site", b"cross-site")]:
        headers = ask(app, path, HOST, (b"origin", origin), *asks, *page, *site, method=method)[1]
        assert not [name for name in headers if name.startswith(b"access-control")]


@pytest.mark.parametrize("site", [b"cross-site", b"same-site", b"whatever"])
@pytest.mark.parametrize("dest", [b"empty", b"image", b"script", b"iframe", b"object", b"style"])
@pytest.mark.parametrize("path", EVERYTHING)
def test_a_page_of_another_origin_holds_no_stream_and_includes_no_script(
    app: Layer, path: str, dest: bytes, site: bytes
) -> None:
    fetch = [(b"sec-fetch-site", site), (b"sec-fetch-dest", dest), (b"sec-fetch-mode", b"no-cors")]
    for accept in b"*/*", b"text/event-stream", b"text/html":
        assert ask(app, path, HOST, *fetch, (b"accept", accept))[0] == 403
    assert app.engine is None


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"sec-fetch-site", b"same-origin"), (b"sec-fetch-dest", b"empty")],
        [(b"sec-fetch-site", b"none"), (b"sec-fetch-dest", b"empty")],
        # A proxy in front may have put another host in the place of that of the page.
        [(b"origin", b"http://192.0.2.1:8080"), (b"sec-fetch-site", b"same-origin")],
        [(b"origin", b"http://192.0.2.1:8080")],
    ],
)
def test_a_page_of_this_site_and_a_tool_get_the_stream(app: Layer, headers: Any) -> None:
    async def main() -> None:
        connection = Connection()
        async with anyio.create_task_group() as group:
            group.start_soon(connection.run, app, http_scope(EVENTS_PATH, [HOST, *headers]))
            await connection.wait_for(b"event: hello")
            connection.leave()

    in_life(app, main)


def test_a_link_on_another_site_shows_the_status_to_the_person_alone(app: Layer) -> None:
    link = [(b"sec-fetch-site", b"cross-site"), (b"sec-fetch-dest", b"document")]
    status, headers, content = ask(app, EVENTS_PATH, HOST, *link)
    assert status == 200
    assert b"frame-ancestors 'none'" in headers[b"content-security-policy"]
    assert b"default-src 'none'; script-src 'self';" in headers[b"content-security-policy"]
    assert headers[b"referrer-policy"] == b"no-referrer"
    assert b"watch" not in content.lower().replace(b"watched", b""), "no fact is in it"


@pytest.mark.parametrize(
    "origin",
    [
        b"",
        b"null",
        b"localhost",
        b"http://",
        b"http://[",
        b"http://[::1",
        b"http://localhost:",
        b"http://localhost\x00",
        b"http://localhost@evil.example",
        b"http://evil.example@localhost",
        b"http://localhost/",
        b"file://localhost",
        b"http://local\xffhost",
        b"http://\xe2\x84\x80/",
        b"http://" + b"[" * LONG,
    ],
)
def test_a_malformed_origin_tells_no_pages(app: Layer, origin: bytes) -> None:
    status, _, _ = ask(app, EVENTS_PATH, HOST, JSON, (b"origin", origin), method="POST")
    assert status == 403


def test_what_is_told_is_not_read_beyond_its_limit(app: Layer) -> None:
    taken = 0

    async def receive() -> Message:
        nonlocal taken
        taken += 1
        return {"type": "http.request", "body": b"[" * 10_000, "more_body": True}

    own = (b"origin", b"http://localhost")
    sent = run(app, http_scope(EVENTS_PATH, [HOST, JSON, own], "POST"), receive)
    assert sent[0]["status"] == 400
    assert taken < 10


def test_a_thousand_streams_leave_nothing(app: Layer) -> None:
    async def main() -> None:
        await facts_of(app)
        assert app.engine is not None
        # Its thread opens and closes descriptors, too.
        assert await asyncio.to_thread(app.engine.wait_ready, DEADLINE)
        before = len(os.listdir("/proc/self/fd"))
        connections = [Connection() for _ in range(1000)]
        async with anyio.create_task_group() as group:
            for connection in connections:
                group.start_soon(connection.run, app, http_scope(EVENTS_PATH, server=None))
            for connection in connections:
                await connection.wait_for(b"event: hello")
            assert len(os.listdir("/proc/self/fd")) <= before + 1
            for connection in connections:
                connection.leave()
        assert (await facts_of(app))["streams"] == []

    in_life(app, main)


# ---- requests that no browser makes --------------------------------------------------------------

CURSORS = [
    b"",
    b".",
    b"\x00",
    b"\xff\xfe",
    b"0" * 16 + b"." + b"0" * 16,
    b"f" * 16 + b"." + b"f" * 16,
    b"0" * 33,
    b"-" * 16 + b"." + b"1" * 16,
    b"1e9.1",
    b"a\r\ndata: x\n\n",
    b"%00" * 40,
    b"0" * LONG,
]


@pytest.mark.parametrize("cursor", CURSORS)
@pytest.mark.parametrize("place", ["header", "query"])
def test_a_malformed_cursor_is_a_stream_like_another(
    app: Layer, cursor: bytes, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    more: dict[str, Any] = {"query_string": b"cursor=" + cursor} if place == "query" else {}
    headers = [HOST] + ([(b"last-event-id", cursor)] if place == "header" else [])

    async def main() -> None:
        caplog.clear()
        connection = Connection()
        async with anyio.create_task_group() as group:
            group.start_soon(connection.run, app, http_scope(EVENTS_PATH, headers, **more))
            await connection.wait_for(b"event: hello")
            connection.leave()
        content = body_of(connection.messages)
        assert len(content) < 1000
        assert content.count(b"\n\n") == 2, "the time to a retry, and the greeting"
        assert not caplog.messages

    in_life(app, main)


def test_a_cursor_of_the_future_is_taken_for_now(app: Layer, tmp_path: Path) -> None:
    async def main() -> None:
        await facts_of(app)
        assert app.engine is not None
        assert await asyncio.to_thread(app.engine.wait_ready, DEADLINE)
        boot = app.engine.now().partition(".")[0]
        connection = Connection()
        query: dict[str, Any] = {"query_string": f"cursor={boot}.{'f' * 16}".encode()}
        async with anyio.create_task_group() as group:
            group.start_soon(connection.run, app, http_scope(EVENTS_PATH, **query))
            await connection.wait_for(b"event: hello")
            save(tmp_path / "a.css")
            await connection.wait_for(b'"files":["a.css"]')
            assert f"id: {boot}.{'f' * 16}".encode() not in body_of(connection.messages)
            connection.leave()

    in_life(app, main)


@pytest.mark.parametrize(
    "query", [b"\x00", b"&" * LONG, b"=" * LONG, b"%" * LONG, b"a=&" * 20_000, b"\xff=\xfe", b";"]
)
def test_a_malformed_query_is_a_stream_like_another(app: Layer, query: bytes) -> None:
    async def main() -> None:
        connection = Connection()
        async with anyio.create_task_group() as group:
            group.start_soon(connection.run, app, http_scope(EVENTS_PATH, query_string=query))
            await connection.wait_for(b"event: hello")
            connection.leave()

    in_life(app, main)


def test_of_a_user_agent_the_beginning_is_searched(app: Layer) -> None:
    agents = [b"x" * 600 + b" Firefox/140.0", b"Version/1" * 7000, b"Version/" + b"1" * LONG]

    async def main() -> None:
        connections = [Connection() for _ in agents]
        async with anyio.create_task_group() as group:
            for connection, agent in zip(connections, agents, strict=True):
                scope = http_scope(EVENTS_PATH, [HOST, (b"user-agent", agent)])
                group.start_soon(connection.run, app, scope)
                await connection.wait_for(b"event: hello")
            shown = [one["agent"] for one in (await facts_of(app))["streams"]]
            assert shown == [agent[:40].decode() for agent in agents]
            for connection in connections:
                connection.leave()

    in_life(app, main)


@pytest.mark.parametrize(
    "name",
    ["\x00", "../../etc/passwd", "..%2f", "client.js\x00", "\ud7ff\u202e", "x" * LONG, "/" * LONG],
)
@pytest.mark.parametrize("root_path", ["", "/a", "/a/"])
def test_no_path_leads_to_a_file_that_is_not_the_clients(
    tmp_path: Path, name: str, root_path: str
) -> None:
    app = layer_of(HotReloadMiddleware(Starlette(), watch_dirs=[tmp_path]))
    above = root_path.rstrip("/")
    # Both of these are the stream itself, which ends at once for a client that has gone.
    if set(name) == {"/"}:
        name += "x"
    for path in (f"{EVENTS_PATH}/{name}", f"{above}{EVENTS_PATH}/{name}"):
        status, _, content = ask(app, path, HOST, root_path=root_path)
        assert (status, content) == (404, b"Not found.\n")
    for times in 1, 2, 5000:
        path = above * times + CLIENT
        assert ask(app, path, HOST, root_path=root_path)[0] == 200
        assert ask(app, path + "/x", HOST, root_path=root_path)[0] == 404


APP = """
import logging
from starlette.responses import HTMLResponse
from starlette_hot_reload import HotReloadMiddleware

logging.basicConfig(level=logging.DEBUG)

async def page(scope, receive, send):
    response = HTMLResponse("<!doctype html><title>x</title>", headers={"content-encoding": "br"})
    await response(scope, receive, send)

app = HotReloadMiddleware(page, ["."])
"""

RAW = [
    b"GET %s HTTP/1.1\r\nHost: localhost\r\nOrigin: http://[\r\n\r\n" % EVENTS_PATH.encode(),
    b"POST %s HTTP/1.1\r\nHost: localhost\r\nOrigin: http://[\r\nContent-Type: application/json\r\n"
    b"Content-Length: 2\r\n\r\n{}" % EVENTS_PATH.encode(),
    b"GET %s HTTP/1.1\r\nHost: a\x1b[31m\xff\r\n\r\n" % EVENTS_PATH.encode(),
    b"GET %s HTTP/1.1\r\n\r\n" % EVENTS_PATH.encode(),
    b"GET %s/%%00%%ff%%0d%%0a HTTP/1.1\r\nHost: localhost\r\n\r\n" % EVENTS_PATH.encode(),
    b"GET %s?cursor=%%00%%ff HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: \xff\xfe\r\n\r\n"
    % EVENTS_PATH.encode(),
    b"GET %s HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: %s\r\n\r\n"
    % (EVENTS_PATH.encode(), b"9" * 60_000),
    b"GET /%0d%0aWARNING:forged%1b[2J%e2%80%ae HTTP/1.1\r\nHost: localhost\r\n"
    b"Sec-Fetch-Dest: document\r\n\r\n",
    b"\x00" * 1000 + b"\r\n\r\n",
]


def test_a_real_server_survives_raw_bytes_and_logs_single_lines(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(APP)
    with Server(tmp_path, "--no-access-log") as server:
        for request in RAW:
            with socket.create_connection(("127.0.0.1", server.port), DEADLINE) as peer:
                peer.sendall(request)
                assert peer.recv(4096).startswith(b"HTTP/1.1 ")
        with stream(server) as events:
            assert next(events).kind == "hello"
        assert server.stop() == 0
        log = "".join(server.log)
        assert "Traceback" not in log
        assert "\nWARNING:forged" not in log
        assert "No hot reload for '/\\r\\nWARNING:forged\\x1b[2J\\u202e'" in log
        assert not CONTROLS.search(log.replace("\n", ""))


# ---- names of files ------------------------------------------------------------------------------

NAMES = [
    "a\r\n\r\nevent: shutdown\r\ndata: {}\r\n\r\n.css",
    "b\nid: 1\nretry: 1\n.css",
    "c\"'`,}]{[\\.css",
    "d<!--<script>alert(1)<",  # a directory of that name makes "</script>"
    "e\u202egnp.css",
    "f\u2028\u2029\u0085.css",
    "g\x00.css".replace("\x00", "\x7f\x1b[2J"),
    "h\udcff\udcfe.css",
    "i%2e%2e%2f..;a=b?c#d.css",
    "javascript:alert(1).css",
    "k" * 251 + ".css",
    "__proto__",
    "constructor.css",
]


def hostile_files(directory: Path) -> list[Path]:
    files = [directory / name for name in NAMES]
    files[3] = files[3] / "script>.css"
    files.append(directory.joinpath(*["l" * 200] * 15, "l.css"))
    return files


def events_in(content: bytes) -> list[dict[str, str]]:
    """As the HTML standard reads a stream."""
    found = []
    for block in re.split(r"\n\n|\r\r|\r\n\r\n", content.decode("utf-8")):
        lines = [line for line in re.split(r"\r\n|\r|\n", block) if line and line[0] != ":"]
        if lines:
            found.append(
                {name: value for name, _, value in (line.partition(": ") for line in lines)}
            )
    return found


def test_names_of_files_stay_data_on_the_wire_and_in_the_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    static = tmp_path / "static"
    static.mkdir()
    routes = [Mount("/st atic", StaticFiles(directory=static))]
    app = layer_of(HotReloadMiddleware(Starlette(routes=routes), watch_dirs=["static"]))
    files = hostile_files(static)
    wanted = {str(path.relative_to(tmp_path)) for path in files}

    async def main() -> None:
        connection = Connection()
        async with anyio.create_task_group() as group:
            group.start_soon(connection.run, app, http_scope(EVENTS_PATH))
            await connection.wait_for(b"event: hello")
            assert app.engine is not None
            assert await asyncio.to_thread(app.engine.wait_ready, DEADLINE)
            for path in files:
                path.parent.mkdir(parents=True, exist_ok=True)
                save(path)
            told: set[str] = set()
            while told < wanted:
                await connection.wait_for(b"\n\n", body_of(connection.messages).count(b"\n\n") + 1)
                events = [one for one in events_in(body_of(connection.messages)) if "id" in one]
                assert {one.get("event") for one in events} == {"hello", None}
                updates = [json.loads(one["data"]) for one in events if "event" not in one]
                told = {name for update in updates for name in update["files"]}
            assert told == wanted
            for update in updates:
                for change in update["changes"]:
                    assert re.fullmatch(r"/st%20atic/[!-~]+", change["url"])
                    assert not re.search(r"[\"<>?#\\`{}]", change["url"])
            connection.leave()
        told = set()
        while told < wanted:
            batches = (await facts_of(app))["batches"]
            told = {change["path"] for batch in batches for change in batch["changes"]}
        assert told == wanted

    in_life(app, main)


# ---- where this machine keeps its files ----------------------------------------------------------


def test_no_absolute_path_goes_over_the_wire(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    base, outside, linked = tmp_path / "bäse", tmp_path / "out side", tmp_path / "elsewhere"
    for directory in (base, outside, linked):
        directory.mkdir()
    (base / "link").symlink_to(linked)
    monkeypatch.chdir(base)
    missing = ["gone-ä", "go'ne", 'go"ne\n', "/x/y/gö ne"]
    roots = [".", "link", str(outside), *missing]
    inner = Starlette(routes=[Mount("/static", StaticFiles(directory=outside))])
    app = layer_of(HotReloadMiddleware(inner, watch_dirs=roots))
    seen: list[bytes] = []

    async def main() -> None:
        connection = Connection()
        async with anyio.create_task_group() as group:
            group.start_soon(connection.run, app, http_scope(EVENTS_PATH))
            await connection.wait_for(b"event: hello")
            assert app.engine is not None
            assert await asyncio.to_thread(app.engine.wait_ready, DEADLINE)
            for path in (base / "1.css", base / "link" / "2.css", outside / "3.css"):
                save(path)
                await connection.wait_for(path.name.encode())
            connection.leave()
        seen.append(body_of(connection.messages))
        for address in (FACTS, STATUS):
            seen.append(body_of(await call(app, http_scope(address, [HOST]))))

    in_life(app, main)
    assert len([line for line in caplog.messages if "does not exist" in line]) == len(missing)
    for content in seen:
        for spelling in (str(tmp_path), "b\\\\xe4se'", "b\\u00e4se/", "/x/y"):
            assert spelling.encode() not in content.replace(b"\\/", b"/")


def test_a_root_that_is_the_whole_machine_has_a_name_of_its_own() -> None:
    assert _status._Names("/srv/site", ["/"]).of("/") == "…/"
    assert _status._Names("/", ["/"]).of("/") == "."
    assert _status._Names("/", ["/"]).in_text("a / b") == "a / b"


PARTS = [
    *(f"{name}.js" for name in ("client", "worker", "share", "swap", "morph", "leave", "notice")),
    *("status.html", "status.css", "status.js"),
]


@pytest.mark.parametrize("name", PARTS)
def test_the_client_says_nothing_of_where_it_was_built(name: str) -> None:
    file = client_file(name.encode())
    assert file is not None
    assert not re.search(
        rb"/(?:home|root|tmp|work|usr|builds?|Users)/|file://|sourceMapping", file[1]
    )


# ---- what becomes of a page ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "root_path",
    [
        '/"><script>alert(1)</script>',
        "/a\r\nset-cookie: b=c\r\n\r\n<script>",
        "/' onload='alert(1)",
        "//evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "/ü\u202e\x00",
        "/a?b#c",
    ],
)
def test_a_hostile_root_path_stays_within_the_attribute(
    layer: LayerUnderTest, root_path: str
) -> None:
    policy = (b"content-security-policy", b"default-src 'none'")
    sent = layer.send(html(policy), body(PAGE), scope=http_scope(root_path=root_path))
    (tag,) = TAG.finditer(body_of(sent))
    assert re.fullmatch(rb"/(?!/)[\w!$&'()*+,;=:@%./~-]*", tag["src"].replace(b"&amp;", b"&"))
    assert body_of(sent).count(b"<script") == 1
    for name, value in sent[0]["headers"]:
        assert re.fullmatch(rb"[!-~]+", name)
        assert re.fullmatch(rb"[ -~]*", value)
    told = headers_of(sent[0])[b"content-security-policy"].decode()
    names = [part.split()[0] for part in told.split(";") if part.strip()]
    assert sorted(names) == ["connect-src", "default-src", "script-src"]


@pytest.mark.parametrize(
    "host",
    [
        b"a; script-src *",
        b"a, b",
        b"a 'unsafe-inline'",
        b"*",
        b"*.com",
        b"a\r\nx: y",
        b"\xff",
        b"a/b",
    ],
)
def test_a_hostile_host_adds_nothing_to_a_policy(layer: LayerUnderTest, host: bytes) -> None:
    headers = [(b"host", host), (b"sec-fetch-dest", b"document")]
    policy = (b"content-security-policy", b"default-src 'none'")
    sent = layer.send(html(policy), body(PAGE), scope=http_scope(headers=headers))
    told = headers_of(sent[0])[b"content-security-policy"]
    assert told == b"default-src 'none'; script-src 'self'; connect-src 'self'"


def test_the_status_finds_its_files_below_a_hostile_address(tmp_path: Path) -> None:
    app = layer_of(HotReloadMiddleware(never, [tmp_path], "/'\"><script>alert(1)<"))
    page = (b"sec-fetch-dest", b"document")
    status, _, content = ask(app, "/'\"><script>alert(1)<", HOST, page)
    assert status == 200
    assert b"alert(1)<" not in content
    assert len(re.findall(rb"<script\b", content)) == 1


FORGED = b'<script data-cursor="%s.%s" async="" src="/%s"></script>'
FORGERY = FORGED % (b"0" * 16, b"0" * 16, b"x")


def test_a_forged_tag_in_the_body_changes_nothing(layer: LayerUnderTest) -> None:
    page = PAGE.replace(b"<body>", b"<body>" + FORGERY)
    content = body_of(layer.send(html(), body(page)))
    (tag,) = TAG.finditer(content)
    assert content.index(tag[0]) < content.index(FORGERY)


def test_a_forged_tag_in_the_place_of_ours_costs_the_page_its_own(layer: LayerUnderTest) -> None:
    """Whoever can write there can run scripts in the page anyway."""
    page = PAGE.replace(b"<head>", b"<head>" + FORGERY)
    assert body_of(layer.send(html(), body(page))) == page


def test_lines_of_the_log_are_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Those that repeat what a request or the app's options say."""
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.DEBUG)

    async def coded(scope: Scope, receive: Receive, send: Send) -> None:
        await send(html((b"content-encoding", b"br")))
        await send(body(b"\x0b"))

    app = layer_of(HotReloadMiddleware(coded, watch_dirs=["a\nWARNING forged\x1b[2J\u202e"]))
    page = [HOST, (b"sec-fetch-dest", b"document")]
    run(app, http_scope("/b\r\nWARNING forged\x1b[2J\u202e", page))
    run(app, http_scope(CLIENT, [(b"host", b"c\r\nWARNING forged\x1b[2J")]))
    assert len([line for line in caplog.messages if "forged" in line]) >= 3
    for line in caplog.messages:
        assert not CONTROLS.search(line), repr(line)


def test_what_the_watcher_says_of_a_directory_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.DEBUG)
    missing = tmp_path / "a\nWARNING forged\x1b[2J\u202e"
    app = layer_of(HotReloadMiddleware(Starlette(), watch_dirs=[missing]))

    async def main() -> None:
        await facts_of(app)
        assert app.engine is not None
        assert await asyncio.to_thread(app.engine.wait_ready, DEADLINE)

    in_life(app, main)
    assert len([line for line in caplog.messages if "waited for" in line]) == 1
    for line in caplog.messages:
        assert not CONTROLS.search(line), repr(line)


# ---- in production -------------------------------------------------------------------------------


def test_without_debug_nothing_is_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def index(request: Any) -> HTMLResponse:
        return HTMLResponse(PAGE)

    bare = Starlette(routes=[Route("/", index)])
    app = Starlette(routes=[Route("/", index)])
    HotReload([tmp_path]).setup(app)
    assert app.build_middleware_stack.__func__ is Starlette.build_middleware_stack  # type: ignore[attr-defined]
    assert HotReloadMiddleware(bare, [tmp_path], enabled=False) is bare
    document = [HOST, (b"sec-fetch-dest", b"document")]
    scopes = [
        http_scope(path, document, method)
        for path in ("/", *EVERYTHING)
        for method in ("GET", "POST")
    ]

    async def main() -> None:
        answers = [await call(bare, scope) for scope in scopes]
        threads = len(os.listdir("/proc/self/task"))  # some of Starlette's own, which may end
        assert [await call(app, scope) for scope in scopes] == answers
        assert len(os.listdir("/proc/self/task")) <= threads

    in_life(app, main)
    assert not caplog.messages
