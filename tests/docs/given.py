"""What a block may use without saying where it comes from: the reader has it already."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates


def make_routes() -> list[Any]:
    templates = Jinja2Templates("templates")

    async def index(request: Request) -> Response:
        return templates.TemplateResponse(request, "index.html")

    return [Route("/", index), Mount("/static", StaticFiles(directory="static"))]


def make_app() -> Starlette:
    return Starlette(debug=True, routes=make_routes())


def make_asgi_app() -> Any:
    """No Starlette, and no lifespan."""
    inner = make_app()

    async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        await inner(scope, receive, send)

    return asgi_app


NAMES: dict[str, Callable[[], Any]] = {
    "routes": make_routes,
    "app": make_app,
    "asgi_app": make_asgi_app,
}
