"""A server that is killed again and again at random moments, while files change and pages are open.

Each page is a model of one: it shows the files as they were when it was rendered, and reads again
what it is told of. Nothing is lost: in the end, and at rests in between, each shows what there is,
although a page that is told nothing never looks. Nothing is applied twice: a file is saved once at
most while one server lives, so no page may hear of it twice from that server, over however many
connections.

    python tests/soak/kills.py [kills [seed]]
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import random
import re
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "python"))

from kept import Keeper
from ports import free_port
from support import EVENTS_PATH, TAG

PAGES = 6
FILES = 40
REST_EVERY = 5
DEADLINE = 30.0
SHOWN = re.compile(rb"<pre>(.*)</pre>")

MAIN = """
import json
from pathlib import Path

from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route

from starlette_hot_reload import HotReload


async def page(request):
    shown = {path.name: path.read_text() for path in Path("watched").iterdir()}
    return HTMLResponse(f"<!doctype html><head></head><pre>{json.dumps(shown)}</pre>")


app = Starlette(debug=True, routes=[Route("/", page)])
HotReload(watch_dirs=["watched"]).setup(app)
"""

Lost = (OSError, EOFError, asyncio.IncompleteReadError)
"""What becomes of a connection whose server is killed."""


async def ask(port: int, path: str, *headers: str) -> asyncio.StreamReader:
    """The body of an answer is left to be read; the connection is closed with the reader's task."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    task = asyncio.current_task()
    assert task is not None
    task.add_done_callback(lambda _: writer.transport.abort())
    lines = [f"GET {path} HTTP/1.1", "Host: localhost", *headers, "", ""]
    writer.write("\r\n".join(lines).encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    return reader


async def pieces(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """A chunked body (RFC 9112, section 7.1)."""
    while size := int(await reader.readline() or b"0", 16):
        yield (await reader.readexactly(size + 2))[:-2]


async def events(reader: asyncio.StreamReader) -> AsyncIterator[tuple[str, str, Any]]:
    """Kind, identifier, data. What is cut off is none."""
    rest = b""
    async for piece in pieces(reader):
        *whole, rest = (rest + piece).split(b"\n\n")
        for event in whole:
            fields = dict(
                line.split(": ", 1) for line in event.decode().split("\n") if line[0] != ":"
            )
            if "data" in fields:
                yield fields.get("event", ""), fields.get("id", ""), json.loads(fields["data"])


class Page:
    """What a browser is here: a document, its stream, and a connection that is made anew."""

    def __init__(self, course: Course, number: int) -> None:
        self.course = course
        self.number = number
        self.shown: dict[str, str] = {}
        self.cursor = ""
        self.is_greeted = False
        self.told: Counter[tuple[str, str]] = Counter()
        """How often of which file, by which server."""
        self.story: deque[str] = deque(maxlen=60)

    def note(self, text: str) -> None:
        self.story.append(f"{self.course.moment():.3f} page {self.number} {text}")

    async def live(self) -> None:
        failures = 0
        while True:
            try:
                if not self.cursor:
                    await asyncio.create_task(self.load())
                await asyncio.create_task(self.listen())
            except Lost as error:
                self.note(f"lost {type(error).__name__}")
            failures = 0 if self.is_greeted else min(failures + 1, 3)
            self.is_greeted = False
            # The client's, five times as fast: a server is there that much sooner, too.
            await asyncio.sleep(0.01 * 2**failures * (1 + self.course.random.random()))

    async def load(self) -> None:
        reader = await ask(self.course.port, "/", "Sec-Fetch-Dest: document", "Connection: close")
        content = await reader.read()
        tag, shown = TAG.search(content), SHOWN.search(content)
        if not tag or not shown:
            raise EOFError  # cut off
        self.cursor = tag["cursor"].decode()
        self.shown = json.loads(shown[1])
        self.course.loads += 1
        self.note(f"loaded at {self.cursor}")

    async def listen(self) -> None:
        """Until the connection is lost, or the page is to be loaded again."""
        is_native = self.course.random.random() < 0.5
        path = EVENTS_PATH if is_native else f"{EVENTS_PATH}?cursor={self.cursor}"
        more = [f"Last-Event-ID: {self.cursor}"] if is_native else []
        reader = await ask(self.course.port, path, *more)
        with anyio.move_on_after(self.course.random.uniform(0.05, 1.5)) as patience:
            async for kind, cursor, data in events(reader):
                if kind == "hello":
                    self.greet(data)
                    patience.deadline = math.inf if self.course.rests else patience.deadline
                else:
                    self.hear(cursor, data)
                if not self.cursor:
                    return
        raise EOFError

    def greet(self, hello: dict[str, Any]) -> None:
        self.note(f"greeted {hello}")
        assert hello["reload"] == (hello["boot"] != self.cursor.split(".")[0]), hello
        self.is_greeted = not hello["reload"]
        if hello["reload"]:
            self.cursor = ""
            self.course.reloads += 1

    def hear(self, cursor: str, update: dict[str, Any]) -> None:
        self.note(f"told {update['files']} at {cursor}")
        assert cursor > self.cursor, f"{cursor} is no later than {self.cursor}"
        self.cursor = cursor
        self.course.updates += 1
        for name in (change["path"] for change in update["changes"]):
            self.told[cursor.split(".")[0], name] += 1
            assert self.told[cursor.split(".")[0], name] == 1, f"{name} is told twice"
            self.shown[Path(name).name] = (self.course.directory / name).read_text()


class Course:
    def __init__(self, directory: Path, seed: int) -> None:
        self.directory = directory
        self.random = random.Random(seed)
        self.port = free_port()
        self.rests = False
        self.saves = self.loads = self.reloads = self.updates = 0
        self.log: deque[str] = deque(maxlen=200)
        self.pages = [Page(self, number) for number in range(PAGES)]
        self._start = time.monotonic()
        self._fresh: list[str] = []

    def moment(self) -> float:
        return time.monotonic() - self._start

    def note(self, text: str) -> None:
        self.log.append(f"{self.moment():.3f} {text}")

    async def pause(self, longest: float) -> None:
        """More often than not a short one."""
        await asyncio.sleep(self.random.random() ** 2 * longest)

    def save(self) -> None:
        """Some files, each whole, of those that this server has not seen change."""
        for _ in range(min(self.random.randrange(4), len(self._fresh))):
            name = self._fresh.pop()
            self.saves += 1
            self.note(f"saves {name}: {self.saves}")
            next_one = self.directory / "next"
            next_one.write_text(str(self.saves))
            next_one.replace(self.directory / "watched" / name)

    async def rest(self, tasks: list[asyncio.Task[None]]) -> None:
        """Until every page shows what there is."""
        there = {path.name: path.read_text() for path in (self.directory / "watched").iterdir()}
        self.rests = True
        end = time.monotonic() + DEADLINE
        while not all(page.is_greeted and page.shown == there for page in self.pages):
            for task in tasks:
                if task.done():
                    task.result()
            lacks = [set(there.items()) - set(page.shown.items()) for page in self.pages]
            assert time.monotonic() < end, f"pages lack {lacks}"
            await asyncio.sleep(0.005)
        self.rests = False
        self.note("all is shown")

    async def run(self, keeper: Keeper, kills: int) -> None:
        tasks = [asyncio.create_task(page.live()) for page in self.pages]
        for number in range(1, kills + 1):
            self._fresh = [f"{index}.css" for index in range(FILES)]
            self.random.shuffle(self._fresh)
            server = keeper.start()
            self.note(f"server {server}")
            for _ in range(self.random.randrange(1, 5)):
                await self.pause(0.25)
                self.save()
            if number % REST_EVERY == 0 or number == kills:
                await self.rest(tasks)
            await self.pause(0.05)
            await asyncio.to_thread(keeper.kill, server)
            self.note("killed")
            self.save()
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(result, asyncio.CancelledError), result

    def story(self) -> str:
        return "\n".join(sorted([*self.log, *(line for page in self.pages for line in page.story)]))


def main(kills: int, seed: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "main.py").write_text(MAIN)
        (directory / "watched").mkdir()
        for index in range(FILES):
            (directory / "watched" / f"{index}.css").write_text("0")
        course = Course(directory, seed)
        try:
            with Keeper(directory, port=course.port) as keeper:
                asyncio.run(course.run(keeper, kills))
        except BaseException:
            print(course.story(), file=sys.stderr)
            print(f"again with: kills.py {kills} {seed}", file=sys.stderr)
            raise
    print(
        f"{kills} kills with seed {seed}: {course.saves} saves, {PAGES} pages, "
        f"{course.loads} documents, {course.reloads} told to reload, {course.updates} updates, "
        f"{course.moment():.0f} s"
    )


if __name__ == "__main__":
    chosen = [int(word) for word in sys.argv[1:]]
    main(*(chosen + [1000, int.from_bytes(os.urandom(3), "big")][len(chosen) :]))
