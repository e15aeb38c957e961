"""One contender watching one directory, without a web server.

    watchers.py NAME DIRECTORY

Prints a line when all is imported, waits for a line, starts, prints for how many seconds that held
its caller, which may be an event loop, and a line when it is ready, then one for each report: how
many batches it stands for, and the files, as JSON. Ends with its input.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

# Each imports what it needs when it is made, so that no contender carries another in its memory.
Start = Callable[[], Iterator[None]]


def ours(directory: Path, polling: int = 0) -> Start:
    from starlette_hot_reload._core import Engine

    def start() -> Iterator[None]:
        root = os.fsencode(directory)
        engine = Engine(
            [root],
            base=root,
            served=[],
            polling=polling,
            poll_interval=0.25,
            exclude=[],
            boot=1,
            morph=False,
        )
        wake, cursor, told = engine.subscribe(), engine.now(), 0
        engine.start()
        yield
        if not engine.wait_ready(60):
            raise RuntimeError("not ready within a minute")
        if engine.stats().polled_directories and not polling:
            raise RuntimeError(f"inotify is not to be had: {engine.take_notes()}")
        yield
        poll = select.poll()
        poll.register(wake, select.POLLIN)
        while poll.poll():
            os.read(wake, 8)
            frame, cursor = engine.since(cursor)
            batches = engine.stats().batches
            if frame:
                _, _, data = frame.rpartition(b"data: ")
                _report(json.loads(data)["files"], batches - told)
                told = batches

    return start


def ours_polling(directory: Path) -> Start:
    return ours(directory, polling=1)


def with_watchfiles(directory: Path) -> Start:
    from watchfiles import Change, DefaultFilter
    from watchfiles._rust_notify import RustNotify  # what awatch() runs, which does not say "ready"

    def start() -> Iterator[None]:
        wanted = DefaultFilter()
        with RustNotify([str(directory)], False, False, 300, True, False) as watcher:
            yield
            yield
            while True:
                found = watcher.watch(1600, 50, 5000, None)
                if isinstance(found, set):
                    _report(path for change, path in found if wanted(Change(change), path))

    return start


def with_watchdog(directory: Path) -> Start:
    from apps.closed_files import observe

    def start() -> Iterator[None]:
        observer = observe(directory, lambda path: _report([path]))
        yield
        yield
        observer.join()

    return start


def version0_scan(directory: Path) -> Start:
    from apps import version0

    def start() -> Iterator[None]:
        loop = asyncio.new_event_loop()
        events = version0.changed_events(directory)
        loop.run_until_complete(anext(events))
        yield
        yield
        while True:
            event = loop.run_until_complete(anext(events))
            _report(json.loads(event.removeprefix(b"data: "))["files"])

    return start


CONTENDERS: dict[str, Callable[[Path], Start]] = {
    function.__name__: function
    for function in (ours, ours_polling, with_watchfiles, with_watchdog, version0_scan)
}


def _report(files: Iterable[str], batches: int = 1) -> None:
    if found := list(files):
        _say(json.dumps([batches, found]))


def _say(line: str) -> None:
    data = line.encode() + b"\n"
    while data:
        data = data[os.write(1, data) :]


def _end_with_input() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


def main() -> None:
    name, directory = sys.argv[1:]
    start = CONTENDERS[name](Path(directory))
    _say("imported")
    os.read(0, 1)
    threading.Thread(target=_end_with_input, daemon=True).start()
    running = start()
    begin = time.perf_counter()
    next(running)
    _say(str(time.perf_counter() - begin))
    next(running)
    _say("ready")
    for _ in running:
        pass


if __name__ == "__main__":
    main()
