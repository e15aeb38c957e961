"""The status page, its facts, and what browsers tell of their pages."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.types import Message
from starlette_hot_reload import HotReloadMiddleware, _status
from starlette_hot_reload._core import Layer
from support import (
    DEADLINE,
    EVENTS_PATH,
    Server,
    alive,
    body_of,
    call,
    headers_of,
    http_scope,
    layer_of,
    save,
    stream,
)

FACTS = f"{EVENTS_PATH}/status.json"
HTML = (b"accept", b"text/html,application/xhtml+xml,*/*;q=0.8")
HOST = (b"host", b"localhost")
JSON = (b"content-type", b"application/json")
OWN = (b"origin", b"http://localhost")


def make_app(directory: Path, **options: Any) -> Layer:
    app = layer_of(HotReloadMiddleware(Starlette(), watch_dirs=[directory], **options))
    return app


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layer:
    monkeypatch.chdir(tmp_path)
    return make_app(tmp_path)


async def ask(app: Layer, path: str, *headers: tuple[bytes, bytes], **scope: Any) -> Any:
    sent = await call(app, http_scope(path, [HOST, *headers], **scope))
    return sent[0]["status"], headers_of(sent[0]), body_of(sent)


async def facts_of(app: Layer) -> Any:
    """Once the first look is over."""
    assert (await ask(app, FACTS))[0] == 200
    assert app.engine is not None
    assert await asyncio.to_thread(app.engine.wait_ready, DEADLINE)
    status, headers, body = await ask(app, FACTS)
    assert headers[b"content-type"] == b"application/json"
    assert headers[b"cache-control"] == b"no-store"
    assert status == 200
    return json.loads(body)


def in_life(app: Layer, main: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        with anyio.fail_after(2 * DEADLINE):
            async with alive(app):
                await main()

    asyncio.run(run())


class Browser:
    """One stream, and what came over it."""

    def __init__(self, app: Layer, query: bytes = b"", agent: bytes = b"Firefox/140.0") -> None:
        self.text = b""
        self._app = app
        self._scope = http_scope(EVENTS_PATH) | {"query_string": query}
        self._scope["headers"] = [*self._scope["headers"], (b"user-agent", agent)]
        self._changed = asyncio.Event()
        self._gone = asyncio.Event()

    async def __aenter__(self) -> Browser:
        self._task = asyncio.ensure_future(self._app(self._scope, self._receive, self._send))
        await self.wait_for(b"event: hello")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._gone.set()
        await self._task

    async def _receive(self) -> Message:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        self.text += message.get("body", b"")
        self._changed.set()

    async def wait_for(self, text: bytes, times: int = 1) -> None:
        while self.text.count(text) < times:
            self._changed.clear()
            await self._changed.wait()

    async def asked(self, kind: bytes = b"who", times: int = 1) -> str:
        """Waits for an event, which brings the name of the stream."""
        mark = b"event: " + kind + b'\ndata: "'
        await self.wait_for(mark, times)
        return self.text.rpartition(mark)[2].partition(b'"')[0].decode()


async def tell(app: Layer, body: Any, *headers: tuple[bytes, bytes]) -> int:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def receive() -> Message:
        return {"type": "http.request", "body": text, "more_body": False}

    scope = http_scope(EVENTS_PATH, [HOST, *(headers or (OWN, JSON))], "POST")
    return int((await call(app, scope, receive))[0]["status"])


# ---- the page --------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [[HTML], [(b"sec-fetch-dest", b"document"), HTML]])
def test_a_navigation_gets_the_page(app: Layer, headers: Any) -> None:
    async def main() -> None:
        status, answered, body = await ask(app, EVENTS_PATH, *headers)
        assert status == 200
        assert answered[b"content-type"] == b"text/html; charset=utf-8"
        assert answered[b"cache-control"] == b"no-store"
        assert int(answered[b"content-length"]) == len(body)
        policy = answered[b"content-security-policy"].split(b"; ")
        assert b"default-src 'none'" in policy
        assert b"script-src 'self'" in policy
        assert b"frame-ancestors 'none'" in policy
        assert b'src="__starlette_hot_reload/status.js"' in body
        assert b"{below}" not in body

    in_life(app, main)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"accept", b"*/*")],
        [(b"accept", b"text/event-stream")],
        [(b"accept", b"text/event-stream"), (b"sec-fetch-dest", b"empty")],
        [(b"accept", b"text/html"), (b"sec-fetch-dest", b"iframe")],
    ],
)
def test_anything_else_gets_the_stream(headers: Any) -> None:
    assert not _status.wants_page(http_scope(EVENTS_PATH, headers))


def test_the_page_finds_its_files_wherever_it_is(tmp_path: Path) -> None:
    app = make_app(tmp_path, events_path='/a/"><b')

    async def main() -> None:
        for path, below in (('/a/"><b', b"%22%3E%3Cb/"), ('/a/"><b/', b"")):
            body = (await ask(app, path, HTML))[2]
            assert b'href="%sstatus.css"' % below in body
        body = (await ask(app, '/a/"><b/status.html'))[2]
        assert b'href="status.css"' in body

    in_life(app, main)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("status.js", b"text/javascript"), ("status.css", b"text/css; charset=utf-8")],
)
def test_the_files_of_the_page_are_served(app: Layer, name: str, kind: bytes) -> None:
    async def main() -> None:
        status, headers, body = await ask(app, f"{EVENTS_PATH}/{name}")
        assert (status, headers[b"content-type"]) == (200, kind)
        assert body

    in_life(app, main)


@pytest.mark.parametrize("path", [EVENTS_PATH, FACTS])
def test_another_host_sees_nothing(app: Layer, path: str) -> None:
    async def main() -> None:
        for method in ("GET", "POST"):
            scope = http_scope(path, [(b"host", b"evil.example"), HTML], method)
            assert (await call(app, scope))[0]["status"] == 403

    in_life(app, main)


# ---- the facts -------------------------------------------------------------------------------


def test_native_watching_is_called_so(app: Layer, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.txt").write_text("x")

    async def main() -> None:
        facts = await facts_of(app)
        assert facts["state"] == "native"
        assert facts["project"] == tmp_path.name
        assert (facts["directories"], facts["files"], facts["polled_directories"]) == (2, 1, 0)
        (root,) = facts["roots"]
        assert (root["path"], root["how"], root["why"]) == (".", "native", "")
        assert (root["directories"], root["files"]) == (2, 1)
        assert facts["streams"] == facts["warnings"] == []

    in_life(app, main)


def test_polling_says_why(tmp_path: Path) -> None:
    app = make_app(tmp_path, polling=True)

    async def main() -> None:
        facts = await facts_of(app)
        assert facts["state"] == "polling"
        (root,) = facts["roots"]
        assert root["how"] == "polling"
        assert root["why"] == "polling is switched on"
        assert root["polled_directories"] == 1

    in_life(app, main)


def test_each_root_says_how_it_is_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "site" / "static").mkdir(parents=True)
    roots = [tmp_path / "site", tmp_path / "site" / "static", tmp_path / "later"]
    app = layer_of(HotReloadMiddleware(Starlette(), watch_dirs=roots, exclude=["*.bak"]))

    async def main() -> None:
        facts = await facts_of(app)
        assert [(root["path"], root["how"]) for root in facts["roots"]] == [
            ("site", "native"),
            ("site/static", "within"),
            ("later", "waiting"),
        ]
        assert facts["roots"][1]["why"] == "it lies within site"
        assert facts["exclude"] == ["*.bak"]
        assert (
            facts["warnings"][0]["text"]
            == "'later' does not exist; it will be watched once it does"
        )

    in_life(app, main)


@pytest.mark.parametrize(
    ("why", "words"),
    [
        (2, "max_user_instances"),
        (4, "max_user_watches"),
        (8, "on its file system (overlay) without an event"),
        (12, "max_user_watches; files change"),
    ],
)
def test_what_cannot_be_watched_says_why(tmp_path: Path, why: int, words: str) -> None:
    path = str(tmp_path)
    names = _status._Names("/", [path])

    def root(polled: int, polling: bool | None) -> Any:
        stat = (4, 9, polled, 0, why, "overlay")
        return _status._root_facts(path, stat, [path], names, polling, True)

    assert root(4, None)["how"] == "polling"
    assert root(2, None)["how"] == "mixed"
    assert root(0, False)["how"] == "unwatched"
    assert words in root(4, None)["why"]
    assert words in root(0, False)["why"]


def test_no_absolute_path_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base, home, other = tmp_path / "base", tmp_path / "home", tmp_path / "deep" / "other"
    for directory in (base, home / "mine", other):
        directory.mkdir(parents=True)
    monkeypatch.chdir(base)
    monkeypatch.setenv("HOME", str(home))
    roots = [base, home / "mine", other, base / "no" / "such"]
    app = layer_of(HotReloadMiddleware(Starlette(), watch_dirs=roots, polling=True))

    async def main() -> None:
        (await facts_of(app))
        save(other / "a.css")
        assert app.engine is not None
        facts = await facts_of(app)
        while not facts["batches"]:
            facts = await facts_of(app)
        assert [root["path"] for root in facts["roots"]] == [
            ".",
            "~/mine",
            "…/deep/other",
            "no/such",
        ]
        assert facts["batches"][0]["changes"][0]["path"] == "a.css"
        assert str(tmp_path) not in json.dumps(facts)

    in_life(app, main)


def test_texts_lose_their_absolute_paths() -> None:
    names = _status._Names("/srv/site", ["/srv/site/static", "/opt/lib/pkg/static"])
    text = "the limit is reached at /srv/site/static/a: x; also /opt/lib/pkg/static and /var/x/y/z:"
    assert names.in_text(text) == (
        "the limit is reached at static/a: x; also …/pkg/static and …/y/z:"
    )
    assert names.in_text("No hot reload for '/login': x") == "No hot reload for '/login': x"
    assert names.in_text("/srv/site.bak/a/b") == "…/a/b"


def test_a_batch_is_told_with_its_latency(app: Layer, tmp_path: Path) -> None:
    hostile = "<img src=x onerror=alert(1)>\udcff\n.css"

    async def main() -> None:
        await facts_of(app)
        assert app.engine is not None
        assert app.engine.wait_ready(DEADLINE)  # before, nobody knows that it was not there
        save(tmp_path / hostile)
        facts = await facts_of(app)
        while not facts["batches"]:
            facts = await facts_of(app)
        (batch,) = facts["batches"]
        assert batch["changes"] == [{"path": hostile, "url": None, "kind": "css", "op": "added"}]
        assert batch["count"] == 1
        assert 0 <= batch["latency_ms"] < DEADLINE * 1000
        assert (await facts_of(app))["batches"] == [batch]

    in_life(app, main)


def test_of_many_files_the_first_are_told_and_of_many_batches_the_last(
    app: Layer, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    many = tmp_path_factory.mktemp("many")
    for number in range(150):
        (many / f"{number:03}").write_text("x")

    async def main() -> None:
        await facts_of(app)
        many.rename(tmp_path / "many")
        told: list[Any] = []
        while sum(batch["count"] for batch in told) < 150:
            told = (await facts_of(app))["batches"]
        assert all(len(batch["changes"]) == min(batch["count"], 100) for batch in told)
        assert app.engine is not None
        for number in range(60):
            cursor = app.engine.now()
            save(tmp_path / "many" / "000", f"x{number}")
            while not app.engine.since(cursor)[0]:
                await asyncio.sleep(0)
        told = (await facts_of(app))["batches"]
        assert len(told) == 50
        assert [batch["time"] for batch in told] == sorted(
            (batch["time"] for batch in told), reverse=True
        )

    in_life(app, main)


def test_facts_are_there_when_hot_reload_is_off(app: Layer, monkeypatch: Any) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no descriptor is left")

    monkeypatch.setattr("starlette_hot_reload._runtime.Engine", refuse)

    async def main() -> None:
        facts = json.loads((await ask(app, FACTS))[2])
        assert facts["state"] == "off"
        assert facts["warnings"][0]["text"] == "Hot reload is off: no descriptor is left"
        assert (await ask(app, EVENTS_PATH, HTML))[0] == 200

    in_life(app, main)


@pytest.mark.parametrize(
    ("hows", "state"),
    [
        (["native", "native"], "native"),
        (["native", "within", "waiting"], "native"),
        (["polling", "polling"], "polling"),
        (["native", "polling"], "mixed"),
        (["unwatched"], "mixed"),
        (["waiting"], "native"),
    ],
)
def test_the_state_is_what_all_roots_have_in_common(hows: list[str], state: str) -> None:
    roots = [{"how": how} for how in hows]
    assert _status._state(roots, runs=True, ready=True) == state
    assert _status._state(roots, runs=True, ready=False) == "starting"


def test_facts_are_only_read(app: Layer) -> None:
    async def main() -> None:
        assert (await ask(app, FACTS, method="POST"))[0] == 405
        status, headers, body = await ask(app, FACTS, method="HEAD")
        assert (status, body) == (200, b"")
        assert int(headers[b"content-length"]) > 0

    in_life(app, main)


@pytest.mark.parametrize(
    ("agent", "shown"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox 140"),
        ("Mozilla/5.0 AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36", "Chrome 140"),
        ("Mozilla/5.0 Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0", "Edge 140"),
        ("Mozilla/5.0 AppleWebKit/605.1.15 Version/18.6 Safari/605.1.15", "Safari 18"),
        ("curl/8.14.1", "curl/8.14.1"),
        ("x" * 99, "x" * 40),
        ("", None),
    ],
)
def test_browsers_are_named(agent: str, shown: str | None) -> None:
    assert _status._browser(agent) == shown


# ---- streams and pages -----------------------------------------------------------------------


def test_browsers_tell_of_their_pages_while_somebody_looks(app: Layer) -> None:
    async def main() -> None:
        await facts_of(app)
        async with Browser(app) as browser:
            (await facts_of(app))
            name = await browser.asked()
            pages = ["/", "/<b>?x=1"]
            assert await tell(app, {"stream": name, "pages": pages}) == 204
            (one,) = (await facts_of(app))["streams"]
            assert one["name"] == name
            assert one["pages"] == pages
            assert (one["client"], one["agent"], one["behind"]) == (
                "127.0.0.1",
                "Firefox 140",
                False,
            )
            async with Browser(app, b"status") as looker:
                me = await looker.asked(b"status")
                assert await tell(app, {"stream": name, "pages": ["/new"]}) == 202
                await looker.asked(b"status", 2)
                streams = (await facts_of(app))["streams"]
                assert [(one["name"], one["shows_status"], one["pages"]) for one in streams] == [
                    (name, False, ["/new"]),
                    (me, True, None),
                ]
            assert await tell(app, {"stream": name, "pages": []}) == 204
        assert (await facts_of(app))["streams"] == []

    in_life(app, main)


def test_what_is_known_already_is_no_news(app: Layer) -> None:
    """Else the page would fetch, and so ask, and so be told, for ever."""

    async def main() -> None:
        await facts_of(app)
        async with Browser(app) as browser, Browser(app, b"status") as looker:
            await facts_of(app)
            name = await browser.asked()
            await tell(app, {"stream": name, "pages": ["/a"]})
            await facts_of(app)
            before = looker.text.count(b"event: status")
            await tell(app, {"stream": name, "pages": ["/a"]})
            await facts_of(app)
            await tell(app, {"stream": name, "pages": ["/b"]})
            await looker.asked(b"status", before + 1)
            await facts_of(app)
            assert looker.text.count(b"event: status") == before + 1

    in_life(app, main)


def test_the_facts_wait_for_a_browser_that_answers(app: Layer) -> None:
    async def main() -> None:
        await facts_of(app)
        async with Browser(app) as browser:
            asked = asyncio.ensure_future(ask(app, FACTS))
            name = await browser.asked()
            await tell(app, {"stream": name, "pages": ["/a"]})
            (one,) = json.loads((await asked)[2])["streams"]
            assert one["pages"] == ["/a"]

    in_life(app, main)


def test_nobody_is_asked_while_nobody_looks(app: Layer) -> None:
    async def main() -> None:
        await facts_of(app)
        async with Browser(app) as first, Browser(app) as second:
            (app.engine and app.engine.stats())
            assert b"event: who" not in first.text + second.text

    in_life(app, main)


@pytest.mark.parametrize(
    "headers",
    [
        [JSON],
        [(b"origin", b"http://evil.example"), JSON],
        [(b"origin", b"http://localhost:81"), JSON],
        [(b"origin", b"null"), JSON],
        [OWN, (b"sec-fetch-site", b"cross-site"), JSON],
        [OWN, (b"sec-fetch-site", b"same-site"), JSON],
        [OWN],
        [OWN, (b"content-type", b"text/plain")],
        [OWN, (b"content-type", b"application/x-www-form-urlencoded")],
    ],
)
def test_other_sites_tell_nothing(app: Layer, headers: Any) -> None:
    async def main() -> None:
        await facts_of(app)
        async with Browser(app) as browser:
            await facts_of(app)
            name = await browser.asked()
            assert await tell(app, {"stream": name, "pages": ["/evil"]}, *headers) == 403
            (one,) = (await facts_of(app))["streams"]
            assert one["pages"] is None

    in_life(app, main)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[" * 60000,
        b'{"stream": "a"}',
        {"stream": 1, "pages": []},
        {"stream": "a", "pages": "/"},
        {"stream": "a", "pages": [1]},
        [],
        {"stream": "a", "pages": ["x" * (64 << 10)]},
    ],
)
def test_what_is_no_list_of_pages_is_refused(app: Layer, body: Any) -> None:
    async def main() -> None:
        assert await tell(app, body) == 400
        assert await tell(app, {"stream": "no such", "pages": []}) == 404

    in_life(app, main)


def test_what_is_told_is_bounded(app: Layer) -> None:
    async def main() -> None:
        await facts_of(app)
        async with Browser(app) as browser:
            await facts_of(app)
            name = await browser.asked()
            await tell(app, {"stream": name, "pages": ["/" * 600] + ["/"] * 1000})
            (one,) = (await facts_of(app))["streams"]
            assert len(one["pages"]) == 200
            assert len(one["pages"][0]) == 500

    in_life(app, main)


# ---- for real --------------------------------------------------------------------------------


def test_a_real_server_is_named(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(
        "from starlette.applications import Starlette\n"
        "from starlette_hot_reload import HotReload\n"
        "app = Starlette(debug=True)\n"
        "HotReload().setup(app)\n"
    )
    with Server(tmp_path, "--loop", "asyncio") as server, stream(server) as events:
        assert next(events).kind == "hello"
        facts = json.loads(server.get(FACTS)[2])
        assert facts["server"]["name"] == "uvicorn"
        assert facts["loop"] == "asyncio"
        assert [one["client"] for one in facts["streams"]] == ["127.0.0.1"]


OVERLAY = """
import json, os, sys, urllib.request
from pathlib import Path
from support import Server, save, stream

upper, merged = Path(sys.argv[1]), Path(sys.argv[2])
(merged / "main.py").write_text(
    "from starlette.applications import Starlette\\n"
    "from starlette_hot_reload import HotReload\\n"
    "app = Starlette(debug=True)\\n"
    "HotReload(['.']).setup(app)\\n"
)
PATH = "/__starlette_hot_reload/status.json"
with Server(merged) as server, stream(server) as events:
    next(events)
    facts = json.loads(server.get(PATH)[2])
    while not facts["ready"]:
        facts = json.loads(server.get(PATH)[2])
    (root,) = facts["roots"]
    assert (root["how"], root["file_system"]) == ("native", "overlay"), root
    assert "may change without an event" in root["why"], root
    save(upper / "below.css")
    while (event := next(events)).kind != "message":
        pass
    assert event.data["files"] == ["below.css"]
    facts = json.loads(server.get(PATH)[2])
    (root,) = facts["roots"]
    assert (facts["state"], root["how"]) == ("polling", "polling"), facts
    assert "on its file system (overlay) without an event" in root["why"], root
    assert "without an event" in facts["warnings"][0]["text"], facts
    assert str(merged) not in json.dumps(facts), facts
"""


def test_an_overlay_that_does_not_tell_is_polled_and_the_status_says_so(tmp_path: Path) -> None:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("only root can mount")
    (tmp_path / "overlay.py").write_text(OVERLAY)
    script = (
        'set -e; cd "$1"; mkdir space; mount -t tmpfs space space; cd space; '
        "mkdir lower upper work merged; "
        "mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged; "
        'exec "$2" ../overlay.py "$PWD/upper" "$PWD/merged"'
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    command = ["unshare", "--mount", "--propagation", "private"]
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        assert not os.environ.get("CI"), "no mount namespace is to be had"
        pytest.skip("no mount namespace is to be had in this container")
    done = subprocess.run(
        [*command, "sh", "-c", script, "sh", str(tmp_path), sys.executable],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
