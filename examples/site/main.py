"""A small site to edit while you watch: `make demo`, or `uvicorn main:app --reload` in here."""

from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates
from starlette_hot_reload import HotReload

NAME = "Daybreak"
HERE = Path(__file__).resolve().parent
LIMITS = {"to": 40, "message": 240}


def site(request: Request) -> dict[str, object]:
    """What every template may use."""
    return {"name": NAME, "here": HERE, "now": datetime.now().astimezone()}


templates = Jinja2Templates(directory=HERE / "templates", context_processors=[site])


async def index(request: Request) -> Response:
    return templates.TemplateResponse(request, "index.html")


async def how(request: Request) -> Response:
    return templates.TemplateResponse(request, "how.html")


def check(values: dict[str, str]) -> dict[str, str]:
    """What is wrong with a postcard, by field."""
    errors = {}
    if not values["to"]:
        errors["to"] = "A postcard needs somebody to go to."
    if not values["message"]:
        errors["message"] = "Write a line or two."
    for field, limit in LIMITS.items():
        if len(values[field]) > limit:
            errors[field] = f"{len(values[field])} characters, and there is room for {limit}."
    return errors


async def postcard(request: Request) -> Response:
    values = dict.fromkeys(LIMITS, "")
    errors: dict[str, str] = {}
    if request.method == "POST":
        body = dict(parse_qsl((await request.body()).decode("ascii", "replace")))
        values = {field: body.get(field, "").replace("\r\n", "\n").strip() for field in LIMITS}
        errors = check(values)
        if not errors:
            sent = request.url_for("sent").include_query_params(**values)
            return RedirectResponse(sent, status_code=303)
    context = {"values": values, "errors": errors, "limits": LIMITS}
    return templates.TemplateResponse(
        request, "postcard.html", context, status_code=422 if errors else 200
    )


async def sent(request: Request) -> Response:
    values = {field: request.query_params.get(field, "") for field in LIMITS}
    if check(values):
        return RedirectResponse(request.url_for("postcard"))
    return templates.TemplateResponse(request, "sent.html", values)


app = Starlette(
    debug=True,
    routes=[
        Route("/", index),
        Route("/how", how),
        Route("/postcard", postcard, methods=["GET", "POST"]),
        Route("/postcard/sent", sent),
        Mount("/static", StaticFiles(directory=HERE / "static"), name="static"),
    ],
)

hot_reload = HotReload(watch_dirs=[HERE / "templates", HERE / "static"])
hot_reload.setup(app)
