"""Litestar, wrapped."""

from __future__ import annotations

import asyncio
from pathlib import Path

from litestar import Litestar, MediaType, get
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.static_files import create_static_files_router
from litestar.template import TemplateConfig
from starlette_hot_reload import HotReloadMiddleware
from starlette_hot_reload._discovery import static_directories, template_directories
from support import PAGE, TAG, alive, body_of, call, http_scope


@get("/", media_type=MediaType.HTML)
async def home() -> str:
    return PAGE.decode()


@get("/data")
async def data() -> dict[str, str]:
    return {"html": PAGE.decode()}


def make_app(project: Path) -> Litestar:
    return Litestar(
        [
            home,
            data,
            create_static_files_router(path="/static", directories=[project / "static"]),
        ],
        template_config=TemplateConfig(directory=project / "templates", engine=JinjaTemplateEngine),
    )


def test_pages_have_the_tag_and_data_have_not(project: Path) -> None:
    app = HotReloadMiddleware(make_app(project))

    async def main() -> None:
        async with alive(app):
            assert TAG.search(body_of(await call(app, http_scope())))
            assert not TAG.search(body_of(await call(app, http_scope("/data"))))

    asyncio.run(main())


def test_what_it_names_is_found(project: Path) -> None:
    app = make_app(project)
    assert set(static_directories(app)) == {(str(project / "static"), "/static")}
    assert template_directories(app) == [str(project / "templates")]
