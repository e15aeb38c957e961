from pathlib import Path

from fasthtml.common import FastHTML, Main, NotStr, Title
from starlette.staticfiles import StaticFiles
from starlette_hot_reload import HotReload

app = FastHTML(debug=True, secret_key="matrix")
app.mount("/static", StaticFiles(directory="static"))


@app.get("/")
def page():
    return Title("Page"), Main(NotStr(Path("templates/part.html").read_text()))


HotReload().setup(app)
