"""FastHTML is a Starlette that is not in debug mode, and serves files with routes of its own."""

# mypy: disable-error-code="import-untyped, untyped-decorator"

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import fasthtml.common as fh
from starlette.templating import Jinja2Templates
from starlette_hot_reload import HotReload, hot_reload
from starlette_hot_reload._discovery import static_directories, template_directories
from support import NAVIGATION, TAG, alive, body_of, call, http_scope, run


def make_app(**more: Any) -> Any:
    app, route = fh.fast_app(secret_key="x", **more)

    @route("/")
    def index() -> Any:
        return fh.Titled("Hello", fh.P("world"))

    return app


def test_enabled_decides_where_debug_is_not_used(project: Path, make_receive: Any) -> None:
    app = make_app()
    assert app.debug is False
    HotReload([project], enabled=True).setup(app)

    async def main() -> None:
        async with alive(app):
            assert TAG.search(body_of(await call(app, http_scope(), make_receive())))
            fragment = http_scope("/", [NAVIGATION[0], (b"hx-request", b"true")])
            assert not TAG.search(body_of(await call(app, fragment, make_receive())))

    asyncio.run(main())


def test_debug_decides_otherwise(project: Path, make_receive: Any) -> None:
    for debug in True, False:
        app = make_app(debug=debug)
        HotReload([project]).setup(app)
        assert bool(TAG.search(body_of(run(app, http_scope(), make_receive())))) is debug


def test_a_lifespan(project: Path, make_receive: Any) -> None:
    async def lifespan(app: Any) -> AsyncIterator[None]:  # not a context manager there
        async with hot_reload(app=app, watch_dirs=[project], enabled=True):
            yield

    app = make_app(lifespan=lifespan)

    async def main() -> None:
        async with alive(app):
            assert TAG.search(body_of(await call(app, http_scope(), make_receive())))

    asyncio.run(main())


def test_its_static_files_are_found(project: Path) -> None:
    app = make_app(static_path=str(project / "static"))
    app.static_route(".css", prefix="/styles/", static_path=str(project / "assets"))
    (project / "assets" / "x.css").write_text("a {}")
    assert static_directories(app) == [
        (str(project / "static"), ""),
        (str(project / "assets"), "/styles"),
    ]


def test_templates_behind_its_wrappers_are_found(project: Path) -> None:
    templates = Jinja2Templates(directory=project / "templates")
    app, route = fh.fast_app(secret_key="x")

    @route("/")
    def index(request: Any) -> Any:
        return templates.TemplateResponse(request, "index.html")

    assert template_directories(app) == [str(project / "templates")]
