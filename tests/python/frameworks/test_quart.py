"""Quart, wrapped."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from quart import Blueprint, Quart, current_app, g, request
from quart.typing import ResponseReturnValue
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette_hot_reload import HotReloadMiddleware
from starlette_hot_reload._discovery import static_directories, template_directories
from support import PAGE, TAG, alive, body_of, call, http_scope

PROXIES = current_app, g, request  # of what there is only during a request


def make_app(project: Path) -> Quart:
    app = Quart(
        "views",
        static_folder=str(project / "static"),
        template_folder=str(project / "templates"),
        root_path=str(project),
    )
    part = Blueprint(
        "part",
        "views",
        static_folder="assets",
        static_url_path="/files",
        template_folder="assets",
        root_path=str(project),
    )

    @app.route("/")
    async def home() -> ResponseReturnValue:
        return PAGE.decode()

    @app.route("/data")
    async def data() -> ResponseReturnValue:
        return {"path": request.path}

    app.register_blueprint(part, url_prefix="/part")
    return app


def test_pages_have_the_tag_and_data_have_not(project: Path, make_receive: Any) -> None:
    quart = make_app(project)
    wrapped = HotReloadMiddleware(quart)

    async def main() -> None:
        async with alive(wrapped):
            assert TAG.search(body_of(await call(wrapped, http_scope(), make_receive())))
            assert not TAG.search(body_of(await call(wrapped, http_scope("/data"), make_receive())))

    asyncio.run(main())


def test_what_it_names_is_found(project: Path) -> None:
    app: Any = make_app(project)
    expected = [(str(project / "static"), "/static"), (str(project / "assets"), "/part/files")]
    assert static_directories(app) == expected
    assert template_directories(app) == [str(project / "templates"), str(project / "assets")]
    mounted = Starlette(routes=[Mount("/q", app)])
    assert static_directories(mounted)[0] == (str(project / "static"), "/q/static")
