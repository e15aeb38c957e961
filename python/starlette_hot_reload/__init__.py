"""Hot reload for Starlette and every other ASGI application, for development.

One line sets it up, and it does nothing unless ``app.debug``::

    app = Starlette(debug=True, routes=routes)
    HotReload(watch_dirs=["templates", "static"]).setup(app)
"""

from ._core import __version__
from ._hooks import Batch, Change
from ._middleware import HotReloadMiddleware
from ._setup import HotReload, hot_reload

__all__ = ["Batch", "Change", "HotReload", "HotReloadMiddleware", "__version__", "hot_reload"]
