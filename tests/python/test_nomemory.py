"""Each allocation that the request path makes fails once: the page arrives, with or without its tag.

Run by itself, with tests/c/failing_extension.c preloaded, this file is the process that does it.
"""

from __future__ import annotations

import ctypes
import gc
import gzip
import os
import subprocess
import sys
import zlib
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send
from starlette_hot_reload import _core
from support import (
    NAVIGATION,
    PAGE,
    TAG,
    LayerUnderTest,
    body,
    body_of,
    headers_of,
    html,
    http_scope,
    make_engine,
    start,
)

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "build" / "c" / "tests" / "c" / "failing_extension.so"
NEVER = (1 << 64) - 1

LENGTH = (b"content-length", b"%d" % len(PAGE))
ETAG = (b"etag", b'"1"')
GZIP = gzip.compress(PAGE)
CODED = html((b"content-encoding", b"gzip"), (b"content-length", b"%d" % len(GZIP)), ETAG)
POLICY = (b"content-security-policy", b"default-src 'none'; script-src 'sha256-x'")
LARGE = PAGE + bytes(1 << 20)
LAN = [(b"host", b"192.0.2.1"), (b"accept", b"text/html,*/*;q=0.8")]
FETCH = [(b"sec-fetch-dest", b"empty")]
ROOTED = http_scope("/ä b", [*NAVIGATION, (b"accept-encoding", b"gzip"), (b"range", b"x")])
ROOTED |= {"root_path": "/a ü", "extensions": {"http.response.pathsend": {}}}
TRAILERS = {"type": "http.response.trailers", "headers": [(b"digest", b"x")]}


def pieces(content: bytes, *cuts: int) -> list[Message]:
    edges = [0, *cuts, len(content)]
    parts = [content[a:b] for a, b in zip(edges, edges[1:], strict=False)]
    return [body(part, index < len(parts) - 1) for index, part in enumerate(parts)]


@dataclass
class Case:
    """A request and its answer."""

    messages: list[Message]
    scope: Scope = field(default_factory=http_scope)


CASES = {
    "page": Case([html(LENGTH, ETAG), body(PAGE)]),
    "page in three": Case([html(LENGTH, ETAG), *pieces(PAGE, 24, 40)]),
    "large page": Case([html(ETAG), body(LARGE, True), body(b"end")]),
    "page in other bytes": Case([html(), body(memoryview(PAGE), True), body(bytearray(b"end"))]),
    "page below a path": Case([html(LENGTH), body(PAGE)], ROOTED),
    "page with trailers": Case([{**html(ETAG), "trailers": True}, body(PAGE), TRAILERS]),
    "page with a policy": Case([html(LENGTH, POLICY), body(PAGE)]),
    "page with a policy in three": Case([html(LENGTH, POLICY), *pieces(PAGE, 24, 40)]),
    "coded page": Case([CODED, body(GZIP)]),
    "coded page in three": Case([CODED, *pieces(GZIP, 5, 40)]),
    "coded page with a policy": Case(
        [{**CODED, "headers": [*CODED["headers"], POLICY]}, *pieces(GZIP, 40)]
    ),
    "head": Case([html(LENGTH, ETAG), body()], http_scope(method="HEAD")),
    "page on plain http": Case([html(LENGTH), *pieces(PAGE, 3, 40)], http_scope(headers=LAN)),
    "fragment": Case([html(ETAG), body(b"<li>")], http_scope(headers=LAN)),
    "fragment in two": Case([html(ETAG), *pieces(b"<!-- --><li>", 3)], http_scope(headers=LAN)),
    "coded fragment": Case([CODED, *pieces(gzip.compress(b"<li>"), 9)], http_scope(headers=LAN)),
    "fetched page": Case(
        [html((b"cache-control", b"max-age=9")), body(PAGE)], http_scope(headers=FETCH)
    ),
    "fetched sheet": Case(
        [start([(b"content-type", b"text/css"), ETAG]), body(b"a{}")], http_scope(headers=FETCH)
    ),
    "json": Case([start([(b"content-type", b"application/json")]), body(b"{}")]),
    "foreign coding": Case([html((b"content-encoding", b"br")), body(b"x")]),
    "not what it says": Case([CODED, *pieces(GZIP[:30] + bytes(9), 20)]),
}


# ---- the process of its own ------------------------------------------------------------------


class Failing:
    """The preloaded library."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(None)
        self._library.failing_end.restype = ctypes.c_size_t
        self._library.failing_live.restype = ctypes.c_size_t
        self._library.failing_stack.restype = ctypes.c_bool
        self._library.failing_prepare.restype = ctypes.c_bool
        self._path = os.fsencode(_core.__file__)  # kept: the library keeps the pointer
        assert self._library.failing_prepare(self._path), "no _core, or no loop of the interpreter"

    @contextmanager
    def at(self, index: int) -> Iterator[None]:
        self._library.failing_begin(ctypes.c_size_t(index))
        try:
            yield
        finally:
            self.count = self._library.failing_end()

    def live(self) -> int:
        return int(self._library.failing_live())

    def stack(self) -> str:
        """Where it failed; empty: it did not."""
        out = ctypes.create_string_buffer(8192)
        failed = self._library.failing_stack(out, ctypes.c_size_t(len(out)))
        return out.value.decode() if failed else ""


class App:
    """Sends what it is told to, and keeps what the server gets; awaits nothing else."""

    def __init__(self, messages: list[Message]) -> None:
        self.messages = messages
        self.sent: list[Message] = []
        self.error: BaseException | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        for message in self.messages:
            await send(message)

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    async def receive(self) -> Message:
        raise AssertionError


def serve(layer: LayerUnderTest, case: Case, failing: Failing, index: int) -> App:
    app = App(case.messages)
    wrapped, scope = layer.wrap(app), {**case.scope}
    receive, send = app.receive, app.send
    with failing.at(index):
        try:
            wrapped(scope, receive, send).send(None)  # type: ignore[attr-defined]
        except StopIteration:
            pass
        except BaseException as error:
            app.error = error
    return app


def decoded(messages: list[Message]) -> bytes:
    """What a browser makes of it, without the tag."""
    content = body_of(messages)
    if b"content-encoding" in headers_of(messages[0]) and content[:1] == b"\x1f":
        try:
            content = zlib.decompressobj(31).decompress(content)
        except zlib.error:
            return b"broken"
    return TAG.sub(b"", content, count=1)


def fault(case: Case, app: App) -> str | None:
    """What is wrong with the answer; None: nothing."""
    said, sent = case.messages, app.sent
    if app.error is not None:
        return f"{app.error!r} after {len(sent)} messages"
    if not sent or sent[0]["type"] != "http.response.start":
        return "no start"
    headers = headers_of(sent[0])
    length = headers.get(b"content-length")
    if case.scope["method"] != "HEAD" and length not in (None, b"%d" % len(body_of(sent))):
        return f"a length of {length!r} for {len(body_of(sent))}"
    is_same = sent[0] is said[0]
    if is_same and body_of(sent) != body_of(said):
        return "another body under the same head"
    if decoded(sent) not in (
        decoded(said),
        decoded(said)[:0] if decoded(said) == b"broken" else None,
    ):
        return f"another body: {decoded(sent)[:200]!r}"
    ends = [message.get("more_body", False) for message in sent if "body" in message]
    if ends[-1:] != [False] or not all(ends[:-1]):
        return f"an end in another place: {ends}"
    has_tag = TAG.search(body_of(sent))
    if has_tag and (b"etag" in headers or b"vary" not in headers):
        return "a tag under a head of no page"
    if has_tag and b"content-security-policy" in headers and b"nonce-" not in has_tag.group():
        return "a tag that the policy does not let run" if is_same else None
    return None


def show(name: str, index: int, problem: str, stack: str) -> None:
    print(f"{name}, allocation {index}: {problem}\n{stack}", file=sys.stderr)


def main(names: list[str]) -> int:
    failing = Failing()
    layer = LayerUnderTest(make_engine())
    unraisable: list[Any] = []
    sys.unraisablehook = lambda args: unraisable.append(args.exc_type)
    faults = 0
    lives = array("Q", [0, 0, 0])  # it keeps no objects
    gc.disable()  # so that the same run allocates the same
    for name in names or CASES:
        case = CASES[name]
        for _ in range(3):  # imports, and what is kept for good
            app = serve(layer, case, failing, NEVER)
            assert fault(case, app) is None, (name, fault(case, app))
        total = failing.count
        for index in range(total):
            print(f"{name}, allocation {index}", file=sys.stderr, end="\r", flush=True)
            for run in range(3):
                layer.reasons.clear()
                app = serve(layer, case, failing, index)
                problem = fault(case, app)
                stack = failing.stack()
                del app
                gc.collect()
                lives[run] = failing.live()
            if any(kind is not MemoryError for kind in unraisable):
                problem = f"unraisable: {unraisable}"
            unraisable.clear()
            if problem is None and lives[2] > lives[1]:
                problem = f"{lives[2] - lives[1]} allocations are kept for good"
            if problem:
                faults += 1
                show(name, index, problem, stack)
        print(f"{name}: {total} allocations", flush=True)
    return faults


# ---- the test --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_a_page_arrives_though_there_is_no_memory_for_its_tag(name: str) -> None:
    assert LIBRARY.exists(), f"{LIBRARY} is missing: make test-python builds it"
    environment = {**os.environ, "LD_PRELOAD": str(LIBRARY), "PYTHONMALLOC": "malloc"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-X", "faulthandler", __file__, name],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))
