"""Each allocation of the request path fails once: the page arrives, with or without its tag. Each
allocation of every other call fails once: it says so, and can be called again.

Run by itself, with tests/c/failing_extension.c preloaded, this file is the process that does it.
"""

from __future__ import annotations

import ctypes
import gc
import gzip
import importlib.util
import itertools
import os
import re
import subprocess
import sys
import tempfile
import time
import zlib
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from starlette.types import Message, Receive, Scope, Send
from starlette_hot_reload import _core
from support import (
    DEADLINE,
    NAVIGATION,
    PAGE,
    LayerUnderTest,
    body,
    body_of,
    headers_of,
    html,
    http_scope,
    make_engine,
    never,
    start,
)
from support import save as save_file

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "build" / "c" / "tests" / "c" / "failing_extension.so"
NEVER = (1 << 64) - 1
TAG = re.compile(rb'<script data-cursor="[0-9a-f.]{33}"(?: [a-z-]+="[^"]*")*></script>')
REPEATED = 10
CLEAR_CACHES = getattr(sys, "_clear_internal_caches", None) or sys._clear_type_cache

LENGTH = (b"content-length", b"%d" % len(PAGE))
ETAG = (b"etag", b'"1"')
GZIP = gzip.compress(PAGE)
CODED = html((b"content-encoding", b"gzip"), (b"content-length", b"%d" % len(GZIP)), ETAG)
CODED_PART = html((b"content-encoding", b"gzip"), ETAG)
POLICY = (b"content-security-policy", b"default-src 'none'; script-src 'sha256-x'")
NONCE = (b"content-security-policy", b"script-src 'strict-dynamic' 'sha256-x'")
LARGE = PAGE + bytes(1 << 20)
LAN = [(b"host", b"192.0.2.1"), (b"accept", b"text/html,*/*;q=0.8")]
FETCH = [(b"sec-fetch-dest", b"empty")]
ROOTED = http_scope("/ä b", [*NAVIGATION, (b"accept-encoding", b"gzip"), (b"range", b"x")])
ROOTED |= {"root_path": "/a ü", "extensions": {"http.response.pathsend": {}}}
TRAILERS = {"type": "http.response.trailers", "headers": [(b"digest", b"x")]}
OTHER = {"type": "something.new"}
# Into a dict of five entries, and of ten, no other goes without memory.
FULL_BODY = {"type": "http.response.body", "body": LARGE, "a": 1, "b": 2, "c": 3}
FULL_END = {"type": "http.response.body", "a": 1, "b": 2, "c": 3, "d": 4}
UNREAD = {"raw_path", "client"}
FULL_SCOPE = {name: value for name, value in http_scope().items() if name not in UNREAD}


def pieces(content: bytes, *cuts: int) -> list[Message]:
    edges = [0, *cuts, len(content)]
    parts = [content[a:b] for a, b in itertools.pairwise(edges)]
    return [body(part, index < len(parts) - 1) for index, part in enumerate(parts)]


@dataclass
class Case:
    """A request and its answer."""

    messages: list[Message]
    scope: Scope = field(default_factory=http_scope)
    is_broken: bool = False


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
    "page with a nonce": Case([html(LENGTH, NONCE), body(PAGE)]),
    "page in full dicts": Case([html(ETAG), FULL_BODY], FULL_SCOPE),
    "page cut off in a full dict": Case([html(), body(PAGE[:24], True), FULL_END]),
    "page behind another message": Case([html(ETAG), OTHER, body(PAGE)]),
    "page around another message": Case(
        [html(ETAG), body(PAGE[:24], True), OTHER, body(PAGE[24:])]
    ),
    "head": Case([html(LENGTH, ETAG), body()], http_scope(method="HEAD")),
    "page on plain http": Case([html(LENGTH), *pieces(PAGE, 3, 40)], http_scope(headers=LAN)),
    "fragment": Case([html(ETAG), body(b"<li>")], http_scope(headers=LAN)),
    "fragment in two": Case([html(ETAG), *pieces(b"<!-- --><li>", 3)], http_scope(headers=LAN)),
    "coded fragment": Case(
        [CODED_PART, *pieces(gzip.compress(b"<li>"), 9)], http_scope(headers=LAN)
    ),
    "fetched page": Case(
        [html((b"cache-control", b"max-age=9")), body(PAGE)], http_scope(headers=FETCH)
    ),
    "fetched sheet": Case(
        [start([(b"content-type", b"text/css"), ETAG]), body(b"a{}")], http_scope(headers=FETCH)
    ),
    "json": Case([start([(b"content-type", b"application/json")]), body(b"{}")]),
    "foreign coding": Case([html((b"content-encoding", b"br")), body(b"x")]),
    "not what it says": Case([CODED_PART, *pieces(GZIP[:30] + bytes(9), 20)], is_broken=True),
}


WATCHER = "watcher"
Call = Callable[[], object]
CALLS = [
    "import",
    "layer",
    "new",
    "a life",
    "now",
    "hello",
    "hello again",
    "hello of another",
    "since",
    "waiting",
    "nothing waiting",
    "shutdown frame",
    "heartbeat",
    "client",
    "no client",
    "stats",
    "roots",
    "sync",
    "subscribe",
    "batches",
    "notes",
    "hold and tell",
]


def make_calls(directory: Path) -> dict[str, tuple[Call, Call | None]]:
    """Everything that can be asked, of an engine that has something to answer with. The answer is
    the same each time, unless there is something to be done before each time."""
    engine = make_engine(directory, served=[(os.fsencode(directory), b"/static")])
    for number in range(300):  # more than an int that is there already
        (directory / f"{number}.txt").touch()
    engine.start()
    assert engine.wait_ready(DEADLINE)
    start = engine.now()
    roots = [os.fsencode(directory)]

    def save(name: str, is_there: Call) -> None:
        for number in range(8):  # of long names, so that room is made more than once
            save_file(directory / f"{number}{name:->200}.css", str(time.monotonic()))
        end = time.monotonic() + DEADLINE
        while not is_there():
            assert time.monotonic() < end

    def load() -> None:
        spec = importlib.util.spec_from_file_location(_core.__name__, _core.__file__)
        assert spec is not None
        assert spec.loader is not None
        with suppress(SystemError):  # CPython 3.11 may forget to say that it could make no type
            spec.loader.exec_module(importlib.util.module_from_spec(spec))

    def new() -> None:
        _core.Engine(
            roots,
            base=roots[0],
            served=[(roots[0], b"/static"), (roots[0] + b"/b", b"/b")],
            polling=0,
            poll_interval=1.0,
            exclude=[b"*.a", b"b/*.c"],
            boot=3,
            morph=True,
        )

    def live() -> None:
        other = make_engine(directory)
        other.start()
        other.stop()

    def subscribe() -> None:
        engine.unsubscribe(engine.subscribe())

    def both() -> object:
        """Of the last answer there is a copy."""
        return engine.since(f"{1:016x}.{0:016x}"), engine.since(start)

    def tell() -> None:
        engine.hold(False)
        engine.hold(True)
        engine.tell(start)

    save("told", lambda: engine.since(start)[0])
    engine.hold(True)
    save("waits", lambda: engine.waiting(None))
    engine.sync()
    while not engine.is_synced():
        pass
    waiting = engine.waiting(None)
    assert waiting

    def save_more() -> None:
        batches = other.stats().batches
        save("more", lambda: other.stats().batches > batches)

    other = make_engine(directory)
    other.start()
    assert other.wait_ready(DEADLINE)
    under = LayerUnderTest(engine)
    return {
        "import": (load, None),
        "layer": (lambda: under.wrap(never).app, None),
        "new": (new, None),
        "a life": (live, None),
        "now": (lambda: len(engine.now()), None),
        "hello": (lambda: len(engine.hello(None, 1)), None),
        "hello again": (lambda: engine.hello(start, 1), None),
        "hello of another": (lambda: len(engine.hello(f"{5:016x}.{6:016x}", 1)), None),
        "since": (both, None),
        "waiting": (lambda: engine.waiting(None), None),
        "nothing waiting": (lambda: engine.waiting(waiting[2]), None),
        "shutdown frame": (lambda: len(engine.shutdown_frame()), None),
        "heartbeat": (_core.heartbeat_frame, None),
        "client": (lambda: _core.client_file(b"client.js"), None),
        "no client": (lambda: _core.client_file(b"x"), None),
        "stats": (lambda: engine.stats()[:3], None),
        "roots": (engine.roots, None),
        "sync": (engine.sync, None),
        "subscribe": (subscribe, None),
        "batches": (other.take_batches, save_more),
        "notes": (other.take_notes, save_more),
        "hold and tell": (tell, None),
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
    def at(self, index: int, elsewhere: bool = False) -> Iterator[None]:
        """`elsewhere`: in every other thread."""
        gc.collect()  # what the interpreter keeps for the next object is no allocation
        self._library.failing_begin(ctypes.c_size_t(index), ctypes.c_bool(elsewhere))
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
        self.right: list[Message] = []  # what the server gets while there is memory

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


def shown(messages: list[Message]) -> bytes:
    """What a browser makes of it, without the tag."""
    content = body_of(messages)
    if headers_of(messages[0]).get(b"content-encoding") == b"gzip":
        inflater = zlib.decompressobj(31)
        content, coded = b"", content
        with suppress(zlib.error):
            for index in range(len(coded)):
                content += inflater.decompress(coded[index : index + 1])
    return TAG.sub(b"", content, count=1)


def error_fault(case: Case, app: App) -> str | None:
    """There is one excuse: the rest of a page whose beginning went out decoded."""
    if not isinstance(app.error, MemoryError) or not app.sent:
        return f"{app.error!r} after {len(app.sent)} messages"
    if b"content-encoding" not in headers_of(case.messages[0]):
        return "MemoryError, though the body was not to be decoded"
    if b"content-encoding" in headers_of(app.sent[0]):
        return "MemoryError, though the body could go out as it came"
    return None if shown(case.messages).startswith(shown(app.sent)) else "another body"


def fault(case: Case, app: App) -> str | None:
    """What is wrong with the answer; None: nothing."""
    said, sent = case.messages, app.sent
    if app.error is not None:
        return error_fault(case, app)
    if sent == said:
        return None
    if not sent or sent[0]["type"] != "http.response.start":
        return "no start"
    headers = headers_of(sent[0])
    length = headers.get(b"content-length")
    if length not in (None, b"%d" % len(body_of(sent))):
        return f"a length of {length!r} for {len(body_of(sent))}"
    expected = shown(said)
    if shown(sent) != expected and not (case.is_broken and expected.startswith(shown(sent))):
        return f"another body: {shown(sent)[:200]!r}"
    bodies = [message for message in sent if message["type"] == "http.response.body"]
    ends = [message.get("more_body", False) for message in bodies]
    if ends[-1:] != [False] or not all(ends[:-1]):
        return f"an end in another place: {ends}"
    has_tag = TAG.search(body_of(sent)) is not None
    if has_tag and (b"etag" in headers or b"vary" not in headers):
        return "a tag under the head of another response"
    if not has_tag and len(ends) == 1 and TAG.search(body_of(app.right)):
        return "a head for a tag that is not there"
    if has_tag and (POLICY[0], headers.get(POLICY[0])) in (POLICY, NONCE):
        return "a tag that the policy does not let run"
    return None


class Run:
    """The cases, one after the other."""

    def __init__(self) -> None:
        self.failing = Failing()
        self.layer = LayerUnderTest(make_engine())
        self.unraisable: list[type[BaseException]] = []
        self.faults = 0
        sys.unraisablehook = lambda args: self.unraisable.append(args.exc_type)

    def serve(self, case: Case, index: int, right: list[Message]) -> str | None:
        app = serve(self.layer, case, self.failing, index)
        app.right = right
        self.layer.reasons.clear()
        self.layer.notes.clear()
        others = [kind for kind in self.unraisable if kind is not MemoryError]
        self.unraisable.clear()
        return f"unraisable: {others}" if others else fault(case, app)

    def growth(self, case: Case, index: int, right: list[Message]) -> int:
        """How many allocations many more of the same leave behind."""
        lives = array("Q", [0, 0])  # it keeps no objects
        for batch in range(2):
            for _ in range(REPEATED):
                self.serve(case, index, right)
            gc.collect()
            CLEAR_CACHES()  # they keep names
            lives[batch] = self.failing.live()
        return int(lives[1]) - int(lives[0])

    def case(self, name: str) -> None:
        case = CASES[name]
        for _ in range(3):  # imports, and what is kept for good
            app = serve(self.layer, case, self.failing, NEVER)
            app.right = app.sent
            assert fault(case, app) is None, (name, fault(case, app), app.sent)
        total = self.failing.count
        assert total, f"{name}: nothing is allocated"
        for index in range(total):
            print(f"{name}, allocation {index} of {total}", file=sys.stderr, flush=True)
            problem = self.serve(case, index, app.sent)
            stack = self.failing.stack()
            assert stack, "it has not failed"
            if problem is None and self.growth(case, index, app.sent) >= REPEATED:
                problem = "something is kept for good"
            if problem:
                self.faults += 1
                print(f"FAULT {name}, allocation {index}: {problem}\n{stack}", flush=True)

    def call(self, name: str, call: Call, prepare: Call | None) -> None:
        before = [call() for _ in range(3)][-1]
        index = 0
        while True:
            print(f"{name}, allocation {index}", file=sys.stderr, flush=True)
            problem, live = None, array("Q", [0, 0])
            for batch in range(2):
                for _ in range(1 if prepare else REPEATED):
                    if prepare:
                        prepare()
                    with self.failing.at(index), suppress(MemoryError):
                        call()
                gc.collect()
                CLEAR_CACHES()
                live[batch] = self.failing.live()
            stack = self.failing.stack()
            if not stack:
                break
            if not prepare and live[1] >= live[0] + REPEATED:
                problem = f"{live[1] - live[0]} things are kept for good"
            if not prepare and call() != before:
                problem = "another answer"
            self.unraisable.clear()
            if problem:
                self.faults += 1
                print(f"FAULT {name}, allocation {index}: {problem}\n{stack}", flush=True)
            index += 1
        print(f"{name}: {index} allocations", flush=True)


def watch(directory: Path, failing: Failing) -> int:
    """A save is told, whichever allocation of the watcher's thread fails, for its note as well."""
    engine = make_engine(directory)
    engine.start()
    assert engine.wait_ready(DEADLINE)
    for index in itertools.count():
        cursor, end = engine.now(), time.monotonic() + DEADLINE
        with failing.at(index, elsewhere=True):
            save_file(directory / "file", f"{index:>{index + 1}}")
            while not engine.since(cursor)[0]:
                if time.monotonic() > end:
                    print(f"FAULT watcher, allocation {index}: not told\n{failing.stack()}")
                    return 1
        if not failing.stack():
            print(f"watcher: {index} allocations", flush=True)
            return 0 if index else 1
        engine.take_notes()
        engine.take_batches()
    raise AssertionError


def main() -> int:
    gc.disable()  # so that the same request allocates the same
    gc.freeze()
    run = Run()
    for name in sys.argv[1:] or CASES:
        if name in CASES:
            run.case(name)
    with tempfile.TemporaryDirectory() as directory:
        calls = make_calls(Path(directory))
        assert list(calls) == CALLS
        for name in sys.argv[1:] or CALLS:
            if name in calls:
                run.call(name, *calls[name])
    if WATCHER in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as directory:
            run.faults += watch(Path(directory), run.failing)
    return min(run.faults, 1)


# ---- the test --------------------------------------------------------------------------------


def run_alone(*names: str) -> None:
    assert LIBRARY.exists(), f"{LIBRARY} is missing: make test-python builds it"
    environment = {**os.environ, "LD_PRELOAD": str(LIBRARY), "PYTHONMALLOC": "malloc"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-X", "faulthandler", __file__, *names],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]


def test_a_page_arrives_though_there_is_no_memory_for_its_tag() -> None:
    run_alone(*CASES)


def test_what_can_be_called_can_be_called_without_memory() -> None:
    run_alone(*CALLS)


def test_what_the_watcher_finds_is_told_though_there_is_no_memory_for_its_note() -> None:
    run_alone(WATCHER)


if __name__ == "__main__":
    sys.exit(main())
