"""Measures against what one would use instead, side by side in one run. Asserts nothing.

    python bench/run.py [--quick] [--document] [PART ...]

The parts are save, checkout, watching, in-process, callgrind, requests, streams and pixels: see the
module of each for what it measures. Prints the tables. What was measured is kept, a file a part,
in build/bench/results, or with --document in bench/results, and with --document
docs/benchmarks.md is written from all that are kept. --quick takes too few samples for that, and
writes build/bench/benchmarks.md instead.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import callgrind
import checkout
import document
import in_process
import pixels
import report
import requests_per_second
import save
import streams
import watching
from document import FINAL, TRIAL, Place, Result
from report import Section

PARTS: dict[str, Callable[[bool], Section]] = {
    "save": save.run,
    "checkout": checkout.run,
    "watching": watching.run,
    "in-process": in_process.run,
    "callgrind": callgrind.run,
    "requests": requests_per_second.run,
    "streams": streams.run,
    "pixels": pixels.run,
}
assert tuple(PARTS) == document.ORDER


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure; see bench/run.py.")
    parser.add_argument("--quick", action="store_true", help="fewer samples, for a first look")
    parser.add_argument("--document", action="store_true", help="write docs/benchmarks.md")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of: {', '.join(PARTS)}")
    arguments = parser.parse_args()
    parts: list[str] = arguments.parts or list(PARTS)
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no part is called {', '.join(sorted(unknown))}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped

    try:
        if "requests" in parts:
            requests_per_second.check_wrk()
        if "checkout" in parts:
            checkout.check_git()
        if "callgrind" in parts:
            callgrind.check()
        if "pixels" in parts:
            pixels.check()
    except RuntimeError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    place = FINAL if arguments.document and not arguments.quick else TRIAL
    failed = measure(parts, arguments.quick, place)
    if arguments.document:
        document.write(place)
        print(f"written: {place.page.relative_to(document.ROOT)}")
    return 1 if failed else 0


def measure(parts: list[str], quick: bool, place: Place) -> list[str]:
    """Keeps each part's result as soon as it is there. Gives the parts that failed."""
    start = time.monotonic()
    about = report.machine(Path(tempfile.gettempdir()).resolve())
    about["command"] = " ".join(["python bench/run.py", *sys.argv[1:]])
    for name, text in about.items():
        print(f"{name:10}{text}", flush=True)
    failed = []
    for part in parts:
        try:
            result = measure_part(part, quick, about)
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            print(f"\nbench: {part}: {error}", file=sys.stderr, flush=True)
            failed.append(part)
            continue
        document.keep(place, result)
        print(f"\n{result.section.as_text()}", flush=True)
        print(
            f"  {result.about['seconds']} s, load before {result.about['load before']}", flush=True
        )
    print(f"\nload at the end {report.load()}; {time.monotonic() - start:.0f} s in all")
    return failed


def measure_part(part: str, quick: bool, about: dict[str, str]) -> Result:
    start = time.monotonic()
    before = {
        "measured": f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC",
        "load before": report.load(),
    }
    section = PARTS[part](quick)
    after = {"load after": report.load(), "seconds": f"{time.monotonic() - start:.0f}"}
    return Result(part, about | before | after, section)


if __name__ == "__main__":
    sys.exit(main())
