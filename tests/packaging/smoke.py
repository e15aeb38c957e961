"""Run a small app with what is installed in this Python, and use it as a browser would.

Needs the wheel, Starlette and uvicorn. What is not as promised ends it with an error.
"""

from __future__ import annotations

import http.client
import json
import platform
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import starlette_hot_reload
from starlette_hot_reload import _core

DEADLINE = 60.0
EVENTS_PATH = "/__starlette_hot_reload"
TAG = re.compile(r'<script data-cursor="(?P<cursor>[^"]+)"[^>]* src="(?P<src>[^"]+)"></script>')

MAIN = """\
from pathlib import Path

from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route

from starlette_hot_reload import HotReload


async def page(request):
    return HTMLResponse(Path("templates/page.html").read_text())


app = Starlette(debug=True, routes=[Route("/", page)])
HotReload(watch_dirs=["templates"]).setup(app)
"""


class Server:
    """``uvicorn main:app`` on a free port."""

    def __init__(self, directory: Path) -> None:
        self._lines: queue.Queue[str] = queue.Queue()
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "uvicorn", "main:app", "--port", "0"],
            cwd=directory,
            stderr=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._read, daemon=True).start()
        self.port = self._wait_for_port()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._lines.put(line)
        self._lines.put("")

    def _wait_for_port(self) -> int:
        log = ""
        while line := self._lines.get(timeout=DEADLINE):
            log += line
            if match := re.search(r"running on http://127\.0\.0\.1:(\d+)", line):
                return int(match[1])
        raise AssertionError(f"the server did not start:\n{log}")

    def request(self, path: str, **headers: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        assert response.status == 200, (path, response.status, response.read())
        return response

    def get(self, path: str, accept: str = "*/*") -> str:
        with self.request(path, Accept=accept) as response:
            return response.read().decode()


def events(response: http.client.HTTPResponse) -> Iterator[tuple[str, dict[str, object]]]:
    """The events of a stream: name and data."""
    kind, data = "message", None
    while line := response.readline().decode():
        name, _, value = line.rstrip("\n").partition(": ")
        if name == "event":
            kind = value
        elif name == "data":
            data = json.loads(value)
        elif not name and data is not None:
            yield kind, data
            kind, data = "message", None


def use(server: Server, template: Path) -> None:
    page = server.get("/", "text/html")
    tag = TAG.search(page)
    assert tag, page
    assert TAG.sub("", page) == template.read_text()
    assert server.get(tag["src"]), "the client is empty"

    stream_path = f"{EVENTS_PATH}?cursor={tag['cursor']}"
    with server.request(stream_path, Accept="text/event-stream") as response:
        stream = events(response)
        kind, hello = next(stream)
        assert (kind, hello["reload"]) == ("hello", False), (kind, hello)

        # At one moment: who is kept between emptying a file and writing it is told of twice.
        draft = template.with_name("draft~")
        draft.write_text("<!doctype html><title>after</title>")
        draft.replace(template)
        kind, update = next(stream)
        assert (kind, update["type"]) == ("message", "reload"), (kind, update)
        assert update["files"] == ["templates/page.html"], update
        assert "<title>after</title>" in server.get("/", "text/html")

        server.process.send_signal(signal.SIGINT)  # with the stream open
        code = server.process.wait(DEADLINE)
    assert code in {0, -signal.SIGINT}, f"the server ended with {code}"


def main() -> None:
    assert _core.__file__.endswith(".abi3.so"), _core.__file__
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "main.py").write_text(MAIN)
        template = directory / "templates" / "page.html"
        template.parent.mkdir()
        template.write_text("<!doctype html><title>before</title>")
        server = Server(directory)
        try:
            use(server, template)
        finally:
            server.process.kill()
            server.process.wait()
    print(
        f"starlette-hot-reload {starlette_hot_reload.__version__} runs on"
        f" {platform.python_implementation()} {platform.python_version()},"
        f" {platform.machine()}, {' '.join(platform.libc_ver()) or 'musl'}"
    )


if __name__ == "__main__":
    main()
