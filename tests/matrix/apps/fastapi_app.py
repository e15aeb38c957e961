from fastapi import FastAPI, Request, Response
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from starlette_hot_reload import HotReload

app = FastAPI(debug=True)
app.mount("/static", StaticFiles(directory="static"))
templates = Jinja2Templates("templates")


@app.get("/")
async def page(request: Request) -> Response:
    return templates.TemplateResponse(request, "page.html")


HotReload().setup(app)
