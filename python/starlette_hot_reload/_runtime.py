"""The life of an engine: started late, shared, stopped when the last user is gone."""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ._config import Config
from ._core import Engine, Layer
from ._discovery import addresses, runtimes_inside, static_directories, template_directories
from ._hooks import Gate
from ._hub import Hub, current_loop
from ._log import logger, on_one_line
from ._server import Server, find_server, run_id
from ._stream import Endpoint

__all__ = ["Runtime"]


_WARNINGS_KEPT = 20


class Runtime:
    """One set-up: its options, and its engine while it runs.

    The engine starts with the lifespan, or with the first request where there is none.
    """

    def __init__(self, config: Config, app: object, gate: Gate | None = None) -> None:
        self.config = config
        self.gate = gate or Gate(config.on_change)
        self.engine: Engine | None = None
        self.server = Server()
        self.since: float | None = None
        self.watched: list[str] = []
        self.served: list[tuple[str, str]] = []
        self.root_path = ""
        self.excluded = config.exclude
        self.warnings: deque[tuple[float, str]] = deque(maxlen=_WARNINGS_KEPT)
        self._app = app
        self._layer: Layer | None = None
        self._users = 0
        self._failed = False
        self._has_complained = False
        self._hubs: dict[object, Hub] = {}

    def wrap(self, app: ASGIApp, *, outermost: bool) -> Layer:
        """The layer around `app`. A runtime has one at a time.

        `outermost`: nothing but a server will see what it sends.
        """
        self._layer = Layer(
            app,
            events_path=self.config.events_path,
            endpoint=Endpoint(self),
            lifespan=self.lifespan,
            start=self.start,
            warn=self.warn,
            note=self.note_policies,
            outermost=outermost,
            morph=self.config.morph,
        )
        self._layer.engine = self.engine
        return self._layer

    def start(self, scope: Scope, send: Send | None = None) -> Engine | None:
        """Start the engine unless it runs. None: it cannot be had, which has been logged."""
        if self.engine is None and not self._failed:
            self.server = find_server(send)
            try:
                self.engine = self._make_engine(scope)
            except (OSError, ValueError, MemoryError) as error:
                self._failed = True
                self.complain(f"Hot reload is off: {error}")
                return None
            if self._layer is not None:
                self._layer.engine = self.engine
        return self.engine

    def stop(self) -> None:
        """Stop the engine; the open streams end."""
        engine, self.engine, self._failed = self.engine, None, False
        self._has_complained = False
        if self._layer is not None:
            self._layer.engine = None
        if engine is not None:
            self.gate.detach(engine)
            engine.stop()
            self.log_notes(engine)

    @asynccontextmanager
    async def running(self, scope: Scope, send: Send | None = None) -> AsyncIterator[None]:
        """Keep the engine running, and log what its watcher says."""
        self._users += 1
        try:
            if self.start(scope, send) is None:
                yield
                return
            with self._hub_or_none():
                yield
        finally:
            self._users -= 1
            if not self._users:
                self.stop()

    async def lifespan(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app's lifespan, and the engine from its start-up to its shutdown."""
        keep = self.running(scope, send)
        is_running = False

        async def end() -> None:
            nonlocal is_running
            if is_running:
                is_running = False
                await keep.__aexit__(None, None, None)

        async def watched_receive() -> Message:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await end()
            return message

        async def watched_send(message: Message) -> None:
            nonlocal is_running
            if message["type"] == "lifespan.startup.complete":
                await keep.__aenter__()
                is_running = True
            await send(message)

        try:
            await app(scope, watched_receive, watched_send)
        finally:
            await end()

    def hub(self) -> Hub:
        """The hub of the running event loop, to be entered by each of its users."""
        loop = current_loop()
        hub = self._hubs.get(loop)
        if hub is None or hub.is_closed or hub.engine is not self.engine:
            assert self.engine is not None
            hub = self._hubs[loop] = Hub(self, self.engine, self._forget_hub)
        return hub

    def _hub_or_none(self) -> AbstractContextManager[object]:
        """For the app's own life, which goes on without."""
        with ExitStack() as stack:
            try:
                stack.enter_context(self.hub())
            except OSError as error:
                self.complain_of_hub(error)
            return stack.pop_all()

    def complain_of_hub(self, error: OSError) -> None:
        """Once a run: browsers ask again and again."""
        if self._has_complained:
            return
        self._has_complained = True
        self.complain(f"Nobody can be told what changes: {error}; it is tried again by each stream")

    def _forget_hub(self, hub: Hub) -> None:
        self._hubs = {loop: other for loop, other in self._hubs.items() if other is not hub}

    def log_notes(self, engine: Engine) -> None:
        """What the watcher says has names of directories as they are."""
        for level, text in engine.take_notes():
            if level >= logging.WARNING:
                self.complain(on_one_line(text))
            else:
                logger.log(level, "%s", on_one_line(text))

    def complain(self, text: str) -> None:
        """Log a warning, and keep it for the status page."""
        self.warnings.append((time.time(), text))
        logger.warning("%s", text)

    def warn(self, subject: str, reason: str) -> None:
        """Log why something is not done for an address."""
        self.complain(f"No hot reload for {subject!r}: {reason}")

    def note_policies(self, path: str, headers: list[tuple[bytes, bytes]]) -> None:
        """Log what the policies of a page have become."""
        if logger.isEnabledFor(logging.DEBUG):
            for name, value in headers:
                if name.lower().startswith(b"content-security-policy"):
                    shown = on_one_line(value.decode("latin-1"))
                    logger.debug("%r has this %s now: %s", path, name.decode("latin-1"), shown)

    def _make_engine(self, scope: Scope) -> Engine:
        config = self.config
        directories = self._directories(scope.get("app"))
        exclude = config.exclude
        if self.server.reloads:
            exclude += ("*.py",)  # the server restarts for them, which reloads the pages
        served = addresses(static_directories(self._app), directories)
        self.watched, self.served, self.excluded = directories, served, exclude
        self.root_path = (scope.get("root_path") or self.server.root_path).rstrip("/")
        self.since = time.time()
        engine = Engine(
            [os.fsencode(path) for path in directories],
            base=os.fsencode(config.base),
            served=[(os.fsencode(path), os.fsencode(self.root_path + url)) for path, url in served],
            polling={None: 0, True: 1, False: 2}[config.polling],
            poll_interval=min(max(config.poll_interval, 0.001), 86400),
            exclude=[os.fsencode(pattern) for pattern in exclude],
            boot=run_id(self.server),
            morph=config.morph,
        )
        self._say_started(directories)
        self.gate.attach(engine)
        try:
            engine.start()
        except OSError as error:
            self.complain(f"Files cannot be watched: {error}")
        return engine

    def _directories(self, host: object) -> list[str]:
        """What to watch; `host` is the app that this is a middleware of, or else mounted in."""
        named = self._own_directories(host)
        for inner in runtimes_inside(self._app):  # their pages have our tag
            if isinstance(inner, Runtime) and inner is not self:
                named += inner._own_directories()
        return list(dict.fromkeys(named))

    def _own_directories(self, host: object = None) -> list[str]:
        if self.config.watch_dirs is not None:
            return list(self.config.watch_dirs)
        named = [path for path, _ in static_directories(self._app)]
        named += template_directories(self._app) + template_directories(host)
        if self.config.base == "/":
            self.complain("The working directory is /, which is not watched: pass watch_dirs")
            return named
        return [self.config.base, *named]

    def _say_started(self, directories: list[str]) -> None:
        shown = ", ".join(ascii(os.path.relpath(path, self.config.base)) for path in directories)
        logger.info("Hot reload watches %s; events at %s", shown, self.config.events_path)
        for path in directories:
            if not os.path.exists(path):
                self.complain(f"{path!a} does not exist; it will be watched once it does")
            elif not os.access(path, os.R_OK | os.X_OK, effective_ids=True):
                self.complain(
                    f"{path!a} is not watched: this user has no permission to read it; "
                    "give it that, and it will be"
                )
