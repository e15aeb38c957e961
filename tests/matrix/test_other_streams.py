"""Streams of sse-starlette in the same app end as they do without us."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from cases import LOOPS, Case
from ports import free_port
from servers import EVENTS_PATH, Certificate, Event, Server, Site, Stream


@dataclass
class End:
    """How a stream ended, and its server."""

    events: list[Event]
    code: int
    complaints: list[str]


def end(server: Server) -> End:
    server.page()
    ticks = Stream(server.site, "/ticks")
    assert ticks.event().data == "first"
    server.interrupt()
    complaints = [line for line in server.log.splitlines() if not line.startswith("INFO: ")]
    return End(ticks.rest(), server.code, complaints)


@pytest.mark.parametrize("loop", LOOPS["uvicorn"])
def test_they_end_as_without_us(
    loop: str, project: Callable[[str], Path], certificate: Certificate
) -> None:
    case = Case("uvicorn", loop)
    directory = project("starlette")

    def start(target: str) -> Server:
        port = free_port()
        return Server(case, directory, port, certificate, Site(f"http://127.0.0.1:{port}"), target)

    with start("main:bare") as server:
        expected = end(server)
    with start("main:app") as server:
        cursor, _ = server.tag()
        stream = Stream(server.site, f"{EVENTS_PATH}?cursor={cursor}")
        assert stream.event().kind == "hello"
        assert end(server) == expected
        assert [event.data["type"] for event in stream.rest()] == ["shutdown"]
