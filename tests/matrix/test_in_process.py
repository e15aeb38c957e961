"""Clients that call the app themselves, and a server in a thread: no lifespan, no handlers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from servers import DEADLINE

TEST_CLIENT = """\
from pathlib import Path

from main import app
from starlette.testclient import TestClient

client = TestClient(app)
page = client.get("/", headers={"Sec-Fetch-Dest": "document"})
assert "data-cursor" in page.text, page.text
assert client.get("/static/style.css").text == "p { color: red }"

Path("templates/part.html").write_text("<p>second</p>")
assert "<p>second</p>" in client.get("/").text

with TestClient(app) as client:
    page = client.get("/", headers={"Sec-Fetch-Dest": "document"})
    assert "data-cursor" in page.text, page.text
print("done")
"""

# This transport hands a response over when it is complete, which a stream must be one day.
ASGI_TRANSPORT = """\
import asyncio
import re
from pathlib import Path

import httpx
import starlette_hot_reload._stream
from main import app

starlette_hot_reload._stream.LIFE = 0.2


async def main() -> None:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        page = await client.get("/", headers={"Sec-Fetch-Dest": "document"})
        cursor = re.search('data-cursor="(.*?)"', page.text)[1]
        Path("templates/part.html").write_text("<p>second</p>")
        told = ""
        while '"files":["templates/part.html"]' not in told:
            told = (await client.get(f"/__starlette_hot_reload?cursor={cursor}")).text
            assert "event: hello" in told, told


asyncio.run(main())
print("done")
"""

# Twice, without lifespan and in a thread, where uvicorn installs no signal handlers.
THREAD = """\
import threading
import time
from pathlib import Path

import httpx
import uvicorn
from main import app


def is_up(server):
    while not server.started:
        time.sleep(0.01)
    return server.servers[0].sockets[0].getsockname()[1]


for text in "second", "third":
    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    events = f"http://127.0.0.1:{is_up(server)}/__starlette_hot_reload"
    with httpx.stream("GET", events, timeout=60, trust_env=False) as response:
        lines = response.iter_lines()
        assert "event: hello" in lines
        Path("draft~").write_text(text)
        Path("draft~").replace("templates/part.html")
        assert any('"files":["templates/part.html"]' in line for line in lines)
        server.should_exit = True
        thread.join(60)
        assert not thread.is_alive()
print("done")
"""


def run(directory: Path, program: str) -> None:
    """Without a warning, and to its very end: nothing keeps the process."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=5 * DEADLINE,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("done\n", "", 0)


def test_the_test_client(project: Callable[[str], Path]) -> None:
    run(project("starlette"), TEST_CLIENT)


def test_the_asgi_transport_of_httpx(project: Callable[[str], Path]) -> None:
    run(project("starlette"), ASGI_TRANSPORT)


def test_a_server_in_a_thread_and_the_next_one(project: Callable[[str], Path]) -> None:
    run(project("starlette"), THREAD)
