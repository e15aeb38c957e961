"""Requests per second through uvicorn, as wrk counts them: the bare app, one that sends the tag
itself, ours, 0.3's method."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import proc
import server
from report import Cell, Chart, Column, Goal, Group, Section, bar, percentile
from server import Server

CONNECTIONS = 16
SECONDS = 1  # of a round: wrk counts no shorter
RATIO = 0.98  # of the bare app's, at least
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
PAGE = "HTML, 10 kB"
KINDS = {PAGE: ("/page", NAVIGATION), "JSON": ("/data", FETCH)}
BY_HAND = "tag by hand (floor)"
CONTENDERS = {
    "bare": "apps.pages:bare",
    BY_HAND: "apps.pages:bare",
    "ours": "apps.pages:ours",
    "0.3's method": "apps.pages:version0",
}


@dataclass
class Tally:
    """One contender, one kind of response; a value a round."""

    rates: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)

    def add(self, running: Server, path: str, headers: Mapping[str, str]) -> None:
        before = proc.cpu_seconds(running.pid)
        rate, requests = _wrk(running.port, path, headers)
        self.rates.append(rate)
        self.cpu_us.append((proc.cpu_seconds(running.pid) - before) / requests * 1e6)


def check_wrk() -> None:
    """RuntimeError if wrk is not installed."""
    if shutil.which("wrk") is None:
        raise RuntimeError("wrk is missing; on Debian or Ubuntu: sudo apt-get install -y wrk")


def run(quick: bool) -> Section:
    check_wrk()
    rounds = 3 if quick else 15
    tallies = {(kind, name): Tally() for kind in KINDS for name in CONTENDERS}
    del tallies["JSON", BY_HAND]  # which has no tag
    with ExitStack() as stack:
        directory = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="hotreload-bench-"))
        )
        servers = {
            name: stack.enter_context(server.running(app, directory))
            for name, app in CONTENDERS.items()
        }
        _check_bodies(servers)
        stack.enter_context(_apart([running.pid for running in servers.values()]))
        for number in range(rounds):
            for kind, (path, headers) in KINDS.items():
                # Every other round backwards: what drifts within a round then favours nobody.
                for name in _names(tallies, kind)[:: -1 if number % 2 else 1]:
                    address = "/tagged" if name == BY_HAND else path
                    tallies[kind, name].add(servers[name], address, headers)
    return _section(tallies, rounds)


@contextmanager
def _apart(pids: list[int]) -> Iterator[None]:
    """The servers, of which one works at a time, on one processor; wrk on another, as this process,
    of which it inherits that."""
    allowed = os.sched_getaffinity(0)
    if len(allowed) < 2:
        yield
        return
    ours, theirs = sorted(allowed)[:2]
    for pid in pids:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {theirs})
    os.sched_setaffinity(0, {ours})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def _names(tallies: Mapping[tuple[str, str], Tally], kind: str) -> list[str]:
    return [name for name in CONTENDERS if (kind, name) in tallies]


def _check_bodies(servers: Mapping[str, Server]) -> None:
    """What is compared must differ by the tag, and by nothing else."""
    page, data = (
        {name: _get(running.port, *request) for name, running in servers.items()}
        for request in KINDS.values()
    )
    page[BY_HAND] = _get(servers[BY_HAND].port, "/tagged", NAVIGATION)
    tags = {name: body.count(b"<script") for name, body in page.items()}
    wanted = {"bare": 0, BY_HAND: 1, "ours": 1, "0.3's method": 1}
    if len(page[BY_HAND]) != len(page["ours"]):
        raise RuntimeError("the tag by hand is not as long as ours")
    if tags != wanted or len(set(data.values())) != 1:
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


def _wrk(port: int, path: str, headers: Mapping[str, str]) -> tuple[float, int]:
    """Requests per second, and requests."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s"]
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


def _section(tallies: Mapping[tuple[str, str], Tally], rounds: int) -> Section:
    apart = "the servers on one processor, wrk on another"
    if len(os.sched_getaffinity(0)) < 2:
        apart = "all on the one processor there is"
    return Section(
        title="Requests per second through uvicorn",
        notes=[
            f"one process each, --http {server.HTTP} --loop {server.LOOP}; wrk, 1 thread, "
            f"{CONNECTIONS} connections; {rounds} rounds of {SECONDS} s in turns; {apart}",
            f"{BY_HAND}: the bare app itself sends a tag of the same length, and the two headers "
            "that ours adds; what is missing there is the server's, not the injector's",
            "x bare: requests a second, the median (25%..75%) of the ratios to bare in each round",
            "CPU us: the server's processor time a request, in the best round; CPU x bare: bare / "
            "it; (25%..75%): of these ratios in each round. Other load on the machine takes "
            "requests away at once, but adds to this by cold caches only",
        ],
        columns=[
            Column("response", ""),
            Column("contender", ""),
            Column("per_second", "requests/s"),
            Column("ratio_to_bare", "x bare", 3),
            Column("ratio_quartiles", "(25%..75%)"),
            Column("cpu_us", "CPU us", 2),
            Column("least_cpu_ratio", "CPU x bare", 3),
            Column("cpu_ratio_quartiles", "(25%..75%)"),
        ],
        rows=[
            {
                "response": kind,
                "contender": name,
                "per_second": statistics.median(tally.rates),
                **_ratios("ratio", tally.rates, tallies[kind, "bare"].rates),
                "cpu_us": min(tally.cpu_us),
                **_ratios("cpu_ratio", tallies[kind, "bare"].cpu_us, tally.cpu_us),
                "least_cpu_ratio": min(tallies[kind, "bare"].cpu_us) / min(tally.cpu_us),
            }
            for (kind, name), tally in tallies.items()
        ],
        says=[*(_said(tallies, kind) for kind in KINDS), *_floor_says(tallies)],
        goals=[_goal(tallies, kind) for kind in KINDS],
        charts=[_chart(tallies)],
    )


def _in_rounds(tallies: Mapping[tuple[str, str], Tally], kind: str, name: str) -> list[float]:
    """The ratio of its requests per second to the bare app's, in each round."""
    bare = tallies[kind, "bare"].rates
    return [a / b for a, b in zip(tallies[kind, name].rates, bare, strict=True)]


def _said(tallies: Mapping[tuple[str, str], Tally], kind: str) -> str:
    ratios = {
        name: statistics.median(_in_rounds(tallies, kind, name))
        for name in _names(tallies, kind)
        if name != "bare"
    }
    listed = ", ".join(f"{name} {ratio:.3f}" for name, ratio in ratios.items())
    added = min(tallies[kind, "ours"].cpu_us) - min(tallies[kind, "bare"].cpu_us)
    return (
        f"{kind}: of the bare app's requests, {listed}; ours adds {added:.1f} us of the server's "
        f"processor time to {min(tallies[kind, 'bare'].cpu_us):.1f}."
    )


def _floor_says(tallies: Mapping[tuple[str, str], Tally]) -> list[str]:
    """By processor time, which other load disturbs least."""
    bare, floor, ours = (min(tallies[PAGE, name].cpu_us) for name in ("bare", BY_HAND, "ours"))
    says = [
        f"The bytes of the tag and of its headers alone cost the server {floor - bare:.1f} us, "
        f"{bare / floor:.3f} of the bare app; ours adds {ours - floor:.1f} us to that."
    ]
    if bare / floor < RATIO:
        says.append(f"By processor time, no injector could reach {RATIO} in this run.")
    return says


def _goal(tallies: Mapping[tuple[str, str], Tally], kind: str) -> Goal:
    ratios = _in_rounds(tallies, kind, "ours")
    median = statistics.median(ratios)
    low, high = percentile(ratios, 25), percentile(ratios, 75)
    by_time = min(tallies[kind, "bare"].cpu_us) / min(tallies[kind, "ours"].cpu_us)
    return Goal(
        key=kind,
        what=f"requests per second through uvicorn, {kind}, of the bare app's",
        target=f"at least {RATIO}",
        measured=f"{median:.3f} (quartiles {low:.3f} to {high:.3f}); "
        f"{by_time:.3f} by processor time",
        reached=median >= RATIO,
    )


def _chart(tallies: Mapping[tuple[str, str], Tally]) -> Chart:
    return Chart(
        name="requests",
        title="Requests per second through uvicorn, of the bare app's",
        unit="ratio, median and quartiles of the rounds",
        groups=[
            Group(
                kind,
                [
                    bar(name, _in_rounds(tallies, kind, name))
                    for name in _names(tallies, kind)
                    if name != "bare"
                ],
                RATIO,
            )
            for kind in KINDS
        ],
    )


def _ratios(key: str, above: list[float], below: list[float]) -> dict[str, Cell]:
    ratios = [a / b for a, b in zip(above, below, strict=True)]
    low, high = percentile(ratios, 25), percentile(ratios, 75)
    return {
        f"{key}_to_bare": statistics.median(ratios),
        f"{key}_quartile1": low,
        f"{key}_quartile3": high,
        f"{key}_quartiles": f"({low:.3f}..{high:.3f})",
    }
