from quart import Quart, render_template
from starlette_hot_reload import HotReloadMiddleware

quart = Quart(__name__)
quart.debug = True


@quart.get("/")
async def page() -> str:
    return await render_template("page.html")


app = HotReloadMiddleware(quart)
