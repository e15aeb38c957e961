"""What is seen of a server, of which there is only what it leaves to be seen. tests/matrix starts
the real ones.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette_hot_reload._server import Server, find_server, run_id
from support import http_scope


@dataclass
class HypercornSend:
    """As hypercorn's: a method of what knows the options."""

    config: Any = field(default_factory=SimpleNamespace)

    async def send(self, message: object) -> None: ...


@pytest.mark.parametrize("reloads", [True, False])
@pytest.mark.parametrize("workers", [1, 4])
def test_hypercorn_is_known_by_its_options(reloads: bool, workers: int) -> None:
    config = SimpleNamespace(use_reloader=reloads, workers=workers, root_path="/api")
    server = find_server(HypercornSend(config).send)
    assert (server.reloads, server.workers, server.root_path) == (reloads, workers, "/api")
    assert server.is_one_of_several == (workers > 1)
    assert server.is_final == (workers == 1 and not reloads)


def test_odd_options_are_taken_for_the_usual_ones() -> None:
    config = SimpleNamespace(use_reloader="yes", workers="4", root_path=None)
    server = find_server(HypercornSend(config).send)
    assert (server.reloads, server.workers, server.root_path) == (False, 1, "")


def test_of_a_program_nothing_is_known() -> None:
    server = find_server()
    assert server == Server()
    assert not server.is_one_of_several
    assert not server.is_final


def look_from_child(arguments: list[str], environment: dict[str, str], pipe: Any) -> None:
    sys.argv[1:] = arguments
    os.environ.update(environment)
    server = find_server()
    pipe.send((server, server.is_one_of_several, server.is_final, run_id(server)))


def seen_from_child(arguments: list[str], **environment: str) -> Any:
    """What a worker sees that multiprocessing has made, as granian's are."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=look_from_child, args=(arguments, environment, theirs))
    child.start()
    theirs.close()
    seen = ours.recv()
    child.join()
    return seen


@pytest.mark.parametrize(
    ("arguments", "environment", "reloads", "root_path"),
    [
        ([], {}, False, ""),
        (["--reload"], {}, True, ""),
        (["--url-path-prefix", "/api", "app:app"], {}, False, "/api"),
        (["--url-path-prefix=/api"], {}, False, "/api"),
        (["--url-path-prefix"], {}, False, ""),
        ([], {"GRANIAN_RELOAD": "true", "GRANIAN_URL_PATH_PREFIX": "/b"}, True, "/b"),
        (["--url-path-prefix", "/api"], {"GRANIAN_URL_PATH_PREFIX": "/b"}, False, "/api"),
        ([], {"GRANIAN_RELOAD": "0"}, False, ""),
    ],
)
def test_granians_options_are_read_where_it_leaves_them(
    arguments: list[str], environment: dict[str, str], reloads: bool, root_path: str
) -> None:
    server, is_one_of_several, is_final, _ = seen_from_child(arguments, **environment)
    assert (server.reloads, server.workers, server.root_path) == (reloads, None, root_path)
    assert is_one_of_several
    assert not is_final


def test_siblings_have_one_run_and_others_another() -> None:
    one, same = (seen_from_child([])[3] for _ in range(2))
    assert one == same
    again = [seen_from_child(["--reload"])[3] for _ in range(2)]
    alone = [run_id(Server(workers=1)) for _ in range(2)]
    assert len({one, *again, *alone, 0}) == 6


# ---- its sockets -----------------------------------------------------------------------------


@contextmanager
def listening(family: int, address: Any) -> Iterator[socket.socket]:
    with socket.socket(family) as listener:
        listener.bind(address)
        listener.listen()
        yield listener


def assert_end_is_seen(listener: socket.socket, server_of_scope: Any) -> None:
    server = Server()
    assert server.watch(http_scope(server=server_of_scope))
    assert not server.is_ending
    descriptor = listener.detach()
    other = os.open("/", os.O_RDONLY)
    os.dup2(other, descriptor)  # it names something else by now
    assert server.is_ending
    os.close(other)
    os.close(descriptor)
    assert server.is_ending


def test_the_end_of_a_server_at_a_port_is_seen() -> None:
    with listening(socket.AF_INET, ("127.0.0.1", 0)) as listener:
        assert_end_is_seen(listener, listener.getsockname())


def test_the_end_of_a_server_at_a_path_is_seen() -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = str(Path(directory) / "socket")
        with listening(socket.AF_UNIX, path) as listener:
            assert_end_is_seen(listener, (path, None))


@pytest.mark.parametrize("server", [("testserver", None), ("127.0.0.1", 1), ("127.0.0.1", "x")])
def test_where_nothing_listens_no_end_can_be_seen(server: Any) -> None:
    watched = Server()
    assert not watched.watch(http_scope(server=server))
    assert not watched.is_ending
