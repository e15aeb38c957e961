"""A plugin of coverage.py for each process that it measures: what leaves by os._exit(), as the
child of a fork does, writes the counters of the extension first. coverage.py looks after its own.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn


def _write_counters() -> None:
    core = sys.modules.get("starlette_hot_reload._core")
    if core is None or core.__file__ is None:
        return
    import ctypes  # not before: some tests look at what is imported

    ctypes.CDLL(core.__file__).__gcov_dump()


def coverage_init(registry: object, options: object) -> None:
    """Called where measuring begins, and again in the child of a fork."""
    leave = os._exit

    def leave_with_counters(status: int) -> NoReturn:
        try:
            _write_counters()
        finally:
            leave(status)

    os._exit = leave_with_counters
