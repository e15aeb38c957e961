"""Writes what the suite has found out into docs/servers.md: ``table.py RESULTS...``.

Each of RESULTS is what one run of the suite wrote; the first is of every combination.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from cases import CASES, LOOPS, SUBCLASSES, WRAPPED, Case

__all__ = ["DOCUMENT", "main", "shown"]

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "servers.md"
BEGIN = "<!-- tables of tests/matrix/table.py -->\n"
END = "<!-- end of the tables -->\n"
TITLES = {
    "starlette": "Starlette",
    "fastapi": "FastAPI",
    "fasthtml": "FastHTML",
    "litestar": "Litestar",
    "quart": "Quart",
    "django": "Django",
}
FAILED = "**fails**"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _shown(result: dict[str, Any], name: str) -> str:
    seconds = result["seconds"].get(name)
    return FAILED if seconds is None else f"{seconds:.2f} s"


def _frameworks(result: dict[str, Any]) -> str:
    head = ["server", "loop", "the server alone", *TITLES.values()]
    rows = []
    for server, loops in LOOPS.items():
        for loop in loops:
            chosen = [Case(server, loop, name) for name in SUBCLASSES + WRAPPED]
            names = {case.name for case in CASES}
            cells = [_shown(result, c.name) if c.name in names else "" for c in chosen]
            alone = _shown(result, Case(server, loop).alone)
            rows.append([server, loop, alone, *cells])
    return _table(head, rows)


def _code(way: str) -> str:
    return f"`{way}`" if "--" in way else way


def _ways(result: dict[str, Any]) -> str:
    rows = [
        [case.server, case.loop, _code(case.way), _shown(result, case.name)]
        for case in CASES
        if case.way
    ]
    return _table(["server", "loop", "started with", "Ctrl-C"], rows)


def _pythons(results: list[dict[str, Any]]) -> str:
    def slowest(result: dict[str, Any], server: str, loop: str) -> str:
        chosen = [c for c in CASES if (c.server, c.loop) == (server, loop) and c.is_quick]
        cells = [_shown(result, case.name) for case in chosen]
        return FAILED if FAILED in cells else max(cells)

    ordered = sorted(results, key=lambda result: [int(n) for n in result["python"].split(".")])
    rows = [
        [server, loop, *(slowest(result, server, loop) for result in ordered)]
        for server, loops in LOOPS.items()
        for loop in loops
    ]
    return _table(["server", "loop", *(result["python"] for result in ordered)], rows)


def _versions(result: dict[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in result["packages"].items())


def _loads(results: list[dict[str, Any]]) -> str:
    return ", ".join(f"{result['load']:.2f}" for result in results)


def _text(results: list[dict[str, Any]]) -> str:
    first = results[0]
    return (
        f"CPython {first['python']}, {_versions(first)}.\n\n"
        f"{os.cpu_count()} processors; their load as each CPython began: {_loads(results)}.\n\n"
        f"{_frameworks(first)}\n"
        "Ways to start them, with Starlette:\n\n"
        f"{_ways(first)}\n"
        "Each CPython, with the slowest of its combinations:\n\n"
        f"{_pythons(results)}"
    )


def shown(document: str) -> tuple[set[str], int]:
    """The cases that the tables of a document name, and how many cells say that one fails."""
    tables = document.partition(BEGIN)[2].partition(END)[0]
    names = set()
    head: list[str] = []
    for line in tables.splitlines():
        cells = [cell.strip(" `") for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            head = []
        elif not head:
            head = cells
        elif set(cells) == {"---"}:
            continue
        elif head[2] == "started with":
            names.add(Case(cells[0], cells[1], way=cells[2]).name)
        elif head[3] == TITLES["starlette"]:
            filled = [key for key, cell in zip(TITLES, cells[3:], strict=True) if cell]
            names.update(Case(cells[0], cells[1], framework).name for framework in filled)
    return names, tables.count(FAILED)


def main(paths: list[str]) -> None:
    document = DOCUMENT.read_text()
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{DOCUMENT} has no place for the tables")
    results = [json.loads(Path(path).read_text()) for path in paths]
    DOCUMENT.write_text(f"{before}{begin}\n{_text(results)}\n{end}{after}")


if __name__ == "__main__":
    main(sys.argv[1:])
