"""From a save to the screen: close() of the file here to the frame in which Chromium presents it.

The same page by each contender's server, in one browser, in turns; pixels/probe.mjs says how a
frame is timed.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypedDict

import server
from report import Chart, Column, Goal, Group, Row, Section, bar, compared, percentile

PACKAGE = server.HERE / "pixels"
TOOLS = ("vite", "browser-sync", "puppeteer-core")
FRAME_MS = 1000 / 60
RUN_SECONDS = 900.0

HEAD = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>A page</title>
<link rel="stylesheet" href="/site.css">
</head>
<body>
<h1 id="text">NUMBER</h1>
"""
PARAGRAPH = '<p class="text">Sixteen ounces, plain and simple, are a pound.</p>\n'
PAGE = HEAD + PARAGRAPH * 144 + "</body>\n</html>\n"
STYLE = """\
body { margin: 2rem auto; max-width: 40rem; font: 1rem/1.5 sans-serif; }
#text { color: rgb(1, 2, NUMBER); }
.text { margin: 0 0 1rem; padding: 0.25rem; border-bottom: 1px solid #ccc; }
.text:nth-child(odd) { background: #f4f4f4; }
@media (max-width: 30rem) { body { margin: 1rem; } }
"""
FILES = {
    "style": {"name": "site.css", "content": STYLE},
    "template": {"name": "index.html", "content": PAGE},
}
KINDS = {"style": "stylesheet", "template": "template"}
FLOOR = "told by the writer (floor)"
APPS = {
    FLOOR: "apps.pixels:bare",
    "ours": "apps.pixels:ours",
    "arel": "apps.pixels:arel_site",
    "0.3's method": "apps.pixels:version0_site",
}
NPM_SERVERS = {"Vite": "vite", "BrowserSync": "browser-sync"}
LIVERELOAD = "livereload"
ORDER = (FLOOR, "ours", "Vite", "BrowserSync", "arel", LIVERELOAD, "0.3's method")
# livereload tells of no save within 3 s of the one that it told of last.
LIVERELOAD_PAUSE = {"least": 3100, "most": 3900}
FRAMES, OF_VITE = 2.0, 0.5  # the stylesheet's, at most


class Sample(TypedDict):
    contender: str
    kind: str
    ms: float | None  # None: not shown in time
    unstyled: bool


class Clock(TypedDict):
    ahead: float
    within: float


class Result(TypedDict):
    samples: list[Sample]
    browser: str
    frame: float
    clocks: list[Clock]
    pause: dict[str, float]
    missed: float


@dataclass(frozen=True)
class Site:
    name: str
    url: str
    directory: Path


def check() -> None:
    """RuntimeError if what npm installs is not there; the browser is looked for at its start."""
    if shutil.which("node") is None:
        raise RuntimeError("node is missing; on Debian or Ubuntu: sudo apt-get install -y nodejs")
    missing = [name for name in TOOLS if not (PACKAGE / "node_modules" / name).is_dir()]
    if missing:
        raise RuntimeError(f"npm's {', '.join(missing)} missing; run `npm ci` in bench/pixels")


def run(quick: bool) -> Section:
    check()
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hotreload-bench-")))
        sites = [stack.enter_context(_running(name, root / str(i))) for i, name in enumerate(ORDER)]
        result = _measure(sites, *((6, 2) if quick else (40, 10)))
    return _section(result)


@contextmanager
def _running(name: str, directory: Path) -> Iterator[Site]:
    directory.mkdir()
    for file in FILES.values():
        (directory / file["name"]).write_text(file["content"].replace("NUMBER", "0"))
    if name in APPS:
        with server.running(APPS[name], directory) as running:
            yield Site(name, f"http://127.0.0.1:{running.port}/", directory)
    elif name == LIVERELOAD:
        with server.running_livereload(directory) as running:
            yield Site(name, f"http://127.0.0.1:{running.port}/", directory)
    else:
        with _npm_server(NPM_SERVERS[name], directory) as port:
            yield Site(name, f"http://127.0.0.1:{port}/", directory)


@contextmanager
def _npm_server(tool: str, directory: Path) -> Iterator[int]:
    cache = directory.with_name(f"{directory.name}-cache")
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            ["node", PACKAGE / "serve.mjs", tool, directory, cache],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )
        assert process.stdin
        assert process.stdout
        try:
            with process.stdin, process.stdout:
                yield _port(tool, process.stdout, log)
        finally:
            server.stop(process)


def _port(tool: str, output: IO[bytes], log: IO[bytes]) -> int:
    line = output.readline()
    if line:
        return int(line)
    log.seek(0)
    raise RuntimeError(f"{tool} did not start:\n{log.read().decode(errors='replace')}")


def _measure(sites: list[Site], saves: int, slow_saves: int) -> Result:
    contenders = [
        {
            "name": site.name,
            "url": site.url,
            "directory": str(site.directory),
            "told": site.name == FLOOR,
            "saves": slow_saves if site.name == LIVERELOAD else saves,
            "pause": LIVERELOAD_PAUSE if site.name == LIVERELOAD else None,
        }
        for site in sites
    ]
    process = subprocess.Popen(
        ["node", PACKAGE / "run.mjs"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        request = {"files": FILES, "contenders": contenders}
        output, _ = process.communicate(json.dumps(request).encode(), RUN_SECONDS)
    finally:
        server.stop(process)
    if process.returncode:
        raise RuntimeError("the browser did not measure; see above")
    result: Result = json.loads(output)
    return result


def _section(result: Result) -> Section:
    rows: list[Row] = []
    for kind in KINDS:
        reference = statistics.median(_shown(result, kind, "Vite") or [float("nan")])
        rows += [_row(result, kind, name, reference) for name in ORDER]
    pause, clocks = result["pause"], result["clocks"]
    ahead = max(abs(clock["ahead"]) for clock in clocks)
    within = max(clock["within"] for clock in clocks)
    return Section(
        title="Save to pixels: close() of the file to the frame that shows it, Chromium",
        notes=[
            f"{result['browser']}, headless, software rendering, a frame every "
            f"{result['frame']:.1f} ms (median); presented as its element timing says",
            f"a page of {len(PAGE) / 1000:.0f} kB with one linked stylesheet; each server has a "
            "directory and a window; one save at a time, each "
            f"{pause['least']:.0f}-{pause['most']:.0f} ms after the one before was shown",
            "livereload tells of no save within 3 s of the last: its saves are fewer, and "
            f"{LIVERELOAD_PAUSE['least']}-{LIVERELOAD_PAUSE['most']} ms apart",
            f"missed: not shown in {result['missed'] / 1000:.0f} s; unstyled: saves after which a "
            "frame lacked the stylesheet; default settings everywhere; ratios are of the medians",
            "floor: no watcher, no client; the writer tells the page over the debugging protocol, "
            "which sets the style itself, without a request, or reloads",
            f"clocks of page and writer differ by {ahead:.2f} ms at most, known to {within:.2f} ms",
        ],
        columns=[
            Column("saved", ""),
            Column("contender", "contender"),
            Column("saves", "saves"),
            Column("missed", "missed"),
            Column("unstyled", "unstyled"),
            Column("p50_ms", "p50 ms", 1),
            Column("p95_ms", "p95 ms", 1),
            Column("p25_ms", "p25 ms", 1),
            Column("p75_ms", "p75 ms", 1),
            Column("p50_frames", "p50 frames", 1),
            Column("p95_frames", "p95 frames", 1),
            Column("ratio_to_vite", "x Vite", 2),
        ],
        rows=rows,
        says=_says(result, rows),
        goals=_goals(rows),
        charts=[_chart(result)],
    )


def _says(result: Result, rows: list[Row]) -> list[str]:
    says = []
    for kind, title in KINDS.items():
        values = {name: _shown(result, kind, name) for name in ORDER}
        medians = {name: statistics.median(found) for name, found in values.items() if found}
        if "ours" in medians:
            says.append(f"A {title}: {compared(medians, 'ms at the median', 1)}")
    says += _floor_says(result)
    for row in rows:
        for key, what in [("missed", "not shown"), ("unstyled", "shown without the stylesheet")]:
            if row[key]:
                says.append(
                    f"{row['contender']}: {row[key]} of {row['saves']} saves of a {row['saved']} "
                    f"{what}."
                )
    return says


def _floor_says(result: Result) -> list[str]:
    """What no client can beat: a frame is drawn when its time has come."""
    floor, vite = _shown(result, "style", FLOOR), _shown(result, "style", "Vite")
    if not floor or not vite:
        return []
    ratio = statistics.median(floor) / statistics.median(vite)
    says = [
        f"The floor, a page told without a watcher, a client or a request, takes {ratio:.2f} of "
        "Vite's time for a stylesheet: it too waits for the next frame, "
        f"{result['frame'] / 2:.1f} ms on average, and for that to be drawn."
    ]
    if ratio > OF_VITE:
        says.append(f"So {OF_VITE} of Vite's could be reached by nobody in this run.")
    return says


def _goals(rows: list[Row]) -> list[Goal]:
    (row,) = (r for r in rows if r["contender"] == "ours" and r["saved"] == KINDS["style"])
    frames, ratio = row.get("p50_frames"), row.get("ratio_to_vite")
    if not isinstance(frames, float) or not isinstance(ratio, float):
        return []
    return [
        Goal(
            key="frames",
            what="save to pixels, stylesheet, in Chromium",
            target=f"{FRAMES:.0f} frames at the median",
            measured=f"{frames:.2f} frames",
            reached=frames <= FRAMES,
        ),
        Goal(
            key="Vite",
            what="save to pixels, stylesheet, in Chromium, of Vite's",
            target=f"at most {OF_VITE}",
            measured=f"{ratio:.2f}",
            reached=ratio <= OF_VITE,
        ),
    ]


def _chart(result: Result) -> Chart:
    groups = []
    for kind, title in KINDS.items():
        values = {name: _shown(result, kind, name) for name in ORDER}
        bars = [bar(name, found) for name, found in values.items() if found]
        groups.append(Group(title, bars, FRAMES * FRAME_MS if kind == "style" else None))
    return Chart(
        name="pixels",
        title="From a save to the frame that shows it",
        unit="ms (logarithmic), median and quartiles",
        groups=groups,
        logarithmic=True,
    )


def _shown(result: Result, kind: str, name: str) -> list[float]:
    return [
        sample["ms"]
        for sample in result["samples"]
        if (sample["kind"], sample["contender"]) == (kind, name) and sample["ms"] is not None
    ]


def _row(result: Result, kind: str, name: str, reference: float) -> Row:
    samples = [s for s in result["samples"] if (s["kind"], s["contender"]) == (kind, name)]
    row: Row = {
        "saved": KINDS[kind],
        "contender": name,
        "saves": len(samples),
        "missed": sum(s["ms"] is None for s in samples),
        "unstyled": sum(s["unstyled"] for s in samples),
    }
    values = _shown(result, kind, name)
    if not values:
        return row
    median, late = statistics.median(values), percentile(values, 95)
    return row | {
        "p50_ms": median,
        "p95_ms": late,
        "p25_ms": percentile(values, 25),
        "p75_ms": percentile(values, 75),
        "p50_frames": median / FRAME_MS,
        "p95_frames": late / FRAME_MS,
        "ratio_to_vite": median / reference,
    }
