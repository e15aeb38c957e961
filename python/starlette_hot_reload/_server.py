"""What can be seen of the server from inside. Looked at, never changed.

A server that is told to stop waits for what is open, and tells nobody: a stream of ours would keep
it waiting. But the first thing that each of them does is to close the socket at which it listens,
and a descriptor that is closed, or that names something else by now, can be seen. uvicorn is seen
a moment sooner: its signal handlers are methods of the server, which knows that it should exit.
"""

from __future__ import annotations

import os
import signal
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import blake2b

from starlette.types import Scope

__all__ = ["Server", "find_server", "run_id"]


@dataclass
class Server:
    """The server that runs the app, as far as it can be seen."""

    reloads: bool = False
    """Its parent starts it again when Python code changes."""
    workers: int | None = None
    """None: not known."""
    root_path: str = ""
    _listeners: dict[int, int] = field(default_factory=dict, init=False)
    """The sockets at which it listens: descriptor and inode."""

    def watch(self, scope: Scope) -> bool:
        """Whether the end of what serves this request will be seen."""
        if not self._listeners or self.is_ending:
            self._listeners = _listeners(scope) or self._listeners
        return bool(self._listeners)

    @property
    def is_ending(self) -> bool:
        """It wants to stop, for a signal or for anything else."""
        return any(_socket_inode(fd) != inode for fd, inode in self._listeners.items())

    @property
    def is_one_of_several(self) -> bool:
        """Others may serve the same pages at the same time."""
        if self.workers is None:
            return _is_child()
        return self.workers > 1

    @property
    def is_final(self) -> bool:
        """Nobody is there to start it again."""
        return self.workers is not None and self.workers <= 1 and not self.reloads


@dataclass
class _Uvicorn(Server):
    server: object = None

    def watch(self, scope: Scope) -> bool:
        super().watch(scope)
        return True

    @property
    def is_ending(self) -> bool:
        # Without a signal, as after its last request, it closes its sockets only.
        return getattr(self.server, "should_exit", False) is True or super().is_ending


def find_server(send: object = None) -> Server:
    """The server that runs this process. `send` is one of its own, if there is one yet."""
    for number in (signal.SIGTERM, signal.SIGINT):
        owner = getattr(signal.getsignal(number), "__self__", None)
        config = getattr(owner, "config", None)
        if config is not None and hasattr(owner, "should_exit"):
            return _Uvicorn(
                reloads=getattr(config, "reload", False) is True,
                workers=_integer(getattr(config, "workers", 1)),
                root_path=_text(getattr(config, "root_path", "")),
                server=owner,
            )
    # hypercorn's is a method of something that knows the options.
    config = getattr(getattr(send, "__self__", None), "config", None)
    if config is not None and hasattr(config, "use_reloader"):
        return Server(
            reloads=config.use_reloader is True,
            workers=_integer(getattr(config, "workers", 1)),
            root_path=_text(getattr(config, "root_path", "")),
        )
    if _is_child():
        # granian's workers know no options, but multiprocessing gives them the command line.
        return Server(
            reloads="--reload" in sys.argv or _is_on(os.environ.get("GRANIAN_RELOAD", "")),
            root_path=_argument("--url-path-prefix", "GRANIAN_URL_PATH_PREFIX"),
        )
    return Server()


def _is_child() -> bool:
    """Whether multiprocessing has made this process; importing it takes longer than all of this."""
    multiprocessing = sys.modules.get("multiprocessing")
    return multiprocessing is not None and multiprocessing.parent_process() is not None


def _integer(value: object) -> int:
    return value if isinstance(value, int) else 1


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _is_on(value: str) -> bool:
    return value.strip().lower() in {"1", "true", "t", "yes", "y", "on"}


def _argument(name: str, variable: str) -> str:
    """The value of an option of the command line, or of the variable that stands for it."""
    for word, following in zip(sys.argv, [*sys.argv[1:], ""], strict=True):
        given, is_joined, value = word.partition("=")
        if given == name:
            return value if is_joined else following
    return os.environ.get(variable, "")


def _listeners(scope: Scope) -> dict[int, int]:
    """The sockets of this process at which the request may have come in: descriptor and inode."""
    host, port = scope.get("server") or (None, None)
    if port is None and host is not None and "/" not in host:
        return {}  # no server: a client that calls the app
    with suppress(OSError, ValueError):
        inodes = set(_unix_listeners() if port is None else _tcp_listeners(int(port)))
        found = {int(name): _socket_inode(int(name)) for name in os.listdir("/proc/self/fd")}
        return {fd: inode for fd, inode in found.items() if inode in inodes}
    return {}


def _tcp_listeners(port: int) -> Iterator[int]:
    for name in "tcp", "tcp6":
        for fields in _net_table(name):
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                yield int(fields[9])


def _unix_listeners() -> Iterator[int]:
    for fields in _net_table("unix"):
        if fields[3] == "00010000" and len(fields) > 7:  # it listens, and has a path
            yield int(fields[6])


def _net_table(name: str) -> Iterator[list[str]]:
    """The lines of a table of proc(5): of all sockets of the system, not of ours alone."""
    with suppress(FileNotFoundError), open(f"/proc/self/net/{name}", encoding="utf-8") as file:
        next(file)
        yield from map(str.split, file)


def _socket_inode(fd: int) -> int:
    try:
        status = os.fstat(fd)
    except OSError:
        return 0
    return status.st_ino if stat.S_ISSOCK(status.st_mode) else 0


def run_id(server: Server) -> int:
    """A name for this run of the server: 64 bits, not 0, the same in all of its workers."""
    seed = os.urandom(16)
    if server.is_one_of_several and not server.reloads:
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
