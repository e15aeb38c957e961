"""Instructions a response, in process, as callgrind counts them, whatever else the machine does.

As a program, for callgrind to run: answers each case some and twice as many times, and calls
getppid() in between, at which callgrind writes down what it has counted since.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import responses
import server
from report import Bar, Chart, Column, Group, Row, Section
from responses import CASES, CONTENDERS, FLOOR

MARK = "getppid"  # the C library's, which nothing else here calls
LARGE = 50_000


def check() -> None:
    """RuntimeError if valgrind is not installed."""
    if shutil.which("valgrind") is None:
        raise RuntimeError(
            "valgrind is missing; on Debian or Ubuntu: sudo apt-get install -y valgrind"
        )


def run(quick: bool) -> Section:
    check()
    times = 50 if quick else 100
    counts = _count(times)
    notes = [
        f"of {times} responses and of twice as many, the difference, a response ({times // 10} "
        f"from {LARGE} bytes on); added: less the bare app's",
        "garbage collection off, PYTHONHASHSEED=0, and memcpy without `rep movsb`, of which every "
        "byte would count as an instruction",
    ]
    rows = [_row(title, counts) for title in CASES]
    return Section(
        title="Instructions of one response, in process",
        notes=notes,
        columns=[
            Column("response", ""),
            Column("bare", "bare"),
            Column(FLOOR, f"{FLOOR}: added"),
            Column("ours", "ours: added"),
            Column("plain Python", "plain Python: added"),
            Column("0.3's method", "0.3's method: added"),
            Column("plain_to_ours", "plain / ours", 1),
            Column("version0_to_ours", "0.3 / ours", 1),
        ],
        rows=rows,
        says=_says(rows),
        charts=[_chart(rows)],
    )


def _says(rows: list[Row]) -> list[str]:
    says = []
    for key, name in (("plain_to_ours", "Plain Python"), ("version0_to_ours", "0.3's method")):
        ratios = [float(row[key] or 0) for row in rows]
        says.append(
            f"{name} takes {min(ratios):.1f} to {max(ratios):.0f} times the instructions of ours."
        )
    return says


def _chart(rows: list[Row]) -> Chart:
    return Chart(
        name="instructions",
        title="Added instructions of one response",
        unit="instructions (logarithmic)",
        groups=[
            Group(
                str(row["response"]),
                [Bar(name, float(row[name] or 0)) for name in CONTENDERS[1:]],
            )
            for row in rows
        ],
        logarithmic=True,
    )


def _row(title: str, counts: dict[str, dict[str, float]]) -> Row:
    count = counts[title]
    _, *others = CONTENDERS
    added = {name: count[name] - count["bare"] for name in others}
    _, ours, plain, version0 = added.values()
    return {
        "response": title,
        "bare": round(count["bare"]),
        **{name: round(number) for name, number in added.items()},
        "plain_to_ours": plain / ours,
        "version0_to_ours": version0 / ours,
    }


def _count(times: int) -> dict[str, dict[str, float]]:
    """Instructions a response, by case and contender."""
    with tempfile.TemporaryDirectory(prefix="hotreload-bench-") as directory:
        # What is counted must not depend on where a string hashes to, or on a copy's instruction.
        fixed = {
            "PYTHONHASHSEED": "0",
            "GLIBC_TUNABLES": f"glibc.cpu.x86_rep_movsb_threshold={1 << 40}",
        }
        command = [
            "valgrind",
            "--tool=callgrind",
            f"--callgrind-out-file={directory}/out",
            f"--dump-before={MARK}*",
            sys.executable,
            __file__,
            str(times),
        ]
        result = subprocess.run(
            command,
            env=server.environment(Path(directory)) | fixed,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            raise RuntimeError(f"callgrind ended with {result.returncode}:\n{result.stderr}")
        plan: list[tuple[str, str, int]] = json.loads(result.stdout)
        # Before the first mark it starts, before each third one it warms up.
        totals = [_total(Path(f"{directory}/out.{i + 1}")) for i in range(3 * len(plan))]
    counts: dict[str, dict[str, float]] = {title: {} for title in CASES}
    for i, (title, name, repeated) in enumerate(plan):
        _, once, twice = totals[3 * i : 3 * i + 3]
        counts[title][name] = (twice - once) / repeated
    return counts


def _total(path: Path) -> int:
    match = re.search(r"^(?:totals|summary): (\d+)", path.read_text(), re.MULTILINE)
    if match is None:
        raise RuntimeError(f"callgrind wrote no total into {path.name}")
    return int(match[1])


async def _answer(times: int) -> None:
    plan: list[tuple[str, str, int]] = []
    for title, case in CASES.items():
        repeated = times // 10 if case.size >= LARGE else times
        scope = responses.scope_of(case)
        async with responses.apps_of(case) as apps:
            for name, app in apps.items():
                await responses.call(app, scope, 20)  # the interpreter adapts itself
                os.getppid()
                await responses.call(app, scope, repeated)
                os.getppid()
                await responses.call(app, scope, 2 * repeated)
                os.getppid()
                plan.append((title, name, repeated))
    os.write(1, json.dumps(plan).encode())


if __name__ == "__main__":
    gc.disable()
    asyncio.run(_answer(int(sys.argv[1])))
