"""What a machine does to a server: it kills it, runs out of everything, and sets the clock.

Run by itself, with the name of a case, this file is the process to which it happens.
"""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import resource
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette_hot_reload import HotReload, _core
from support import (
    DEADLINE,
    EVENTS_PATH,
    PAGE,
    TAG,
    Connection,
    alive,
    body_of,
    call,
    http_scope,
    make_engine,
)

TESTS = Path(__file__).resolve().parents[1]
NATIVE, POLLING = 0, 1
BOTH = pytest.mark.parametrize("polling", [NATIVE, POLLING], ids=["native", "polling"])


CLOCK_REALTIME_COARSE = 5


def let_clock_tick() -> None:
    """A watcher starts at a time of the coarse clock; files may have a finer one, which is ahead.
    What was written since is news to it."""
    now = time.time_ns()
    while time.clock_gettime_ns(CLOCK_REALTIME_COARSE) <= now:
        pass


class Reader:
    """A directory as one knows it who only looks at what he is told of."""

    def __init__(self, directory: Path, polling: int = NATIVE) -> None:
        self.directory = directory
        self.engine = make_engine(directory, polling=polling)
        self.told: Counter[str] = Counter()
        let_clock_tick()
        self.engine.start()
        assert self.engine.wait_ready(DEADLINE)
        self._cursor = self.engine.now()
        self.known = self.there()

    def there(self) -> dict[str, bytes]:
        paths = (path for path in self.directory.rglob("*") if path.is_file())
        return {str(path.relative_to(self.directory)): path.read_bytes() for path in paths}

    def hear(self) -> None:
        frame, self._cursor = self.engine.since(self._cursor)
        if not frame:
            return
        assert b'"reload":true' not in frame
        data = next(line for line in frame.split(b"\n") if line.startswith(b"data: "))
        for change in json.loads(data[6:])["changes"]:
            self.told[change["path"]] += 1
            path = self.directory / change["path"]
            self.known.pop(change["path"], None)
            if path.is_file():
                self.known[change["path"]] = path.read_bytes()

    def catch_up(self) -> None:
        """Until what is known is what there is."""
        end = time.monotonic() + DEADLINE
        while self.known != self.there():
            assert time.monotonic() < end, (sorted(self.known), sorted(self.there()))
            time.sleep(0.002)
            self.hear()

    def rest(self) -> None:
        """Until the watcher has nothing more to say."""
        self.engine.sync()
        end = time.monotonic() + DEADLINE
        while not self.engine.is_synced():
            assert time.monotonic() < end
            time.sleep(0.002)
        self.hear()


def run_case(name: str, *arguments: object, **environment: str) -> None:
    words = [sys.executable, "-X", "dev", "-W", "error", __file__, name, *map(str, arguments)]
    done = subprocess.run(
        words, env={**os.environ, **environment}, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr


def run_soak(script: str, *arguments: str) -> None:
    words = [sys.executable, str(TESTS / "soak" / script), *arguments]
    done = subprocess.run(words, capture_output=True, text=True, timeout=600)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr


# ---- killed, loaded --------------------------------------------------------------------------


def test_nothing_is_lost_or_told_twice_over_thirty_kills() -> None:
    run_soak("kills.py", "30")


def test_everybody_is_told_and_memory_is_flat_under_load() -> None:
    run_soak("load.py", "--small")


# ---- no descriptors --------------------------------------------------------------------------


@contextmanager
def descriptors_left(count: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    top = max(map(int, os.listdir("/proc/self/fd")))
    resource.setrlimit(resource.RLIMIT_NOFILE, (top + count + 8, hard))
    held: list[int] = []
    try:
        with suppress(OSError):
            while True:
                held.append(os.open("/", os.O_RDONLY))
        for _ in range(count):
            os.close(held.pop())
        yield
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def page(request: Request) -> Response:
    return HTMLResponse(PAGE)


def make_app(directory: Path) -> Starlette:
    app = Starlette(debug=True, routes=[Route("/", page)])
    HotReload(watch_dirs=[directory]).setup(app)
    return app


async def assert_told(app: Starlette, file: Path) -> None:
    """A stream can be had, and tells of a save, as soon as the watcher is there."""
    stream = Connection()
    with anyio.fail_after(DEADLINE):
        async with anyio.create_task_group() as group:
            group.start_soon(stream.run, app, http_scope(EVENTS_PATH))
            await stream.wait_for(b"event: hello")
            saves = 0
            while b'"files"' not in body_of(stream.messages):
                saves += 1
                file.write_text(str(saves))
                with anyio.move_on_after(0.3):
                    await stream.wait_for(b'"files"')
            stream.leave()


async def open_stream(app: Starlette) -> int:
    """Opens one and leaves it; the status."""
    stream = Connection()
    stream.leave()
    await stream.run(app, http_scope(EVENTS_PATH))
    return int(stream.messages[0]["status"])


@pytest.mark.parametrize("left", range(9))
def test_without_descriptors_at_the_start_the_pages_go_on(
    left: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in "abc":
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("0")

    async def main() -> None:
        warm = make_app(tmp_path)  # imports
        async with alive(warm):
            await assert_told(warm, tmp_path / "warm")
        caplog.clear()
        app = make_app(tmp_path)
        keep = alive(app)
        with descriptors_left(left):
            await keep.__aenter__()
            for _ in range(3):
                messages = await call(app, http_scope())
                assert messages[0]["status"] == 200
                assert TAG.sub(b"", body_of(messages)) == PAGE
                assert await open_stream(app) in {200, 503}
        if left:  # without any, there is no watcher
            await assert_told(app, tmp_path / "b" / "file")
        await keep.__aexit__(None, None, None)

    asyncio.run(main())
    warnings = [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]
    assert all("Too many open files" in text for text in warnings), warnings
    assert warnings or left > 1
    if not left:
        assert any("Files cannot be watched" in text for text in warnings)


def test_a_stream_that_cannot_be_had_is_answered_and_comes_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        app = make_app(tmp_path)
        await call(app, http_scope())  # starts it, since no lifespan does
        await assert_told(app, tmp_path / "file")
        caplog.clear()
        with descriptors_left(0):
            assert await open_stream(app) == 503
            assert "Nobody can be told what changes" in caplog.text
            assert TAG.search(body_of(await call(app, http_scope())))
        await assert_told(app, tmp_path / "file")

    asyncio.run(main())


def test_a_loop_that_takes_no_descriptor_costs_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """epoll_ctl(2): ENOSPC at fs.epoll.max_user_watches."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def main() -> None:
        app = make_app(tmp_path)
        await call(app, http_scope())
        with monkeypatch.context() as patch:
            patch.setattr(asyncio.get_running_loop(), "add_reader", refuse)
            counts = []
            for _ in range(5):
                assert await open_stream(app) == 503
                counts.append(len(os.listdir("/proc/self/fd")))
            assert counts == counts[:1] * 5
        await assert_told(app, tmp_path / "file")

    asyncio.run(main())


@BOTH
def test_what_cannot_be_read_for_want_of_descriptors_is_read_later(
    polling: int, tmp_path: Path
) -> None:
    watched, outside = tmp_path / "watched", tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    (outside / "deep" / "file").write_text("1")
    watched.mkdir()
    (watched / "file").write_text("12")
    reader = Reader(watched, polling)
    notes = ""
    with descriptors_left(0):
        outside.rename(watched / "made")
        os.truncate(watched / "file", 1)
        end = time.monotonic() + DEADLINE
        while "no file descriptor is left" not in notes:
            assert time.monotonic() < end
            notes += "".join(text for _, text in reader.engine.take_notes())
    reader.catch_up()
    assert set(reader.told) == {"file", "made/deep/file"}
    reader.engine.stop()


# ---- a full disk -----------------------------------------------------------------------------


def on_full_disk(directory: Path, polling: int) -> None:
    """What could be saved is told, in whatever state it is, and nothing else."""
    (directory / "whole").write_bytes(b"0" * 1000)
    (directory / "page").write_bytes(b"0" * 20_000)
    reader = Reader(directory, polling)
    try:
        (directory / "page").write_bytes(b"1" * 10_000_000)
    except OSError as error:
        assert "No space left" in str(error)  # noqa: PT017
    else:
        raise AssertionError("there is space")
    reader.catch_up()
    # An editor that saves in one step fails before the step.
    with suppress(OSError), open(directory / "whole.tmp", "wb") as file:
        file.write(b"1" * 1_000_000)
    (directory / "whole.tmp").unlink()
    reader.rest()
    reader.catch_up()
    assert reader.told["whole"] == 0
    assert reader.told["page"] >= 1
    (directory / "page").write_bytes(b"2")
    (directory / "whole").write_bytes(b"2")
    reader.catch_up()
    assert not any(level >= logging.WARNING for level, _ in reader.engine.take_notes())


@BOTH
def test_on_a_full_disk_the_truth_is_told(polling: int, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    mount = 'mount -t tmpfs -o size=256k full "$1" && shift && exec "$@"'
    unshare = ["unshare", "--mount", "--propagation", "private"]
    if os.getuid():
        unshare.append("--map-root-user")
    command = [
        sys.executable,
        "-X",
        "dev",
        "-W",
        "error",
        __file__,
        "disk",
        str(full),
        str(polling),
    ]
    done = subprocess.run(
        [*unshare, "sh", "-c", mount, "sh", str(full), *command], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


# ---- another time of day ---------------------------------------------------------------------

HOUR = 3_600_000_000_000


def under_jumping_clock(directory: Path, polling: int) -> None:
    """Wherever the clock of the day goes, a save is told once, and nothing else is."""
    clock = Path(os.environ["JUMPING_CLOCK"])
    (directory / "still").write_text("0")
    (directory / "file").write_text("0")
    before = time.time()
    clock.write_bytes((HOUR).to_bytes(8, sys.byteorder, signed=True))
    assert time.time() - before > 3000, "the clock does not jump"
    clock.write_bytes(bytes(8))
    reader = Reader(directory, polling)
    cursor = reader.engine.now()
    for number, jump in enumerate([HOUR, -HOUR, 24 * HOUR, -24 * HOUR, 0, 10**9, -(10**9)]):
        clock.write_bytes(jump.to_bytes(8, sys.byteorder, signed=True))
        with (directory / "file").open("r+b") as file:  # in one step, which no look can divide
            file.write(b"save %d" % number)
        reader.catch_up()
        reader.rest()
        assert reader.told == {"file": number + 1}, (jump, reader.told)
        assert reader.engine.now() > cursor
        cursor = reader.engine.now()
    # A file from the future, and one from long ago.
    for time_of_file in [time.time() + 10**6, 1.0]:
        (directory / "file").write_text(f"at {time_of_file}")
        os.utime(directory / "file", (time_of_file, time_of_file))
        reader.catch_up()
        reader.rest()
    assert reader.told["still"] == 0
    # Where the clock is set back, everything is of the future; what is told too often is told once.
    clock.write_bytes((-24 * HOUR).to_bytes(8, sys.byteorder, signed=True))
    late = Reader(directory, polling)
    with (directory / "file").open("r+b") as file:
        file.write(b"the last")
    late.catch_up()
    late.rest()
    assert late.told["still"] <= 1
    assert late.told["file"] <= 2


@BOTH
def test_the_clock_of_the_day_may_jump(polling: int, tmp_path: Path) -> None:
    library = tmp_path / "jumping_clock.so"
    source = TESTS / "c" / "jumping_clock.c"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    clock = tmp_path / "clock"
    clock.write_bytes(bytes(8))
    (tmp_path / "watched").mkdir()
    run_case(
        "clock",
        tmp_path / "watched",
        polling,
        LD_PRELOAD=str(library),
        JUMPING_CLOCK=str(clock),
    )


# ---- no time to run --------------------------------------------------------------------------


def starved(directory: Path, polling: int) -> None:
    """Eight threads that never rest, four processes beside it, and the least of priorities."""
    end = threading.Event()
    sys.setswitchinterval(1e-4)  # the test has to run, too

    def spin() -> None:
        while not end.is_set():
            sum(range(1000))

    threads = [threading.Thread(target=spin) for _ in range(8)]
    spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4)]
    try:
        for index in range(10):
            (directory / str(index)).write_text("0")
        reader = Reader(directory, polling)
        main = threading.get_native_id()
        for identifier in map(int, os.listdir("/proc/self/task")):
            if identifier != main:
                os.setpriority(os.PRIO_PROCESS, identifier, 19)
        for thread in threads:
            thread.start()
        for turn in range(2):
            for index in range(10):
                (directory / str(index)).write_text(f"{turn} {index}")
            reader.catch_up()
        reader.rest()
        assert max(reader.told.values()) <= 4, reader.told
    finally:
        end.set()
        for process in spinning:
            process.kill()
            process.wait()
    for thread in threads:
        thread.join()


@BOTH
def test_a_starved_watcher_tells_everything_in_the_end(polling: int, tmp_path: Path) -> None:
    run_case("starved", tmp_path, polling)


# ---- forks -----------------------------------------------------------------------------------


def in_child(task: Callable[[], object]) -> None:
    """A fork in which `task` is run, and in which nothing hangs."""
    child = os.fork()
    if not child:
        signal.alarm(int(DEADLINE))
        try:
            task()
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def forked(directory: Path, polling: int) -> None:
    """The watcher stays with the parent. A child can do everything, is told nothing, and its end
    takes nothing from the parent; an engine of its own tells it everything."""
    (directory / "file").write_text("0")
    reader = Reader(directory, polling)
    engine = reader.engine

    def use_all() -> None:
        cursor = engine.now()
        assert engine.since(cursor)[0] == b""
        engine.hello(cursor, 1)
        engine.hold(True)
        assert engine.waiting(None) is None
        engine.hold(False)
        engine.sync()
        engine.wait_ready(0.01)
        engine.take_notes()
        engine.take_batches()
        engine.roots()
        engine.unsubscribe(engine.subscribe())

    def stop() -> None:
        use_all()
        engine.stop()
        engine.stop()

    def begin_anew() -> None:
        own = Reader(directory, polling)
        (directory / "file").write_text(str(time.monotonic()))
        own.catch_up()
        own.engine.stop()

    for task in use_all, stop, begin_anew:
        in_child(task)
        (directory / "file").write_text(str(time.monotonic()))
        reader.catch_up()
    engine.stop()


@BOTH
def test_a_fork_leaves_the_watcher_to_its_parent(polling: int, tmp_path: Path) -> None:
    run_case("forked", tmp_path, polling)


def preloaded(directory: Path, polling: int) -> None:
    """What gunicorn does with --preload: set up once, serve in several forks."""
    app = make_app(directory)
    asyncio.run(call_plain(app))

    async def serve() -> None:
        async with alive(app):
            assert TAG.search(body_of(await call(app, http_scope())))
            await assert_told(app, directory / f"file{os.getpid()}")

    for _ in range(3):
        in_child(lambda: asyncio.run(serve()))


async def call_plain(app: Starlette) -> None:
    """Something that builds the app's middlewares, but starts nothing."""
    app.middleware_stack = app.build_middleware_stack()


def test_set_up_before_a_fork_works_in_each_child(tmp_path: Path) -> None:
    run_case("preloaded", tmp_path, NATIVE)


# ---- the end of the interpreter --------------------------------------------------------------

BEGIN = f"""
import asyncio, atexit, os, sys, threading
from pathlib import Path
sys.path.insert(0, {str(TESTS / "python")!r})
from test_faults import *
directory = Path(sys.argv[1])
engine = make_engine(directory)
engine.start()

def save(number=0):
    while True:
        number += 1
        (directory / str(number % 50)).write_text(str(number))

async def in_stream(then, on_change=()):
    app = Starlette(debug=True)
    HotReload(watch_dirs=[directory], on_change=on_change).setup(app)
    threading.Thread(target=save, daemon=True).start()
    async with alive(app):
        stream = Connection()
        task = asyncio.ensure_future(stream.run(app, http_scope(EVENTS_PATH)))
        await stream.wait_for(b"hello" if on_change else b'"files"')
        await then()
        if on_change:
            await anyio.sleep_forever()

async def leave():
    sys.exit(7)
"""

ENDS = {
    "while the engine reads": "sys.exit(7)",
    "while it runs": "engine.wait_ready(20); sys.exit(7)",
    "at once": "os._exit(7)",
    "while files change": """
        threading.Thread(target=save, daemon=True).start()
        engine.wait_ready(20)
        cursor = engine.now()
        while not engine.since(cursor)[0]: pass
        sys.exit(7)""",
    "with a thread that asks": """
        def ask():
            cursor = engine.now()
            while True: engine.since(cursor), engine.hello(None, 1), engine.take_notes()
        threading.Thread(target=save, daemon=True).start()
        threading.Thread(target=ask, daemon=True).start()
        engine.wait_ready(20)
        sys.exit(7)""",
    "with a thread that waits": """
        other = make_engine(directory / "none")
        threading.Thread(target=other.wait_ready, args=(1e6,), daemon=True).start()
        sys.exit(7)""",
    "with threads that start and stop": """
        def start():
            while True: one = make_engine(directory); one.start(); one.stop()
        for _ in range(3): threading.Thread(target=start, daemon=True).start()
        engine.wait_ready(20)
        sys.exit(7)""",
    "with an engine used at the exit": """
        atexit.register(lambda: (engine.since(engine.now()), engine.stop(), engine.stop()))
        sys.exit(7)""",
    "with an engine started at the exit": """
        atexit.register(lambda: globals().update(late=make_engine(directory)) or late.start())
        sys.exit(7)""",
    "with an engine in a cycle": """
        class Thing: pass
        thing = Thing(); thing.self, thing.engine = thing, engine
        sys.thing = thing
        del engine, thing
        sys.exit(7)""",
    "by an exception": "raise SystemExit(7)",
    "in a stream": "asyncio.run(in_stream(leave))",
    "in a stream, at once": """
        async def drop(): os._exit(7)
        asyncio.run(in_stream(drop))""",
    "in a hook": """
        async def hook(batch): sys.exit(7)
        async def nothing(): pass
        asyncio.run(in_stream(nothing, hook))""",
    "in the thread of a hook": """
        def hook(batch): os._exit(7)
        async def nothing(): pass
        asyncio.run(in_stream(nothing, hook))""",
    "while a hook does not return": """
        called = threading.Event()
        def hook(batch): called.set(); threading.Event().wait()
        async def then():
            while not called.is_set(): await anyio.sleep(0.001)
            os._exit(7)
        asyncio.run(in_stream(then, hook))""",
    "with a loop that is never closed": """
        loop = asyncio.new_event_loop()
        task = loop.create_task(in_stream(leave))
        try: loop.run_forever()
        finally: os._exit(7)""",
}


@pytest.mark.parametrize("name", ENDS)
def test_the_interpreter_may_end_at_any_moment(name: str, tmp_path: Path) -> None:
    code = BEGIN + textwrap.dedent(ENDS[name])
    words = [sys.executable, "-X", "faulthandler", "-c", code, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=2 * DEADLINE)
    assert done.returncode == 7, f"{done.returncode}\n{done.stderr}"
    assert "Fatal Python error" not in done.stderr


# ---- other interpreters ----------------------------------------------------------------------

# 3.12 gives one a lock of its own: a module has to say that it can do with that, and ours does not.
INTERPRETERS = """
import sys
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters

USE = '''
import importlib.util, os
spec = importlib.util.spec_from_file_location("_core", {path!r})
core = importlib.util.module_from_spec(spec)
spec.loader.exec_module(core)
root = os.fsencode({root!r})
engine = core.Engine([root], base=root, served=[], polling=0, poll_interval=0.05, exclude=[],
                     boot=2, morph=False)
engine.start()
assert engine.wait_ready(20)
cursor = engine.now()
open(os.path.join(root, b"file"), "w").write(cursor)
while not engine.since(cursor)[0]:
    pass
'''.format(path=sys.argv[1], root=sys.argv[2])

exec(USE)

def run(identifier):
    # Before 3.13 an exception is raised here, from then on returned.
    failed = interpreters.run_string(identifier, USE)
    if failed is not None:
        raise RuntimeError(str(failed.type) + failed.msg)

modern = hasattr(interpreters, "new_config")
for _ in range(3):
    shared = interpreters.create("legacy") if modern else interpreters.create(isolated=False)
    run(shared)
    interpreters.destroy(shared)
if sys.version_info >= (3, 12):
    own = interpreters.create()
    try:
        run(own)
    except Exception as error:
        assert "does not support loading in subinterpreters" in str(error), error
    else:
        raise AssertionError("not refused")
    interpreters.destroy(own)
cursor = engine.now()
open(sys.argv[2] + "/file", "w").write("again")
while not engine.since(cursor)[0]:
    pass
"""


def test_interpreters_that_share_the_lock_are_served_and_others_refused(tmp_path: Path) -> None:
    words = [sys.executable, "-X", "faulthandler", "-c", INTERPRETERS, _core.__file__]
    done = subprocess.run(
        [*words, str(tmp_path)], capture_output=True, text=True, timeout=2 * DEADLINE
    )
    assert done.returncode == 0, done.stderr


# ----------------------------------------------------------------------------------------------

CASES = {
    "clock": under_jumping_clock,
    "disk": on_full_disk,
    "forked": forked,
    "preloaded": preloaded,
    "starved": starved,
}

if __name__ == "__main__":
    CASES[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))
