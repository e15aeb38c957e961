"""Where the watcher's thread meets an event loop.

One descriptor for each loop wakes all of its streams. While streams are open it also looks, ten
times a second, whether the server wants to stop, and counts the time to the next heartbeat.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

import anyio

from ._core import Engine

if TYPE_CHECKING:
    from ._runtime import Runtime

__all__ = ["Hub", "current_loop"]

TICK = 0.1
HEARTBEAT_TICKS = 150


def current_loop() -> object:
    """What stands for the running event loop: asyncio's (or uvloop's), else trio's token."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        import trio

        return trio.lowlevel.current_trio_token()


class Hub:
    """Enter it as a context manager for as long as it is needed; the last one out closes it."""

    def __init__(self, runtime: Runtime, engine: Engine, on_close: Callable[[Hub], object]) -> None:
        self.engine = engine
        self.is_ending = False
        self.is_closed = False
        self.beats = 0
        self.woken = anyio.Event()
        self._runtime = runtime
        self._on_close = on_close
        self._users = 0
        self._streams = 0
        self._ticks = 0
        self._driver: _AsyncioDriver | _TrioDriver | None = None

    def __enter__(self) -> Hub:
        self._enter()
        return self

    def __exit__(self, *_: object) -> None:
        self._leave()

    def _enter(self) -> None:
        if self._driver is None:
            loop = current_loop()
            if isinstance(loop, asyncio.AbstractEventLoop):
                self._driver = _AsyncioDriver(self, loop)
            else:
                self._driver = _TrioDriver(self)
            # Those from before.
            self._runtime.log_notes(self.engine)
            self._let_through()
        self._users += 1

    def _leave(self) -> None:
        self._users -= 1
        if not self._users and self._driver is not None:
            self._driver.close()
            self.is_closed = True
            self._on_close(self)

    def open_stream(self) -> None:
        """Enter it for a stream. OSError: there is no descriptor to be had."""
        self._enter()
        self._streams += 1
        # What was seen to end may have been another server, for which the app ran before.
        self.is_ending = self._runtime.engine is not self.engine or self._runtime.server.is_ending
        if self._streams == 1 and self._driver is not None:
            self._driver.start_ticking()

    def close_stream(self) -> None:
        self._streams -= 1
        self._leave()

    @property
    def has_streams(self) -> bool:
        return self._streams > 0

    def wake(self) -> None:
        """Something was pushed, or noted, or the engine was stopped."""
        self._runtime.log_notes(self.engine)
        self.is_ending = self.is_ending or self._runtime.engine is not self.engine
        self.release()
        self._let_through()

    def _let_through(self) -> None:
        gate = self._runtime.gate
        if self._driver is not None and gate.claim(self.engine):
            task = partial(gate.let_through, self.engine, self, self._runtime.watched)
            self._driver.spawn(task, self._on_let_through)

    def _on_let_through(self) -> None:
        self._runtime.gate.release(self.engine)
        if not self.is_closed:
            self._let_through()

    def tick(self) -> None:
        self._ticks += 1
        if self._runtime.server.is_ending and not self.is_ending:
            self.is_ending = True
            self.release()
        elif self._ticks % HEARTBEAT_TICKS == 0:
            self.beats += 1
            self.release()

    def release(self) -> None:
        """Let every stream look what there is for it."""
        self.woken.set()
        self.woken = anyio.Event()


def _drain(fd: int) -> None:
    with contextlib.suppress(BlockingIOError):
        os.read(fd, 8)


class _AsyncioDriver:
    def __init__(self, hub: Hub, loop: asyncio.AbstractEventLoop) -> None:
        self._hub = hub
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Future[None]] = set()
        self._fd = hub.engine.subscribe()
        try:
            loop.add_reader(self._fd, self._on_readable)
        except BaseException:
            hub.engine.unsubscribe(self._fd)
            raise

    def _on_readable(self) -> None:
        _drain(self._fd)
        self._hub.wake()

    def start_ticking(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(TICK, self._tick)

    def _tick(self) -> None:
        self._timer = None
        if self._hub.has_streams:
            self._hub.tick()
            self.start_ticking()

    def spawn(self, run: Callable[[], Awaitable[None]], on_end: Callable[[], None]) -> None:
        task = asyncio.ensure_future(run(), loop=self._loop)
        self._tasks.add(task)

        def ended(_: object) -> None:
            self._tasks.discard(task)
            on_end()

        task.add_done_callback(ended)

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._fd)
        self._hub.engine.unsubscribe(self._fd)


class _TrioDriver:
    """The task owns the descriptor: nothing else may close what trio waits for."""

    def __init__(self, hub: Hub) -> None:
        import trio

        self._hub = hub
        self._scope = trio.CancelScope()
        self._scopes: set[trio.CancelScope] = set()
        self._ticking = trio.Event()
        self._fd = hub.engine.subscribe()
        trio.lowlevel.spawn_system_task(self._run)

    async def _run(self) -> None:
        import trio

        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._read)
                    nursery.start_soon(self._tick)
        finally:
            self._hub.engine.unsubscribe(self._fd)

    async def _read(self) -> None:
        import trio

        while True:
            await trio.lowlevel.wait_readable(self._fd)
            _drain(self._fd)
            self._hub.wake()

    async def _tick(self) -> None:
        import trio

        while True:
            await self._ticking.wait()
            self._ticking = trio.Event()
            while self._hub.has_streams:
                await trio.sleep(TICK)
                self._hub.tick()

    def start_ticking(self) -> None:
        self._ticking.set()

    def spawn(self, run: Callable[[], Awaitable[None]], on_end: Callable[[], None]) -> None:
        import trio

        async def task() -> None:
            with trio.CancelScope() as scope:
                self._scopes.add(scope)
                await run()
            self._scopes.discard(scope)
            on_end()

        trio.lowlevel.spawn_system_task(task)

    def close(self) -> None:
        for scope in (self._scope, *self._scopes):
            scope.cancel()
