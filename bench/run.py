"""Measures against what one would use instead, side by side in one run. Asserts nothing.

    python bench/run.py [--quick] [PART ...]

The parts are save, pixels, watching, checkout, requests, in-process and callgrind: see the module
of each for what it measures. Prints the tables and writes them to build/bench.json.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import callgrind
import checkout
import in_process
import pixels
import report
import requests_per_second
import save
import watching
from report import Section

PARTS: dict[str, Callable[[bool], Section]] = {
    "save": save.run,
    "pixels": pixels.run,
    "watching": watching.run,
    "checkout": checkout.run,
    "requests": requests_per_second.run,
    "in-process": in_process.run,
    "callgrind": callgrind.run,
}
OUTPUT = Path(__file__).resolve().parent.parent / "build" / "bench.json"


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure; see bench/run.py.")
    parser.add_argument("--quick", action="store_true", help="fewer samples, for a first look")
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
        if "pixels" in parts:
            pixels.check()
        measure(parts, arguments.quick)
    except RuntimeError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


def measure(parts: list[str], quick: bool) -> None:
    start = time.monotonic()
    about = report.machine(Path(tempfile.gettempdir()).resolve())
    for name, text in about.items():
        print(f"{name:10}{text}", flush=True)
    sections = []
    for part in parts:
        section = PARTS[part](quick)
        sections.append(section)
        print(f"\n{section.as_text()}", flush=True)
    about["load at the end"] = report.load()
    about["seconds"] = f"{time.monotonic() - start:.0f}"
    print(f"\nload at the end {about['load at the end']}; {about['seconds']} s in all")
    OUTPUT.parent.mkdir(exist_ok=True)
    content = {"about": about, "sections": [section.as_json() for section in sections]}
    OUTPUT.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
