"""What comes between a save and the browsers: the app's own callables, and build steps that hold.

While somebody holds, or callables are to be run, the engine's journal keeps what the watcher finds
out of the browsers' sight. A gate looks after that. What a callable or a build step writes is found
a moment after it returns, so the gate has the watcher say that it has found everything; what was
written meanwhile goes through the gate together with what caused it.
"""

from __future__ import annotations

import inspect
import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import anyio
import anyio.to_thread

from ._core import Engine
from ._log import logger

if TYPE_CHECKING:
    from ._hub import Hub

__all__ = ["Batch", "Change", "Gate", "OnChange"]

ROUNDS = 3
"""How often the callables are run for what they may have changed themselves, before the browsers
are told of what there is so far."""
PAUSES = (0.5, 1.0, 2.0, 4.0)
"""Seconds, after which they are run for the rest: somebody may be saving faster than they run. If
there is something new even then, each time, it is their own doing."""
NAMED = 5


@dataclass(frozen=True)
class Change:
    """What has happened to one file."""

    path: str
    """As the browsers are told: relative to the working directory, or to its watched directory."""
    file: Path
    """Absolute."""
    url: str | None
    """The path under which the app serves it, percent-encoded; None: it does not. Of several that
    of the longest served directory."""
    kind: Literal["css", "image", "font", "script", "other"]
    op: Literal["added", "modified", "removed"]


@dataclass(frozen=True)
class Batch:
    """What has changed, each file once, when those who changed it were done."""

    changes: tuple[Change, ...]
    time: datetime
    """In UTC."""
    is_complete: bool
    """False: there was too much to be named, and `changes` is empty; the pages are reloaded."""


OnChange = Callable[[Batch], object]
"""May be async, or return an awaitable. One that is not runs in a thread of its own."""


class Gate:
    """What all engines of one set-up have in common: who holds, and what is to be run."""

    def __init__(self, callables: Sequence[OnChange] = ()) -> None:
        self._callables = tuple(callables)
        self._lock = threading.Lock()
        self._holds = 0
        self._engines: set[Engine] = set()
        self._held: set[Engine] = set()
        """Those whose journals hold."""
        self._busy: set[Engine] = set()
        """Those that a task lets through."""

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Any thread, and more than one at a time."""
        with self._lock:
            self._holds += 1
            for engine in self._engines:
                self._hold(engine)
        try:
            yield
        finally:
            with self._lock:
                self._holds -= 1
                for engine in self._engines:
                    engine.sync()

    def attach(self, engine: Engine) -> None:
        with self._lock:
            self._engines.add(engine)
            if self._callables or self._holds:
                self._hold(engine)

    def detach(self, engine: Engine) -> None:
        with self._lock:
            self._engines.discard(engine)
            self._held.discard(engine)

    def _hold(self, engine: Engine) -> None:
        self._held.add(engine)
        engine.hold(True)

    def claim(self, engine: Engine) -> bool:
        """Whether let_through() is to be called, and then release()."""
        if engine not in self._held:
            return False
        with self._lock:
            if engine in self._busy or self._holds:
                return False
            if self._callables and engine.waiting(None) is None:
                return False
            self._busy.add(engine)
            return True

    def release(self, engine: Engine) -> None:
        with self._lock:
            self._busy.discard(engine)

    async def let_through(self, engine: Engine, hub: Hub, roots: Sequence[str]) -> None:
        """Run the callables for what waits, and let the browsers know."""
        pauses = iter(PAUSES)
        while True:
            seen, is_all = await self._run(engine, hub, roots)
            pause = None if is_all else next(pauses, None)
            if pause is None:
                break
            self._tell(engine, seen)
            await anyio.sleep(pause)
        if is_all:
            self._tell(engine, seen)
        else:
            self._give_up(engine)
        with self._lock:
            if not self._holds and not self._callables:
                self._held.discard(engine)
                engine.hold(False)

    async def _run(self, engine: Engine, hub: Hub, roots: Sequence[str]) -> tuple[str | None, bool]:
        """Returns up to where the browsers are to be told, and whether that is all there is."""
        seen: str | None = None
        for left in reversed(range(ROUNDS + 1)):
            await self._quiet(engine, hub)
            waiting = engine.waiting(seen)
            if waiting is None:
                break
            event, files, cursor = waiting
            if not self._callables:
                return cursor, True
            if not left:
                return seen, False
            seen = cursor
            batch = _batch(event, files, roots)
            for each in self._callables:
                await _call(each, batch)
            engine.sync()
        return seen, True

    def _tell(self, engine: Engine, upto: str | None) -> None:
        with self._lock:
            if upto is not None:
                engine.tell(upto)

    def _give_up(self, engine: Engine) -> None:
        waiting = engine.waiting(None)
        if waiting is not None:
            _, files, cursor = waiting
            logger.warning(
                "on_change changes watched files whenever it runs; it is not run again for %s",
                ", ".join(ascii(os.fsdecode(path)) for _, path in files[:NAMED]),
            )
            self._tell(engine, cursor)

    async def _quiet(self, engine: Engine, hub: Hub) -> None:
        """Wait until nobody holds, and what has happened has been found."""
        while True:
            woken = hub.woken  # before asking, so that nothing falls between
            if not self._holds and engine.is_synced():
                return
            await woken.wait()


def _batch(event: bytes, files: Sequence[tuple[int, bytes]], roots: Sequence[str]) -> Batch:
    """From the event that the browsers will get."""
    data = b"".join(line[6:] for line in event.split(b"\n") if line.startswith(b"data: "))
    if not data:
        return Batch((), datetime.now(timezone.utc), False)
    told = json.loads(data)
    # Behind those of the files come the changes of their other addresses.
    changes = tuple(
        Change(file=Path(os.fsdecode(os.path.join(os.fsencode(roots[root]), path))), **change)
        for change, (root, path) in zip(told["changes"], files, strict=False)
    )
    return Batch(changes, datetime.fromisoformat(told["timestamp"].replace("Z", "+00:00")), True)


async def _call(on_change: OnChange, batch: Batch) -> None:
    try:
        if _is_async(on_change):
            result = on_change(batch)
        else:
            # In a list, since trio refuses a thread whose result is a coroutine.
            [result] = await anyio.to_thread.run_sync(lambda: [on_change(batch)], **_ABANDON)
        if inspect.isawaitable(result):
            await result
    except Exception:
        logger.exception("on_change failed: %r", on_change)


def _is_async(call: object) -> bool:
    while isinstance(call, partial):
        call = call.func
    return inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(
        getattr(call, "__call__", None)  # noqa: B004
    )


# A callable that does not return must not hold up the end of the server. Before anyio 4.1 the
# option had another name.
_ABANDON: dict[str, Any] = {
    "abandon_on_cancel"
    if "abandon_on_cancel" in inspect.signature(anyio.to_thread.run_sync).parameters
    else "cancellable": True
}
