"""The same site: bare, with the tag by hand, with ours, with the method of 0.3."""

from __future__ import annotations

import json
import os

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette_hot_reload import HotReload

from .version0 import Version0Middleware


def html(size: int) -> str:
    """A document of `size` bytes at most, all ASCII: what str decodes and encodes fastest."""
    head = (
        "<!doctype html>\n"
        '<html lang="en">\n'
        '<head><meta charset="utf-8"><title>A page</title>'
        '<link rel="stylesheet" href="/static/site.css"></head>\n'
        "<body>\n"
    )
    foot = "</body>\n</html>\n"
    paragraph = '<p class="text">Sixteen ounces, plain and simple, are a pound.</p>\n'
    count = (size - len(head) - len(foot)) // len(paragraph)
    return head + paragraph * count + foot


PAGE = html(10_000)
# What ours sends, as the app's own: no injector sends less.
TAG = (
    '<script data-cursor="0123456789abcdef.0123456789abcdef" async="" '
    'src="/__starlette_hot_reload/client.js?0123456789abcdef"></script>'
)
TAGGED = PAGE.replace("<head>", f"<head>{TAG}")
DATA = {"items": [{"id": i, "name": f"item {i}"} for i in range(10)]}
JSON = json.dumps(DATA).encode()


async def page(request: Request) -> Response:
    return HTMLResponse(PAGE)


async def tagged_page(request: Request) -> Response:
    headers = {"Cache-Control": "no-cache", "Vary": "Sec-Fetch-Dest"}
    return HTMLResponse(TAGGED, headers=headers)


async def data(request: Request) -> Response:
    return JSONResponse(DATA)


def _site(middleware: list[Middleware] | None = None) -> Starlette:
    routes = [Route("/page", page), Route("/tagged", tagged_page), Route("/data", data)]
    return Starlette(debug=True, routes=routes, middleware=middleware)


bare = _site()
ours = _site()
HotReload(watch_dirs=[os.environ.get("BENCH_WATCH_DIR", ".")]).setup(ours)
version0 = _site([Middleware(Version0Middleware)])
