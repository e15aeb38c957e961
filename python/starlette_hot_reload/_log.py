"""The logger: INFO is one line at the start, WARNING what degrades, DEBUG the rest."""

import logging

__all__ = ["logger", "on_one_line"]

logger = logging.getLogger("starlette_hot_reload")


def on_one_line(text: str) -> str:
    """With escapes for what breaks a line, steers a terminal or turns the direction of writing."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
