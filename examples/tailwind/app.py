"""A site whose stylesheet Tailwind builds: `npm ci`, then `uvicorn app:app --reload` in here."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import tailwind
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates
from starlette_hot_reload import HotReload

HERE = Path(__file__).resolve().parent
TIDES = [("04:12", "0.6"), ("10:31", "3.9"), ("16:40", "0.8"), ("22:55", "3.7")]

templates = Jinja2Templates(directory=HERE / "templates")


async def index(request: Request) -> Response:
    return templates.TemplateResponse(request, "index.html", {"tides": TIDES})


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    await tailwind.build()
    yield


app = Starlette(
    debug=True,
    lifespan=lifespan,
    routes=[
        Route("/", index),
        Mount("/static", StaticFiles(directory=HERE / "static"), name="static"),
    ],
)

hot_reload = HotReload(
    [HERE / "templates", HERE / "styles", HERE / "static"], on_change=tailwind.rebuild
)
hot_reload.setup(app)
