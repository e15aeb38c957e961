"""What an app names, and nothing else, is watched and addressed."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import types
from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jinja2
import pytest
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Host, Mount, Route, Router
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates
from starlette.types import ASGIApp, Message
from starlette_hot_reload import HotReload, HotReloadMiddleware, _runtime
from starlette_hot_reload._discovery import (
    addresses,
    static_directories,
    template_directories,
)
from starlette_hot_reload._runtime import Runtime
from starlette_hot_reload._server import Server
from support import DEADLINE, body_of, call, http_scope, run
from support import save as save_file


@pytest.fixture
def static(tmp_path: Path) -> Path:
    (tmp_path / "static").mkdir()
    return tmp_path / "static"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An importable package with templates and static files."""
    root = tmp_path / "lib" / "some_package"
    for name in "statics", "assets", "templates":
        (root / name).mkdir(parents=True)
    (root / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(root.parent))
    monkeypatch.delitem(sys.modules, "some_package", raising=False)
    return root


# ---- static files ----------------------------------------------------------------------------


def test_static_files_are_found_in_mounts_hosts_and_wrappers(static: Path) -> None:
    files = StaticFiles(directory=static)

    class Special(StaticFiles):
        pass

    app = Starlette(
        routes=[
            Mount("/a", files),
            Mount("/b", routes=[Mount("/c/", files)]),
            Mount("/d", GZipMiddleware(files)),
            Host("x.example", Router([Mount("/e", files)])),
            Mount("/f", Starlette(routes=[Mount("/", files)])),
            Mount("/g", Special(directory=static, html=True)),
            Mount("/h", files, middleware=[Middleware(GZipMiddleware)]),
        ]
    )
    expected = [(str(static), f"/{url}") for url in ("a", "b/c", "d", "e", "f", "g", "h")]
    assert static_directories(app) == expected
    assert static_directories(app.router) == expected
    assert static_directories(GZipMiddleware(app)) == expected


def test_all_directories_of_a_mount_have_its_address(static: Path, package: Path) -> None:
    files = StaticFiles(directory=static, packages=["some_package", ("some_package", "assets")])
    assert static_directories(Starlette(routes=[Mount("/s", files)])) == [
        (str(static), "/s"),
        (str(package / "statics"), "/s"),
        (str(package / "assets"), "/s"),
    ]


def test_below_a_parameter_there_is_no_address(static: Path) -> None:
    app = Router([Mount("/{user}/files", StaticFiles(directory=static))])
    assert static_directories(app) == [(str(static), None)]
    assert addresses(static_directories(app), [str(static)]) == []


def test_files_at_the_root_of_the_app_have_addresses(static: Path) -> None:
    app = Starlette(routes=[Mount("/", StaticFiles(directory=static, html=True))])
    assert static_directories(app) == [(str(static), "")]


@pytest.mark.parametrize("app", [None, object(), lambda scope: None, Starlette, 3])
def test_an_app_that_names_nothing_names_nothing(app: Any) -> None:
    assert static_directories(app) == []
    assert template_directories(app) == []


def test_an_app_that_wraps_itself_ends() -> None:
    class Loop:
        app: Any

    loop = Loop()
    loop.app = loop
    router = Router([])
    router.routes.append(Mount("/x", router))
    assert static_directories(loop) == []
    assert static_directories(router) == []


# ---- templates -------------------------------------------------------------------------------


async def view(request: Request) -> Response:
    raise NotImplementedError


def module_with(**values: Any) -> Callable[..., Any]:
    """An endpoint in a module of its own, with these globals."""
    module = types.ModuleType("views")
    exec("async def view(request): pass", vars(module))
    vars(module).update(values)
    endpoint: Callable[..., Any] = vars(module)["view"]
    return endpoint


def test_loaders_are_found_through_the_modules_of_the_endpoints(tmp_path: Path) -> None:
    endpoint = module_with(
        templates=Jinja2Templates(directory=tmp_path / "one"),
        environment=jinja2.Environment(
            loader=jinja2.ChoiceLoader(
                [
                    jinja2.FileSystemLoader([tmp_path / "two", tmp_path / "three"]),
                    jinja2.PrefixLoader({"x": jinja2.FileSystemLoader(tmp_path / "four")}),
                    jinja2.DictLoader({"page": "text"}),
                ]
            )
        ),
    )

    @wraps(endpoint)
    async def decorated(request: Request) -> Response:
        raise NotImplementedError

    expected = [str(tmp_path / name) for name in ("one", "two", "three", "four")]
    for one in (endpoint, decorated, partial(endpoint)):
        app = Starlette(routes=[Mount("/x", routes=[Route("/", one)])])
        assert template_directories(app) == expected


def test_templates_of_an_app_factory_are_found(tmp_path: Path) -> None:
    def create_app() -> Starlette:
        templates = Jinja2Templates(directory=tmp_path)

        async def home(request: Request) -> Response:
            return templates.TemplateResponse(request, "home.html")

        def decorated(function: Any) -> Any:  # without functools.wraps
            async def inner(request: Request) -> Response:
                response: Response = await function(request)
                return response

            return inner

        return Starlette(routes=[Route("/", decorated(home))])

    assert template_directories(create_app()) == [str(tmp_path)]


class Page(HTTPEndpoint):
    pass


def test_class_based_endpoints_have_a_module_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "templates", Jinja2Templates(directory=tmp_path))
    assert template_directories(Starlette(routes=[Route("/", Page)])) == [str(tmp_path)]


def test_loaders_are_found_in_the_state_of_the_app(tmp_path: Path) -> None:
    app = Starlette()
    app.state.templates = Jinja2Templates(directory=tmp_path)
    assert template_directories(app) == [str(tmp_path)]


def test_a_package_loader_has_a_directory(package: Path) -> None:
    app = Starlette()
    app.state.environment = jinja2.Environment(loader=jinja2.PackageLoader("some_package"))
    assert template_directories(app) == [str(package / "templates")]


@pytest.mark.parametrize(
    "loader",
    [
        None,
        jinja2.DictLoader({"x": "y"}),
        jinja2.FunctionLoader(lambda name: None),
        jinja2.ModuleLoader("/compiled"),
    ],
)
def test_loaders_without_a_directory_name_none(loader: Any) -> None:
    app = Starlette()
    app.state.environment = jinja2.Environment(loader=loader)
    assert template_directories(app) == []


def test_a_loader_in_itself_ends(tmp_path: Path) -> None:
    loader = jinja2.ChoiceLoader([jinja2.FileSystemLoader(tmp_path)])
    loader.loaders = [*loader.loaders, loader]
    app = Starlette()
    app.state.environment = jinja2.Environment(loader=loader)
    assert template_directories(app) == [str(tmp_path)]


def test_values_that_are_not_there_yet_are_left_alone(tmp_path: Path) -> None:
    """As the context variables of other frameworks, and settings that nobody has configured."""

    class Unbound:
        def __getattribute__(self, name: str) -> Any:
            raise RuntimeError("outside of a request")

    class App:
        @property
        def routes(self) -> Any:
            raise RuntimeError("not yet")

    endpoint = module_with(request=Unbound(), templates=Jinja2Templates(directory=tmp_path))
    inner: list[Any] = [Unbound(), App()]
    mounts = [Mount("/x", app) for app in inner]
    app = Starlette(routes=[Route("/", endpoint), *mounts])
    assert template_directories(app) == [str(tmp_path)]
    assert static_directories(app) == []


# ---- addresses -------------------------------------------------------------------------------


def linked(tmp_path: Path) -> tuple[str, str]:
    real, link = tmp_path / "real", tmp_path / "link"
    (real / "css").mkdir(parents=True)
    link.symlink_to(real)
    return str(real), str(link)


class DjangoApp:
    __module__ = "django.core.handlers.asgi"


@pytest.mark.parametrize("url", [None, 3, "https://cdn.example/static/", "static/"])
def test_what_django_leaves_to_another_host_has_no_address_here(
    url: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = types.SimpleNamespace(STATIC_URL="/static/", STATICFILES_DIRS=[tmp_path])
    monkeypatch.setitem(sys.modules, "django.conf", types.SimpleNamespace(settings=settings))
    assert (str(tmp_path), "/static") in static_directories(DjangoApp())
    settings.STATIC_URL = url
    assert static_directories(DjangoApp()) == []


def test_links_do_not_hide_an_address(tmp_path: Path) -> None:
    real, link = linked(tmp_path)
    assert addresses([(link, "/s")], [real]) == [(link, "/s"), (real, "/s")]
    assert (link, "/s") in addresses([(real, "/s")], [link])
    assert (f"{link}/css", "/s") in addresses([(f"{real}/css", "/s")], [link])
    deeper = tmp_path / "deeper"
    deeper.symlink_to(f"{real}/css")
    assert (str(deeper), "/s/css") in addresses([(real, "/s")], [str(deeper)])
    assert addresses([(real, "/s")], [str(tmp_path)]) == [(real, "/s")]


async def silence() -> Message:
    return await asyncio.Future()


async def changes_of(
    app: ASGIApp,
    roots: list[Path],
    save: Callable[[], object],
    root_path: str = "",
    count: int = 1,
) -> list[dict[str, Any]]:
    """What the stream of a set-up of `app` says about `save`, until it said so much."""
    changes: list[dict[str, Any]] = []
    runtime = Runtime(HotReload(roots)._config, app)
    async with runtime.running({"root_path": root_path}):
        engine = runtime.engine
        assert engine is not None
        assert await asyncio.to_thread(engine.wait_ready, DEADLINE)
        _, cursor = engine.hello(None, 1)
        hub = runtime.hub()
        with hub:
            woken = hub.woken
            save()
            while True:
                frame, cursor = engine.since(cursor)
                for line in frame.splitlines():
                    if line.startswith(b"data:"):
                        changes += json.loads(line[5:])["changes"]
                if len(changes) >= count:
                    return changes
                await asyncio.wait_for(woken.wait(), DEADLINE)
                woken = hub.woken


ODD_NAMES = [
    "plain.css",
    "with space.css",
    "a%20b.css",
    "question?.css",
    "hash#.css",
    'quo"te.css',
    "a'b.css",
    "[x]{y}|z^.css",
    "back\\slash.css",
    "caf\u00e9.css",
    "\u65e5\u672c.css",
    "a+b&c=d;e,f.css",
]


@pytest.mark.filterwarnings("ignore:The 'method' parameter is not used")  # starlette 0.35
@pytest.mark.parametrize("prefix", ["/static", "/st\u00e4tic files/50%", ""])
def test_the_address_of_a_change_gets_the_file(static: Path, prefix: str) -> None:
    app = Starlette(routes=[Mount(prefix, StaticFiles(directory=static))])

    def save() -> None:
        for name in ODD_NAMES:
            save_file(static / name, f"/* {name} */")

    async def main() -> None:
        changes = await changes_of(app, [static], save, count=len(ODD_NAMES))
        assert len(changes) == len(ODD_NAMES)
        for change in changes:
            url = change["url"]
            assert url.isascii()
            assert not set(url) & set(' "#<>?\\^`{}')
            sent = await call(app, http_scope(unquote(url)), silence)
            assert body_of(sent).decode() == f"/* {Path(change['path']).name} */"

    asyncio.run(main())


def test_the_root_path_stands_before_the_address(static: Path) -> None:
    app = Starlette(routes=[Mount("/s", StaticFiles(directory=static))])

    async def main() -> None:
        save = partial(save_file, static / "x.css")
        (change,) = await changes_of(app, [static], save, "/api")
        assert change["url"] == "/api/s/x.css"

    asyncio.run(main())


def test_a_file_in_a_linked_root_has_its_address(tmp_path: Path) -> None:
    real, link = linked(tmp_path)
    app = Starlette(routes=[Mount("/s", StaticFiles(directory=real))])

    async def main() -> None:
        save = partial(save_file, Path(real, "css", "x.css"))
        (change,) = await changes_of(app, [Path(link)], save)
        assert change["url"] == "/s/css/x.css"

    asyncio.run(main())


def test_a_file_has_the_address_of_every_mount_and_the_nearest_first(static: Path) -> None:
    (static / "img").mkdir()
    app = Starlette(
        routes=[
            Mount("/static", StaticFiles(directory=static)),
            Mount("/pictures", StaticFiles(directory=static / "img")),
            Mount("/assets", StaticFiles(directory=static)),
        ]
    )

    async def main() -> None:
        save = partial(save_file, static / "img" / "a.png")
        changes = await changes_of(app, [static], save)
        urls = [change.pop("url") for change in changes]
        assert urls == ["/pictures/a.png", "/static/img/a.png", "/assets/img/a.png"]
        assert changes == [changes[0]] * 3

    asyncio.run(main())


@pytest.mark.parametrize(("reloads", "told"), [(True, ["x.css"]), (False, ["x.css", "x.py"])])
def test_python_files_are_left_to_a_server_that_restarts_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reloads: bool, told: list[str]
) -> None:
    monkeypatch.setattr(_runtime, "find_server", lambda send: Server(reloads=reloads))

    def save() -> None:
        for name in "x.py", "x.css":
            save_file(tmp_path / name)

    async def main() -> None:
        changes = await changes_of(Starlette(), [tmp_path], save, count=len(told))
        assert sorted(change["path"] for change in changes) == told

    asyncio.run(main())


# ---- what is watched -------------------------------------------------------------------------


def watched(caplog: pytest.LogCaptureFixture) -> str:
    (line,) = [r.getMessage() for r in caplog.records if "Hot reload watches" in r.getMessage()]
    return line


@pytest.fixture
def says(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level("INFO", "starlette_hot_reload")
    return caplog


def test_what_the_app_names_is_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    (tmp_path / "shared").mkdir()
    app = Starlette(debug=True, routes=[Mount("/s", StaticFiles(directory=tmp_path / "shared"))])
    app.state.templates = Jinja2Templates(directory=tmp_path / "pages")
    (tmp_path / "pages").mkdir()
    HotReload().setup(app)
    run(app, http_scope())
    assert "watches '.', '../shared', '../pages';" in watched(says)


def test_directories_that_are_given_are_all(tmp_path: Path, says: pytest.LogCaptureFixture) -> None:
    for name in "a", "b", "c":
        (tmp_path / name).mkdir()
    app = Starlette(debug=True, routes=[Mount("/c", StaticFiles(directory=tmp_path / "c"))])
    HotReload([tmp_path / "a", tmp_path / "b", tmp_path / "a"]).setup(app)
    run(app, http_scope())
    shown = [ascii(os.path.relpath(tmp_path / name)) for name in ("a", "b")]
    assert f"watches {', '.join(shown)};" in watched(says)


def test_several_roots_are_watched(tmp_path: Path) -> None:
    for name in "a", "b":
        (tmp_path / name).mkdir()

    async def main() -> None:
        def save() -> None:
            save_file(tmp_path / "a" / "x.css")
            save_file(tmp_path / "b" / "y.css")

        changes = await changes_of(Starlette(), [tmp_path / "a", tmp_path / "b"], save, count=2)
        assert sorted(change["path"] for change in changes) == ["x.css", "y.css"]

    asyncio.run(main())


def test_a_middleware_knows_the_templates_of_its_app(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    middleware = [Middleware(HotReloadMiddleware)]
    files = StaticFiles(directory=tmp_path, packages=[])
    app = Starlette(routes=[Mount("/s", files)], middleware=middleware)
    app.state.templates = Jinja2Templates(directory=tmp_path / "pages")
    (tmp_path / "pages").mkdir()
    run(app, http_scope())
    assert "watches '.', 'pages';" in watched(says)
