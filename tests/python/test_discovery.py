"""What an app names, and nothing else, is watched and addressed."""

from __future__ import annotations

import types
from functools import partial, wraps
from pathlib import Path
from typing import Any

import jinja2
import pytest
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Host, Mount, Route, Router
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates
from starlette_hot_reload._discovery import served_directories, template_directories


@pytest.fixture
def static(tmp_path: Path) -> Path:
    (tmp_path / "static").mkdir()
    return tmp_path / "static"


def test_static_files_are_found_in_mounts_hosts_and_wrappers(static: Path) -> None:
    files = StaticFiles(directory=static)
    app = Starlette(
        routes=[
            Mount("/a", files),
            Mount("/b", routes=[Mount("/c/", files)]),
            Mount("/d", GZipMiddleware(files)),
            Host("x.example", Router([Mount("/e", files)])),
            Mount("/f", Starlette(routes=[Mount("/", files)])),
            Mount("/{user}/files", files),
        ]
    )
    expected = [(str(static), url) for url in ("/a", "/b/c", "/d", "/e", "/f")]
    assert served_directories(app) == expected
    assert served_directories(GZipMiddleware(app)) == expected


@pytest.mark.parametrize("app", [None, object(), lambda scope: None])
def test_an_app_that_names_nothing_names_nothing(app: Any) -> None:
    assert served_directories(app) == []
    assert template_directories(app) == []


def test_an_app_that_wraps_itself_ends() -> None:
    class Loop:
        app: Any

    loop = Loop()
    loop.app = loop
    router = Router([])
    router.routes.append(Mount("/x", router))
    assert served_directories(loop) == []
    assert served_directories(router) == []


def test_loaders_are_found_through_the_modules_of_the_endpoints(tmp_path: Path) -> None:
    module = types.ModuleType("views")
    exec("async def view(request): pass", vars(module))
    vars(module)["templates"] = Jinja2Templates(directory=tmp_path / "one")
    vars(module)["environment"] = jinja2.Environment(
        loader=jinja2.ChoiceLoader(
            [
                jinja2.FileSystemLoader([tmp_path / "two", tmp_path / "three"]),
                jinja2.PrefixLoader({"x": jinja2.FileSystemLoader(tmp_path / "four")}),
                jinja2.DictLoader({}),
            ]
        )
    )
    view = vars(module)["view"]

    @wraps(view)
    async def decorated(request: Request) -> Response:
        raise NotImplementedError

    expected = [str(tmp_path / name) for name in ("one", "two", "three", "four")]
    for endpoint in (view, decorated, partial(view)):
        app = Starlette(routes=[Mount("/x", routes=[Route("/", endpoint)])])
        assert template_directories(app) == expected


def test_loaders_are_found_in_the_state_of_the_app(tmp_path: Path) -> None:
    app = Starlette()
    app.state.templates = Jinja2Templates(directory=tmp_path)
    assert template_directories(app) == [str(tmp_path)]
