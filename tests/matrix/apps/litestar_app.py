from pathlib import Path

from litestar import Litestar, MediaType, get
from litestar.static_files import create_static_files_router
from starlette_hot_reload import HotReloadMiddleware


@get("/", media_type=MediaType.HTML, sync_to_thread=False)
def page() -> str:
    part = Path("templates/part.html").read_text()
    return f"<!doctype html><title>Page</title><body>{part}"


litestar = Litestar([page, create_static_files_router("/static", ["static"])], debug=True)
app = HotReloadMiddleware(litestar)
