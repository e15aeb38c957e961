"""Apps in apps, and what stands before them: pages have one tag, and it reaches its stream."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.authentication import AuthenticationBackend, AuthenticationError
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.httpsredirect import HTTPSRedirectMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Host, Mount, Route, Router
from starlette.types import ASGIApp, Message
from starlette_hot_reload import HotReload, HotReloadMiddleware
from support import (
    EVENTS_PATH,
    NAVIGATION,
    PAGE,
    TAG,
    Headers,
    body_of,
    headers_of,
    http_scope,
    run,
)


async def page(request: Request) -> HTMLResponse:
    return HTMLResponse(PAGE)


@pytest.fixture
def hot(tmp_path: Path) -> HotReload:
    return HotReload([tmp_path])


def set_up(hot: HotReload, routes: list[Any], **more: Any) -> Starlette:
    app = Starlette(debug=True, routes=routes, **more)
    hot.setup(app)
    return app


async def silence() -> Message:
    return await asyncio.Future()


def script_of(app: ASGIApp, path: str = "/", headers: Headers = NAVIGATION, **more: Any) -> str:
    """The address of the page's one script, which the app serves."""
    sent = run(app, http_scope(path, headers, **more), silence)
    assert sent[0]["status"] == 200
    (match,) = TAG.finditer(body_of(sent))
    script, _, version = match["src"].decode().partition("?")
    scope = http_scope(script, headers, query_string=version.encode(), **more)
    script_sent = run(app, scope)
    assert script_sent[0]["status"] == 200
    assert headers_of(script_sent[0])[b"content-type"] == b"text/javascript"
    return script


CLIENT = f"{EVENTS_PATH}/client.js"


def test_a_mounted_app_that_is_set_up(hot: HotReload) -> None:
    inner = set_up(hot, [Route("/", page)])
    app = Starlette(routes=[Mount("/sub", routes=[Mount("/deeper", inner)])])
    assert script_of(app, "/sub/deeper/") == f"/sub/deeper{CLIENT}"
    assert script_of(app, "/api/sub/deeper/", root_path="/api") == f"/api/sub/deeper{CLIENT}"


def test_an_app_set_up_around_mounted_ones(hot: HotReload) -> None:
    inner = Starlette(routes=[Route("/", page)])
    app = set_up(hot, [Mount("/sub", inner), Route("/", page)])
    assert script_of(app, "/sub/") == CLIENT
    assert script_of(app) == CLIENT
    assert script_of(app, "/api/sub/", root_path="/api") == f"/api{CLIENT}"


def test_a_mounted_middleware(tmp_path: Path) -> None:
    inner = HotReloadMiddleware(Router([Route("/", page)]), [tmp_path])
    app = Starlette(routes=[Mount("/sub", inner), Route("/", page)])
    assert script_of(app, "/sub/") == f"/sub{CLIENT}"
    assert body_of(run(app, http_scope())) == PAGE


def test_one_app_at_two_addresses(hot: HotReload) -> None:
    inner = set_up(hot, [Route("/", page)])
    app = Starlette(routes=[Mount("/a", inner), Mount("/b", inner)])
    for prefix in "/a", "/b", "/a":
        assert script_of(app, f"{prefix}/") == f"{prefix}{CLIENT}"


def test_hosts_with_an_app_each(hot: HotReload) -> None:
    apps = {name: set_up(hot, [Route("/", page)]) for name in ("a.localhost", "b.localhost")}
    app = Router([Host(name, inner) for name, inner in apps.items()])
    for name in apps:
        assert script_of(app, headers=[(b"host", name.encode()), NAVIGATION[1]]) == CLIENT


def test_a_route_that_catches_all(hot: HotReload) -> None:
    app = set_up(hot, [Route("/{rest:path}", page), Mount("/", Starlette())])
    assert script_of(app, "/any/thing") == CLIENT


class Login(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        if "user" not in request.session:
            return RedirectResponse("/login")
        return await call_next(request)


class Refuses(AuthenticationBackend):
    async def authenticate(self, conn: HTTPConnection) -> None:
        raise AuthenticationError("who are you?")


BARRIERS = [
    pytest.param(
        [Middleware(SessionMiddleware, secret_key="x"), Middleware(Login)], 307, id="login"
    ),
    pytest.param([Middleware(AuthenticationMiddleware, backend=Refuses())], 400, id="authenticate"),
    pytest.param([Middleware(HTTPSRedirectMiddleware)], 307, id="https"),
    pytest.param(
        [Middleware(TrustedHostMiddleware, allowed_hosts=["other.example"])], 400, id="host"
    ),
]


@pytest.mark.parametrize(("middleware", "status"), BARRIERS)
def test_what_stops_every_request_does_not_stop_ours(
    hot: HotReload, middleware: list[Middleware], status: int
) -> None:
    app = set_up(hot, [Route("/", page)], middleware=middleware)
    assert run(app, http_scope())[0]["status"] == status
    assert run(app, http_scope(CLIENT))[0]["status"] == 200
    assert body_of(run(app, http_scope(f"{EVENTS_PATH}/other"))) == b"Not found.\n"


def test_middlewares_that_change_a_page_come_before_the_tag(hot: HotReload) -> None:
    class Tagging(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
            response = await call_next(request)
            response.headers["x-tagged"] = "1"
            return response

    middleware = [Middleware(Tagging), Middleware(GZipMiddleware, minimum_size=1)]
    app = set_up(hot, [Route("/", page)], middleware=middleware)
    headers = [*NAVIGATION, (b"accept-encoding", b"gzip")]
    assert script_of(app, headers=headers) == CLIENT
