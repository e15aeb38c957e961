"""Requests per second through uvicorn, as wrk counts them: the bare app, ours, 0.3's method."""

from __future__ import annotations

import http.client
import re
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import server
from report import Cell, Column, Section
from server import Server

CONNECTIONS = 16
NAVIGATION = {
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Encoding": "gzip, deflate, br",
    "Accept-Language": "en-US,en;q=0.5",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "none",
    "Upgrade-Insecure-Requests": "1",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
}
FETCH = {
    "Accept": "*/*",
    "Accept-Encoding": "gzip, deflate, br",
    "Accept-Language": "en-US,en;q=0.5",
    "Sec-Fetch-Dest": "empty",
    "Sec-Fetch-Mode": "cors",
    "Sec-Fetch-Site": "same-origin",
    "User-Agent": NAVIGATION["User-Agent"],
}
KINDS = {"HTML, 10 kB": ("/page", NAVIGATION), "JSON": ("/data", FETCH)}
CONTENDERS = {
    "bare": "apps.pages:bare",
    "ours": "apps.pages:ours",
    "0.3's method": "apps.pages:version0",
}


@dataclass
class Tally:
    """One contender, one kind of response: the rates of the rounds, and sums over all of them."""

    rates: list[float] = field(default_factory=list)
    requests: int = 0
    cpu_seconds: float = 0.0

    def add(self, running: Server, path: str, headers: Mapping[str, str], seconds: int) -> None:
        before = running.cpu_seconds()
        rate, requests = _wrk(running.port, path, headers, seconds)
        self.rates.append(rate)
        self.requests += requests
        self.cpu_seconds += running.cpu_seconds() - before

    @property
    def cpu_us(self) -> float:
        return self.cpu_seconds / self.requests * 1e6


def check_wrk() -> None:
    """RuntimeError if wrk is not installed."""
    if shutil.which("wrk") is None:
        raise RuntimeError("wrk is missing; on Debian or Ubuntu: sudo apt-get install -y wrk")


def run(quick: bool) -> Section:
    check_wrk()
    rounds, seconds = (3, 1) if quick else (12, 1)
    tallies = {(kind, name): Tally() for kind in KINDS for name in CONTENDERS}
    with ExitStack() as stack:
        directory = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="hotreload-bench-"))
        )
        servers = {
            name: stack.enter_context(server.running(app, directory))
            for name, app in CONTENDERS.items()
        }
        _check_bodies(servers)
        for number in range(rounds):
            for kind, (path, headers) in KINDS.items():
                # Every other round backwards: what drifts within a round then favours nobody.
                for name in list(CONTENDERS)[:: -1 if number % 2 else 1]:
                    tallies[kind, name].add(servers[name], path, headers, seconds)
    return _section(tallies, rounds, seconds)


def _check_bodies(servers: Mapping[str, Server]) -> None:
    """What is compared must differ by the tag, and by nothing else."""
    page, data = (
        {name: _get(running.port, *request) for name, running in servers.items()}
        for request in KINDS.values()
    )
    tags = {name: body.count(b"<script") for name, body in page.items()}
    if tags != {"bare": 0, "ours": 1, "0.3's method": 1} or len(set(data.values())) != 1:
        raise RuntimeError(f"the contenders do not serve what they should: {tags}")


def _get(port: int, path: str, headers: Mapping[str, str]) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers=dict(headers))
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    if response.status != 200:
        raise RuntimeError(f"{path}: status {response.status}")
    return body


def _wrk(port: int, path: str, headers: Mapping[str, str], seconds: int) -> tuple[float, int]:
    """Requests per second, and requests."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s"]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    command.append(f"http://127.0.0.1:{port}{path}")
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    rate = re.search(r"^Requests/sec:\s*([\d.]+)", result.stdout, re.MULTILINE)
    count = re.search(r"^\s*(\d+) requests in", result.stdout, re.MULTILINE)
    if (
        rate is None
        or count is None
        or "Non-2xx" in result.stdout
        or "Socket errors" in result.stdout
    ):
        raise RuntimeError(f"wrk did not count what it should:\n{result.stdout}{result.stderr}")
    return float(rate[1]), int(count[1])


def _section(tallies: Mapping[tuple[str, str], Tally], rounds: int, seconds: int) -> Section:
    rows: list[dict[str, Cell]] = []
    for (kind, name), tally in tallies.items():
        bare = tallies[kind, "bare"]
        ratios = [a / b for a, b in zip(tally.rates, bare.rates, strict=True)]
        rows.append(
            {
                "response": kind,
                "contender": name,
                "per_second": statistics.median(tally.rates),
                "ratio_to_bare": statistics.median(ratios),
                "lowest_ratio": min(ratios),
                "highest_ratio": max(ratios),
                "cpu_us": tally.cpu_us,
                "cpu_ratio_to_bare": bare.cpu_us / tally.cpu_us,
            }
        )
    return Section(
        title="Requests per second through uvicorn",
        notes=[
            f"one process each, --http {server.HTTP} --loop {server.LOOP}; wrk, 1 thread, "
            f"{CONNECTIONS} connections; {rounds} rounds of {seconds} s in turns",
            "x bare: the median of the ratios of the rounds",
            "CPU: the server's processor time a request, over all rounds, and bare / it: "
            "what other load on the machine disturbs less",
        ],
        columns=[
            Column("response", ""),
            Column("contender", ""),
            Column("per_second", "requests/s"),
            Column("ratio_to_bare", "x bare", 3),
            Column("lowest_ratio", "lowest", 3),
            Column("highest_ratio", "highest", 3),
            Column("cpu_us", "CPU us", 2),
            Column("cpu_ratio_to_bare", "CPU x bare", 3),
        ],
        rows=rows,
    )
