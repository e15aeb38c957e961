"""FastAPI is a Starlette, but for its routers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates
from starlette_hot_reload import HotReload
from starlette_hot_reload._discovery import static_directories, template_directories
from support import PAGE, TAG, alive, body_of, call, http_scope, run


def make_app(debug: bool = True) -> FastAPI:
    app = FastAPI(debug=debug)

    @app.get("/", response_class=HTMLResponse)
    async def home() -> str:
        return PAGE.decode()

    @app.get("/data")
    async def data() -> JSONResponse:
        return JSONResponse({"html": PAGE.decode()})

    return app


def test_pages_have_the_tag_and_data_have_not(project: Path) -> None:
    app = make_app()
    HotReload([project]).setup(app)

    async def main() -> None:
        async with alive(app):
            assert TAG.search(body_of(await call(app, http_scope())))
            assert TAG.search(body_of(await call(app, http_scope("/docs"))))
            for path in "/data", "/openapi.json":
                assert not TAG.search(body_of(await call(app, http_scope(path))))

    asyncio.run(main())


def test_without_debug_nothing_happens(project: Path) -> None:
    app = make_app(debug=False)
    before = dict(vars(app))
    HotReload([project]).setup(app)
    assert vars(app) == before
    assert body_of(run(app, http_scope())) == PAGE


def test_templates_behind_a_decorated_endpoint_are_found(project: Path) -> None:
    app = FastAPI()
    templates = Jinja2Templates(directory=project / "templates")

    @app.get("/")
    async def home(request: Request) -> object:
        return templates.TemplateResponse(request, "home.html")

    assert template_directories(app) == [str(project / "templates")]


def test_static_files_and_templates_of_included_routers_are_found(
    project: Path, make_receive: Any
) -> None:
    deepest, router, app = APIRouter(), APIRouter(), FastAPI()
    templates = Jinja2Templates(directory=project / "templates")

    @deepest.get("/page")
    async def page(request: Request) -> object:
        return templates.TemplateResponse(request, "page.html")

    deepest.mount("/static", StaticFiles(directory=project / "static"))
    router.include_router(deepest, prefix="/b")
    app.include_router(router, prefix="/a")
    app.mount("/assets", StaticFiles(directory=project / "assets"))
    (project / "static" / "x.css").write_text("a {}")
    expected = [(str(project / "static"), "/a/b/static"), (str(project / "assets"), "/assets")]
    assert static_directories(app) == expected
    assert template_directories(app) == [str(project / "templates")]
    sent = run(app, http_scope("/a/b/static/x.css"), make_receive())
    assert body_of(sent) == b"a {}"


def test_a_mounted_fastapi_is_looked_into(project: Path) -> None:
    inner, app = FastAPI(), FastAPI()
    inner.mount("/static", StaticFiles(directory=project / "static"))
    app.mount("/api", inner)
    assert static_directories(app) == [(str(project / "static"), "/api/static")]


def test_a_frontend_is_found(project: Path) -> None:
    app, router = FastAPI(), APIRouter()
    app.frontend("/app", directory=project / "assets")
    router.frontend("/", directory=project / "static")
    app.include_router(router, prefix="/sub")
    assert sorted(static_directories(app), key=str) == [
        (str(project / "assets"), "/app"),
        (str(project / "static"), "/sub"),
    ]
