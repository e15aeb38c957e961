"""A uvicorn that can be killed and is there again within milliseconds.

One process imports everything and then only forks: each of its children is a server. Its lines of
input are commands, its lines of output the children's process ids.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

import uvicorn

_PR_SET_PDEATHSIG = 1
_KEEPER = (
    "import sys; sys.path.insert(0, sys.argv[1]); import kept; kept.serve_for_ever(sys.argv[2])"
)


def die_with_parent() -> None:
    """So that nothing is left of a test that was killed itself."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def serve_for_ever(directory: str) -> None:
    """What the keeper does: a server for each line of JSON, with its options for uvicorn."""
    die_with_parent()
    os.chdir(directory)
    sys.path.insert(0, directory)
    import main  # type: ignore[import-not-found]

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries them
    for line in sys.stdin:
        child = os.fork()
        if not child:
            die_with_parent()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            uvicorn.run(main.app, **json.loads(line))
            os._exit(0)
        print(child, flush=True)


class Keeper:
    """Serves ``main:app`` of a directory."""

    def __init__(self, directory: Path, **options: Any) -> None:
        self._options = {"log_level": "warning", **options}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _KEEPER, Path(__file__).parent, directory],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self) -> int:
        """Returns at once: the server is on its way. Its process id."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(self._options) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the keeper is gone"
        return int(line)

    def kill(self, server: int) -> None:
        """Returns when nothing is left of it."""
        descriptor = os.pidfd_open(server)
        try:
            os.kill(server, signal.SIGKILL)
            select.select([descriptor], [], [])
        finally:
            os.close(descriptor)

    def __enter__(self) -> Keeper:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()  # and its children with it
        self._process.wait()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
