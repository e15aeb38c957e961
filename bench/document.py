"""Results to docs/benchmarks.md and its pictures. Nothing is measured.

    python bench/document.py [--check]

--check writes nothing, and fails where the page or a picture is not what would be written.

What was measured is kept as JSON, a file a part, so that one part can be measured again and the
others stand. What a person adds stands in notes.md and is merged in.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from report import Goal, Section

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
NOTES = HERE / "notes.md"
ORDER = (
    "save",
    "checkout",
    "watching",
    "in-process",
    "callgrind",
    "requests",
    "streams",
    "pixels",
)
SAME = ("machine", "system", "python", "versions", "commit")
TITLES = {
    "machine": "machine",
    "system": "system",
    "python": "Python",
    "versions": "versions",
    "commit": "commit",
}
INTRODUCTION = """\
# Benchmarks

`make bench` measures all of this, and writes this page. Its parts took {minutes:.0f} minutes in
all; the machine should do nothing else meanwhile. It needs Linux, a C compiler, Python with its
headers, Node 20.19 or newer, Chromium, git, wrk and valgrind. What is missing is installed on
Debian as root, and named elsewhere. Some parts alone, the others kept:

```sh
make bench PARTS=pixels
```

The parts are {parts}.
The sentences, tables and pictures follow from what was measured; what a person has to say about
it is marked as a note.
"""


@dataclass(frozen=True)
class Place:
    results: Path
    page: Path
    images: Path


FINAL = Place(HERE / "results", ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "bench")
_TRIAL = ROOT / "build" / "bench"
TRIAL = Place(_TRIAL / "results", _TRIAL / "benchmarks.md", _TRIAL / "bench")


@dataclass(frozen=True)
class Result:
    part: str
    about: Mapping[str, str]
    section: Section


def keep(place: Place, result: Result) -> None:
    place.results.mkdir(parents=True, exist_ok=True)
    content = {"about": result.about, "section": result.section.as_json()}
    path = place.results / f"{result.part}.json"
    path.write_text(json.dumps(_rounded(content), indent=1) + "\n")


def write(place: Place) -> None:
    """The page and the pictures of all results that are kept there."""
    import plots  # needs matplotlib, which the words do not

    results = _read(place)
    place.images.mkdir(parents=True, exist_ok=True)
    for result in results:
        for chart in result.section.charts:
            plots.draw(chart, place.images)
    place.page.write_text(_page(results, place.images.name))


def stale(place: Place) -> list[Path]:
    """The page and the pictures that are not of the results that are kept there."""
    results = _read(place)
    pages = [place.page] if place.page.read_text() != _page(results, place.images.name) else []
    charts = [chart for result in results for chart in result.section.charts]
    return pages + [
        picture
        for chart in charts
        for picture in (place.images / f"{chart.name}.{suffix}" for suffix in ("svg", "png"))
        if not (picture.exists() and chart.digest().encode() in picture.read_bytes())
    ]


def _rounded(value: Any) -> Any:
    """Six figures say more than was measured."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, Mapping):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return value


def _read(place: Place) -> list[Result]:
    results = []
    for part in ORDER:
        path = place.results / f"{part}.json"
        if path.exists():
            content = json.loads(path.read_text())
            results.append(Result(part, content["about"], Section.from_json(content["section"])))
    return results


def _notes(text: str) -> dict[str, str]:
    """By heading: a part, or a part and the key of a goal that is missed."""
    pieces = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return {
        heading.strip(): body.strip()
        for heading, body in zip(pieces[1::2], pieces[2::2], strict=True)
    }


def _page(results: Sequence[Result], images: str) -> str:
    notes = _notes(NOTES.read_text())
    seconds = sum(int(result.about["seconds"]) for result in results)
    pieces = [
        INTRODUCTION.format(
            parts=", ".join(f"`{part}`" for part in ORDER), minutes=max(1, seconds / 60)
        ),
        _goals(results, notes),
        _machine(results),
    ]
    if "peers" in notes:
        pieces.append(f"## Who is compared\n\n{notes['peers']}\n")
    pieces += [_part(result, notes, images) for result in results]
    return "\n".join(pieces)


def _goals(results: Sequence[Result], notes: Mapping[str, str]) -> str:
    rows = [
        [goal.what, goal.target, goal.measured, "yes" if goal.reached else "**no**"]
        for result in results
        for goal in result.section.goals
    ]
    reached = sum(row[-1] == "yes" for row in rows)
    table = _table(["what", "target", "measured", "reached"], rows, [True] * 4)
    return f"## Figures to reach\n\n{reached} of {len(rows)} are reached.\n\n{table}"


def _machine(results: Sequence[Result]) -> str:
    lines = ["## The machine\n"]
    for key in SAME:
        by_text: dict[str, list[str]] = {}
        for result in results:
            by_text.setdefault(result.about[key], []).append(result.part)
        for text, parts in by_text.items():
            which = f" ({', '.join(parts)})" if len(by_text) > 1 else ""
            lines.append(f"- {TITLES[key]}{which}: {text}")
    keys = ["measured", "load before", "load after", "seconds", "command"]
    rows = [[result.part, *(result.about[key] for key in keys)] for result in results]
    lines.append("\n" + _table(["part", *keys], rows, [True, True, True, True, False, True]))
    lines.append(
        "Load: of the last 1, 5 and 15 minutes; it holds the part before, and what this part does "
        "itself. Where the first part of a command begins with more than 1, others used the "
        "machine.\n"
    )
    if any(" --quick" in result.about["command"] for result in results):
        lines.append("**Taken with `--quick`: too few samples to be quoted.**\n")
    return "\n".join(lines)


def _part(result: Result, notes: Mapping[str, str], images: str) -> str:
    section = result.section
    pieces = [f"## {section.title}\n", *(f"- {_sentence(said)}" for said in section.says), ""]
    pieces += [_missed(result.part, goal, notes) for goal in section.goals if not goal.reached]
    for chart in section.charts:
        pieces.append(
            f"[![{chart.title}; the figures are in the table]"
            f"({images}/{chart.name}.svg)]({images}/{chart.name}.png)\n"
        )
    if section.rows:
        titles = [column.title or column.key for column in section.columns]
        pieces.append(_table(titles, section.cells(), section.are_words()))
    pieces += ["How it is measured:\n", *(f"- {_sentence(note)}" for note in section.notes), ""]
    if note := notes.get(result.part):
        pieces.append(f"*Note.* {note}\n")
    return "\n".join(pieces)


def _missed(part: str, goal: Goal, notes: Mapping[str, str]) -> str:
    why = notes.get(f"{part}: {goal.key}", "Not explained yet.")
    return f"**Missed:** {goal.what}: {goal.measured}; to reach: {goal.target}.\n\n*Note.* {why}\n"


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]], words: Sequence[bool]) -> str:
    lines = [titles, [":---" if word else "---:" for word in words], *rows]
    return "\n".join(f"| {' | '.join(map(_escaped, line))} |" for line in lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> int:
    parser = argparse.ArgumentParser(description="Write docs/benchmarks.md; see bench/document.py.")
    parser.add_argument("--check", action="store_true", help="only say whether it is current")
    if not parser.parse_args().check:
        write(FINAL)
        return 0
    names = [str(path.relative_to(ROOT)) for path in stale(FINAL)]
    for name in names:
        print(f"{name} is not what its results say: run bench/document.py", file=sys.stderr)
    return 1 if names else 0


if __name__ == "__main__":
    sys.exit(main())
