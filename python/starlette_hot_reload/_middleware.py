"""Hot reload as an ASGI middleware."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

from ._config import (
    DEFAULT_EVENTS_PATH,
    DEFAULT_POLL_INTERVAL,
    StrPath,
    make_config,
    names_checked,
)
from ._discovery import find_set_up
from ._hooks import OnChange
from ._log import logger
from ._runtime import Runtime

__all__ = ["HotReloadMiddleware"]

AnyApp = Callable[..., Awaitable[None]]
"""Every framework has types of its own for the three arguments of an ASGI application."""


@names_checked
def HotReloadMiddleware(
    app: AnyApp,
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
    enabled: bool = True,
) -> ASGIApp:
    """Wrap any ASGI application, or be one of Starlette's middlewares::

        app = HotReloadMiddleware(app, watch_dirs=["templates"])
        app = Starlette(middleware=[Middleware(HotReloadMiddleware, watch_dirs=["templates"])])

    There is no ``debug`` to look at, so `enabled` decides; when it is False, `app` itself comes
    back, and so it does, with a warning, when it has hot reload already. The other arguments and
    the errors are those of `HotReload`. Prefer `HotReload.setup()` for a Starlette application: it
    also covers the page that shows an error.
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
    if not enabled:
        return app
    if find_set_up(app):
        logger.warning(
            "HotReloadMiddleware does nothing: the app that it wraps has hot reload already; "
            "set it up once"
        )
        return app
    return _Application(Runtime(config, app).wrap(app, outermost=False))


class _Application:
    """What a server takes for an ASGI 3 application: it looks for a coroutine function, and takes
    anything else for ASGI 2 (uvicorn) or WSGI (hypercorn)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


def _check_app(app: object) -> None:
    """What is no ASGI application is told here rather than by every request."""
    if isinstance(app, type) and not hasattr(app, "__await__"):
        raise TypeError(f"HotReloadMiddleware wraps an application, not a class: {app!r}")
    if not callable(app):
        raise TypeError(f"HotReloadMiddleware wraps an ASGI application, not {app!r}")
    if not _takes_three(app):
        raise TypeError(
            f"HotReloadMiddleware wraps an ASGI application, and {app!r} cannot be called with "
            "(scope, receive, send); if it makes the application, call it first"
        )


def _takes_three(app: Callable[..., object]) -> bool:
    try:
        inspect.signature(app).bind(None, None, None)
    except ValueError:  # of a callable in C nothing is known
        return True
    except TypeError:
        return False
    return True
