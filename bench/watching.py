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
from report import Bar, Chart, Column, Goal, Group, Row, Section, compared, percentile

SIZES, QUICK_SIZES = (1_000, 10_000, 100_000), (1_000, 10_000)
FILES_EACH, DIRECTORIES_EACH = 10, 20
SETTLE_SECONDS = 1.0
SCANNER = "0.3's method"
POLLED = ("ours, polling", SCANNER)  # which take long to find a save
HELD_MS = 5.0  # what an event loop does not notice


@dataclass(frozen=True)
class Cost:
    start: watcher.Start
    resident_kib: int
    cpu_share: float
    switches_per_second: float


def run(quick: bool) -> Section:
    sizes, rest_seconds, saves = (QUICK_SIZES, 2.0, 6) if quick else (SIZES, 6.0, 12)
    with tempfile.TemporaryDirectory(prefix="hotreload-bench-") as root:
        trees = {size: _make_tree(Path(root) / str(size), size) for size in sizes}
        rows = [
            row
            for name in watcher.NAMES
            for together in _groups(name, trees)
            for row in _measure(
                name, together, rest_seconds, saves // 3 if name in POLLED else saves
            )
        ]
    return Section(
        title="Watching: its cost at rest, and how soon a save is found, as the tree grows",
        notes=[
            f"{FILES_EACH} files a directory; each contender in a process of its own, without a "
            "web server, one after the other, its trees of all sizes at once",
            f"{SCANNER} one tree after the other, as its scans would fill the processors; it and "
            f"{POLLED[0]} with {saves // 3} saves",
            "holds: how long the start keeps its caller, which may be an event loop; ready: from "
            "start until it says that it watches; memory: resident, added since its imports, after "
            "the rest",
            f"CPU and wakeups: of all its threads over {rest_seconds:.0f} s in which nothing "
            "happens; wakeups are voluntary context switches",
            f"found: close() of a file not saved before until it is reported on a pipe, {saves} "
            f"saves; lost: not within {save.LOST_SECONDS:.0f} s",
        ],
        columns=[
            Column("contender", ""),
            Column("files", "files"),
            Column("holds_ms", "holds ms", 2),
            Column("ready_s", "ready s", 3),
            Column("memory_kib", "memory KiB"),
            Column("bytes_per_file", "bytes/file"),
            Column("idle_cpu_percent", "% of a core", 3),
            Column("idle_wakeups_per_s", "wakeups/s", 1),
            Column("found_p50_ms", "found p50 ms", 2),
            Column("found_p25_ms", "p25 ms", 2),
            Column("found_p75_ms", "p75 ms", 2),
            Column("found_max_ms", "max ms", 2),
            Column("lost", "lost"),
        ],
        rows=rows,
        says=_says(rows, max(sizes)),
        goals=_goals(rows, max(sizes)),
        charts=_charts(rows),
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


def _measure(name: str, trees: dict[int, list[Path]], rest_seconds: float, saves: int) -> list[Row]:
    with ExitStack() as stack:
        contenders: list[save.Contender] = []
        watchers: list[watcher.Watcher] = []
        starts: list[watcher.Start] = []
        before: list[int] = []
        for size, files in trees.items():
            root = files[0].parents[2]
            one = stack.enter_context(watcher.running(name, root))
            before.append(proc.resident_kib(one.pid))
            starts.append(one.start())
            watchers.append(one)
            contender = save.Contender(name, random.sample(files, saves + 3), one, saves)
            try:
                contender.warm_up()
            except RuntimeError as error:  # the others are still of interest
                print(f"bench: {size} files: {error}", file=sys.stderr)
                contender.saves = 1
            contenders.append(contender)
        costs = _rest(watchers, before, starts, rest_seconds)
        save.take_turns(contenders)
    return [
        _row(contender, size, cost)
        for contender, size, cost in zip(contenders, trees, costs, strict=True)
    ]


def _rest(
    watchers: list[watcher.Watcher], before: list[int], starts: list[watcher.Start], seconds: float
) -> list[Cost]:
    time.sleep(SETTLE_SECONDS)
    start = time.monotonic()
    cpu = [proc.cpu_seconds(one.pid) for one in watchers]
    switches = [proc.voluntary_switches(one.pid) for one in watchers]
    time.sleep(seconds)
    elapsed = time.monotonic() - start
    return [
        Cost(
            start=starts[i],
            resident_kib=proc.resident_kib(one.pid) - before[i],
            cpu_share=(proc.cpu_seconds(one.pid) - cpu[i]) / elapsed,
            switches_per_second=(proc.voluntary_switches(one.pid) - switches[i]) / elapsed,
        )
        for i, one in enumerate(watchers)
    ]


def _row(contender: save.Contender, size: int, cost: Cost) -> Row:
    seconds = contender.seconds
    return {
        "contender": contender.name,
        "files": size,
        "saves": contender.saves,
        "holds_ms": cost.start.held * 1e3,
        "ready_s": cost.start.ready,
        "memory_kib": cost.resident_kib,
        "bytes_per_file": cost.resident_kib * 1024 // size,
        "idle_cpu_percent": cost.cpu_share * 100,
        "idle_wakeups_per_s": cost.switches_per_second,
        "found_p50_ms": statistics.median(seconds) * 1e3 if seconds else None,
        "found_p25_ms": percentile(seconds, 25) * 1e3 if seconds else None,
        "found_p75_ms": percentile(seconds, 75) * 1e3 if seconds else None,
        "found_max_ms": max(seconds) * 1e3 if seconds else None,
        "lost": contender.lost,
    }


def _says(rows: list[Row], size: int) -> list[str]:
    def figures(key: str) -> dict[str, float]:
        chosen = {str(row["contender"]): row[key] for row in rows if row["files"] == size}
        return {name: float(value) for name, value in chosen.items() if value is not None}

    says = [
        f"{what}, {size} files: {compared(figures(key), unit, digits)}"
        for what, key, unit, digits in [
            ("Processor time at rest", "idle_cpu_percent", "% of a core", 3),
            ("Wakeups at rest", "idle_wakeups_per_s", "a second", 1),
            ("How long the start holds its caller", "holds_ms", "ms", 2),
            ("Ready", "ready_s", "s", 3),
            ("Memory", "memory_kib", "KiB", 0),
            ("A save is found", "found_p50_ms", "ms at the median", 2),
        ]
    ]
    says += [
        f"{row['contender']}, {row['files']} files: {row['lost']} of {row['saves']} saves lost."
        for row in rows
        if row["lost"]
    ]
    return says


def _goals(rows: list[Row], size: int) -> list[Goal]:
    (row,) = (row for row in rows if row["contender"] == "ours" and row["files"] == size)
    cpu, wakeups, held, ready = (
        float(row[key] or 0)
        for key in ("idle_cpu_percent", "idle_wakeups_per_s", "holds_ms", "ready_s")
    )
    return [
        Goal(
            key="rest",
            what=f"watching {size:,} files, nothing changing",
            target="0 wakeups, 0 CPU",
            measured=f"{wakeups:g} wakeups/s, {cpu:g} % of a core",
            reached=wakeups == 0 and cpu == 0,
        ),
        Goal(
            key="start",
            what=f"start-up with {size:,} files",
            target="off the event loop",
            measured=f"its caller is held for {held:.2f} ms of {ready * 1e3:.0f}",
            reached=held < HELD_MS,
        ),
    ]


def _charts(rows: list[Row]) -> list[Chart]:
    sizes = sorted({int(row["files"] or 0) for row in rows})

    def groups(key: str, spread: bool = False) -> list[Group]:
        def one(row: Row) -> Bar:
            low, high = (row["found_p25_ms"], row["found_p75_ms"]) if spread else (None, None)
            return Bar(
                str(row["contender"]),
                float(row[key] or 0),
                low if isinstance(low, float) else None,
                high if isinstance(high, float) else None,
            )

        return [
            Group(
                f"{size:,} files",
                [one(r) for r in rows if r["files"] == size and r[key] is not None],
            )
            for size in sizes
        ]

    return [
        Chart("watching-rest", "Processor time at rest", "% of a core", groups("idle_cpu_percent")),
        Chart(
            "watching-found",
            "From a save to its report",
            "ms (logarithmic), median and quartiles",
            groups("found_p50_ms", spread=True),
            logarithmic=True,
        ),
    ]
