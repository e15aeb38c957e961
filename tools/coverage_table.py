"""Prints what of each file the suites have run, and checks the list of what they have not.

    python tools/coverage_table.py C.json PYTHON.json UNRUN BRANCHES

The first is gcovr's report, the second that of coverage.py. Fails if less than LEAST percent of the
lines of any part have run, if a line has not run that UNRUN does not list, and if UNRUN lists one
that is not there or has run. To BRANCHES the lines are written of which a branch was not taken.

UNRUN holds blocks, an empty line between two of them: a file and a function, then each line that
is not run, then why. A line begins with "- ", or with "? " if it is a matter of luck whether it is
run. A comment begins with "#".
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

LEAST = 95.0
PARTS = {"include": "engine", "src": "engine", "bindings": "extension", "python": "Python face"}


class Line(NamedTuple):
    file: str
    function: str
    text: str


@dataclass
class File:
    name: str
    functions: dict[int, str] = field(default_factory=dict)
    """Where each line that can run belongs."""
    unrun: list[int] = field(default_factory=list)
    branches: int = 0
    untaken: Counter[int] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._texts = Path(self.name).read_text().splitlines()

    def line(self, number: int) -> Line:
        return Line(self.name, self.functions.get(number, ""), self._texts[number - 1].strip())

    @property
    def counts(self) -> tuple[int, int, int, int]:
        lines = len(self.functions)
        return lines, lines - len(self.unrun), self.branches, self.branches - self.untaken.total()


def c_files(report: dict[str, Any]) -> Iterator[File]:
    """A header's line runs if it does in any source that includes it."""
    for each in report["files"]:
        file = File(each["file"])
        runs: Counter[int] = Counter()
        branches: Counter[tuple[int, int]] = Counter()
        for line in each["lines"]:
            number = line["line_number"]
            if line.get("gcovr/noncode") or line.get("gcovr/excluded"):
                continue
            file.functions[number] = line.get("function_name", "")
            runs[number] += line["count"]
            for index, branch in enumerate(line["branches"]):
                branches[number, index] += branch["count"]
        file.unrun = sorted(number for number in runs if not runs[number])
        file.branches = len(branches)
        file.untaken = Counter(number for (number, _), count in branches.items() if not count)
        yield file


def python_files(report: dict[str, Any]) -> Iterator[File]:
    for path, each in report["files"].items():
        file = File(f"python/starlette_hot_reload/{Path(path).name}")
        for name, function in each["functions"].items():
            for number in function["executed_lines"] + function["missing_lines"]:
                file.functions[number] = name
        file.unrun = each["missing_lines"]
        file.branches = each["summary"]["num_branches"]
        file.untaken = Counter(number for number, _ in each["missing_branches"])
        yield file


# The list.


@dataclass
class Listed:
    never: Counter[Line] = field(default_factory=Counter)
    by_luck: Counter[Line] = field(default_factory=Counter)


def read_listed(path: Path) -> Listed:
    listed = Listed()
    for block in path.read_text().split("\n\n"):
        lines = [line for line in block.splitlines() if not line.startswith("#")]
        if not lines:
            continue
        file, _, function = lines[0].partition(" ")
        for line in lines[1:]:
            kind = {"- ": listed.never, "? ": listed.by_luck}.get(line[:2])
            if kind is not None:
                kind[Line(file, function, line[2:])] += 1
        if lines[-1][:2] in {"- ", "? "}:
            raise SystemExit(f"{path}: no reason is given in:\n{block}")
    return listed


def check(files: list[File], listed: Listed) -> bool:
    """Whether just what is listed was not run."""
    there = Counter(file.line(number) for file in files for number in file.functions)
    unrun = Counter(file.line(number) for file in files for number in file.unrun)
    stale = (listed.never - unrun) + (listed.by_luck - there)
    for line in stale.elements():
        print(f"listed, but run or not there: {line.file} {line.function}\n- {line.text}")
    unlisted = unrun - listed.never - listed.by_luck
    for line in unlisted.elements():
        print(f"not run, and not listed: {line.file} {line.function}\n- {line.text}")
    print(
        f"{unrun.total()} lines were not run; {(unrun - unlisted).total()} of them have a reason."
    )
    return not stale and not unlisted


# The table.


def share(run: int, total: int) -> str:
    return f"{100.0 * run / total:6.1f} %" if total else "        "


def row(name: str, files: Iterable[File]) -> float:
    """Returns the share of lines that have run."""
    lines, lines_run, branches, branches_run = map(
        sum, zip(*(file.counts for file in files), strict=True)
    )
    print(
        f"{name:42} {lines:6} {share(lines_run, lines)} {branches:6} "
        f"{share(branches_run, branches)}"
    )
    return 100.0 * lines_run / lines if lines else 100.0


def table(files: list[File]) -> bool:
    """Whether enough lines of each part have run."""
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
        if row(f"{part}, all", of_part) < LEAST:
            print(f"{part}: less than {LEAST:.0f} % of the lines were run")
            good = False
        print()
    return good


def write_branches(files: list[File], path: Path) -> None:
    with path.open("w") as out:
        for file in files:
            for number, count in sorted(file.untaken.items()):
                if number not in file.unrun:
                    line = file.line(number)
                    print(f"{line.file}:{number} {line.function}: {count}: {line.text}", file=out)


def main() -> int:
    c, python = (json.loads(Path(path).read_text()) for path in sys.argv[1:3])
    files = sorted([*c_files(c), *python_files(python)], key=lambda file: file.name)
    good = table(files)
    good = check(files, read_listed(Path(sys.argv[3]))) and good
    write_branches(files, Path(sys.argv[4]))
    print(f"The lines of which a branch was not taken: {sys.argv[4]}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
