"""Starts servers for servers.mjs, each in a fork, so that what all of them import is imported once.

The package itself is not: each server imports it anew. A line of JSON on the standard input,
{"cwd", "arguments", "output"}, starts one, and is answered by {"pid"}; its end is told by {"pid",
"code", "signal"}. With the end of the input all are killed.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from contextlib import suppress
from typing import Any

import anyio._backends._asyncio  # noqa: F401
import jinja2.ext  # noqa: F401
import starlette.applications
import starlette.responses
import starlette.staticfiles
import starlette.templating  # noqa: F401
import uvicorn.lifespan.on
import uvicorn.logging
import uvicorn.loops.auto
import uvicorn.main
import uvicorn.protocols.http.auto
import uvicorn.protocols.websockets.auto


def tell(**news: Any) -> None:
    with suppress(BrokenPipeError):  # the input ends, too
        os.write(1, json.dumps(news).encode() + b"\n")


def become_server(cwd: str, arguments: list[str], output: str) -> None:
    """As `python -m uvicorn` there. Ends the process as that does."""
    os.chdir(cwd)
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = os.open(output, os.O_WRONLY | os.O_APPEND)
    for number, file in enumerate((nothing, log, log)):
        os.dup2(file, number)
    os.close(nothing)
    os.close(log)
    sys.path[0] = os.getcwd()
    sys.argv[1:] = arguments
    uvicorn.main.main()


class Forks:
    def __init__(self) -> None:
        self._poll = select.poll()
        self._poll.register(0, select.POLLIN)
        self._servers: dict[int, int] = {}  # the process of each descriptor

    def next_request(self) -> dict[str, Any]:
        """Returns in the server only; in its parent this ends the process."""
        text = b""
        while True:
            for descriptor, _ in self._poll.poll():
                if descriptor:
                    self._bury(descriptor)
                    continue
                chunk = os.read(0, 65536)
                if not chunk:
                    self._kill()
                    sys.exit()
                *lines, text = (text + chunk).split(b"\n")
                for line in lines:
                    if self._fork():
                        return dict(json.loads(line))

    def _fork(self) -> bool:
        pid = os.fork()
        if not pid:
            for descriptor in self._servers:
                os.close(descriptor)
            return True
        descriptor = os.pidfd_open(pid)
        self._servers[descriptor] = pid
        self._poll.register(descriptor, select.POLLIN)
        tell(pid=pid)
        return False

    def _bury(self, descriptor: int) -> None:
        self._poll.unregister(descriptor)
        os.close(descriptor)
        pid, status = os.waitpid(self._servers.pop(descriptor), 0)
        code = os.waitstatus_to_exitcode(status)
        if code < 0:
            tell(pid=pid, code=None, signal=signal.Signals(-code).name)
        else:
            tell(pid=pid, code=code, signal=None)

    def _kill(self) -> None:
        for pid in self._servers.values():
            os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    become_server(**Forks().next_request())
