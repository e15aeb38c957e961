"""Figures to text: percentiles, tables, and the machine they were taken on."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

Cell = str | int | float | None


@dataclass(frozen=True)
class Column:
    """`key` names the figure in bench.json; `digits` rounds it in the table only."""

    key: str
    title: str
    digits: int = 0


@dataclass(frozen=True)
class Section:
    title: str
    notes: Sequence[str]
    columns: Sequence[Column]
    rows: Sequence[dict[str, Cell]]

    def as_text(self) -> str:
        if not self.rows:
            return "\n".join([self.title, *(f"  {note}" for note in self.notes)])
        titles = [column.title for column in self.columns]
        body = [[_text(row.get(c.key), c.digits) for c in self.columns] for row in self.rows]
        widths = [max(map(len, cells)) for cells in zip(titles, *body, strict=True)]
        lines = [self.title, *(f"  {note}" for note in self.notes)]
        for cells in [titles, *body]:
            aligned = map(_align, cells, widths, [self.rows[0].get(c.key) for c in self.columns])
            lines.append("  " + "  ".join(aligned).rstrip())
        return "\n".join(lines)

    def as_json(self) -> dict[str, object]:
        return {"title": self.title, "notes": list(self.notes), "rows": list(self.rows)}


def _text(value: Cell, digits: int) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.{digits}f}"
    return str(value)


def _align(text: str, width: int, example: Cell) -> str:
    return text.ljust(width) if isinstance(example, str) else text.rjust(width)


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest rank: a value that was measured, never one between two."""
    ordered = sorted(values)
    rank = max(1, -(-len(ordered) * percent // 100))
    return ordered[int(rank) - 1]


def machine(directory: Path) -> dict[str, str]:
    """What a reader needs to judge the figures; `directory` is where files are saved."""
    return {
        "machine": f"{os.cpu_count()} x {_processor()}, {_memory_gib()} GiB",
        "system": f"{_distribution()}, {platform.system()} {platform.release()}, "
        f"files on {_file_system(directory)}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "versions": ", ".join(_versions()),
        "command": " ".join(["python", *sys.argv]),
        "load": load(),
    }


def load() -> str:
    return " ".join(f"{value:.2f}" for value in os.getloadavg())


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
    names = [
        "starlette-hot-reload",
        "starlette",
        "uvicorn",
        "httptools",
        "uvloop",
        "watchfiles",
        "watchdog",
    ]
    return [f"{name} {_version(name)}" for name in names]


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "absent"
