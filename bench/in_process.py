"""What a response costs more: the app called directly, without a server, into a send that drops."""

from __future__ import annotations

import asyncio
import gc
import statistics
import time

import responses
from report import Cell, Column, Section, percentile
from responses import CASES, CONTENDERS, App, Case, Message

TURN_SECONDS = 0.005
_, OURS, PLAIN, VERSION0 = CONTENDERS


def run(quick: bool) -> Section:
    rounds = 20 if quick else 150
    rows = [asyncio.run(_compare(title, case, rounds)) for title, case in CASES.items()]
    return Section(
        title="Added time of one response, in process",
        notes=[
            "a bare ASGI app that sends one start and one body (streamed: 100 chunks), called "
            f"without a server; {rounds} rounds in turns of {TURN_SECONDS * 1e3:.0f} ms or one call",
            "added: the median of the differences to the bare app of the same round, so that what "
            "slows both down drops out; 25%..75%: the quartiles of these differences",
            "plain Python: our own rule as one regular expression, see apps/plain_python.py",
            "the pages are ASCII",
        ],
        columns=[
            Column("response", ""),
            Column("bytes", "bytes"),
            Column("bare_us", "bare us", 2),
            Column("ours_us", "ours: us", 2),
            Column("ours_quartiles", "25%..75%"),
            Column("plain_us", "plain Python: us", 2),
            Column("plain_quartiles", "25%..75%"),
            Column("version0_us", "0.3's method: us", 2),
            Column("version0_quartiles", "25%..75%"),
            Column("plain_to_ours", "plain / ours", 1),
            Column("ours_to_version0", "ours / 0.3", 5),
            Column("version0_to_ours", "0.3 / ours", 1),
        ],
        rows=rows,
    )


async def _compare(title: str, case: Case, rounds: int) -> dict[str, Cell]:
    scope = responses.scope_of(case)
    async with responses.apps_of(case) as apps:
        calls = {name: await _calibrate(app, scope) for name, app in apps.items()}
        turns: dict[str, list[float]] = {name: [] for name in apps}
        for number in range(rounds):
            # Every other round backwards: what drifts within a round then favours nobody.
            for name in list(apps)[:: -1 if number % 2 else 1]:
                turns[name].append(await _time(apps[name], scope, calls[name]))
    added = {
        name: [(one - bare) * 1e6 for one, bare in zip(turns[name], turns["bare"], strict=True)]
        for name in (OURS, PLAIN, VERSION0)
    }
    ours, plain, version0 = (statistics.median(added[name]) for name in (OURS, PLAIN, VERSION0))
    return {
        "response": title,
        "bytes": case.size,
        "bare_us": statistics.median(turns["bare"]) * 1e6,
        "ours_us": ours,
        "ours_quartiles": _quartiles(added[OURS]),
        "plain_us": plain,
        "plain_quartiles": _quartiles(added[PLAIN]),
        "version0_us": version0,
        "version0_quartiles": _quartiles(added[VERSION0]),
        "plain_to_ours": plain / ours,
        "ours_to_version0": ours / version0,
        "version0_to_ours": version0 / ours,
    }


def _quartiles(values: list[float]) -> str:
    return f"{percentile(values, 25):.2f}..{percentile(values, 75):.2f}"


async def _calibrate(app: App, scope: Message) -> int:
    """How many calls fill a turn."""
    await _time(app, scope, 3)
    return max(1, int(TURN_SECONDS / await _time(app, scope, 20)))


async def _time(app: App, scope: Message, calls: int) -> float:
    """Seconds a call."""
    gc.collect()
    gc.disable()
    start = time.perf_counter()
    await responses.call(app, scope, calls)
    seconds = time.perf_counter() - start
    gc.enable()
    return seconds / calls
