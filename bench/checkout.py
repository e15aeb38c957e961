"""A change of many files at once: how many batches does one `git checkout` make?"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import server
import watcher
from report import Bar, Chart, Column, Goal, Group, Row, Section

FILES, DIRECTORIES = 1_000, 20
BRANCHES = ("one", "two")
BUSY = {"idle": 0, "4 busy": 4, "8 busy": 8}
QUIET_SECONDS = 2.0
LOST_SECONDS = 10.0
# A processor's worth of work, and an end even if this program is killed.
_BUSY_PROGRAM = """
import os
parent = os.getppid()
while os.getppid() == parent:
    sum(range(100_000))
"""


@dataclass
class Lane:
    """One repository and its watcher."""

    watcher: watcher.Watcher
    repository: Path
    branch: int = 0
    batches: int = 0
    files: set[str] = field(default_factory=set)
    last: float = 0.0
    git_seconds: float = 0.0

    def check_out(self) -> None:
        """Take the other branch; over when the first report is there."""
        self.branch = 1 - self.branch
        self.batches = 0
        self.files = set()
        start = time.monotonic()
        _git(self.repository, "checkout", "--quiet", BRANCHES[self.branch])
        self.last = time.monotonic()
        self.git_seconds = self.last - start
        self._receive(LOST_SECONDS)

    def settle(self) -> None:
        """Take reports, those that have waited here too, until none has come for a while."""
        while self._receive(max(0.0, self.last + QUIET_SECONDS - time.monotonic())):
            pass

    def _receive(self, seconds: float) -> bool:
        report = self.watcher.report(seconds)
        if report is None:
            return False
        self.batches += report.batches
        self.files.update(report.files)
        self.last = time.monotonic()
        return True


@dataclass
class Runs:
    """Of one contender under one load."""

    batches: list[int] = field(default_factory=list)
    git_seconds: list[float] = field(default_factory=list)
    short: int = 0

    def add(self, lane: Lane) -> None:
        self.batches.append(lane.batches)
        self.git_seconds.append(lane.git_seconds)
        self.short += len(lane.files) < FILES


@dataclass
class Contender:
    name: str
    lanes: list[Lane]
    runs: dict[str, Runs] = field(default_factory=lambda: {load: Runs() for load in BUSY})


def run(quick: bool) -> Section:
    rounds, lanes = (1, 3) if quick else (4, 3)
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hotreload-bench-")))
        contenders = [
            Contender(name, [_start(stack, root, name) for _ in range(count)])
            for name, count in [
                ("ours", lanes),
                ("ours, polling", 1),
                ("watchfiles", 1),
                ("watchdog", 1),
            ]
        ]
        for load, processes in BUSY.items():
            with _busy(processes):
                for _ in range(rounds):
                    _one_round(contenders, load)
    return Section(
        title=f"One git checkout of {FILES} files: runs with one batch / runs",
        notes=[
            f"all {FILES} files differ, in {DIRECTORIES} directories; counted until "
            f"{QUIET_SECONDS:.0f} s without a report; each watcher has a repository of its own",
            "busy: so many processes that compute all the time; watchdog has no batches, so that "
            "its every event counts",
            "most: batches in one run; git s: the longest checkout",
            f"short: runs, of all, in which fewer than {FILES} files were reported",
        ],
        columns=[
            Column("contender", ""),
            *(
                Column(f"{load}{key}", f"{load}{title}", digits)
                for load in BUSY
                for key, title, digits in [
                    ("", "", 0),
                    (", most batches", ": most", 0),
                    (", git s", ": git s", 2),
                ]
            ),
            Column("short", "short"),
        ],
        rows=[_row(contender) for contender in contenders],
        says=[_said(contender) for contender in contenders],
        goals=[_goal(contenders[0], load) for load in BUSY],
        charts=[_chart(contenders)],
    )


def _said(contender: Contender) -> str:
    batches = [count for runs in contender.runs.values() for count in runs.batches]
    short = sum(runs.short for runs in contender.runs.values())
    return (
        f"{contender.name}: {batches.count(1)} of {len(batches)} checkouts in one batch, "
        f"{max(batches)} batches at most, {short} with files missing."
    )


def _goal(contender: Contender, load: str) -> Goal:
    runs = contender.runs[load]
    one, count = runs.batches.count(1), len(runs.batches)
    return Goal(
        key=load,
        what=f"git checkout of {FILES:,} files, {load}",
        target="one batch, every time",
        measured=f"one batch in {one} of {count} runs, {runs.short} with files missing",
        reached=one == count and not runs.short,
    )


def _chart(contenders: list[Contender]) -> Chart:
    def one(contender: Contender, load: str) -> Bar:
        batches = contender.runs[load].batches
        return Bar(contender.name, statistics.median(batches), min(batches), max(batches))

    return Chart(
        name="checkout",
        title=f"Batches of one git checkout of {FILES:,} files",
        unit="batches (logarithmic), median, least and most",
        groups=[Group(load, [one(c, load) for c in contenders], 1) for load in BUSY],
        logarithmic=True,
    )


def check_git() -> None:
    if shutil.which("git") is None:
        raise RuntimeError("checkout needs git, which is not installed")


def _one_round(contenders: list[Contender], load: str) -> None:
    for contender in contenders:
        for lane in contender.lanes:
            lane.check_out()
    for contender in contenders:
        for lane in contender.lanes:
            lane.settle()
            contender.runs[load].add(lane)


def _start(stack: ExitStack, root: Path, name: str) -> Lane:
    repository = Path(tempfile.mkdtemp(dir=root))
    _git(repository, "init", "--quiet", f"--initial-branch={BRANCHES[0]}")
    for branch in BRANCHES:
        if branch != BRANCHES[0]:
            _git(repository, "checkout", "--quiet", "-b", branch)
        _write_files(repository, branch)
        _git(repository, "add", ".")
        _git(repository, "commit", "--quiet", "--message", branch)
    _git(repository, "checkout", "--quiet", BRANCHES[0])
    one = stack.enter_context(watcher.running(name, repository))
    one.start()
    return Lane(one, repository)


def _write_files(repository: Path, branch: str) -> None:
    for i in range(FILES):
        part, number = divmod(i, FILES // DIRECTORIES)
        directory = repository / f"part{part:02}"
        directory.mkdir(exist_ok=True)
        suffix = ("html", "css", "js", "svg")[number % 4]
        (directory / f"file{number:02}.{suffix}").write_text(f"{branch} {i}\n" * 20)


def _git(repository: Path, *arguments: str) -> None:
    identity = {
        f"GIT_{role}_{what}": text
        for role in ("AUTHOR", "COMMITTER")
        for what, text in [("NAME", "bench"), ("EMAIL", "bench@localhost")]
    }
    settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(
        ["git", "-c", "gc.auto=0", *arguments],
        cwd=repository,
        env={k: v for k, v in os.environ.items() if not k.startswith("GIT_")} | identity | settings,
        check=True,
    )


@contextmanager
def _busy(count: int) -> Iterator[None]:
    with ExitStack() as stack:
        for _ in range(count):
            stack.callback(server.stop, subprocess.Popen([sys.executable, "-c", _BUSY_PROGRAM]))
        yield


def _row(contender: Contender) -> Row:
    row: Row = {
        "contender": contender.name,
        "short": sum(runs.short for runs in contender.runs.values()),
    }
    for load, runs in contender.runs.items():
        one = runs.batches.count(1)
        row |= {
            load: f"{one}/{len(runs.batches)}",
            f"{load}, one batch": one,
            f"{load}, runs": len(runs.batches),
            f"{load}, median batches": statistics.median(runs.batches),
            f"{load}, most batches": max(runs.batches),
            f"{load}, git s": max(runs.git_seconds),
        }
    return row
