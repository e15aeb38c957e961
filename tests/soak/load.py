"""Many streams, bad readers, and much that changes. Prints a table; asserts no time.

What it asserts: everybody is told, nothing is left of those who are gone, and memory does not grow
with how long it lasts.

    python tests/soak/load.py [--small]
"""

from __future__ import annotations

import itertools
import os
import re
import resource
import selectors
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "python"))

from kept import Keeper
from ports import free_port
from support import EVENTS_PATH

DEADLINE = 300.0
IN_FLIGHT = 128
"""So many connections are on their way at a time: fewer than a server lets wait."""
SOURCES = [f"127.0.0.{number}" for number in range(2, 12)]
"""Ports of one address run out: each is blocked for a minute after its connection."""
MEBI = 1 << 20

MAIN = """
import asyncio
import os
import resource

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from starlette_hot_reload import HotReload

hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
told = asyncio.Event()


async def bare(request):
    async def chunks():
        yield b"retry: 500\\n\\n"
        while True:
            await told.wait()
            yield b'data: "files"\\n\\n'
            await asyncio.Event().wait()

    return StreamingResponse(chunks(), media_type="text/event-stream")


async def tell(request):
    told.set()
    return PlainTextResponse("told")


app = Starlette(debug=True, routes=[Route("/bare", bare), Route("/tell", tell)])
HotReload(watch_dirs=["watched"]).setup(app)
"""


@dataclass
class Size:
    streams: int
    dead: int
    dead_saves: int
    rate: int
    rate_seconds: float
    flood_files: int
    flood_streams: int
    edits: int


SMALL = Size(
    streams=200,
    dead=20,
    dead_saves=16,
    rate=1000,
    rate_seconds=1,
    flood_files=2000,
    flood_streams=20,
    edits=80,
)
FULL = Size(
    streams=10_000,
    dead=200,
    dead_saves=600,
    rate=1000,
    rate_seconds=60,
    flood_files=100_000,
    flood_streams=100,
    edits=10_000,
)


class Table:
    def __init__(self) -> None:
        self.rows: list[tuple[str, str]] = []

    def add(self, what: str, figure: str) -> None:
        self.rows.append((what, figure))
        print(f"{what:<58} {figure}", flush=True)


# ---- the server ------------------------------------------------------------------------------


@dataclass
class Served:
    pid: int
    port: int
    watched: Path

    def memory(self) -> int:
        """Resident, in bytes."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found
        return int(found[1]) * 1024

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def save(self, name: str, text: str) -> None:
        """In one step."""
        following = self.watched.parent / "next"
        following.write_text(text)
        following.replace(self.watched / name)

    def get(self, path: str) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), DEADLINE) as client:
            client.sendall(request(path))
            return client.recv(1 << 16)


def request(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


@contextmanager
def served() -> Iterator[Served]:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "main.py").write_text(MAIN)
        (directory / "watched").mkdir()
        port = free_port()
        # Without a limit of its own, as it is by default; what lingers is closed at once.
        with Keeper(directory, port=port, timeout_keep_alive=1) as keeper:
            server = Served(keeper.start(), port, directory / "watched")
            wait_until(lambda: is_there(port), "the server")
            yield server
            keeper.kill(server.pid)


def is_there(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


def wait_until(holds: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < end, f"{what} does not come"
        time.sleep(0.002)


# ---- the clients -----------------------------------------------------------------------------


@dataclass(eq=False)
class Client:
    socket: socket.socket
    is_open: bool = False
    data: bytearray = field(default_factory=bytearray)
    """What has come since somebody looked."""


class Crowd:
    """Streams in one process, read as it comes."""

    def __init__(self, port: int, path: str = EVENTS_PATH) -> None:
        self._port = port
        self._request = request(path)
        self._sources = itertools.cycle(SOURCES)
        self._selector = selectors.EpollSelector()
        self.clients: list[Client] = []

    def connect(self, receive_buffer: int | None = None) -> Client:
        """Returns before it is connected."""
        client = Client(socket.socket())
        client.socket.setblocking(False)
        if receive_buffer:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.socket.bind((next(self._sources), 0))
        client.socket.connect_ex(("127.0.0.1", self._port))
        self._selector.register(client.socket, selectors.EVENT_WRITE, client)
        self.clients.append(client)
        return client

    def turn(self, timeout: float | None = 0.05) -> None:
        """Does what can be done."""
        for key, mask in self._selector.select(timeout):
            client: Client = key.data
            if mask & selectors.EVENT_WRITE:
                client.socket.sendall(self._request)
                self._selector.modify(client.socket, selectors.EVENT_READ, client)
            else:
                data = client.socket.recv(1 << 18)
                assert data, "the server ends a stream"
                client.data += data
                client.is_open = client.is_open or b"retry: " in client.data

    def open(self, count: int) -> None:
        wanted = len(self.clients) + count
        end = time.monotonic() + DEADLINE
        while not all(client.is_open for client in self.clients) or len(self.clients) < wanted:
            on_the_way = sum(not client.is_open for client in self.clients[-2 * IN_FLIGHT :])
            for _ in range(min(IN_FLIGHT - on_the_way, wanted - len(self.clients))):
                self.connect()
            self.turn()
            assert time.monotonic() < end, "streams do not open"
        for client in self.clients:
            client.data.clear()

    def wait_for(self, is_told: Callable[[Client], bool]) -> tuple[float, float]:
        """Until each has been told; when the first and the last of them were."""
        left = set(self.clients)
        times: list[float] = []
        end = time.monotonic() + DEADLINE
        while left:
            self.turn()
            now = time.monotonic()
            told = {client for client in left if is_told(client)}
            left -= told
            times += [now] * len(told)
            assert now < end, f"{len(left)} streams are not told"
        for client in self.clients:
            client.data.clear()
        return times[0], times[-1]

    def forsake(self, client: Client) -> None:
        """It is never read again."""
        self._selector.unregister(client.socket)

    def close(self, client: Client) -> None:
        self._selector.unregister(client.socket)
        client.socket.close()
        self.clients.remove(client)

    def __enter__(self) -> Crowd:
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()
        for client in self.clients:
            client.socket.close()


def has_update(client: Client) -> bool:
    return b'"files"' in client.data


def is_quarter(number: int, whole: int) -> bool:
    return number % (whole // 4) == 0


# ---- what is tried ---------------------------------------------------------------------------


def many_streams(size: Size, table: Table, path: str) -> float:
    """Returns the memory of one stream, in bytes."""
    who = "ours" if path == EVENTS_PATH else "a bare StreamingResponse"
    with served() as server, Crowd(server.port, path) as crowd:
        crowd.open(1)  # what comes with the first one
        before = server.memory()
        begin = time.monotonic()
        crowd.open(size.streams - 1)
        took = time.monotonic() - begin
        each = (server.memory() - before) / (size.streams - 1)
        table.add(f"{size.streams:,} streams, {who}: opened in", f"{took:.1f} s")
        table.add(f"{size.streams:,} streams, {who}: memory of each", f"{each / 1024:.1f} KiB")
        begin = time.monotonic()
        if path == EVENTS_PATH:
            server.save("one.css", "saved")
        else:
            server.get("/tell")
        first, last = crowd.wait_for(has_update)
        told = f"{(first - begin) * 1000:.0f} ms, {(last - begin) * 1000:.0f} ms"
        table.add(f"{size.streams:,} streams, {who}: first and last told after", told)
        if path == EVENTS_PATH:
            again = server.memory()
            for number in range(5):
                server.save("one.css", str(number))
                crowd.wait_for(has_update)
            grown = (server.memory() - again) / size.streams
            table.add("   each by five more saves", f"{grown / 1024:.2f} KiB")
        descriptors = server.descriptors()
        for client in list(crowd.clients):
            crowd.close(client)
        closed = descriptors - size.streams
        wait_until(lambda: server.descriptors() <= closed, "the end of the streams")
    return each


def dead_readers(size: Size, table: Table) -> None:
    with served() as server, Crowd(server.port) as crowd:
        dead = []
        for _ in range(size.dead):
            client = crowd.connect(receive_buffer=1024)
            while not client.is_open:
                crowd.turn()
            dead.append(client)
        for client in dead:
            crowd.forsake(client)
            crowd.clients.remove(client)
        crowd.open(1)
        names = [f"{number:0240}.css" for number in range(40)]
        memory = [server.memory()]
        for turn in range(size.dead_saves):
            for name in names:
                server.save(name, str(turn))
            crowd.wait_for(has_update)
            if is_quarter(turn + 1, size.dead_saves):
                memory.append(server.memory())
        shown = ", ".join(f"{one / MEBI:.0f}" for one in memory)
        table.add(f"{size.dead} dead readers, {size.dead_saves} updates of 30 KB: MiB", shown)
        assert memory[-1] - memory[-2] < 4 * MEBI, f"memory grows with the updates: {shown}"
        table.add("   by each of them", f"{(memory[-1] - memory[0]) / size.dead / 1024:.0f} KiB")
        # One that reads again gets what it lacks, or is told that it lacks something.
        slow = dead[0]
        server.save("last.css", "x")
        slow.socket.setblocking(True)
        slow.socket.settimeout(DEADLINE)
        while b"last.css" not in slow.data and b'"reload":true' not in slow.data:
            piece = slow.socket.recv(1 << 16)
            assert piece, "the server ends a slow reader"
            slow.data += piece
        for client in dead:
            client.socket.close()


def come_and_go(size: Size, table: Table) -> None:
    with served() as server, Crowd(server.port) as crowd:
        crowd.open(1)
        descriptors = server.descriptors()
        done, memory = 0, []
        for _ in range(2):
            begin = time.monotonic()
            end = begin + size.rate_seconds / 2
            started = 0
            while time.monotonic() < end:
                due = int((time.monotonic() - begin) * size.rate)
                room = IN_FLIGHT - len(crowd.clients)
                for _ in range(min(due - started, room)):
                    crowd.connect()
                    started += 1
                crowd.turn(0.001)
                for client in [one for one in crowd.clients[1:] if one.is_open]:
                    crowd.close(client)
                    done += 1
            for client in crowd.clients[1:]:
                crowd.close(client)
            wait_until(lambda: server.descriptors() <= descriptors, "the end of the streams")
            memory.append(server.memory())
        rate = done / size.rate_seconds
        table.add(f"connects and disconnects for {size.rate_seconds:g} s", f"{rate:.0f} a second")
        shown = ", ".join(f"{one / MEBI:.1f}" for one in memory)
        table.add("   MiB at half time and at the end", shown)
        assert memory[1] - memory[0] < 3 * MEBI, f"memory grows with the connects: {shown}"
        server.save("one.css", "saved")
        crowd.wait_for(has_update)


def flood(size: Size, table: Table) -> None:
    with served() as server, Crowd(server.port) as crowd:
        crowd.open(size.flood_streams)
        before = server.memory()
        wanted = {f"watched/{number % 100}/{number}.css" for number in range(size.flood_files)}
        names: dict[Client, set[str]] = {client: set() for client in crowd.clients}
        pattern = re.compile(rb'"path":"([^"]*)"')

        def is_whole(client: Client) -> bool:
            """All is named to it, or it is told to reload, and then what comes later is."""
            if b'"reload":true' in client.data:
                return True
            end = client.data.rfind(b"\n\n")
            if end >= 0:
                part = bytes(client.data[:end]).replace(b"\r\n", b"\n")
                names[client] |= {found.decode() for found in pattern.findall(part)}
                del client.data[:end]
            return len(names[client]) >= len(wanted)

        begin = time.monotonic()
        for number in range(100):
            (server.watched / str(number)).mkdir()
        for number in range(size.flood_files):
            (server.watched / str(number % 100) / f"{number}.css").write_bytes(b"x")
        wrote = time.monotonic() - begin
        first, last = crowd.wait_for(is_whole)
        table.add(f"{size.flood_files:,} files written in", f"{wrote:.1f} s")
        told = f"{first - begin:.1f} s, {last - begin:.1f} s"
        table.add(f"   {size.flood_streams} streams: first and last know after", told)
        grown = (server.memory() - before) / MEBI
        table.add("   memory", f"{grown:.0f} MiB more")
        server.save("one.css", "saved")
        crowd.wait_for(lambda client: b"one.css" in client.data)


def eight_hours(size: Size, table: Table) -> None:
    with served() as server, Crowd(server.port) as crowd:
        crowd.open(5)
        begin = time.monotonic()
        memory = []
        for number in range(size.edits):
            server.save(f"{number % 20}.css", str(number))
            crowd.wait_for(has_update)
            if is_quarter(number + 1, size.edits):
                memory.append(server.memory())
        took = time.monotonic() - begin
        shown = ", ".join(f"{one / MEBI:.1f}" for one in memory)
        table.add(f"{size.edits:,} saves, five streams told of each, in", f"{took:.0f} s")
        table.add("   MiB after each quarter", shown)
        assert memory[-1] - memory[-3] < 2 * MEBI, f"memory grows with the edits: {shown}"


def main() -> None:
    size = SMALL if "--small" in sys.argv[1:] else FULL
    needed = size.streams + 1000
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert hard == resource.RLIM_INFINITY or hard >= needed, (
        f"raise the limit of open files to {needed}"
    )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    table = Table()
    ours = many_streams(size, table, EVENTS_PATH)
    bare = many_streams(size, table, "/bare")
    table.add("memory of a stream, ours to a bare one", f"{ours / bare:.2f}")
    dead_readers(size, table)
    come_and_go(size, table)
    flood(size, table)
    eight_hours(size, table)


if __name__ == "__main__":
    main()
