"""Two ways to have Tailwind's stylesheet and the templates shown as one update."""

import logging
from pathlib import Path

import anyio
from starlette_hot_reload import Batch

HERE = Path(__file__).resolve().parent
BUILT = HERE / "static/app.css"
# What the CLI reads.
SOURCES = [HERE / "templates", HERE / "styles"]
COMMAND: list[str | Path] = [
    HERE / "node_modules/.bin/tailwindcss",
    *("--input", HERE / "styles/app.css"),
    *("--output", BUILT),
]
PATIENCE = 0.2
"""Seconds; three times what the CLI needs with --watch, if it writes at all."""

logger = logging.getLogger("uvicorn.error")


async def build() -> None:
    """Run the CLI once. It writes what differs; an error leaves the old stylesheet in place."""
    result = await anyio.run_process(COMMAND, check=False, cwd=HERE)
    if result.returncode:
        logger.error("Tailwind failed:\n%s", result.stderr.decode(errors="replace"))


async def rebuild(batch: Batch) -> None:
    """The first way: every save of what the CLI reads runs it."""
    if not batch.is_complete or _sources(batch):
        await build()


async def wait(batch: Batch) -> None:
    """The second way: `npm run watch` runs beside the server, and the page waits for its write."""
    saved = max(map(_modified, _sources(batch)), default=0)
    with anyio.move_on_after(PATIENCE):
        while _modified(BUILT) < saved:
            await anyio.sleep(0.005)


def _sources(batch: Batch) -> list[Path]:
    files = [change.file for change in batch.changes]
    return [file for file in files if any(file.is_relative_to(source) for source in SOURCES)]


def _modified(file: Path) -> int:
    return file.stat().st_mtime_ns if file.exists() else 0
