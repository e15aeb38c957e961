"""What watching costs as a tree grows, and how soon a change is found then."""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import proc
import save
import watcher
from report import Cell, Column, Section

SIZES, QUICK_SIZES = (1_000, 10_000, 100_000), (1_000, 10_000)
FILES_EACH, DIRECTORIES_EACH = 10, 20
SETTLE_SECONDS = 1.0
SCANNER = "0.3's method"


@dataclass(frozen=True)
class Cost:
    ready_seconds: float
    resident_kib: int
    cpu_share: float
    switches_per_second: float


def run(quick: bool) -> Section:
    sizes, rest_seconds, saves = (QUICK_SIZES, 3.0, 8) if quick else (SIZES, 10.0, 15)
    with tempfile.TemporaryDirectory(prefix="hotreload-bench-") as root:
        trees = {size: _make_tree(Path(root) / str(size), size) for size in sizes}
        rows = [
            row
            for name in watcher.NAMES
            for together in _groups(name, trees)
            for row in _measure(
                name, together, rest_seconds, saves // 3 if name == SCANNER else saves
            )
        ]
    return Section(
        title="Watching: its cost at rest, and how soon a save is found, as the tree grows",
        notes=[
            f"{FILES_EACH} files a directory; each contender in a process of its own, without a "
            "web server, one after the other, its trees of all sizes at once",
            f"{SCANNER} one tree after the other, as its scans would fill the processors, and with "
            f"{saves // 3} saves",
            "ready: from start until it says that it watches; memory: resident, added since its "
            "imports, after the rest",
            f"CPU and wakeups: of all its threads over {rest_seconds:.0f} s in which nothing "
            "happens; wakeups are voluntary context switches",
            f"found: close() of a file not saved before until it is reported on a pipe, {saves} "
            f"saves; lost: not within {save.LOST_SECONDS:.0f} s",
        ],
        columns=[
            Column("contender", ""),
            Column("files", "files"),
            Column("ready_s", "ready s", 3),
            Column("memory_kib", "memory KiB"),
            Column("bytes_per_file", "bytes/file"),
            Column("idle_cpu_percent", "% of a core", 3),
            Column("idle_wakeups_per_s", "wakeups/s", 1),
            Column("found_p50_ms", "found p50 ms", 2),
            Column("found_max_ms", "max ms", 2),
            Column("lost", "lost"),
        ],
        rows=rows,
    )


def _make_tree(root: Path, size: int) -> list[Path]:
    files = []
    for i in range(size // FILES_EACH):
        area, part = divmod(i, DIRECTORIES_EACH)
        directory = root / f"area{area:03}" / f"part{part:02}"
        directory.mkdir(parents=True)
        for j in range(FILES_EACH):
            suffix = ("html", "css", "js", "svg")[j % 4]
            file = directory / f"file{j:02}.{suffix}"
            file.write_text(f"{i} {j}\n")
            files.append(file)
    return files


def _groups(name: str, trees: dict[int, list[Path]]) -> list[dict[int, list[Path]]]:
    """What is watched at the same time, to save time: at rest, most contenders take none."""
    if name == SCANNER:
        return [{size: files} for size, files in trees.items()]
    return [trees]


def _measure(
    name: str, trees: dict[int, list[Path]], rest_seconds: float, saves: int
) -> list[dict[str, Cell]]:
    with ExitStack() as stack:
        contenders: list[save.Contender] = []
        watchers: list[watcher.Watcher] = []
        ready: list[float] = []
        before: list[int] = []
        for size, files in trees.items():
            root = files[0].parents[2]
            one = stack.enter_context(watcher.running(name, root))
            before.append(proc.resident_kib(one.pid))
            ready.append(one.start())
            watchers.append(one)
            contender = save.Contender(name, random.sample(files, saves + 3), one, saves)
            try:
                contender.warm_up()
            except RuntimeError as error:  # the others are still of interest
                print(f"bench: {size} files: {error}", file=sys.stderr)
                contender.saves = 1
            contenders.append(contender)
        costs = _rest(watchers, before, ready, rest_seconds)
        save.take_turns(contenders)
    return [
        _row(contender, size, cost)
        for contender, size, cost in zip(contenders, trees, costs, strict=True)
    ]


def _rest(
    watchers: list[watcher.Watcher], before: list[int], ready: list[float], seconds: float
) -> list[Cost]:
    time.sleep(SETTLE_SECONDS)
    start = time.monotonic()
    cpu = [proc.cpu_seconds(one.pid) for one in watchers]
    switches = [proc.voluntary_switches(one.pid) for one in watchers]
    time.sleep(seconds)
    elapsed = time.monotonic() - start
    return [
        Cost(
            ready_seconds=ready[i],
            resident_kib=proc.resident_kib(one.pid) - before[i],
            cpu_share=(proc.cpu_seconds(one.pid) - cpu[i]) / elapsed,
            switches_per_second=(proc.voluntary_switches(one.pid) - switches[i]) / elapsed,
        )
        for i, one in enumerate(watchers)
    ]


def _row(contender: save.Contender, size: int, cost: Cost) -> dict[str, Cell]:
    seconds = contender.seconds
    return {
        "contender": contender.name,
        "files": size,
        "ready_s": cost.ready_seconds,
        "memory_kib": cost.resident_kib,
        "bytes_per_file": cost.resident_kib * 1024 // size,
        "idle_cpu_percent": cost.cpu_share * 100,
        "idle_wakeups_per_s": cost.switches_per_second,
        "found_p50_ms": statistics.median(seconds) * 1e3 if seconds else None,
        "found_max_ms": max(seconds) * 1e3 if seconds else None,
        "lost": contender.lost,
    }
