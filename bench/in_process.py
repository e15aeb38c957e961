"""What a response costs more: the app called directly, without a server, into a send that drops."""

from __future__ import annotations

import asyncio
import gc
import statistics
import time

import responses
from report import Bar, Chart, Column, Goal, Group, Row, Section, percentile
from responses import CASES, CONTENDERS, FLOOR, App, Case, Message

TURN_SECONDS = 0.005
# Of 0.3's, at most.
RATIOS = {
    "JSON, fetched": 1 / 4,
    "JSON, navigated to": 1 / 4,
    "HTML, 10 kB": 1 / 4,
    "HTML, 100 kB": 1 / 100,
    "HTML, 1 MB": 1 / 2000,
}
KEYS = dict(zip(CONTENDERS[1:], ("floor", "ours", "plain", "version0"), strict=True))


def run(quick: bool) -> Section:
    rounds = 20 if quick else 100
    rows = [asyncio.run(_compare(title, case, rounds)) for title, case in CASES.items()]
    return Section(
        title="Added time of one response, in process",
        notes=[
            "a bare ASGI app that sends one start and one body (streamed: 100 chunks), called "
            f"without a server; {rounds} rounds of turns of {TURN_SECONDS * 1e3:.0f} ms",
            "us: added to the bare app, the shortest turn less the bare app's shortest; the ratios "
            "are of these, since other load only adds",
            "median (25%..75%): of the differences to the bare app in each round",
            f"{FLOOR}: forward.c, which looks at nothing; what stands in front of an app and of "
            "its send costs so much before it does anything",
            "plain Python: our own rule as one regular expression, see apps/plain_python.py",
            "the pages are ASCII, what 0.3's method decodes fastest",
        ],
        columns=[
            Column("response", ""),
            Column("bytes", "bytes"),
            Column("bare_us", "bare us", 2),
            *(
                Column(f"{key}_{figure}", title, 2)
                for name, key in KEYS.items()
                for figure, title in [("us", f"{name}: us"), ("spread", "median (25%..75%)")]
            ),
            Column("plain_to_ours", "plain / ours", 1),
            Column("ours_to_version0", "ours / 0.3", 5),
            Column("version0_to_ours", "0.3 / ours", 1),
        ],
        rows=rows,
        says=_says(rows),
        goals=[_goal(row) for row in rows if row["response"] in RATIOS],
        charts=[_chart(rows)],
    )


def _figure(row: Row, key: str) -> float:
    value = row[key]
    assert isinstance(value, float)
    return value


def _says(rows: list[Row]) -> list[str]:
    says = []
    for key, name in (("plain", "Plain Python"), ("version0", "0.3's method")):
        ratios = [_figure(row, f"{key}_us") / _figure(row, "ours_us") for row in rows]
        says.append(f"{name} takes {min(ratios):.1f} to {max(ratios):,.0f} times what ours takes.")
    floors = [_figure(row, "floor_us") for row in rows]
    says.append(
        f"An object in C that only forwards adds {min(floors):.2f} to {max(floors):.2f} us."
    )
    dearest = max(rows, key=lambda row: _figure(row, "ours_us"))
    says.append(
        f"Ours adds {_figure(dearest, 'ours_us'):.2f} us where it adds most: {dearest['response']}."
    )
    return says


def _goal(row: Row) -> Goal:
    title = str(row["response"])
    ratio, limit = _figure(row, "ours_to_version0"), RATIOS[title]
    digits = 0 if ratio < 0.01 else 1
    return Goal(
        key=title,
        what=f"added time of a response in process, {title}",
        target=f"1/{1 / limit:.0f} of 0.3's method",
        measured=f"1/{1 / ratio:,.{digits}f}: {_figure(row, 'ours_us'):.2f} us (the floor "
        f"{_figure(row, 'floor_us'):.2f}) of {_figure(row, 'version0_us'):.2f}",
        reached=ratio <= limit,
    )


def _chart(rows: list[Row]) -> Chart:
    def one(row: Row, name: str, key: str) -> Bar:
        # The shortest turn is the figure; its spread is only upwards.
        low, high = _figure(row, f"{key}_us"), _figure(row, f"{key}_quartile3_us")
        return Bar(name, low, low, max(low, high))

    return Chart(
        name="in-process",
        title="Added time of one response, in process",
        unit="us (logarithmic), shortest turn, and the upper quartile of the rounds",
        groups=[
            Group(str(row["response"]), [one(row, name, key) for name, key in KEYS.items()])
            for row in rows
        ],
        logarithmic=True,
    )


async def _compare(title: str, case: Case, rounds: int) -> Row:
    turns = await _take_turns(case, rounds)
    bare = turns.pop("bare")
    row: Row = {"response": title, "bytes": case.size, "bare_us": min(bare) * 1e6}
    added = {}
    for name, key in KEYS.items():
        added[key] = (min(turns[name]) - min(bare)) * 1e6
        in_rounds = [(one - other) * 1e6 for one, other in zip(turns[name], bare, strict=True)]
        low, high = percentile(in_rounds, 25), percentile(in_rounds, 75)
        median = statistics.median(in_rounds)
        row |= {
            f"{key}_us": added[key],
            f"{key}_median_us": median,
            f"{key}_quartile1_us": low,
            f"{key}_quartile3_us": high,
            f"{key}_spread": f"{median:.2f} ({low:.2f}..{high:.2f})",
        }
    return row | {
        "plain_to_ours": added["plain"] / added["ours"],
        "ours_to_version0": added["ours"] / added["version0"],
        "version0_to_ours": added["version0"] / added["ours"],
    }


async def _take_turns(case: Case, rounds: int) -> dict[str, list[float]]:
    """Seconds a call, of each contender in each round."""
    scope = responses.scope_of(case)
    async with responses.apps_of(case) as apps:
        calls = {name: await _calibrate(app, scope) for name, app in apps.items()}
        turns: dict[str, list[float]] = {name: [] for name in apps}
        for number in range(rounds):
            # Every other round backwards: what drifts within a round then favours nobody.
            for name in list(apps)[:: -1 if number % 2 else 1]:
                turns[name].append(await _time(apps[name], scope, calls[name]))
    return turns


async def _calibrate(app: App, scope: Message) -> int:
    """How many calls fill a turn."""
    await _time(app, scope, 3)
    return max(1, int(TURN_SECONDS / min([await _time(app, scope, 10) for _ in range(3)])))


async def _time(app: App, scope: Message, calls: int) -> float:
    """Seconds a call."""
    gc.collect()
    gc.disable()
    start = time.perf_counter()
    await responses.call(app, scope, calls)
    seconds = time.perf_counter() - start
    gc.enable()
    return seconds / calls
