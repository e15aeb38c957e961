"""The life of an app under each server: from its start to Ctrl-C with open streams, and again."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cases import WRAPPED, Case
from ports import free_port
from servers import EVENTS_PATH, Certificate, Server, Site, Stream, nginx, until

UGLY = ["Traceback", "Cancel", "Exception", "ERROR", "CRITICAL", "Killing", "refused to"]


@contextmanager
def reached(case: Case, directory: Path, certificate: Certificate) -> Iterator[tuple[int, Site]]:
    """The port of a server that is to be started, and where it will be reached."""
    port = free_port()
    if "nginx" in case.way:
        is_unix = case.way.startswith("--uds")
        backend = f"unix:{directory}/uvicorn.sock" if is_unix else f"127.0.0.1:{port}"
        with nginx(directory.parent / "nginx", backend) as url:
            yield port, Site(url)
    elif case.way.startswith("TLS"):
        http2 = "HTTP/2" in case.way
        yield port, Site(f"https://127.0.0.1:{port}", certificate.authority, http2)
    else:
        yield port, Site(f"http://127.0.0.1:{port}")


def follow(server: Server, cursor: str, *, reload: bool) -> Stream:
    stream = Stream(server.site, f"{EVENTS_PATH}?cursor={cursor}")
    hello = stream.event()
    assert hello.kind == "hello"
    assert hello.data["reload"] is reload
    return stream


def save(directory: Path, path: str, text: str) -> None:
    """At one moment: who is kept between emptying a file and writing it is told of twice."""
    draft = directory.parent / "draft"
    draft.write_text(text)
    draft.replace(directory / path)


def check_updates(case: Case, server: Server, directory: Path, stream: Stream) -> None:
    save(directory, "templates/part.html", "<p>second</p>")
    event = stream.event()
    assert event.data["type"] == "reload"
    assert event.data["files"] == ["templates/part.html"]
    assert "<p>second</p>" in server.page().text

    save(directory, "static/style.css", "p { color: blue }")
    event = stream.event()
    assert event.data["type"] == "css"
    assert event.data["files"] == ["static/style.css"]
    if case.framework not in WRAPPED:
        prefix = "/root" if "-path" in case.way else ""
        assert event.data["changes"][0]["url"] == f"{prefix}/static/style.css"


def check_way(case: Case, server: Server, directory: Path, stream: Stream) -> None:
    """What is promised of this way to start it alone."""
    if case.way == "--reload":
        check_restart(server, directory, stream)
    elif case.way == "--workers 2":
        boots = {server.tag()[0].partition(".")[0] for _ in range(20)}
        assert len(boots) == 1
        if case.server == "granian":  # which hangs if it is to end before all of them have begun
            until("both", lambda: server.log.count("Started worker") >= 2 or None)
    elif "HTTP/2" in case.way:
        assert stream.http_version == "HTTP/2"
        assert server.page().http_version == "HTTP/2"
    elif "-path" in case.way:
        assert server.tag()[1].startswith(f"/root{EVENTS_PATH}/")


def check_restart(server: Server, directory: Path, stream: Stream) -> None:
    """A saved .py file is the reloader's: the stream ends for the restart and is told nothing."""
    before = server.tag()[0].partition(".")[0]
    program = directory / "main.py"

    def saved() -> bool | None:  # a reloader does not see what is saved before its own first look
        program.write_text(program.read_text() + "\n")
        try:
            assert stream.next(1) is None
        except queue.Empty:
            return None
        return True

    until("the restart", saved)
    until("the new run", lambda: server.tag()[0].partition(".")[0] != before or None)


def test_life(
    case: Case,
    project: Callable[[str], Path],
    certificate: Certificate,
    passed: Callable[[str, float], None],
) -> None:
    directory = project(case.framework)
    with reached(case, directory, certificate) as (port, site):

        def start() -> Server:
            return Server(case, directory, port, certificate, site)

        with start() as server:
            cursor, script = server.tag()
            assert server.client.get(script.removeprefix("/root")).status_code == 200
            first = follow(server, cursor, reload=False)
            check_updates(case, server, directory, first)
            check_way(case, server, directory, first)
            cursor = server.tag()[0]
            streams = [follow(server, cursor, reload=False) for _ in range(2)]
            seconds = server.interrupt()
            for stream in streams:
                assert [event.data["type"] for event in stream.rest()] in (["shutdown"], [])
            assert not [word for word in UGLY if word in server.log], server.log

        with start() as server:
            assert "<p>second</p>" in server.page().text
            follow(server, cursor, reload=True)
    passed(case.name, seconds)
    if case.is_plain:
        with Server(case, directory, port, certificate, site, "main:bare") as server:
            server.page()
            passed(case.alone, server.interrupt())
