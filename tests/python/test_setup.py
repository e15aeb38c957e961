"""Setting up: the three doors, and that they do nothing unless asked."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import support
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Mount, Route, Router
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette_hot_reload import HotReload, HotReloadMiddleware, __all__, hot_reload
from starlette_hot_reload._core import Layer
from support import (
    EVENTS_PATH,
    NAVIGATION,
    PAGE,
    TAG,
    alive,
    body_of,
    call,
    http_scope,
    no_receive,
    run,
)


async def page(request: Request) -> HTMLResponse:
    return HTMLResponse(PAGE)


async def broken(request: Request) -> HTMLResponse:
    raise RuntimeError("a fault")


ROUTES = [Route("/", page), Route("/broken", broken)]


async def content(app: ASGIApp, path: str = "/") -> bytes:
    return body_of(await call(app, http_scope(path)))


def threads() -> int:
    gc.collect()  # what earlier tests left
    return support.threads()


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    return {"watch_dirs": [tmp_path]}


def test_without_debug_the_app_stays_as_it_is(options: dict[str, Any]) -> None:
    app = Starlette(routes=ROUTES)
    before = dict(vars(app)), list(app.routes), threads()
    HotReload(**options).setup(app)
    assert (dict(vars(app)), list(app.routes), threads()) == before

    async def main() -> None:
        async with alive(app):
            assert await content(app) == PAGE
            assert not isinstance(app.middleware_stack, Layer)
            assert (await call(app, http_scope(EVENTS_PATH)))[0]["status"] == 404

    asyncio.run(main())


def test_with_debug_the_layer_is_the_outermost(options: dict[str, Any]) -> None:
    app = Starlette(debug=True, routes=ROUTES)
    HotReload(**options).setup(app)
    assert TAG.search(body_of(run(app, http_scope())))
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = http_scope("/broken", [*NAVIGATION, (b"accept", b"text/html")])
    with pytest.raises(RuntimeError, match="a fault"):
        asyncio.run(app(scope, no_receive, send))
    assert sent[0]["status"] == 500
    assert TAG.search(body_of(sent))


def test_the_stack_is_built_once(options: dict[str, Any]) -> None:
    built: list[ASGIApp] = []

    class Counting:
        def __init__(self, app: ASGIApp) -> None:
            built.append(app)
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await self.app(scope, receive, send)

    app = Starlette(debug=True, routes=ROUTES, middleware=[Middleware(Counting)])
    HotReload(**options).setup(app)
    assert built == []
    run(app, http_scope())
    run(app, http_scope())
    assert len(built) == 1


def test_middleware_can_still_be_added_after_setup(options: dict[str, Any]) -> None:
    app = Starlette(debug=True, routes=ROUTES)
    HotReload(**options).setup(app)
    app.add_middleware(HotReloadMiddleware, enabled=False)
    assert len(run(app, http_scope())) == 2


def test_a_stack_that_stands_is_wrapped(options: dict[str, Any]) -> None:
    app = Starlette(debug=True, routes=ROUTES)
    run(app, http_scope())
    stack = app.middleware_stack
    HotReload(**options).setup(app)
    assert isinstance(app.middleware_stack, Layer)
    assert app.middleware_stack.app is stack


def test_nothing_starts_before_the_lifespan_or_a_request(options: dict[str, Any]) -> None:
    before = threads()
    app = Starlette(debug=True, routes=ROUTES)
    HotReload(**options).setup(app)
    assert threads() == before
    run(app, http_scope())
    assert threads() == before + 1
    del app
    assert threads() == before


def test_the_engine_lives_as_long_as_the_lifespan(options: dict[str, Any]) -> None:
    app = Starlette(debug=True, routes=ROUTES)
    HotReload(**options).setup(app)

    async def main() -> None:
        for _ in range(2):
            async with alive(app):
                assert isinstance(app.middleware_stack, Layer)
                assert app.middleware_stack.engine is not None
                assert TAG.search(await content(app))
            assert app.middleware_stack.engine is None

    asyncio.run(main())


def test_setting_up_twice_is_refused(options: dict[str, Any]) -> None:
    app = Starlette(debug=True)
    HotReload(**options).setup(app)
    with pytest.raises(RuntimeError, match="already"):
        HotReload(**options).setup(app)
    run(app, http_scope())
    with pytest.raises(RuntimeError, match="already"):
        HotReload(**options).setup(app)


def test_it_can_be_switched_on_and_off_whatever_debug_says(options: dict[str, Any]) -> None:
    for enabled, debug in (True, False), (None, True):
        app = Starlette(debug=debug, routes=ROUTES)
        HotReload(**options, enabled=enabled).setup(app)
        assert TAG.search(body_of(run(app, http_scope())))
    for enabled, debug in (False, True), (None, False):
        app = Starlette(debug=debug, routes=ROUTES)
        before = dict(vars(app))
        HotReload(**options, enabled=enabled).setup(app)
        assert vars(app) == before


@pytest.mark.parametrize(
    ("enabled", "debug", "is_on"),
    [(True, False, True), (None, True, True), (False, True, False), (None, False, False)],
)
def test_so_can_a_lifespan(
    options: dict[str, Any], enabled: bool | None, debug: bool, is_on: bool
) -> None:
    app = lifespan_app(debug, enabled=enabled, **options)

    async def main() -> None:
        async with alive(app):
            assert bool(TAG.search(await content(app))) is is_on

    asyncio.run(main())


def test_two_servers_may_run_the_lifespan_of_one_app(options: dict[str, Any]) -> None:
    app = lifespan_app(True, **options)
    before = threads()

    async def main() -> None:
        async with alive(app):
            async with alive(app):
                assert TAG.search(await content(app))
            assert TAG.search(await content(app))
            assert threads() == before + 1
        assert not isinstance(app.middleware_stack, Layer)

    asyncio.run(main())
    assert threads() == before


def test_what_instruments_an_app_keeps_its_place(options: dict[str, Any]) -> None:
    """Instrumentation replaces ``build_middleware_stack`` on the instance, before us or after."""

    async def main() -> None:
        app = Starlette(debug=True, routes=ROUTES)
        original = app.build_middleware_stack
        instrumented = vars(app)["build_middleware_stack"] = lambda: original()
        async with hot_reload(app=app, **options):
            assert TAG.search(await content(app))
        assert vars(app)["build_middleware_stack"] is instrumented
        assert await content(app) == PAGE

    asyncio.run(main())


@pytest.mark.parametrize("app", [None, lambda scope: None, Router()])
def test_another_kind_of_app_is_told_where_to_go(app: Any, options: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="HotReloadMiddleware"):
        HotReload(**options).setup(app)


def lifespan_app(debug: bool, **options: Any) -> Starlette:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with hot_reload(app=app, inject_before_body=False, **options):
            yield

    return Starlette(debug=debug, routes=ROUTES, lifespan=lifespan)


def test_a_lifespan_can_hold_hot_reload(options: dict[str, Any]) -> None:
    app = lifespan_app(True, **options)
    before = threads()

    async def main() -> None:
        for _ in range(2):
            async with alive(app):
                assert TAG.search(await content(app))
            assert threads() == before

    asyncio.run(main())
    assert not isinstance(app.middleware_stack, Layer)


def test_hot_reload_in_a_lifespan_does_nothing_without_debug(options: dict[str, Any]) -> None:
    app = lifespan_app(False, **options)

    async def main() -> None:
        async with alive(app):
            stack = app.middleware_stack
            assert await content(app) == PAGE
        assert app.middleware_stack is stack
        assert not isinstance(stack, Layer)

    asyncio.run(main())


def test_hot_reload_around_an_app_that_has_not_begun(options: dict[str, Any]) -> None:
    async def main() -> None:
        app = Starlette(debug=True, routes=ROUTES)
        before = dict(vars(app))
        async with hot_reload(app=app, **options):
            pass
        assert vars(app) == before

    asyncio.run(main())


def test_an_app_whose_lifespan_fails_leaves_nothing_running(options: dict[str, Any]) -> None:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        raise RuntimeError("no database")
        yield

    before = threads()
    app = Starlette(debug=True, lifespan=lifespan)
    HotReload(**options).setup(app)

    async def main() -> None:
        async with alive(app):
            pass

    with pytest.raises(RuntimeError, match="no database"):
        asyncio.run(main())
    assert threads() == before


def test_middleware_in_a_list(options: dict[str, Any], tmp_path: Path) -> None:
    middleware = [Middleware(HotReloadMiddleware, watch_dirs=[tmp_path])]
    app = Starlette(routes=ROUTES, middleware=middleware)
    assert TAG.search(body_of(run(app, http_scope())))


def test_middleware_around_any_app(options: dict[str, Any]) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await HTMLResponse(PAGE)(scope, receive, send)

    assert TAG.search(run(HotReloadMiddleware(app, **options), http_scope())[1]["body"])
    assert HotReloadMiddleware(app, **options, enabled=False) is app


def test_one_line_at_info_says_what_is_watched(
    options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    app = Starlette(debug=True, routes=ROUTES)
    HotReload(**options).setup(app)
    with caplog.at_level(logging.INFO, "starlette_hot_reload"):
        run(app, http_scope())
        run(app, http_scope())
    ours = [record for record in caplog.records if record.name == "starlette_hot_reload"]
    assert [record.levelname for record in ours] == ["INFO"]
    assert "watches" in ours[0].getMessage()


def test_a_directory_that_does_not_exist_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = Starlette(debug=True, routes=ROUTES)
    HotReload(watch_dirs=[tmp_path / "typo"]).setup(app)
    run(app, http_scope())
    run(app, http_scope())
    warnings = [record for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 1
    assert "typo" in warnings[0].getMessage()


def test_why_a_page_is_not_injected_is_said_once(
    options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    async def coded(request: Request) -> HTMLResponse:
        return HTMLResponse(b"x", headers={"Content-Encoding": "br"})

    app = Starlette(debug=True, routes=[Route("/", coded)])
    HotReload(**options).setup(app)
    run(app, http_scope())
    run(app, http_scope())
    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == 1


def test_what_a_policy_has_become_is_said_at_debug(
    options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    async def strict(request: Request) -> HTMLResponse:
        return HTMLResponse(PAGE, headers={"Content-Security-Policy": "default-src 'none'"})

    app = Starlette(debug=True, routes=[Route("/", strict)])
    HotReload(**options).setup(app)
    caplog.set_level("INFO", "starlette_hot_reload")
    run(app, http_scope())
    assert "has this" not in caplog.text
    other = Starlette(debug=True, routes=[Route("/", strict)])
    HotReload(**options).setup(other)
    caplog.set_level("DEBUG", "starlette_hot_reload")
    run(other, http_scope())
    run(other, http_scope())
    lines = [one.getMessage() for one in caplog.records if "has this" in one.getMessage()]
    assert lines == [
        "'/' has this content-security-policy now: default-src 'none'; "
        "script-src localhost/__starlette_hot_reload/; connect-src localhost/__starlette_hot_reload"
    ]


def test_the_whole_machine_is_not_watched_unless_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir("/")
    static = Mount("/static", StaticFiles(directory=tmp_path))
    app = Starlette(debug=True, routes=[*ROUTES, static])
    HotReload().setup(app)
    with caplog.at_level("INFO", "starlette_hot_reload"):
        assert TAG.search(body_of(run(app, http_scope())))
    assert "The working directory is /, which is not watched: pass watch_dirs" in caplog.text
    runtime = app.middleware_stack.engine  # type: ignore[union-attr]
    assert len(runtime.roots()) == 1


def test_a_start_that_fails_leaves_the_app_working(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = Starlette(debug=True, routes=ROUTES)
    HotReload(watch_dirs=[tmp_path / "later"]).setup(app)
    (tmp_path / "later").write_text("a file after all")
    assert run(app, http_scope())[1]["body"] == PAGE
    assert run(app, http_scope())[1]["body"] == PAGE
    answer = run(app, http_scope(EVENTS_PATH))
    assert answer[0]["status"] == 503
    assert b"the log says why" in body_of(answer)
    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == 1


def test_the_public_names() -> None:
    assert __all__ == [
        "Batch",
        "Change",
        "HotReload",
        "HotReloadMiddleware",
        "__version__",
        "hot_reload",
    ]
