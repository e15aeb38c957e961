"""Hot reload as an ASGI middleware."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.types import ASGIApp

from ._config import DEFAULT_EVENTS_PATH, DEFAULT_POLL_INTERVAL, StrPath, make_config
from ._runtime import Runtime

__all__ = ["HotReloadMiddleware"]


def HotReloadMiddleware(
    app: ASGIApp,
    watch_dirs: Iterable[StrPath] | None = None,
    events_path: str = DEFAULT_EVENTS_PATH,
    poll_interval: float = DEFAULT_POLL_INTERVAL,
    *,
    polling: bool | None = None,
    exclude: Iterable[str] = (),
    include: Iterable[str] = (),
    allowed_hosts: Iterable[str] = (),
    morph: bool = False,
    enabled: bool = True,
) -> ASGIApp:
    """Wrap any ASGI application, or be one of Starlette's middlewares::

        app = HotReloadMiddleware(app, watch_dirs=["templates"])
        app = Starlette(middleware=[Middleware(HotReloadMiddleware, watch_dirs=["templates"])])

    There is no ``debug`` to look at, so `enabled` decides; when it is False, `app` itself comes
    back. The other arguments and the errors are those of `HotReload`. Prefer `HotReload.setup()`
    for a Starlette application: it also covers the page that shows an error.
    """
    config = make_config(
        watch_dirs, events_path, poll_interval, polling, exclude, include, allowed_hosts, morph
    )
    return Runtime(config, app).wrap(app, outermost=False) if enabled else app
