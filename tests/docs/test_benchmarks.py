"""The figures in the documents are those that were measured."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from documents import ROOT

PIXELS = ROOT / "bench" / "results" / "pixels.json"
NAMES = {"this": "ours", "0.3": "0.3's method"}
"""Of the contenders, in the table of the README: others have their version behind their name."""


def test_the_page_of_benchmarks_and_its_pictures_are_what_its_results_say() -> None:
    checked = subprocess.run(
        [sys.executable, str(ROOT / "bench" / "document.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


def test_the_readme_quotes_what_was_measured() -> None:
    lines = (ROOT / "README.md").read_text("utf-8").split("\n")
    contenders = _cells(next(line for line in lines if line.startswith("| | this |")))
    names = [NAMES.get(name, name.split(" ")[0]) for name in contenders]
    quoted = [_cells(line) for line in lines if line.startswith("| to pixels |")]
    measured = _medians()
    for saved, cells in zip(("stylesheet", "template"), quoted, strict=True):
        assert cells == [measured.get((saved, name), "-") for name in names]


def _cells(line: str) -> list[str]:
    """Without the first, which is empty or names the row."""
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def _medians() -> dict[tuple[str, str], str]:
    rows: list[dict[str, Any]] = json.loads(PIXELS.read_text())["section"]["rows"]
    return {(row["saved"], row["contender"]): f"{row['p50_ms']:.0f} ms" for row in rows}
