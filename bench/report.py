"""Figures to text: percentiles, tables, sentences, and the machine they were taken on."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import statistics
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
Cell = str | int | float | None
Row = dict[str, Cell]

PACKAGES = [
    "starlette-hot-reload",
    "starlette",
    "uvicorn",
    "httptools",
    "uvloop",
    "websockets",
    "arel",
    "livereload",
    "watchfiles",
    "watchdog",
]
NPM_PACKAGES = ["vite", "browser-sync", "puppeteer-core"]


@dataclass(frozen=True)
class Column:
    """`key` names the figure in a row; `digits` rounds it in the table only."""

    key: str
    title: str
    digits: int = 0


@dataclass(frozen=True)
class Goal:
    """A figure to reach. `key` names the note on why it is missed; see notes.md."""

    key: str
    what: str
    target: str
    measured: str
    reached: bool


@dataclass(frozen=True)
class Bar:
    label: str
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Group:
    """Bars below one heading; `target` is drawn as a line across them."""

    heading: str
    bars: Sequence[Bar]
    target: float | None = None


@dataclass(frozen=True)
class Chart:
    name: str
    title: str
    unit: str
    groups: Sequence[Group]
    logarithmic: bool = False

    def digest(self) -> str:
        """Of all that is drawn, 64 hexadecimal digits."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()


@dataclass(frozen=True)
class Section:
    title: str
    notes: Sequence[str]
    columns: Sequence[Column]
    rows: Sequence[Row]
    says: Sequence[str] = ()
    goals: Sequence[Goal] = ()
    charts: Sequence[Chart] = ()

    def as_text(self) -> str:
        lines = [self.title, *(f"  {note}" for note in self.notes)]
        if self.rows:
            titles = [column.title for column in self.columns]
            body = self.cells()
            widths = [max(map(len, cells)) for cells in zip(titles, *body, strict=True)]
            for cells in [titles, *body]:
                aligned = map(_align, cells, widths, self.are_words())
                lines.append("  " + "  ".join(aligned).rstrip())
        lines += [f"  {sentence}" for sentence in self.says]
        for goal in self.goals:
            state = "reached" if goal.reached else "MISSED"
            lines.append(f"  {state}: {goal.what}: {goal.measured} (target: {goal.target})")
        return "\n".join(lines)

    def cells(self) -> list[list[str]]:
        return [[_text(row.get(c.key), c.digits) for c in self.columns] for row in self.rows]

    def are_words(self) -> list[bool]:
        """Of each column, whether it holds words, not numbers."""
        return [isinstance(self.rows[0].get(column.key), str) for column in self.columns]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(content: dict[str, Any]) -> Section:
        charts = [
            Chart(
                **{
                    **chart,
                    "groups": [
                        Group(**{**group, "bars": [Bar(**bar) for bar in group["bars"]]})
                        for group in chart["groups"]
                    ],
                }
            )
            for chart in content["charts"]
        ]
        return Section(
            **{
                **content,
                "columns": [Column(**column) for column in content["columns"]],
                "goals": [Goal(**goal) for goal in content["goals"]],
                "charts": charts,
            }
        )


def _text(value: Cell, digits: int) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.{digits}f}"
    return str(value)


def _align(text: str, width: int, is_word: bool) -> str:
    return text.ljust(width) if is_word else text.rjust(width)


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest rank: a value that was measured, never one between two."""
    ordered = sorted(values)
    rank = max(1, -(-len(ordered) * percent // 100))
    return ordered[int(rank) - 1]


def bar(label: str, values: Sequence[float], scale: float = 1.0) -> Bar:
    """The median, and the quartiles."""
    low, high = percentile(values, 25), percentile(values, 75)
    return Bar(label, statistics.median(values) * scale, low * scale, high * scale)


def compared(figures: Mapping[str, float], unit: str, digits: int) -> str:
    """A sentence that says who has less than ours, and who has more."""
    mine = figures["ours"]
    others = sorted((value, other) for other, value in figures.items() if other != "ours")

    def listed(chosen: Iterable[tuple[float, str]]) -> str:
        texts = [
            f"{other} {value:.{digits}f}" + (f" ({_rounded(value / mine)} times)" if mine else "")
            for value, other in chosen
        ]
        return ", ".join(texts) or "nobody"

    says = [f"Ours {mine:.{digits}f} {unit}"]
    if equals := [other for value, other in others if value == mine]:
        says.append(f"as much: {', '.join(equals)}")
    says.append(f"less: {listed(pair for pair in others if pair[0] < mine)}")
    says.append(f"more: {listed(pair for pair in others if pair[0] > mine)}")
    return f"{'; '.join(says)}."


def _rounded(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.1f}" if ratio >= 2 else f"{ratio:.2f}"


def machine(directory: Path) -> dict[str, str]:
    """What a reader needs to judge the figures; `directory` is where files are saved."""
    return {
        "machine": f"{os.cpu_count()} x {_processor()}, {_memory_gib()} GiB",
        "system": f"{_distribution()}, {platform.system()} {platform.release()}, "
        f"files on {_file_system(directory)}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "versions": ", ".join(_versions()),
        "commit": _commit(),
    }


def load() -> str:
    return " ".join(f"{value:.2f}" for value in os.getloadavg())


def _commit() -> str:
    """Of what is measured; with "-dirty" if files differ from it."""
    try:
        command = ["git", "describe", "--always", "--dirty"]
        return subprocess.run(
            command, cwd=HERE, capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "no repository"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory_gib() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return "unknown distribution"


def _file_system(directory: Path) -> str:
    best = ("", "unknown")
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, mount, kind, *_ = line.split()
        if directory.is_relative_to(mount) and len(mount) >= len(best[0]):
            best = mount, kind
    return best[1]


def _versions() -> list[str]:
    python = [f"{name} {_version(name)}" for name in PACKAGES]
    return python + [f"{name} {_npm_version(name)}" for name in NPM_PACKAGES]


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "absent"


def _npm_version(name: str) -> str:
    description = HERE / "pixels" / "node_modules" / name / "package.json"
    try:
        return str(json.loads(description.read_text())["version"])
    except FileNotFoundError:
        return "absent"
