import asyncio
from collections.abc import AsyncIterator

from sse_starlette.sse import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates
from starlette_hot_reload import HotReload

templates = Jinja2Templates("templates")


async def page(request: Request) -> Response:
    return templates.TemplateResponse(request, "page.html")


async def ticks(request: Request) -> Response:
    async def endless() -> AsyncIterator[str]:
        yield "first"
        await asyncio.Event().wait()

    return EventSourceResponse(endless())


routes = [
    Route("/", page),
    Route("/ticks", ticks),
    Mount("/static", StaticFiles(directory="static")),
]
app = Starlette(debug=True, routes=routes)
bare = Starlette(debug=True, routes=routes)

HotReload().setup(app)
