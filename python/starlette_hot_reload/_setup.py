"""Setting up a Starlette application, or one of its subclasses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.types import ASGIApp

from ._config import DEFAULT_EVENTS_PATH, DEFAULT_POLL_INTERVAL, StrPath, make_config
from ._core import Layer
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

    Raises:
        TypeError, ValueError: An argument is not what it should be; the message says which.
        NotADirectoryError: One of `watch_dirs` is a file.
    """

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
    ) -> None:
        self._config = make_config(
            watch_dirs, events_path, poll_interval, polling, exclude, include, allowed_hosts, morph
        )

    def setup(self, app: Starlette) -> None:
        """Set hot reload up on `app`; nothing at all happens unless ``app.debug``.

        Nothing is started: the watcher starts with the app's lifespan, or with its first request.

        Raises:
            TypeError: `app` is no Starlette application.
            RuntimeError: It has hot reload already.
        """
        _check_app(app)
        if not app.debug:
            logger.debug("Hot reload stays off: app.debug is False")
            return
        _attach(app, Runtime(self._config, app))


@asynccontextmanager
async def hot_reload(
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
) -> AsyncIterator[None]:
    """Hot reload for as long as this lasts, for use in a lifespan::

        @asynccontextmanager
        async def lifespan(app):
            async with hot_reload(app=app, watch_dirs=["templates"]):
                yield

    It does nothing unless ``app.debug``. Arguments and errors are those of `HotReload`;
    `inject_before_body` is accepted for compatibility and has no effect.
    """
    config = make_config(
        watch_dirs, events_path, poll_interval, polling, exclude, include, allowed_hosts, morph
    )
    _check_app(app)
    if not app.debug:
        logger.debug("Hot reload stays off: app.debug is False")
        yield
        return
    runtime = Runtime(config, app)
    detach = _attach(app, runtime)
    try:
        async with runtime.running({"app": app}):
            yield
    finally:
        detach()


def _check_app(app: object) -> None:
    if not hasattr(app, "build_middleware_stack") or not hasattr(app, "debug"):
        raise TypeError(
            f"app must be a Starlette application, not {app!r}; "
            "wrap any other ASGI application in HotReloadMiddleware"
        )


class _Builder:
    """Stands in for ``app.build_middleware_stack``, and puts the layer around what that builds."""

    def __init__(self, build: Callable[[], ASGIApp], runtime: Runtime) -> None:
        self._build = build
        self._runtime = runtime

    def __call__(self) -> ASGIApp:
        return self._runtime.wrap(self._build(), outermost=True)


def _attach(app: Starlette, runtime: Runtime) -> Callable[[], None]:
    """Make the layer the outermost of `app`, without building its stack; returns the way back."""
    if isinstance(app.middleware_stack, Layer) or "build_middleware_stack" in vars(app):
        raise RuntimeError(
            "this app has hot reload already: call HotReload.setup() or use hot_reload() once"
        )
    if app.middleware_stack is not None:
        app.middleware_stack = runtime.wrap(app.middleware_stack, outermost=True)
    else:
        app.build_middleware_stack = _Builder(  # type: ignore[method-assign]
            app.build_middleware_stack, runtime
        )

    def detach() -> None:
        vars(app).pop("build_middleware_stack", None)
        if isinstance(app.middleware_stack, Layer):
            app.middleware_stack = app.middleware_stack.app

    return detach
