"""What can be seen of the server from inside. Looked at, never changed.

uvicorn installs its signal handlers before it imports the app, and they are methods of the server.
So there is a way to learn that it wants to stop while it still waits for our streams, which it does
without limit, and without a signal handler of our own.
"""

from __future__ import annotations

import os
import signal
from hashlib import blake2b

__all__ = ["UvicornServer", "find_server", "run_id"]


class UvicornServer:
    """A view of a running ``uvicorn.Server``, of whichever version."""

    def __init__(self, server: object) -> None:
        self._server = server
        self._config: object = getattr(server, "config", None)

    @property
    def is_ending(self) -> bool:
        """It wants to stop, for a signal or for anything else."""
        if getattr(self._server, "should_exit", False) is True:
            return True
        listeners = getattr(self._server, "servers", None) or ()
        return any(_is_closed(listener) for listener in listeners)

    @property
    def reloads(self) -> bool:
        """Its parent starts it again when Python code changes."""
        return getattr(self._config, "reload", False) is True

    @property
    def workers(self) -> int:
        workers = getattr(self._config, "workers", 1)
        return workers if isinstance(workers, int) else 1

    @property
    def root_path(self) -> str:
        root_path = getattr(self._config, "root_path", "")
        return root_path if isinstance(root_path, str) else ""


def _is_closed(listener: object) -> bool:
    is_serving = getattr(listener, "is_serving", None)
    return callable(is_serving) and not is_serving()


def find_server() -> UvicornServer | None:
    """The uvicorn server that this process runs, if it can be seen."""
    for number in (signal.SIGTERM, signal.SIGINT):
        owner = getattr(signal.getsignal(number), "__self__", None)
        if hasattr(owner, "should_exit") and hasattr(owner, "config"):
            return UvicornServer(owner)
    return None


def run_id(server: UvicornServer | None) -> int:
    """A name for this run of the server: 64 bits, not 0, the same in all of its workers."""
    seed = os.urandom(16)
    if server is not None and server.workers > 1 and not server.reloads:
        seed = _parent_identity() or seed
    return int.from_bytes(blake2b(seed, digest_size=8).digest(), "big") or 1


def _parent_identity() -> bytes | None:
    """What only the children of this very process have in common."""
    parent = os.getppid()
    try:
        with open("/proc/sys/kernel/random/boot_id", "rb") as file:
            boot = file.read()
        with open(f"/proc/{parent}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    start_time = fields[19] if len(fields) > 19 else b""  # field 22 of proc(5)
    return b"%s %d %s" % (boot.strip(), parent, start_time)
