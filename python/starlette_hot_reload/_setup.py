"""Setting up a Starlette application, or one of its subclasses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from types import TracebackType

from starlette.applications import Starlette
from starlette.types import ASGIApp

from ._config import (
    DEFAULT_EVENTS_PATH,
    DEFAULT_POLL_INTERVAL,
    Config,
    StrPath,
    make_config,
    names_checked,
)
from ._core import Layer
from ._discovery import MARK, find_set_up
from ._hooks import Gate, OnChange
from ._log import logger
from ._runtime import Runtime

__all__ = ["HotReload", "hot_reload"]


class HotReload:
    """Hot reload for a Starlette application, FastAPI, FastHTML or any other subclass.

    Args:
        watch_dirs: Directories to watch, with all below them; relative ones are taken from the
            working directory of this moment. None: the working directory, and those that the app's
            StaticFiles mounts and Jinja2 loaders name. A directory need not exist yet.
        events_path: Where the event stream and the browser's script are served.
        poll_interval: Seconds; the longest time between two looks at directories from which the
            system sends no events. Where it does, nothing is polled.
        polling: None polls where the system's events cannot be had or trusted, True everywhere
            (so does the environment variable STARLETTE_HOT_RELOAD_POLLING=1), False nowhere.
        exclude: Patterns of files and directories to ignore, in the syntax of .gitignore and
            relative to each watched directory, besides the usual (version control, virtual
            environments, caches, databases, logs, editors' files).
        include: Patterns of what to watch although it would be ignored. What lies in an ignored
            directory is not looked at, so the directory has to be included too.
        allowed_hosts: Names under which browsers may connect besides localhost and the address
            that the server is bound to: "dev.example.com", "*.example.com" or "*".
        morph: Change the page in place where a template has changed, keeping focus, typed text,
            scroll positions and what is open or playing, instead of reloading it.
        on_change: Called with each `Batch` before the browsers are told of it, one after the other
            if there are several; may be async, and otherwise runs in a thread. What it changes
            itself is told with the batch, after it was called for that too. If it raises, that is
            logged, and the browsers are told all the same.
        enabled: None: as ``app.debug`` says. True: on, whatever it says, for an app that has a
            reason not to be in debug mode. False: off.

    Raises:
        TypeError, ValueError: An argument is not what it should be; the message says which.
        NotADirectoryError: One of `watch_dirs` is a file.
    """

    @names_checked
    def __init__(
        self,
        watch_dirs: Iterable[StrPath] | None = None,
        events_path: str = DEFAULT_EVENTS_PATH,
        poll_interval: float = DEFAULT_POLL_INTERVAL,
        *,
        polling: bool | None = None,
        exclude: Iterable[str] = (),
        include: Iterable[str] = (),
        allowed_hosts: Iterable[str] = (),
        morph: bool = False,
        on_change: OnChange | Iterable[OnChange] = (),
        enabled: bool | None = None,
    ) -> None:
        self._config = make_config(
            watch_dirs,
            events_path,
            poll_interval,
            polling,
            exclude,
            include,
            allowed_hosts,
            morph,
            on_change,
            enabled,
        )
        self._gate = Gate(self._config.on_change)

    def setup(self, app: Starlette) -> None:
        """Set hot reload up on `app`; nothing at all happens unless ``app.debug``, or `enabled`.

        Nothing is started: the watcher starts with the app's lifespan, or with its first request.

        Raises:
            TypeError: `app` is no Starlette application.
            RuntimeError: It has hot reload already.
        """
        _check_app(app)
        if _is_wanted(app, self._config):
            _attach(app, Runtime(self._config, app, self._gate))

    def hold(self) -> AbstractContextManager[None]:
        """While this is open what changes waits; at the end it is told, as one::

            with hot.hold():
                await build()

        For a build step that writes file after file. Any thread may hold, and several at a time;
        it waits for nothing itself, and does no harm where hot reload is off.
        """
        return self._gate.hold()


@names_checked
def hot_reload(
    *,
    app: Starlette,
    watch_dirs: Iterable[StrPath] | None = None,
    events_path: str = DEFAULT_EVENTS_PATH,
    poll_interval: float = DEFAULT_POLL_INTERVAL,
    inject_before_body: bool = True,
    polling: bool | None = None,
    exclude: Iterable[str] = (),
    include: Iterable[str] = (),
    allowed_hosts: Iterable[str] = (),
    morph: bool = False,
    on_change: OnChange | Iterable[OnChange] = (),
    enabled: bool | None = None,
) -> AbstractAsyncContextManager[None]:
    """Hot reload for as long as this lasts, for use in a lifespan::

        @asynccontextmanager
        async def lifespan(app):
            async with hot_reload(app=app, watch_dirs=["templates"]):
                yield

    It does nothing unless ``app.debug``, or `enabled`. Arguments and errors are those of
    `HotReload`; `inject_before_body` is accepted for compatibility and has no effect. A server does
    not run the lifespan of an app that is mounted in another: set hot reload up on the outer one,
    or use `HotReload.setup()`.
    """
    config = make_config(
        watch_dirs,
        events_path,
        poll_interval,
        polling,
        exclude,
        include,
        allowed_hosts,
        morph,
        on_change,
        enabled,
    )
    _check_app(app)
    return _Lifetime(_running(app, config))


@asynccontextmanager
async def _running(app: Starlette, config: Config) -> AsyncIterator[None]:
    if not _is_wanted(app, config):
        yield
        return
    runtime = _Shared.of(app)
    if runtime is None:
        runtime = _Shared(config, app)
        runtime.detach = _attach(app, runtime)
    elif runtime.config != config:
        logger.warning(
            "hot_reload() runs for this app already; the options of this second call are not used"
        )
    runtime.lifetimes += 1
    try:
        async with runtime.running({"app": app}):
            yield
    finally:
        runtime.lifetimes -= 1
        if not runtime.lifetimes:
            runtime.detach()


class _Shared(Runtime):
    """What several lifespans of one app have together: more than one server may run it."""

    lifetimes = 0
    detach: Callable[[], None]

    @staticmethod
    def of(app: Starlette) -> _Shared | None:
        runtime = vars(app).get(MARK)
        return runtime if isinstance(runtime, _Shared) else None


class _Lifetime(AbstractAsyncContextManager[None]):
    """Warns if nobody enters it."""

    def __init__(self, inner: AbstractAsyncContextManager[None]) -> None:
        self._inner = inner
        self._is_entered = False

    async def __aenter__(self) -> None:
        self._is_entered = True
        await self._inner.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        return await self._inner.__aexit__(kind, error, trace)

    def __del__(self) -> None:
        if not self._is_entered:
            logger.warning(
                "hot_reload() was called and does nothing: in a lifespan, write "
                '"async with hot_reload(app=app): yield"'
            )


def _check_app(app: object) -> None:
    if isinstance(app, type):
        raise TypeError(f"app must be an application, not a class: {app!r}; make one of it first")
    if not hasattr(app, "build_middleware_stack") or not hasattr(app, "debug"):
        raise TypeError(
            f"app must be a Starlette application, not {app!r}; if that makes one, call it first; "
            "wrap any other ASGI application in HotReloadMiddleware"
        )


def _is_wanted(app: Starlette, config: Config) -> bool:
    if config.enabled is None and not app.debug:
        logger.debug(
            "Hot reload stays off: app.debug is False; set it before, or pass enabled=True"
        )
    return bool(app.debug if config.enabled is None else config.enabled)


class _Builder:
    """Stands in for ``app.build_middleware_stack``, and puts the layer around what that builds."""

    def __init__(self, app: Starlette, runtime: Runtime) -> None:
        self._app = app
        self._build = app.build_middleware_stack
        self._runtime = runtime

    def __call__(self) -> ASGIApp:
        stack = self._build()
        # It may have been switched off since.
        return _wrap(stack, self._runtime) if _is_wanted(self._app, self._runtime.config) else stack


def _wrap(stack: ASGIApp, runtime: Runtime) -> ASGIApp:
    if find_set_up(stack):
        logger.warning(
            "Hot reload is set up on this app, and HotReloadMiddleware is among its middlewares "
            "as well; take that out, set-up covers more"
        )
    return runtime.wrap(stack, outermost=True)


def _attach(app: Starlette, runtime: Runtime) -> Callable[[], None]:
    """Make the layer the outermost of `app`, without building its stack; returns the way back."""
    if MARK in vars(app):
        raise RuntimeError(
            "this app has hot reload already: call HotReload.setup() or use hot_reload() once"
        )
    vars(app)[MARK] = runtime
    replaced = vars(app).get("build_middleware_stack")  # by something that instruments apps
    if app.middleware_stack is not None:
        app.middleware_stack = _wrap(app.middleware_stack, runtime)
    else:
        app.build_middleware_stack = _Builder(app, runtime)  # type: ignore[method-assign]

    def detach() -> None:
        del vars(app)[MARK]
        if isinstance(vars(app).get("build_middleware_stack"), _Builder):
            del app.build_middleware_stack
            if replaced is not None:
                app.build_middleware_stack = replaced  # type: ignore[method-assign]
        if isinstance(app.middleware_stack, Layer):
            app.middleware_stack = app.middleware_stack.app

    return detach
