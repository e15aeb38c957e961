"""Charts as pictures: bars that lie, one below the other, on a white ground, SVG and PNG.

Each holds the digest of what it shows as its description.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
from report import Bar, Chart, Group

INK, LINES, TARGET = "#1f2328", "#d0d7de", "#b35900"
OURS, OTHERS, FLOOR = "#0b7a53", "#8c9bab", "#c9d1d9"
WIDTH, BAR_HEIGHT, HEADING_HEIGHT, FRAME_HEIGHT = 8.0, 0.3, 0.48, 1.2


def draw(chart: Chart, directory: Path) -> None:
    """NAME.svg and NAME.png."""
    matplotlib.use("agg")
    # Texts stay texts, and the same figures give the same bytes.
    matplotlib.rcParams.update(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": chart.name,
            "font.family": ["DejaVu Sans", "sans-serif"],
            "font.size": 10,
            "text.color": INK,
            "axes.labelcolor": INK,
            "xtick.color": INK,
            "ytick.color": INK,
        }
    )
    from matplotlib.figure import Figure

    count = sum(len(group.bars) for group in chart.groups)
    headings = sum(bool(group.heading) for group in chart.groups)
    height = count * BAR_HEIGHT + headings * HEADING_HEIGHT + FRAME_HEIGHT
    figure = Figure(figsize=(WIDTH, height), facecolor="white", layout="constrained")
    axes = figure.add_subplot()
    _draw_bars(axes, chart)
    axes.set_title(chart.title, loc="left", fontweight="bold")
    axes.set_xlabel(chart.unit)
    shown = {"Description": chart.digest()}
    svg, png = (directory / f"{chart.name}.{suffix}" for suffix in ("svg", "png"))
    figure.savefig(svg, metadata={"Date": None, "Creator": None, **shown})
    figure.savefig(png, dpi=100, metadata={"Software": None, **shown})


def _draw_bars(axes: matplotlib.axes.Axes, chart: Chart) -> None:
    bars = [bar for group in chart.groups for bar in group.bars]
    if chart.logarithmic:
        axes.set_xscale("log")
    least, most = _limits(chart, bars)
    axes.set_xlim(least, most)
    ticks: list[tuple[float, str]] = []
    place = 0.0
    for group in chart.groups:
        if group.heading:
            place += HEADING_HEIGHT / BAR_HEIGHT
            axes.text(0, place - 1.0, group.heading, fontweight="bold", transform=_across(axes))
        top = place
        for bar in group.bars:
            _draw_bar(axes, bar, place, least)
            ticks.append((place, bar.label))
            place += 1
        _draw_target(axes, group, top - 0.5, place - 0.5)
    axes.set_yticks([at for at, _ in ticks], [label for _, label in ticks])
    axes.set_ylim(place - 0.4, -0.9)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", which="minor", length=0)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.6g}")
    axes.xaxis.set_minor_formatter(lambda value, _: "")
    axes.grid(axis="x", color=LINES, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(LINES)


def _limits(chart: Chart, bars: list[Bar]) -> tuple[float, float]:
    """With room at the right for the numbers."""
    high = max(
        [bar.high or bar.value for bar in bars] + [group.target or 0 for group in chart.groups]
    )
    if not chart.logarithmic:
        return 0.0, high * 1.2 or 1.0
    low = min([bar.low or bar.value for bar in bars if bar.value > 0], default=1.0)
    least = low / 2
    return least, high * (high / least) ** 0.15


def _draw_bar(axes: matplotlib.axes.Axes, bar: Bar, place: float, least: float) -> None:
    axes.barh(place, bar.value - least, left=least, height=0.72, color=_colour(bar.label))
    end = bar.value
    if bar.low is not None and bar.high is not None and bar.high > bar.low:
        axes.plot([bar.low, bar.high], [place, place], color=INK, linewidth=1.2)
        for value in (bar.low, bar.high):
            axes.plot([value, value], [place - 0.16, place + 0.16], color=INK, linewidth=1.2)
        end = max(end, bar.high)
    axes.annotate(
        _number(bar.value),
        (max(end, least), place),
        xytext=(5, 0),
        textcoords="offset points",
        va="center",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
    )


def _draw_target(axes: matplotlib.axes.Axes, group: Group, top: float, bottom: float) -> None:
    if group.target is None:
        return
    axes.plot([group.target] * 2, [top, bottom], color=TARGET, linestyle="--", linewidth=1.4)
    axes.annotate(
        "target",
        (group.target, top),
        xytext=(3, 2),
        textcoords="offset points",
        color=TARGET,
        fontsize=8,
    )


def _across(axes: matplotlib.axes.Axes) -> object:
    """x of the axes, from 0 to 1; y of the data."""
    return axes.get_yaxis_transform()


def _colour(label: str) -> str:
    if label.startswith("ours"):
        return OURS
    return FLOOR if "floor" in label or "alone" in label else OTHERS


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
