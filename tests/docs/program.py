"""Runs a block as `main.py` of a small project, and looks at what it serves.

Each block has a process of its own, forked, so that what all of them import is imported once.
"""

from __future__ import annotations

import asyncio
import builtins
import http.client
import inspect
import json
import logging
import os
import re
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType
from typing import Any

import given
import uvicorn

DEADLINE = 60.0
TAG = re.compile(rb'<script [^>]*src="(/[^"]*)/client\.js\?[0-9a-f]+"></script>')
NAVIGATION = {"Accept": "text/html", "Sec-Fetch-Dest": "document"}
SAVED = Path("templates", "index.html")
STEPS = {"build", "rebuild"}
"""What blocks call that which writes static files, and nobody calls by itself."""


def run(text: str, project: Path) -> None:
    """Fails with what the block has printed."""
    output = project.parent / "output"
    child = get_context("fork").Process(target=_main, args=(text, project, output))
    child.start()
    child.join(2 * DEADLINE)
    if child.is_alive():
        child.kill()
        child.join()
    printed = output.read_text("utf-8", "replace") if output.exists() else ""
    assert child.exitcode == 0, f"exit code {child.exitcode}\n{printed}"


def _main(text: str, project: Path, output: Path) -> None:
    with output.open("w", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    code = 1
    try:
        os.chdir(project)
        os.environ["PATH"] = f"{project / 'bin'}{os.pathsep}{os.environ['PATH']}"
        sys.path.insert(0, str(project))
        main = _execute(text)
        if "starlette_hot_reload import" in text:
            _check(main)
        code = 0
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _execute(text: str) -> ModuleType:
    """As a module of its name, since that is where names are looked for."""
    main = ModuleType("main")
    sys.modules["main"] = main
    code = compile(text, "main.py", "exec")
    for name, make in given.NAMES.items():
        if name in code.co_names and not re.search(rf"^{name} = ", text, re.MULTILINE):
            vars(main)[name] = make()
    vars(main)["__builtins__"] = builtins
    exec(code, vars(main))
    return main


def _check(main: ModuleType) -> None:
    """Its page has the tag, and a browser would be told of a saved template."""
    app = vars(main).get("app") or vars(main).get("application")
    assert app is not None, "the block makes no app"
    steps = [vars(main)[name] for name in vars(main).keys() & STEPS]
    with _without_complaint(), _served(app) as port:
        page = _get(port, "/", NAVIGATION)
        tag = TAG.search(page)
        assert tag, "the page has no tag"
        stream = _open(port, tag[1].decode())
        _read_hello(stream)
        before = _times()
        _save(SAVED, SAVED.read_text().replace("first", "second"))
        told = _read_files(stream)
        assert told == {str(SAVED)} | _written(before), "not all that was written is told at once"
        if b"first" in page:
            assert b"second" in _get(port, "/", NAVIGATION), "the page shows what was there before"
        for step in steps:
            if inspect.signature(step).parameters:
                assert _written(before), "it was not called for the save"
            else:
                _check_step(step, stream)


def _save(path: Path, text: str) -> None:
    """At one moment: who is kept between emptying a file and writing it is told of twice. The name
    of the draft is never told."""
    draft = path.with_name("draft~")
    draft.write_text(text)
    draft.replace(path)


def _check_step(step: Callable[[], object], stream: http.client.HTTPResponse) -> None:
    """What it writes is told at once."""
    before = _times()
    step()
    assert _written(before), "it writes nothing"
    assert _read_files(stream) == _written(before)


@contextmanager
def _without_complaint() -> Iterator[None]:
    """Hot reload finds nothing wrong with how it is used."""
    output = StringIO()
    handler = logging.StreamHandler(output)
    handler.setLevel(logging.WARNING)
    logging.getLogger("starlette_hot_reload").addHandler(handler)
    yield
    assert not output.getvalue(), output.getvalue()


@contextmanager
def _served(app: Any) -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    ended = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
    ended.start()
    end = time.monotonic() + DEADLINE
    while not server.started:
        assert ended.is_alive(), "the server has ended"
        assert time.monotonic() < end, "the server does not start"
        ended.join(0.005)
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        ended.join(DEADLINE)
    assert not ended.is_alive(), "the server does not end"


def _open(port: int, path: str, headers: dict[str, str] | None = None) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    connection.request("GET", path, headers=headers or {})
    return connection.getresponse()


def _get(port: int, path: str, headers: dict[str, str]) -> bytes:
    return _open(port, path, headers).read()


def _read_hello(stream: http.client.HTTPResponse) -> None:
    while stream.readline() not in {b"event: hello\n", b""}:
        pass
    while stream.readline() not in {b"\n", b""}:
        pass


def _read_files(stream: http.client.HTTPResponse) -> set[str]:
    """Those of the next update."""
    for line in stream:
        if line.startswith(b"data: {"):
            return set(json.loads(line[6:])["files"])
    raise AssertionError("the stream has ended")


def _times() -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in Path("static").iterdir()}


def _written(before: dict[str, int]) -> set[str]:
    return {name for name, _ in _times().items() - before.items()}
