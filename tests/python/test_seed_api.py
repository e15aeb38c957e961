"""The released interfaces of starlette-hot-reload 0.1, 0.2 and 0.3: user code runs unchanged."""

from __future__ import annotations

import asyncio
import inspect
import logging
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette_hot_reload import HotReload, hot_reload
from support import PAGE, TAG, alive, body_of, call, http_scope


async def page(request: Request) -> HTMLResponse:
    return HTMLResponse(PAGE)


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in "templates", "static", "assets":
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


# What the documents of each version say, as it is, but for the routes.

V01 = """\
from starlette.applications import Starlette
from starlette.routing import Route

from starlette_hot_reload import HotReload

routes = [
    Route("/", page),
]

app = Starlette(
    debug=True,
    routes=routes,
)

# Set up hot reload (only active when debug=True)
hot_reload = HotReload(watch_dirs=["templates", "static"])
hot_reload.setup(app)
"""

V01_DIRECTORIES = """\
app = Starlette(debug=True, routes=[Route("/", page)])
HotReload(watch_dirs=["templates", "static", "assets"]).setup(app)
"""

V01_PATH = """\
app = Starlette(debug=True, routes=[Route("/", page)])
hot_reload = HotReload(
    watch_dirs=["templates", "static"],
    events_path="/custom-events-path",
)
hot_reload.setup(app)
"""

V01_INTERVAL = """\
app = Starlette(debug=True, routes=[Route("/", page)])
hot_reload = HotReload(
    watch_dirs=["templates", "static"],
    poll_interval=0.25,
)
hot_reload.setup(app)
"""

V01_DEFAULTS = """\
app = Starlette(debug=True, routes=[Route("/", page)])
HotReload().setup(app)
"""

V01_POSITIONS = """\
app = Starlette(debug=True, routes=[Route("/", page)])
HotReload(["templates"], "/events", 0.5).setup(app)
"""

V02 = """\
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.routing import Route

from starlette_hot_reload import hot_reload


@asynccontextmanager
async def lifespan(app):
    async with hot_reload(app=app, watch_dirs=["templates", "static"]):
        yield


app = Starlette(debug=True, routes=[Route("/", page)], lifespan=lifespan)
"""

V02_ALL = """\
@asynccontextmanager
async def lifespan(app: Starlette):
    async with hot_reload(
        app=app,
        watch_dirs=["templates"],
        events_path="/custom-events-path",
        poll_interval=0.1,
    ):
        yield


app = Starlette(debug=True, routes=[Route("/", page)], lifespan=lifespan)
"""

V03_ALL = """\
@asynccontextmanager
async def lifespan(app: Starlette):
    async with hot_reload(
        app=app,
        watch_dirs=[Path("templates"), "static"],
        events_path="/custom-events-path",
        poll_interval=1,
        inject_before_body=False,
    ):
        yield


app = Starlette(debug=True, routes=[Route("/", page)], lifespan=lifespan)
"""

V03_DEFAULTS = """\
@asynccontextmanager
async def lifespan(app):
    async with hot_reload(app=app):
        yield


app = Starlette(debug=True, routes=[Route("/", page)], lifespan=lifespan)
"""

DEFAULT = "/__starlette_hot_reload"
CUSTOM = "/custom-events-path"
CASES = [
    pytest.param(V01, "'templates', 'static'", DEFAULT, id="0.1"),
    pytest.param(V01_DIRECTORIES, "'templates', 'static', 'assets'", DEFAULT, id="0.1-directories"),
    pytest.param(V01_PATH, "'templates', 'static'", CUSTOM, id="0.1-path"),
    pytest.param(V01_INTERVAL, "'templates', 'static'", DEFAULT, id="0.1-interval"),
    pytest.param(V01_DEFAULTS, "'.'", DEFAULT, id="0.1-defaults"),
    pytest.param(V01_POSITIONS, "'templates'", "/events", id="0.1-positions"),
    pytest.param(V02, "'templates', 'static'", DEFAULT, id="0.2"),
    pytest.param(V02_ALL, "'templates'", CUSTOM, id="0.2-all"),
    pytest.param(V03_ALL, "'templates', 'static'", CUSTOM, id="0.3-all"),
    pytest.param(V03_DEFAULTS, "'.'", DEFAULT, id="0.3-defaults"),
]
IMPORTS = """\
from contextlib import asynccontextmanager
from pathlib import Path
from starlette.applications import Starlette
from starlette.routing import Route
from starlette_hot_reload import HotReload, hot_reload
"""


def load(source: str, **names: Any) -> Starlette:
    module: dict[str, Any] = {"page": page, "__name__": "main", **names}
    if "import" not in source:
        exec(IMPORTS, module)
    exec(compile(source, "main.py", "exec"), module)
    app = module["app"]
    assert isinstance(app, Starlette)
    return app


@pytest.mark.parametrize(("source", "directories", "events_path"), CASES)
def test_the_code_of_its_documents_runs(
    source: str, directories: str, events_path: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "starlette_hot_reload")
    app = load(source)

    async def main() -> None:
        async with alive(app):
            content = body_of(await call(app, http_scope()))
            match = TAG.search(content)
            assert match
            assert TAG.sub(b"", content) == PAGE
            script, _, version = match["src"].decode().partition("?")
            assert script == f"{events_path}/client.js"
            scope = http_scope(script, query_string=version.encode())
            assert (await call(app, scope))[0]["status"] == 200

    asyncio.run(main())
    assert [record.getMessage() for record in caplog.records] == [
        f"Hot reload watches {directories}; events at {events_path}"
    ]


@pytest.mark.parametrize(("source", "directories", "events_path"), CASES)
def test_without_debug_it_does_nothing(source: str, directories: str, events_path: str) -> None:
    app = load(source.replace("debug=True", "debug=False"))

    async def main() -> None:
        async with alive(app):
            assert body_of(await call(app, http_scope())) == PAGE
            assert (await call(app, http_scope(events_path)))[0]["status"] == 404

    asyncio.run(main())


@pytest.mark.parametrize("value", [True, False])
def test_inject_before_body_changes_nothing(value: bool) -> None:
    source = V03_ALL.replace("inject_before_body=False", f"inject_before_body={value}")
    app = load(source)

    async def main() -> bytes:
        async with alive(app):
            content = body_of(await call(app, http_scope()))
            return TAG.sub(b"<tag>", content)

    assert asyncio.run(main()) == PAGE.replace(b"<head>", b"<head><tag>")


def names(called: Any) -> list[tuple[str, Any, Any]]:
    parameters = inspect.signature(called).parameters.values()
    return [(one.name, one.default, one.kind) for one in parameters]


def test_the_arguments_are_those_that_were_released() -> None:
    anywhere = inspect.Parameter.POSITIONAL_OR_KEYWORD
    by_name = inspect.Parameter.KEYWORD_ONLY
    common = [("watch_dirs", None), ("events_path", DEFAULT), ("poll_interval", 0.25)]
    assert names(HotReload)[:3] == [(*one, anywhere) for one in common]
    assert all(kind is by_name for _, _, kind in names(HotReload)[3:])
    empty = inspect.Parameter.empty
    expected = [("app", empty), *common, ("inject_before_body", True)]
    assert names(hot_reload)[:5] == [(*one, by_name) for one in expected]
