"""What a person, or a tool, can see of hot reload while it runs.

The page is one of the client's files; it fetches the facts as JSON whenever its own stream says
that there are new ones. Which pages are open is known to the browsers only. They are asked, over
their streams, when somebody looks at the facts, and tell of changes for as long as somebody does.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote

import anyio
from starlette.types import Receive, Scope, Send

from ._core import __version__, client_file
from ._log import on_one_line
from ._responses import answer, header, send_all

if TYPE_CHECKING:
    from ._core import Engine
    from ._hub import Hub
    from ._runtime import Runtime

__all__ = ["FACTS", "FOREIGN", "PAGE", "Status", "Stream", "wants_page"]

PAGE = "status.html"
FACTS = "status.json"
FOREIGN = "Only for pages of this very site."

BATCHES_KEPT = 50
ASK_AGAIN = 1.0
"""Seconds; browsers are not asked more often for their pages."""
PATIENCE = 0.25
"""Seconds that the facts wait for a browser which is asked for the first time."""
BODY_LIMIT = 64 << 10
PAGES_LIMIT = 200
ADDRESS_LIMIT = 500
AGENT_LIMIT = 500
"""Bytes; to search more than that can take seconds."""

_PAGE_HEADERS = [
    (b"content-type", b"text/html; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        b"img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
]


@dataclass(eq=False, slots=True)
class Stream:
    """One open stream, as it is seen by the others."""

    client: str | None
    agent: str | None
    shows_status: bool
    name: str = field(default_factory=lambda: secrets.token_hex(8))
    since: float = field(default_factory=time.time)
    cursor: str = ""
    pages: list[str] | None = None
    """None: it has not told."""
    next_question: float = 0.0
    """By the monotonic clock, it is not to be asked before; 0: it never was."""
    question: bytes = b""
    """To be sent next."""
    has_left: bool = False
    """Nobody is there to be told any more."""

    def take(self) -> bytes:
        frame, self.question = self.question, b""
        return frame


class Status:
    """Keeps what the engine does not: streams, pages, and the last batches."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._streams: dict[str, Stream] = {}
        self._batches: deque[dict[str, Any]] = deque(maxlen=BATCHES_KEPT)
        self._waiting: set[anyio.Event] = set()

    def open_stream(self, hub: Hub, scope: Scope) -> Stream:
        """Known until `close_stream`."""
        query = parse_qsl(str(scope.get("query_string", b""), "latin-1"), keep_blank_values=True)
        client = scope.get("client")
        made = Stream(
            client=str(client[0]) if client and client[0] else None,
            agent=_browser(str(header(scope, b"user-agent")[:AGENT_LIMIT], "latin-1")),
            shows_status=("status", "") in query,
        )
        self._streams[made.name] = made
        self.tell(hub)
        return made

    def close_stream(self, hub: Hub, stream: Stream) -> None:
        del self._streams[stream.name]
        self.tell(hub)

    def tell(self, hub: Hub) -> None:
        """There are new facts: let the status pages know."""
        self._put("status", [stream for stream in self._streams.values() if stream.shows_status])
        if any(stream.question for stream in self._streams.values()):
            hub.release()

    async def send_page(self, scope: Scope, send: Send, name: str) -> None:
        file = client_file(PAGE.encode())
        assert file is not None
        here = scope["path"].rpartition("/")[2]
        # The page's own files lie below its address, unless that ends in a slash.
        below = "" if name or not here else quote(here, safe="") + "/"
        body = file[1].replace(b"{below}", below.encode())
        headers = [*_PAGE_HEADERS, (b"content-length", b"%d" % len(body))]
        await send_all(scope, send, 200, headers, body)

    async def send_facts(self, scope: Scope, send: Send) -> None:
        if scope["method"] not in {"GET", "HEAD"}:
            await answer(scope, send, 405, "Only GET and HEAD.", [(b"allow", b"GET, HEAD")])
            return
        engine = self._runtime.start(scope)
        if engine is not None:
            with self._runtime.hub() as hub:
                await self._ask(hub)
        body = json.dumps(self.facts(engine), indent=1).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
        ]
        await send_all(scope, send, 200, headers, body)

    async def hear(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A browser tells of its pages. 202: it shall tell again when that changes."""
        if not _is_own(scope) or _media_type(scope) != b"application/json":
            await answer(scope, send, 403, FOREIGN)
            return
        told = _parse_pages(await _read(receive))
        if told is None:
            await answer(scope, send, 400, "Not understood.")
            return
        name, pages = told
        stream = self._streams.get(name)
        if stream is None:
            await answer(scope, send, 404, "There is no such stream.")
            return
        if pages != stream.pages:
            stream.pages = pages
            if self._runtime.engine is not None:
                with self._runtime.hub() as hub:
                    self.tell(hub)
        for event in self._waiting:
            event.set()
        is_looked_at = any(stream.shows_status for stream in self._streams.values())
        await send_all(scope, send, 202 if is_looked_at else 204, [], b"")

    def facts(self, engine: Engine | None) -> dict[str, Any]:
        """All that is known, fit for JSON. No path in it is absolute."""
        runtime = self._runtime
        config = runtime.config
        names = _Names(config.base, runtime.watched)
        self._take_batches(engine)
        stats = engine.stats() if engine is not None else None
        roots = self._roots(engine, names, stats is not None and stats.ready)
        return {
            "version": __version__,
            "project": os.path.basename(config.base) or "/",
            "state": _state(roots, stats is not None, stats is not None and stats.ready),
            "boot": engine.now().partition(".")[0] if engine is not None else None,
            "process": os.getpid(),
            "since": _iso(runtime.since),
            "now": _iso(time.time()),
            "server": _server(runtime),
            "loop": _loop(),
            "python": ".".join(map(str, sys.version_info[:3])),
            "events_path": config.events_path,
            "polling": config.polling,
            "poll_interval": config.poll_interval,
            "exclude": list(runtime.excluded),
            "morph": config.morph,
            "ready": stats is not None and stats.ready,
            "directories": stats.directories if stats else 0,
            "files": stats.files if stats else 0,
            "polled_directories": stats.polled_directories if stats else 0,
            "roots": roots,
            "served": [
                {"path": names.of(path), "url": f"{runtime.root_path}{url}/"}
                for path, url in runtime.served
            ],
            "warnings": [
                {"time": _iso(when), "text": names.in_text(text)}
                for when, text in reversed(runtime.warnings)
            ],
            "batches": list(reversed(self._batches)),
            "streams": [_stream_facts(engine, stream) for stream in list(self._streams.values())],
        }

    def _put(self, kind: str, streams: list[Stream]) -> None:
        for stream in streams:
            stream.question = f'event: {kind}\ndata: "{stream.name}"\n\n'.encode()

    async def _ask(self, hub: Hub) -> None:
        """Ask the browsers for their pages; wait a little for those never asked before."""
        now = time.monotonic()
        tellers = [stream for stream in self._streams.values() if not stream.shows_status]
        asked = [stream for stream in tellers if now >= stream.next_question]
        new = [stream for stream in asked if not stream.next_question]
        for stream in asked:
            stream.next_question = now + ASK_AGAIN
        self._put("who", asked)
        if asked:
            hub.release()
        with anyio.move_on_after(PATIENCE):
            while any(stream.pages is None for stream in new if stream.name in self._streams):
                heard = anyio.Event()
                self._waiting.add(heard)
                try:
                    await heard.wait()
                finally:
                    self._waiting.discard(heard)

    def _take_batches(self, engine: Engine | None) -> None:
        for unix, took, count, event in engine.take_batches() if engine is not None else ():
            update = json.loads(event.partition(b"data: ")[2])
            self._batches.append(
                {
                    "time": _iso(unix / 1e6),
                    "latency_ms": round(took / 1e3, 2),
                    "type": update["type"],
                    "count": count,
                    # Each file once: behind these come their other addresses.
                    "changes": update["changes"][: len(update["files"])],
                }
            )

    def _roots(self, engine: Engine | None, names: _Names, ready: bool) -> list[dict[str, Any]]:
        stats = engine.roots() if engine is not None else []
        watched = self._runtime.watched
        return [
            _root_facts(path, stat, watched, names, self._runtime.config.polling, ready)
            for path, stat in zip(watched, stats, strict=False)
        ]


def wants_page(scope: Scope) -> bool:
    """Whether a person opens this address, and no EventSource or tool."""
    destination = header(scope, b"sec-fetch-dest")
    if destination:
        return destination == b"document"
    accept = header(scope, b"accept")
    return b"text/html" in accept and b"text/event-stream" not in accept


# Who tells.


def _is_own(scope: Scope) -> bool:
    """The request comes from a page of this site: no other can say so."""
    site = header(scope, b"sec-fetch-site")
    if site:
        return site == b"same-origin"
    host = header(scope, b"host")
    return header(scope, b"origin") in {b"http://" + host, b"https://" + host}


def _media_type(scope: Scope) -> bytes:
    return header(scope, b"content-type").partition(b";")[0].strip().lower()


async def _read(receive: Receive) -> bytes:
    """The body; nothing if it is too long."""
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if message["type"] == "http.disconnect" or len(body) > BODY_LIMIT:
            return b""
        if not message.get("more_body"):
            return body


def _parse_pages(body: bytes) -> tuple[str, list[str]] | None:
    try:
        told = json.loads(body)
        name, pages = told["stream"], told["pages"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(name, str) or not isinstance(pages, list):
        return None
    if not all(isinstance(page, str) for page in pages):
        return None
    return name, [page[:ADDRESS_LIMIT] for page in pages[:PAGES_LIMIT]]


# Words.

_WHY = {
    1: "polling is switched on",
    2: "the kernel grants no inotify instance; raise fs.inotify.max_user_instances, or close other "
    "watchers",
    4: "the limit of inotify watches is reached; raise fs.inotify.max_user_watches",
    8: "files change there without an event",
}


class _Names:
    """Names for paths that tell a person enough, and others no more than that."""

    def __init__(self, base: str, roots: list[str]) -> None:
        self._base = base
        self._home = os.path.expanduser("~")
        self._known = {
            written: path
            for path in sorted({*roots, base}, key=len, reverse=True)
            for written in _spellings(path)
        }

    def of(self, path: str) -> str:
        if path == self._base:
            return "."
        for above, sign in ((self._base, ""), (self._home, "~/")):
            if above != "/" and path.startswith(above + "/"):
                return sign + path[len(above) + 1 :]
        return _last_parts(path)

    def in_text(self, text: str) -> str:
        """A text with no absolute path left in it. What is quoted is a root, or an address."""
        for known in self._known:
            if known != "/":
                text = re.sub(re.escape(known) + r"(?![\w.-])", self._known_parts, text)
        unknown = r"(?<![\w.~…/'\"])/[^\s/:'\"]+(?:/[^\s:'\"]*)?"
        return re.sub(unknown, lambda match: _last_parts(match[0]), text)

    def _known_parts(self, match: re.Match[str]) -> str:
        return self.of(self._known[match[0]])


def _spellings(path: str) -> tuple[str, ...]:
    """As it is, as a warning quotes it, and as the watcher says it."""
    said = on_one_line(os.fsencode(path).decode(errors="replace"))
    return path, ascii(path)[1:-1], said


def _last_parts(path: str) -> str:
    return "…/" + "/".join([part for part in path.split("/") if part][-2:])


def _root_facts(
    path: str,
    stat: tuple[int, int, int, int, int, str | None],
    roots: list[str],
    names: _Names,
    polling: bool | None,
    ready: bool,
) -> dict[str, Any]:
    directories, files, polled, swept, why, file_system = stat
    how, reason = "native", ""
    within = None if directories else _outer(path, roots)
    reasons = "; ".join(text for bit, text in _WHY.items() if why & bit)
    if file_system and why & 8:
        reasons = reasons.replace("there", f"on its file system ({file_system})")
    if not os.path.isdir(path):
        how, reason = "waiting", "it is not there; it is watched once it is"
    elif within is not None:
        outer = names.of(within)
        how, reason = (
            "within",
            f"it lies within {'the working directory' if outer == '.' else outer}",
        )
    elif not ready:
        how, reason = "starting", "the first look at it is under way"
    elif polling is False and why:
        how, reason = "unwatched", f"not all of it is watched: {reasons}"
    elif polled:
        how, reason = "polling" if polled >= directories else "mixed", reasons
    elif swept:
        reason = f"{file_system} may change without an event, so it is also looked at now and then"
    return {
        "path": names.of(path),
        "how": how,
        "why": reason,
        "directories": directories,
        "files": files,
        "polled_directories": polled,
        "swept_directories": swept,
        "file_system": file_system,
    }


def _outer(path: str, roots: list[str]) -> str | None:
    """The root that holds this one, by another name or as a directory of its own."""
    real = os.path.realpath(path)
    others = [root for root in roots if root != path]
    holders = [root for root in others if f"{real}/".startswith(os.path.realpath(root) + "/")]
    return max(holders, key=len, default=None)


def _state(roots: list[dict[str, Any]], runs: bool, ready: bool) -> str:
    if not runs or not ready:
        return "starting" if runs else "off"
    hows = {root["how"] for root in roots} - {"waiting", "within"}
    if "unwatched" in hows or len(hows) > 1:
        return "mixed"
    return hows.pop() if hows else "native"


def _stream_facts(engine: Engine | None, stream: Stream) -> dict[str, Any]:
    is_behind = bool(engine is not None and stream.cursor and engine.since(stream.cursor)[0])
    return {
        "name": stream.name,
        "client": stream.client,
        "agent": stream.agent,
        "since": _iso(stream.since),
        "behind": is_behind,
        "shows_status": stream.shows_status,
        "pages": stream.pages,
    }


_SERVERS = ("granian", "hypercorn", "daphne", "uvicorn")


def _server(runtime: Runtime) -> dict[str, Any]:
    name = next((name for name in _SERVERS if name in sys.modules), None)
    return {
        "name": name,
        "version": getattr(sys.modules.get(name or ""), "__version__", None),
        "reloads": runtime.server.reloads,
        "is_one_of_several": runtime.server.is_one_of_several,
    }


def _loop() -> str:
    from ._hub import current_loop

    return type(current_loop()).__module__.partition(".")[0]


_BROWSERS = (
    # The first that fits: each also says that it is those after it.
    (r"Edg(?:A|iOS)?/(\d+)", "Edge"),
    (r"OPR/(\d+)", "Opera"),
    (r"(?:Firefox|FxiOS)/(\d+)", "Firefox"),
    (r"(?:Chrome|CriOS|HeadlessChrome)/(\d+)", "Chrome"),
    (r"Version/(\d+)\S* (?:Mobile/\S+ )?Safari/", "Safari"),
)


def _browser(agent: str) -> str | None:
    for pattern, name in _BROWSERS:
        match = re.search(pattern, agent)
        if match:
            return f"{name} {match[1]}"
    return agent[:40] or None


def _iso(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
