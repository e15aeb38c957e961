"""Ports for servers in processes of their own; also for tests/matrix."""

from __future__ import annotations

import atexit
import socket


def free_port() -> int:
    """It stays bound for as long as this process lives, so that nobody else is given it; who sets
    SO_REUSEADDR, as servers do, can listen there all the same."""
    holder = socket.socket()
    atexit.register(holder.close)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    return int(holder.getsockname()[1])
