"""The page of BENCH_WATCH_DIR: bare, with ours, with arel, and with the method of 0.3."""

from __future__ import annotations

import os
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates
from starlette_hot_reload import HotReload

from . import version0
from .streams import arel_lifespan, arel_reload

WATCH_DIR = Path(os.environ["BENCH_WATCH_DIR"])
VERSION0_CLIENT = """
const swap = () => {
  for (const link of document.querySelectorAll('link[rel="stylesheet"]')) {
    const url = new URL(link.href);
    url.searchParams.set('t', Date.now());
    link.href = url.href;
  }
};
let delay = 1000;
const connect = () => {
  const source = new EventSource('/__starlette_hot_reload');
  source.onopen = () => { delay = 1000; };
  source.onmessage = ({ data }) => {
    if (JSON.parse(data).type === 'css') swap();
    else location.reload();
  };
  source.onerror = () => {
    source.close();
    setTimeout(connect, delay);
    delay = Math.min(2 * delay, 30000);
  };
};
connect();
"""

templates = Jinja2Templates(WATCH_DIR)


async def page(request: Request) -> Response:
    return templates.TemplateResponse(request, "index.html")


async def arel_page(request: Request) -> Response:
    """With the script, which is to stand in the template, where the page ends."""
    text = templates.get_template("index.html").render()
    script = arel_reload.script(f"ws://{request.url.netloc}/hot-reload")
    return HTMLResponse(text.replace("</body>", f"{script}</body>"))


async def version0_events(request: Request) -> Response:
    return StreamingResponse(version0.changed_events(WATCH_DIR), media_type="text/event-stream")


async def version0_client(request: Request) -> Response:
    return Response(VERSION0_CLIENT, media_type="text/javascript")


def _routes() -> list[BaseRoute]:
    return [Route("/", page), Mount("/", StaticFiles(directory=WATCH_DIR))]


bare = Starlette(debug=True, routes=_routes())

ours = Starlette(debug=True, routes=_routes())
HotReload(watch_dirs=[WATCH_DIR]).setup(ours)

version0_site = Starlette(
    debug=True,
    routes=[
        Route("/__starlette_hot_reload", version0_events),
        Route("/__starlette_hot_reload/client.js", version0_client),
        *_routes(),
    ],
    middleware=[Middleware(version0.Version0Middleware)],
)

arel_site = Starlette(
    debug=True,
    routes=[
        Route("/", arel_page),
        WebSocketRoute("/hot-reload", arel_reload),
        Mount("/", StaticFiles(directory=WATCH_DIR)),
    ],
    lifespan=arel_lifespan,
)
