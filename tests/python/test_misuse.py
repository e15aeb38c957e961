"""Misuse breaks no page, and is answered by an error or one line that says what to do."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette_hot_reload import HotReload, HotReloadMiddleware, hot_reload
from starlette_hot_reload._core import Layer
from starlette_hot_reload._discovery import find_set_up
from support import EVENTS_PATH, PAGE, TAG, alive, body_of, call, http_scope, run


async def page(request: Request) -> HTMLResponse:
    return HTMLResponse(PAGE)


ROUTES = [Route("/", page)]


def make_app(**more: Any) -> Starlette:
    return Starlette(**{"debug": True, "routes": ROUTES, **more})


def tags(app: ASGIApp, path: str = "/") -> list[bytes]:
    """The scripts of a page."""
    content = body_of(run(app, http_scope(path)))
    assert TAG.sub(b"", content) == PAGE
    return [match["src"].partition(b"?")[0] for match in TAG.finditer(content)]


SCRIPT = f"{EVENTS_PATH}/client.js".encode()


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    return {"watch_dirs": [tmp_path]}


class Log:
    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog
        caplog.set_level("DEBUG", "starlette_hot_reload")

    def lines(self, level: str = "WARNING") -> list[str]:
        return [r.getMessage() for r in self._caplog.records if r.levelname == level]


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Log:
    return Log(caplog)


# ---- twice -----------------------------------------------------------------------------------


def test_setting_up_twice_is_an_error(options: dict[str, Any]) -> None:
    app = make_app()
    HotReload(**options).setup(app)
    with pytest.raises(RuntimeError, match=r"already: call HotReload\.setup\(\) or use hot_reload"):
        HotReload(**options).setup(app)
    assert tags(app) == [SCRIPT]


def test_setup_and_a_lifespan_are_an_error_at_the_start(options: dict[str, Any]) -> None:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with hot_reload(app=app, **options):
            yield

    app = make_app(lifespan=lifespan)
    HotReload(**options).setup(app)

    async def main() -> None:
        async with alive(app):
            pass

    with pytest.raises(RuntimeError, match="already"):
        asyncio.run(main())


def test_a_second_lifespan_with_other_options_is_told_of(options: dict[str, Any], log: Log) -> None:
    async def main() -> None:
        app = make_app()
        async with hot_reload(app=app, **options), hot_reload(app=app, **options, morph=True):
            assert len(TAG.findall(body_of(await call(app, http_scope())))) == 1

    asyncio.run(main())
    assert log.lines() == [
        "hot_reload() runs for this app already; the options of this second call are not used"
    ]


def test_a_middleware_around_an_app_that_has_it_steps_aside(
    options: dict[str, Any], log: Log
) -> None:
    app = make_app()
    HotReload(**options).setup(app)
    assert HotReloadMiddleware(app, events_path="/other") is app
    middle = HotReloadMiddleware(make_app(), **options)
    assert HotReloadMiddleware(middle, **options) is middle
    assert len(log.lines()) == 2
    for line in log.lines():
        assert line.endswith("has hot reload already; set it up once")
    assert tags(app) == [SCRIPT]
    assert tags(middle) == [SCRIPT]


def test_setup_with_the_middleware_in_the_list_is_told_of(
    options: dict[str, Any], log: Log
) -> None:
    app = make_app(middleware=[Middleware(HotReloadMiddleware, **options)])
    HotReload(**options).setup(app)
    assert tags(app) == [SCRIPT]
    assert tags(app) == [SCRIPT]
    (line,) = log.lines()
    assert "take that out" in line


# ---- several apps ----------------------------------------------------------------------------


def test_of_two_mounted_in_each_other_the_outer_serves_both(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in "inner", "outer":
        (tmp_path / name).mkdir()
    inner, outer = make_app(), make_app(routes=[])
    HotReload([tmp_path / "inner"]).setup(inner)
    outer.routes.extend([Mount("/sub", inner), *ROUTES])
    HotReload([tmp_path / "outer"]).setup(outer)
    with caplog.at_level("INFO", "starlette_hot_reload"):
        assert tags(outer) == [SCRIPT]
        assert tags(outer, "/sub/") == [SCRIPT]
    (line,) = [record.getMessage() for record in caplog.records]
    for name in "outer", "inner":
        assert ascii(os.path.relpath(tmp_path / name)) in line


def test_two_mounted_side_by_side_have_a_stream_each(options: dict[str, Any]) -> None:
    first, second = make_app(), make_app()
    for app in first, second:
        HotReload(**options).setup(app)
    app = Starlette(routes=[Mount("/a", first), Mount("/b", second), *ROUTES])
    assert tags(app, "/a/") == [b"/a" + SCRIPT]
    assert tags(app, "/b/") == [b"/b" + SCRIPT]
    assert tags(app) == []
    for prefix in b"/a", b"/b":
        assert run(app, http_scope((prefix + SCRIPT).decode()))[0]["status"] == 200


def test_two_apps_of_one_process_do_not_meet(options: dict[str, Any]) -> None:
    together = HotReload(**options)
    apps = [make_app(), make_app()]
    for app in apps:
        together.setup(app)

    async def main() -> None:
        async with alive(apps[0]), alive(apps[1]):
            stacks = [app.middleware_stack for app in apps]
            engines = [stack.engine for stack in stacks if isinstance(stack, Layer)]
            assert None not in engines
            assert len({id(engine) for engine in engines}) == 2

    asyncio.run(main())


# ---- too late --------------------------------------------------------------------------------


def test_setup_after_the_app_has_started_works(options: dict[str, Any]) -> None:
    app = make_app()

    async def main() -> None:
        async with alive(app):
            assert body_of(await call(app, http_scope())) == PAGE
            HotReload(**options).setup(app)
            assert TAG.search(body_of(await call(app, http_scope())))

    asyncio.run(main())


def test_where_no_lifespan_runs_the_first_request_starts_it(options: dict[str, Any]) -> None:
    app = make_app()
    HotReload(**options).setup(app)
    assert tags(app) == [SCRIPT]


def test_a_context_that_is_not_entered_is_told_of(options: dict[str, Any], log: Log) -> None:
    hot_reload(app=make_app(), **options)
    gc.collect()
    assert log.lines() == [
        "hot_reload() was called and does nothing: in a lifespan, write "
        '"async with hot_reload(app=app): yield"'
    ]


def test_debug_that_is_off_is_told_of_to_who_asks(options: dict[str, Any], log: Log) -> None:
    app = make_app(debug=False)
    HotReload(**options).setup(app)
    app.debug = True
    assert tags(app) == []
    assert log.lines("DEBUG") == [
        "Hot reload stays off: app.debug is False; set it before, or pass enabled=True"
    ]
    assert log.lines("INFO") == log.lines("WARNING") == []


def test_debug_that_is_switched_off_after_setup_counts(options: dict[str, Any]) -> None:
    app = make_app()
    HotReload(**options).setup(app)
    app.debug = False
    assert tags(app) == []
    assert not isinstance(app.middleware_stack, Layer)


# ---- the wrong thing -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("watch_dir", "did you mean 'watch_dirs'?"),
        ("event_path", "did you mean 'events_path'?"),
        ("excludes", "did you mean 'exclude'?"),
        ("poll_intervall", "did you mean 'poll_interval'?"),
        ("allow_hosts", "did you mean 'allowed_hosts'?"),
        ("enable", "did you mean 'enabled'?"),
        ("zzz", "it has "),
    ],
)
def test_an_unknown_name_is_answered_with_the_right_one(name: str, advice: str) -> None:
    wrong: dict[str, Any] = {name: None}
    for called in (
        lambda: HotReload(**wrong),
        lambda: hot_reload(app=make_app(), **wrong),
        lambda: HotReloadMiddleware(make_app(), **wrong),
    ):
        with pytest.raises(TypeError) as caught:
            called()
        assert f"() has no argument {name!r}; " in str(caught.value)
        assert advice in str(caught.value)
    assert "self" not in str(caught.value)


def test_arguments_by_position_where_names_are_wanted() -> None:
    with pytest.raises(TypeError, match=r"by name: hot_reload\(app=app"):
        hot_reload(make_app())  # type: ignore[call-arg]


def test_an_app_in_the_place_of_directories() -> None:
    with pytest.raises(TypeError, match=r"goes to HotReload\(\)\.setup\(app\)"):
        HotReload(make_app())  # type: ignore[arg-type]


def factory() -> Starlette:
    return make_app()


@pytest.mark.parametrize(
    ("app", "words"),
    [
        (Starlette, "not a class"),
        (factory, "call it first"),
        (None, "must be a Starlette application"),
        ("main:app", "must be a Starlette application"),
    ],
)
def test_what_is_no_app_is_not_set_up(app: Any, words: str, options: dict[str, Any]) -> None:
    for call_it in (HotReload(**options).setup, lambda app: hot_reload(app=app)):
        with pytest.raises(TypeError, match=words):
            call_it(app)


def test_another_kind_of_app_is_told_of_the_middleware(options: dict[str, Any]) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise NotImplementedError

    with pytest.raises(TypeError, match="wrap any other ASGI application in HotReloadMiddleware"):
        HotReload(**options).setup(app)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("app", "words"),
    [
        (Starlette, "not a class"),
        (factory, "call it first"),
        (None, "not None"),
        ("main:app", "not 'main:app'"),
    ],
)
def test_what_is_no_app_is_not_wrapped(app: Any, words: str) -> None:
    for enabled in True, False:
        with pytest.raises(TypeError, match=words):
            HotReloadMiddleware(app, enabled=enabled)


def test_every_kind_of_app_is_wrapped() -> None:
    class Application:
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            raise NotImplementedError

        async def method(self, scope: Scope, receive: Receive, send: Send) -> None:
            raise NotImplementedError

    async def variadic(*messages: Any) -> None:
        raise NotImplementedError

    class Endpoint(HTTPEndpoint):
        pass

    in_c = min  # of which inspect knows nothing
    apps: list[Any] = [Application(), Application().method, variadic, Endpoint, in_c]
    for app in apps:
        wrapped: Any = HotReloadMiddleware(app, [os.curdir])
        assert find_set_up(wrapped)
        # By this uvicorn and hypercorn tell ASGI 3 from what came before.
        assert inspect.iscoroutinefunction(wrapped.__call__)


# ---- what cannot be watched ------------------------------------------------------------------


@contextmanager
def locked() -> Iterator[Path]:
    """A directory that may not be read meanwhile, also where the tests are run by root."""
    user = os.geteuid()
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "locked")
        path.mkdir()
        Path(name).chmod(0o755)
        path.chmod(0)
        try:
            if user == 0:
                os.seteuid(65534)
            yield path
        finally:
            os.seteuid(user)
            path.chmod(0o755)


def test_a_directory_that_may_not_be_read_is_told_of(options: dict[str, Any], log: Log) -> None:
    first = make_app()
    HotReload(**options).setup(first)
    run(first, http_scope())  # whoever has no permission may not import either
    with locked() as path:
        app = make_app()
        HotReload([path]).setup(app)
        assert tags(app) == [SCRIPT]
        assert tags(app) == [SCRIPT]
    (line,) = log.lines()
    assert str(path) in line
    assert "no permission to read it; give it that" in line
