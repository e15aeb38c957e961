"""From a save to the screen: close() of the file here to the frame in which Chromium presents it.

The same page by four servers, in one browser, in turns; pixels/probe.mjs says how a frame is timed.
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
from report import Cell, Column, Section, percentile

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
    "0.3's method": "apps.pixels:version0_site",
}
NPM_SERVERS = {"Vite": "vite", "BrowserSync": "browser-sync"}
ORDER = (FLOOR, "ours", "Vite", "BrowserSync", "0.3's method")


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
        result = _measure(sites, 10 if quick else 60)
    return _section(result)


@contextmanager
def _running(name: str, directory: Path) -> Iterator[Site]:
    directory.mkdir()
    for file in FILES.values():
        (directory / file["name"]).write_text(file["content"].replace("NUMBER", "0"))
    if name in APPS:
        with server.running(APPS[name], directory) as running:
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


def _measure(sites: list[Site], saves: int) -> Result:
    contenders = [
        {
            "name": site.name,
            "url": site.url,
            "directory": str(site.directory),
            "told": site.name == FLOOR,
        }
        for site in sites
    ]
    process = subprocess.Popen(
        ["node", PACKAGE / "run.mjs"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        request = {"saves": saves, "files": FILES, "contenders": contenders}
        output, _ = process.communicate(json.dumps(request).encode(), RUN_SECONDS)
    finally:
        server.stop(process)
    if process.returncode:
        raise RuntimeError("the browser did not measure; see above")
    result: Result = json.loads(output)
    return result


def _section(result: Result) -> Section:
    rows: list[dict[str, Cell]] = []
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
            f"directory and a window; one save at a time, "
            f"{pause['least']:.0f}-{pause['most']:.0f} ms after the one before was shown",
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
    )


def _shown(result: Result, kind: str, name: str) -> list[float]:
    return [
        sample["ms"]
        for sample in result["samples"]
        if (sample["kind"], sample["contender"]) == (kind, name) and sample["ms"] is not None
    ]


def _row(result: Result, kind: str, name: str, reference: float) -> dict[str, Cell]:
    samples = [s for s in result["samples"] if (s["kind"], s["contender"]) == (kind, name)]
    row: dict[str, Cell] = {
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
