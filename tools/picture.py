"""Makes one moving picture of what picture.mjs has filmed: picture.py DIRECTORY OUTPUT."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from PIL import Image

SLOT = 0.04
"""Seconds; of the frames within one, the last is shown."""
LIMIT = 1_000_000
"""Bytes."""


def slots(frames: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """The frames to be shown, in their order, each with its time."""
    kept: list[tuple[float, str]] = []
    for time, name in sorted(frames):
        if kept and time - kept[-1][0] < SLOT:
            kept[-1] = kept[-1][0], name
        else:
            kept.append((time, name))
    return kept


def main() -> None:
    directory, output = map(Path, sys.argv[1:])
    film = json.loads((directory / "frames.json").read_text())
    shown = slots([(frame["time"], frame["name"]) for frame in film["frames"]])
    ends = [time for time, _ in shown[1:]] + [film["end"]]
    first, *rest = [Image.open(directory / name).convert("RGB") for _, name in shown]
    first.save(
        output,
        save_all=True,
        append_images=rest,
        duration=[round(1000 * (end - time)) for (time, _), end in zip(shown, ends, strict=True)],
        loop=0,
        lossless=True,
        method=6,
    )
    size = output.stat().st_size
    print(f"{output}: {len(shown)} frames, {ends[-1] - shown[0][0]:.1f} s, {size / 1000:.0f} kB")
    if size > LIMIT:
        sys.exit(f"{output} is larger than {LIMIT} bytes")


if __name__ == "__main__":
    main()
