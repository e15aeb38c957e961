"""The events path, with raw messages, under asyncio and trio."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from starlette.types import ASGIApp, Message, Scope
from starlette_hot_reload import HotReloadMiddleware, _core, _hub, _stream
from starlette_hot_reload._core import Layer
from support import (
    DEADLINE,
    EVENTS_PATH,
    Connection,
    RunAsync,
    body_of,
    headers_of,
    http_scope,
    layer_of,
    never,
    run,
    save,
)

CLIENT = EVENTS_PATH + "/client.js"


@pytest.fixture
def app(tmp_path: Path) -> Layer:
    app = HotReloadMiddleware(never, watch_dirs=[tmp_path], allowed_hosts=["*.test"])
    app = layer_of(app)
    return app


def engine_of(app: Layer) -> _core.Engine:
    assert app.engine is not None
    return app.engine


def test_a_stream_tells_what_changes(app: Layer, tmp_path: Path, run_async: RunAsync) -> None:
    async def main() -> None:
        connection = Connection()
        async with anyio.create_task_group() as group:
            group.start_soon(connection.run, app, http_scope(EVENTS_PATH))
            await connection.wait_for(b"event: hello")
            save(tmp_path / "a.css")
            await connection.wait_for(b'"files":["a.css"]')
            save(tmp_path / "b.css")
            await connection.wait_for(b'"files":["b.css"]')
            connection.leave()
        assert connection.ended.is_set()
        assert connection.messages[0]["headers"] == [
            (b"content-type", b"text/event-stream"),
            (b"cache-control", b"no-store, no-transform"),
            (b"x-accel-buffering", b"no"),
        ]
        assert body_of(connection.messages).startswith(b"retry: ")

    run_async(main)


def descriptors() -> int:
    gc.collect()  # what earlier tests left
    return len(os.listdir("/proc/self/fd"))


def test_the_last_stream_closes_the_descriptor(app: Layer, run_async: RunAsync) -> None:
    async def main() -> None:
        first, second = Connection(), Connection()
        async with anyio.create_task_group() as group:
            group.start_soon(first.run, app, http_scope(EVENTS_PATH))
            await first.wait_for(b"hello")
            # Its thread opens and closes descriptors too.
            assert engine_of(app).wait_ready(DEADLINE)
            open_with_one = descriptors()
            group.start_soon(second.run, app, http_scope(EVENTS_PATH))
            await second.wait_for(b"hello")
            assert descriptors() == open_with_one
            first.leave()
            await first.ended.wait()
            assert descriptors() == open_with_one
            second.leave()
            await second.ended.wait()
        while descriptors() != open_with_one - 1:  # trio's task takes a turn or two
            await anyio.sleep(0)

    run_async(main)


def test_a_stream_goes_on_from_the_clients_cursor(
    app: Layer, tmp_path: Path, run_async: RunAsync
) -> None:
    async def main() -> None:
        watcher = Connection()
        async with anyio.create_task_group() as group:
            group.start_soon(watcher.run, app, http_scope(EVENTS_PATH))
            await watcher.wait_for(b"hello")
            page = engine_of(app).now()
            save(tmp_path / "a.css")
            await watcher.wait_for(b"a.css")
            later = engine_of(app).now()
            save(tmp_path / "b.css")
            await watcher.wait_for(b"b.css")

            query: dict[str, Any] = {"query_string": b"x=1&cursor=" + page.encode()}
            by_query, by_header = Connection(), Connection()
            header = [(b"host", b"localhost"), (b"Last-Event-ID", later.encode())]
            group.start_soon(by_query.run, app, http_scope(EVENTS_PATH, **query))
            group.start_soon(by_header.run, app, http_scope(EVENTS_PATH, header, **query))
            await by_query.wait_for(b'"files":["a.css","b.css"]')
            await by_header.wait_for(b'"files":["b.css"]')
            assert b'"reload":true' not in body_of(by_query.messages)
            for connection in (watcher, by_query, by_header):
                connection.leave()

    run_async(main)


def test_a_cursor_of_another_run_reloads(app: Layer, run_async: RunAsync) -> None:
    async def main() -> None:
        connection = Connection()
        query = b"cursor=00000000000000ff.0000000000000001"
        async with anyio.create_task_group() as group:
            scope = http_scope(EVENTS_PATH, query_string=query)
            group.start_soon(connection.run, app, scope)
            await connection.wait_for(b'"reload":true')
            connection.leave()

    run_async(main)


def test_a_silent_stream_has_a_heartbeat(
    app: Layer, run_async: RunAsync, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_hub, "HEARTBEAT_TICKS", 1)

    async def main() -> None:
        connection = Connection()
        async with anyio.create_task_group() as group:
            group.start_soon(connection.run, app, http_scope(EVENTS_PATH))
            await connection.wait_for(_core.heartbeat_frame() * 2)
            connection.leave()

    run_async(main)


def test_a_stream_ends_by_itself_where_the_server_cannot_be_seen(
    app: Layer, run_async: RunAsync, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_stream, "LIFE", 0.01)

    async def main() -> None:
        connection = Connection()
        await connection.run(app, http_scope(EVENTS_PATH))
        assert connection.messages[-1] == {
            "type": "http.response.body",
            "body": b"",
            "more_body": False,
        }

    run_async(main)


def test_a_lifespan_that_ends_ends_the_streams(
    tmp_path: Path, run_async: RunAsync, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_stream, "LIFE", float("inf"))

    async def lifespan_app(scope: Scope, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "lifespan.startup"
        await send({"type": "lifespan.startup.complete"})
        assert (await receive())["type"] == "lifespan.shutdown"
        await send({"type": "lifespan.shutdown.complete"})

    app = HotReloadMiddleware(lifespan_app, watch_dirs=[tmp_path])

    async def main() -> None:
        connection = Connection()
        started, ending = anyio.Event(), anyio.Event()

        async def receive() -> Message:
            if not started.is_set():
                return {"type": "lifespan.startup"}
            await ending.wait()
            return {"type": "lifespan.shutdown"}

        async def send(message: Message) -> None:
            started.set()

        async with anyio.create_task_group() as group:
            group.start_soon(run_lifespan, app, receive, send)
            await started.wait()
            group.start_soon(connection.run, app, http_scope(EVENTS_PATH))
            await connection.wait_for(b"hello")
            ending.set()
        assert connection.messages[-1]["more_body"] is False

    async def run_lifespan(app: ASGIApp, receive: Any, send: Any) -> None:
        await app({"type": "lifespan"}, receive, send)

    run_async(main)


def test_a_client_that_has_left_ends_its_stream_and_is_sent_nothing(
    app: Layer, run_async: RunAsync, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_stream, "LIFE", float("inf"))

    async def main() -> None:
        connection = Connection()
        async with anyio.create_task_group() as group:
            group.start_soon(connection.run, app, http_scope(EVENTS_PATH))
            await connection.wait_for(b"hello")
            sent = list(connection.messages)
            connection.leave()
            await connection.ended.wait()
        assert connection.messages == sent

    run_async(main)


def test_a_stream_whose_client_fails_leaves_nothing(app: Layer, run_async: RunAsync) -> None:
    async def main() -> None:
        connection = Connection()

        async def send(message: Message) -> None:
            raise OSError("gone")

        with pytest.raises(OSError, match="gone"):
            await app(http_scope(EVENTS_PATH), connection.receive, send)

    run_async(main)


# ---- what is not a stream --------------------------------------------------------------------


def ask(app: ASGIApp, path: str, *headers: tuple[bytes, bytes], method: str = "GET") -> Any:
    sent = run(app, http_scope(path, [(b"host", b"localhost"), *headers], method))
    return sent[0]["status"], headers_of(sent[0]), body_of(sent)


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT"])
def test_a_stream_is_for_get(app: Layer, method: str) -> None:
    status, headers, _ = ask(app, EVENTS_PATH, method=method)
    assert status == 405
    assert headers[b"allow"] == b"GET, POST"


def test_the_client_has_a_validator(app: Layer) -> None:
    status, headers, content = ask(app, CLIENT)
    assert status == 200
    assert headers[b"content-type"] == b"text/javascript"
    assert headers[b"cache-control"] == b"no-cache"
    assert headers[b"content-length"] == b"%d" % len(content)
    etag = headers[b"etag"]
    for value in (etag, b"W/" + etag, b'"x", ' + etag, b"*"):
        status, headers, content = ask(app, CLIENT, (b"If-None-Match", value))
        assert (status, content) == (304, b"")
        assert headers[b"etag"] == etag
    assert ask(app, CLIENT, (b"if-none-match", b'"x"'))[0] == 200


def test_what_is_asked_for_by_its_version_is_kept(app: Layer) -> None:
    scope = http_scope(CLIENT, [(b"host", b"localhost")]) | {"query_string": b"4f2a"}
    assert headers_of(run(app, scope)[0])[b"cache-control"] == b"max-age=31536000, immutable"


def test_head_of_the_client(app: Layer) -> None:
    status, headers, content = ask(app, CLIENT, method="HEAD")
    assert (status, content) == (200, b"")
    assert int(headers[b"content-length"]) > 0


@pytest.mark.parametrize("name", ["x", "client.js/x", "../client.js", "\xe4"])
def test_other_names_are_not_found(app: Layer, name: str) -> None:
    sent = run(app, {**http_scope(), "path": f"{EVENTS_PATH}/{name}"})
    assert sent[0]["status"] == 404


def test_the_client_is_only_read(app: Layer) -> None:
    assert ask(app, CLIENT, method="POST")[0] == 405


def test_the_events_path_is_the_one_asked_for(tmp_path: Path) -> None:
    app = HotReloadMiddleware(never, [tmp_path], "/custom/path")
    assert ask(app, "/custom/path/client.js")[0] == 200
    app = HotReloadMiddleware(never, [tmp_path], "/custom/path")
    scope = http_scope("/api/custom/path/client.js", root_path="/api")
    assert run(app, scope)[0]["status"] == 200


# ---- who may connect -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        b"localhost", b"LOCALHOST:8000", b"localhost.", b"app.localhost:1", b"127.0.0.1",
        b"127.9.9.9:80", b"[::1]", b"[::1]:8000", b"192.0.2.7:8000", b"a.test", b"a.b.test:1",
    ],
)  # fmt: skip
def test_a_host_of_this_machine_may_connect(app: Layer, host: bytes) -> None:
    scope = http_scope(CLIENT, [(b"host", host)], server=("192.0.2.7", 8000))
    assert run(app, scope)[0]["status"] == 200


@pytest.mark.parametrize(
    "headers",
    [
        [(b"host", b"evil.example")],
        [(b"host", b"localhost.evil.example")],
        [(b"host", b"127.0.0.1.evil.example")],
        [(b"host", b"evillocalhost")],
        [(b"host", b"test")],
        [(b"host", b"a.test.evil")],
        [(b"host", b"192.0.2.8")],
        [(b"host", b"0.0.0.0")],
        [(b"host", b"")],
        [(b"host", b".")],
        [(b"host", b"localhost:80:80")],
        [(b"host", b"localhost:x")],
        [(b"host", b"user@localhost")],
        [(b"host", b"[::1")],
        [(b"host", b"[]")],
        [(b"host", b"[::1]x")],
        [(b"host", b"::1")],
        [(b"host", b"local\xffhost")],
        [(b"host", b"localhost\n")],
        [(b"host", b"localhost"), (b"host", b"localhost")],
        [],
    ],
)
def test_any_other_host_is_told_the_option(app: Layer, headers: Iterator[Any]) -> None:
    for path in (EVENTS_PATH, CLIENT):
        sent = run(app, http_scope(path, headers, server=("192.0.2.7", 8000)))
        assert sent[0]["status"] == 403
        assert b"allowed_hosts" in body_of(sent)


@pytest.mark.parametrize("server", [None, ("testserver", 80), ("/run/x.sock", None), ()])
def test_the_servers_name_proves_nothing(app: Layer, server: Any) -> None:
    sent = run(app, http_scope(CLIENT, [(b"host", b"testserver")], server=server))
    assert sent[0]["status"] == 403


def test_a_star_allows_every_host(tmp_path: Path) -> None:
    app = HotReloadMiddleware(never, [tmp_path], allowed_hosts=["*"])
    assert run(app, http_scope(CLIENT, [(b"host", b"x.example")]))[0]["status"] == 200


def test_no_answer_opens_the_stream_to_other_sites(app: Layer) -> None:
    sent = run(app, http_scope(CLIENT, [(b"host", b"localhost"), (b"origin", b"http://x")]))
    assert not [name for name in headers_of(sent[0]) if name.startswith(b"access-control")]
