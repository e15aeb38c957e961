"""The logger: INFO is one line at the start, WARNING what degrades, DEBUG the rest."""

import logging

__all__ = ["logger"]

logger = logging.getLogger("starlette_hot_reload")
