"""Prints what of each file the suites have run, and what they have not.

    python tools/coverage_table.py C.json PYTHON.json

The one is gcovr's report, the other that of coverage.py. Fails if less than LEAST percent of the
lines of any part have run.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LEAST = 95.0
PARTS = {"include": "engine", "src": "engine", "bindings": "extension", "python": "Python face"}


@dataclass
class File:
    name: str
    lines: int = 0
    lines_run: int = 0
    branches: int = 0
    branches_run: int = 0
    missing: list[int] = field(default_factory=list)


def c_files(report: dict[str, Any]) -> Iterator[File]:
    """A header's line runs if it does in any source that includes it."""
    for each in report["files"]:
        file = File(each["file"])
        runs: dict[int, bool] = {}
        branches: dict[tuple[int, int], bool] = {}
        for line in each["lines"]:
            number = line["line_number"]
            if line.get("gcovr/noncode") or line.get("gcovr/excluded"):
                continue
            runs[number] = runs.get(number, False) or line["count"] > 0
            for index, branch in enumerate(line["branches"]):
                key = number, index
                branches[key] = branches.get(key, False) or branch["count"] > 0
        file.lines, file.lines_run = len(runs), sum(runs.values())
        file.branches, file.branches_run = len(branches), sum(branches.values())
        file.missing = sorted(number for number, ran in runs.items() if not ran)
        yield file


def python_files(report: dict[str, Any]) -> Iterator[File]:
    for path, each in report["files"].items():
        summary = each["summary"]
        yield File(
            name=f"python/starlette_hot_reload/{Path(path).name}",
            lines=summary["num_statements"],
            lines_run=summary["covered_lines"],
            branches=summary["num_branches"],
            branches_run=summary["covered_branches"],
            missing=each["missing_lines"],
        )


def ranges(numbers: Iterable[int]) -> str:
    """1, 2, 3, 7 as 1-3, 7."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1] = found[-1][0], number
        else:
            found.append((number, number))
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in found)


def share(run: int, total: int) -> str:
    return f"{100.0 * run / total:6.1f} %" if total else "        "


def row(name: str, files: Iterable[File]) -> float:
    """Returns the share of lines that have run."""
    counts = [(f.lines, f.lines_run, f.branches, f.branches_run) for f in files]
    lines, lines_run, branches, branches_run = map(sum, zip(*counts, strict=True))
    print(
        f"{name:42} {lines:6} {share(lines_run, lines)} {branches:6} "
        f"{share(branches_run, branches)}"
    )
    return 100.0 * lines_run / lines if lines else 100.0


def main() -> int:
    c, python = (json.loads(Path(path).read_text()) for path in sys.argv[1:3])
    files = sorted([*c_files(c), *python_files(python)], key=lambda file: file.name)
    good = True
    print(f"{'':42} {'lines':>6} {'run':>8} {'branches':>8} {'run':>6}")
    for part in dict.fromkeys(PARTS.values()):
        of_part = [file for file in files if PARTS[file.name.split("/")[0]] == part]
        if not of_part:
            print(f"{part}: nothing was counted")
            good = False
            continue
        for file in of_part:
            row(file.name, [file])
        good = row(f"{part}, all", of_part) >= LEAST and good
        print()
    print("Lines that were not run:")
    for file in files:
        if file.missing:
            print(f"  {file.name}: {ranges(file.missing)}")
    if not good:
        print(f"less than {LEAST:.0f} % of the lines of a part have run", file=sys.stderr)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
