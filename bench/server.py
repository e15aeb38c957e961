"""A real uvicorn in a process of its own, for as long as a block lasts."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
HTTP = "httptools" if importlib.util.find_spec("httptools") else "h11"
LOOP = "uvloop" if importlib.util.find_spec("uvloop") else "asyncio"

_START_SECONDS = 20.0
_STOP_SECONDS = 5.0


@dataclass(frozen=True)
class Server:
    port: int
    pid: int


@contextmanager
def running(app: str, watch_dir: Path) -> Iterator[Server]:
    """Serve `app` ("apps.module:name"), which finds `watch_dir` in BENCH_WATCH_DIR.

    RuntimeError: it ended, or did not listen in time.
    """
    port = free_port()
    options = {
        "--app-dir": str(HERE),
        "--host": "127.0.0.1",
        "--port": str(port),
        "--http": HTTP,
        "--loop": LOOP,
        "--log-level": "warning",
        "--timeout-graceful-shutdown": "1",
    }
    arguments = [word for option in options.items() for word in option]
    with _running(["uvicorn", app, "--no-access-log", *arguments], watch_dir, port) as found:
        yield found


@contextmanager
def running_livereload(directory: Path) -> Iterator[Server]:
    """Serve the directory by livereload's own server. RuntimeError: as `running`."""
    port = free_port()
    with _running(["apps.livereload_site", str(directory), str(port)], directory, port) as found:
        yield found


@contextmanager
def _running(command: list[str], directory: Path, port: int) -> Iterator[Server]:
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            env=environment(directory) | {"PYTHONPATH": str(HERE)},
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            _wait_until_listening(process, port, command)
            yield Server(port, process.pid)
        except BaseException:
            # Only then of interest: watchfiles' own stream keeps uvicorn waiting at every end.
            log.seek(0)
            sys.stderr.write(log.read().decode(errors="replace"))
            raise
        finally:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def environment(watch_dir: Path) -> dict[str, str]:
    # Whatever the shell says about polling would change what is compared.
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("WATCHFILES_", "STARLETTE_HOT_RELOAD_"))
    }
    return kept | {"BENCH_WATCH_DIR": str(watch_dir)}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_listening(process: subprocess.Popen[bytes], port: int, command: list[str]) -> None:
    name = " ".join(command[:2])
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{name} ended with status {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError(f"{name} did not listen within {_START_SECONDS:.0f} s")
