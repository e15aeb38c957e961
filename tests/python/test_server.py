"""The whole life of an app under a real uvicorn."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import DEADLINE, EVENTS_PATH, PAGE, TAG, Event, Server, save, stream

# The example of the documentation, but for the routes.
EXAMPLE = """\
from starlette.applications import Starlette
from starlette.routing import Route

from starlette_hot_reload import HotReload

from routes import routes

app = Starlette(
    debug=True,
    routes=routes,
)

# Set up hot reload (only active when debug=True)
hot_reload = HotReload(watch_dirs=["templates", "static"])
hot_reload.setup(app)
"""

ROUTES = """\
import os
import signal

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates

templates = Jinja2Templates(directory="templates")


async def page(request: Request) -> Response:
    return HTMLResponse(templates.get_template("page.html").render())


async def handlers(request: Request) -> Response:
    return JSONResponse([repr(signal.getsignal(n)) for n in (signal.SIGINT, signal.SIGTERM)])


routes = [
    Route("/", page),
    Route("/handlers", handlers),
    Mount("/static", StaticFiles(directory="static"), name="static"),
]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "main.py").write_text(EXAMPLE)
    (tmp_path / "routes.py").write_text(ROUTES)
    (tmp_path / "templates").mkdir()
    (tmp_path / "static").mkdir()
    (tmp_path / "templates" / "page.html").write_bytes(PAGE)
    (tmp_path / "static" / "style.css").write_text("a {}")
    return tmp_path


POLLING = pytest.mark.parametrize(
    "environment", [{}, {"STARLETTE_HOT_RELOAD_POLLING": "1"}], ids=["native", "polling"]
)


def begin(events: Iterator[Event]) -> None:
    hello = next(events)
    assert hello.kind == "hello"
    assert hello.data["reload"] is False


def names(event: Event) -> list[str]:
    return sorted(event.data["files"])


def test_the_example_runs_as_it_is_written(project: Path) -> None:
    with Server(project) as server:
        page = server.page()
        match = TAG.search(page)
        assert match
        assert TAG.sub(b"", page) == PAGE
        script = match["src"].decode()
        assert server.get(script)[0] == 200
        cursor = match["cursor"].decode()
        with stream(server, f"{EVENTS_PATH}?cursor={cursor}") as events:
            begin(events)
            save(project / "static" / "style.css", "b {}")
            event = next(events)
            assert event.kind == "message"
            assert event.data["type"] == "css"
            assert event.data["changes"] == [
                {
                    "path": "static/style.css",
                    "url": "/static/style.css",
                    "kind": "css",
                    "op": "modified",
                }
            ]
            save(project / "templates" / "page.html", PAGE.replace(b"x", b"y"))
            event = next(events)
            assert event.data["type"] == "reload"
            assert names(event) == ["templates/page.html"]
        assert b"<title>y" in server.page()
        _, headers, _ = server.get("/static/style.css")
        assert headers["cache-control"] == "no-cache"


def test_what_is_saved_while_the_page_travels_is_told(project: Path) -> None:
    with Server(project) as server:
        match = TAG.search(server.page())
        assert match
        with stream(server) as events:
            begin(events)
            save(project / "static" / "style.css", "b {}")
            next(events)
        with stream(server, f"{EVENTS_PATH}?cursor={match['cursor'].decode()}") as events:
            begin(events)
            assert names(next(events)) == ["static/style.css"]


class Marker:
    """Saves one more file: the next event but one is of that file alone."""

    def __init__(self, project: Path) -> None:
        self.project = project
        self.count = 0

    def is_next(self, events: Iterator[Event]) -> bool:
        self.count += 1
        name = f"static/marker{self.count}.css"
        save(self.project / name)
        return names(next(events)) == [name]


@POLLING
def test_one_save_is_one_event(project: Path, environment: dict[str, str]) -> None:
    marker = Marker(project)
    style = project / "static" / "style.css"
    with Server(project, **environment) as server, stream(server) as events:
        begin(events)
        with style.open("r+b") as file:  # in one step, which no look can divide
            file.write(b"b {}")
        assert names(next(events)) == ["static/style.css"]
        assert marker.is_next(events)

        (project / "static" / ".style.css.swp").write_text("x")
        fresh = project / "static" / "style.css~"
        fresh.write_text("c {}")
        os.replace(fresh, style)
        assert names(next(events)) == ["static/style.css"]
        assert marker.is_next(events)

        with style.open("r+b") as file:
            file.write(b"c {}")
        os.utime(style)
        assert marker.is_next(events)


@POLLING
def test_a_checkout_of_a_thousand_files_is_one_event(
    project: Path, environment: dict[str, str]
) -> None:
    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=x", "-c", "user.email=x@example.com"]
        subprocess.run(["git", *identity, *arguments], cwd=project, check=True)

    files = [project / "static" / f"{i % 20}" / f"{i}.css" for i in range(1000)]
    git("init", "-q")
    for state in "one", "two":
        git("checkout", "-q", "--orphan", state)
        for file in files:
            file.parent.mkdir(exist_ok=True)
            file.write_text(f"{state} {{}}")
        git("add", "static", "templates")
        git("commit", "-q", "-m", state)
    marker = Marker(project)
    with Server(project, **environment) as server, stream(server) as events:
        begin(events)
        for state in "one", "two":
            git("checkout", "-q", state)
            event = next(events)
            assert len(event.data["files"]) == 1000
            assert event.data["type"] == "css"
            assert marker.is_next(events)


def test_the_log_at_debug_follows_everything(project: Path) -> None:
    (project / "log.ini").write_text(
        "[loggers]\nkeys=root\n[handlers]\nkeys=all\n[formatters]\nkeys=plain\n"
        "[logger_root]\nlevel=DEBUG\nhandlers=all\n"
        "[handler_all]\nclass=StreamHandler\nformatter=plain\nargs=()\n"
        "[formatter_plain]\nformat=%(levelname)s %(name)s %(message)s\n"
    )
    arguments = ["--log-config", "log.ini"]
    with Server(project, *arguments, STARLETTE_HOT_RELOAD_POLLING="1") as server:
        server.wait_for("INFO starlette_hot_reload Hot reload watches 'templates', 'static'")
        assert "polled" in server.wait_for("DEBUG starlette_hot_reload")
        with stream(server) as events:
            begin(events)
            server.wait_for("stream opened")
            save(project / "static" / "style.css", "b {}")
            assert " ms: style.css" in server.wait_for("1 changed, settled")
        server.wait_for("stream closed")


# ---- the end ---------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_open_streams_do_not_delay_the_end(project: Path, number: int) -> None:
    arguments = ["--timeout-graceful-shutdown", "600"]
    with Server(project, *arguments) as server, stream(server) as first, stream(server) as second:
        begin(first)
        begin(second)
        server.stop(number)
        for events in first, second:
            assert [event.data["type"] for event in events] == ["shutdown"]
        assert "Application shutdown complete" in "".join(server.log)
        assert "Cancel" not in "".join(server.log)
        assert "Traceback" not in "".join(server.log)


def test_a_server_that_has_had_its_requests_ends(project: Path) -> None:
    with Server(project, "--limit-max-requests", "2") as server, stream(server) as events:
        begin(events)
        server.get("/")
        server.get("/")
        assert server.process.wait(DEADLINE) == 0


def test_no_signal_handler_is_touched(project: Path) -> None:
    def handlers(server: Server) -> list[str]:
        return [text.partition(" at 0x")[0] for text in json.loads(server.get("/handlers")[2])]

    bare = project / "bare.py"
    bare.write_text(
        "from routes import routes\nfrom starlette.applications import Starlette\n"
        "app = Starlette(debug=True, routes=routes)\n"
    )
    with Server(project, target="bare:app") as server:
        before = handlers(server)
    with Server(project) as server, stream(server) as events:
        begin(events)
        assert handlers(server) == before


def test_a_restart_is_noticed_and_python_files_are_left_to_it(project: Path) -> None:
    (project / "static" / "tool.py").write_text("x = 1")
    with Server(project, "--reload") as server:
        with stream(server) as events:
            begin(events)
            assert Marker(project).is_next(events)
            server.save_until(project / "static" / "tool.py", "Reloading...")
            assert list(events) == []
        server.wait_for("Application startup complete", 2)
        old = "00000000000000ff.0000000000000001"
        with stream(server, f"{EVENTS_PATH}?cursor={old}") as events:
            assert next(events).data["reload"] is True


def test_workers_of_one_server_are_one_boot(project: Path) -> None:
    arguments = ["--workers", "3"]
    with Server(project, *arguments) as server:
        server.wait_for("Application startup complete", 3)
        boots: set[str] = set()
        for _ in range(100):
            match = TAG.search(server.page())
            assert match
            boots.add(match["cursor"].decode().partition(".")[0])
        assert len(boots) == 1


# ---- where it is mounted ---------------------------------------------------------------------


def test_a_root_path_is_part_of_the_addresses(project: Path) -> None:
    with Server(project, "--root-path", "/api") as server:
        match = TAG.search(server.page())
        assert match
        assert match["src"] == b"/api" + EVENTS_PATH.encode() + b"/client.js"
        for prefix in "", "/api":  # a proxy takes it off, or does not
            assert server.get(f"{prefix}{EVENTS_PATH}/client.js")[0] == 200
        with stream(server) as events:
            begin(events)
            save(project / "static" / "style.css", "b {}")
            assert next(events).data["changes"][0]["url"] == "/api/static/style.css"


def test_a_mounted_app_has_its_own_address(project: Path) -> None:
    (project / "outer.py").write_text(
        "from main import app as inner\n"
        "from starlette.applications import Starlette\n"
        "from starlette.routing import Mount\n"
        "app = Starlette(routes=[Mount('/sub', inner)])\n"
    )
    with Server(project, target="outer:app") as server:
        match = TAG.search(server.page("/sub/"))
        assert match
        script = match["src"].decode()
        assert script == f"/sub{EVENTS_PATH}/client.js"
        assert server.get(script)[0] == 200
        with stream(server, f"/sub{EVENTS_PATH}") as events:
            begin(events)
            assert Marker(project).is_next(events)


def test_a_route_that_catches_all_catches_nothing_of_ours(project: Path) -> None:
    (project / "main.py").write_text(
        EXAMPLE.replace("routes=routes", "routes=[Route('/{rest:path}', routes[0].endpoint)]")
    )
    with Server(project) as server:
        assert TAG.search(server.page("/any/thing"))
        assert server.get(f"{EVENTS_PATH}/client.js")[1]["content-type"] == "text/javascript"


def test_the_events_path_can_be_chosen(project: Path) -> None:
    (project / "main.py").write_text(
        EXAMPLE.replace('"static"])', '"static"], events_path="/custom-events-path")')
    )
    with Server(project) as server:
        match = TAG.search(server.page())
        assert match
        assert match["src"] == b"/custom-events-path/client.js"
        with stream(server, "/custom-events-path") as events:
            begin(events)
            assert Marker(project).is_next(events)
        assert server.get(EVENTS_PATH)[0] == 404
