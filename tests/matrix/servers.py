"""Real servers in processes of their own, and a client of their streams."""

from __future__ import annotations

import json
import os
import queue
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import h2.exceptions
import httpx
import pytest
from cases import Case
from ports import free_port

__all__ = [
    "DEADLINE",
    "EVENTS_PATH",
    "TAG",
    "Certificate",
    "Event",
    "Process",
    "Server",
    "Site",
    "Stream",
    "command",
    "nginx",
    "until",
]

DEADLINE = 60.0
PATIENCE = "600"
"""Of the servers, in seconds; a stream does not end by itself before either: see conftest.py."""
EVENTS_PATH = "/__starlette_hot_reload"
TAG = re.compile(r'<script data-cursor="([0-9a-f]{16}\.[0-9a-f]{16})"[^>]* src="([^"]*)"></script>')

T = TypeVar("T")
P = TypeVar("P", bound="Process")


def until(what: str, look: Callable[[], T | None], deadline: float = DEADLINE) -> T:
    """What `look` finds, once it finds something."""
    end = time.monotonic() + deadline
    while (found := look()) is None:
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.01)
    return found


def _is_alive(group: int) -> bool:
    """Whether a process of the group runs. One that has ended may wait long for init to see it."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, owner = path.read_text().rpartition(")")[2].split()[:3]
            if int(owner) == group and state not in "ZX":
                return True
    return False


@dataclass(frozen=True)
class Certificate:
    """A certificate for 127.0.0.1, its key, and who signed it."""

    chain: Path
    key: Path
    authority: Path


class Process:
    """A command in a session of its own, and what it logs."""

    def __init__(self, arguments: list[str], directory: Path, **environment: str) -> None:
        self._lines: list[str] = []
        self._process = subprocess.Popen(
            arguments,
            cwd=directory,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1", **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        self._lines.extend(self._process.stdout)

    @property
    def log(self) -> str:
        return "".join(list(self._lines))

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    takes_group = True
    """Whether its processes bear the signal of a terminal, which all of them get."""

    def interrupt(self) -> float:
        """Do what a terminal does at Ctrl-C; returns the seconds until nothing is left."""
        begin = time.monotonic()
        send = os.killpg if self.takes_group else os.kill
        send(self._process.pid, signal.SIGINT)

        def is_gone() -> bool | None:
            self._process.poll()
            return None if _is_alive(self._process.pid) else True

        try:
            until("the end of the server", is_gone)
        except AssertionError as error:
            raise AssertionError(f"{error}; its log:\n{self.log}") from None
        self._reader.join(DEADLINE)
        return time.monotonic() - begin

    @property
    def code(self) -> int:
        return self._process.wait(DEADLINE)

    def __enter__(self: P) -> P:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(DEADLINE)
        self._reader.join(DEADLINE)
        assert self._process.stdout is not None
        self._process.stdout.close()


@dataclass(frozen=True)
class Site:
    """Where a server is reached."""

    url: str
    authority: Path | None = None
    http2: bool = False

    def client(self) -> httpx.Client:
        return httpx.Client(
            base_url=self.url,
            verify=ssl.create_default_context(cafile=self.authority) if self.authority else False,
            http1=not self.http2,
            http2=self.http2,
            timeout=DEADLINE,
            limits=httpx.Limits(max_keepalive_connections=0),  # idle ones do not say goodbye
            trust_env=False,
        )


def command(case: Case, port: int, certificate: Certificate, target: str) -> list[str]:
    """How `case` is started."""
    module = [sys.executable, "-m", case.server]
    way = case.way.partition(",")[0].partition(" behind")[0]
    if case.server == "uvicorn":
        place = ["--uds", "uvicorn.sock"] if way == "--uds" else ["--port", str(port)]
        plain = ["--loop", case.loop, "--timeout-graceful-shutdown", PATIENCE, *place]
        secure = ["--ssl-certfile", str(certificate.chain), "--ssl-keyfile", str(certificate.key)]
    elif case.server == "hypercorn":
        plain = ["-k", case.loop, "--graceful-timeout", PATIENCE, "--bind", f"127.0.0.1:{port}"]
        secure = ["--certfile", str(certificate.chain), "--keyfile", str(certificate.key)]
    else:
        plain = ["--interface", "asgi", "--loop", case.loop, "--port", str(port)]
        secure = ["--ssl-certificate", str(certificate.chain), "--ssl-keyfile"]
        secure += [str(certificate.key)]
        if way == "--reload":  # else it restarts for every file
            plain += ["--reload-ignore-patterns", r"\.(html|css)$"]
    more = {
        "": [],
        "TLS": secure,
        "--uds": [],
        "--root-path": ["--root-path", "/root"],
        "--url-path-prefix": ["--url-path-prefix", "/root"],
    }
    return [*module, *plain, *more.get(way, way.split()), target]


class Server(Process):
    """A server of the app in `directory`."""

    def __init__(
        self,
        case: Case,
        directory: Path,
        port: int,
        certificate: Certificate,
        site: Site,
        target: str = "main:app",
    ) -> None:
        self.site = site
        self.client = site.client()
        super().__init__(command(case, port, certificate, target), directory)
        # Its workers get another from their parent, and may hang over the two: docs/servers.md.
        self.takes_group = case.server != "granian"

    def page(self) -> httpx.Response:
        """The page, as a navigation gets it, once the server answers."""

        def look() -> httpx.Response | None:
            assert not self.has_ended, self.log
            with suppress(httpx.TransportError):
                response = self.client.get("/", headers={"Sec-Fetch-Dest": "document"})
                if response.status_code != 502:  # of a proxy in front
                    return response
            return None

        try:
            return until("the page", look)
        except AssertionError as error:
            raise AssertionError(f"{error}; the server's log:\n{self.log}") from None

    def tag(self) -> tuple[str, str]:
        """The cursor and the script's address in the page's tag."""
        response = self.page()
        found = TAG.findall(response.text)
        assert len(found) == 1, f"{response.status_code} {response.text}\n{self.log}"
        cursor, address = found[0]
        return cursor, address

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.client.close()
        super().__exit__(kind, error, trace)


@dataclass
class Event:
    kind: str
    data: Any


class Stream:
    """One connection, read as it comes."""

    def __init__(self, site: Site, path: str) -> None:
        self._items: queue.Queue[Event | None] = queue.Queue()
        self._opened: queue.Queue[httpx.Response | Exception] = queue.Queue()
        self._thread = threading.Thread(target=self._read, args=(site, path), daemon=True)
        self._thread.start()
        opened = self._opened.get(timeout=DEADLINE)
        if isinstance(opened, Exception):
            raise opened
        assert opened.status_code == 200, opened
        self.http_version = opened.http_version

    def _read(self, site: Site, path: str) -> None:
        try:
            with site.client() as client, client.stream("GET", path) as response:
                self._opened.put(response)
                with suppress(httpx.TransportError, h2.exceptions.ProtocolError):
                    for event in _events(response.iter_lines()):
                        self._items.put(event)
        except httpx.TransportError as error:
            self._opened.put(error)
        self._items.put(None)

    def next(self, timeout: float = DEADLINE) -> Event | None:
        """The next event, or None at the end. queue.Empty: neither came in time."""
        return self._items.get(timeout=timeout)

    def event(self) -> Event:
        event = self.next()
        assert event is not None, "the stream has ended"
        return event

    def rest(self) -> list[Event]:
        """What comes until the end."""
        return list(iter(self.next, None))


def _events(lines: Iterator[str]) -> Iterator[Event]:
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if name:
            fields[name] = value
            continue
        if "data" in fields:
            yield Event(fields.get("event", "message"), _decoded(fields["data"]))
        fields = {}


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


NGINX = """\
daemon off;
master_process off;
pid nginx.pid;
error_log stderr warn;
events {{}}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://{backend};
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
        }}
    }}
}}
"""


@contextmanager
def nginx(directory: Path, backend: str) -> Iterator[str]:
    """nginx in front of `backend`; yields its own address."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.fail("nginx is missing: apt-get install -y --no-install-recommends nginx-light")
    port = free_port()
    directory.mkdir()
    (directory / "nginx.conf").write_text(NGINX.format(port=port, backend=backend))
    arguments = [program, "-p", str(directory), "-c", "nginx.conf", "-e", "stderr"]
    with Process(arguments, directory) as process:

        def answers() -> bool | None:
            assert not process.has_ended, process.log
            with suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), DEADLINE).close()
                return True
            return None

        until("nginx", answers)
        yield f"http://127.0.0.1:{port}"
