"""Runs the matrix with each CPython of this machine and fills docs/servers.md.

The Python that runs this runs every combination, the others the quick part.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build" / "matrix"
THIS = sys.version_info[:2]

sys.path.insert(0, str(HERE.parent / "packaging"))
from interpreters import Interpreter, find_interpreters  # noqa: E402


def _prepared(interpreter: Interpreter, wheel: str) -> Path:
    """A Python that has what the suite needs, and the wheel."""
    directory = BUILD / ".".join(map(str, interpreter.version[:2]))
    python = directory / "bin" / "python"
    if not python.exists():
        subprocess.run([interpreter.executable, "-m", "venv", directory], check=True)
    pip: list[str | Path] = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    subprocess.run([*pip, "--upgrade", "pip>=25.1"], check=True)
    subprocess.run([*pip, "--group", f"{ROOT / 'pyproject.toml'}:matrix"], check=True)
    subprocess.run([*pip, "--force-reinstall", "--no-deps", wheel], check=True)
    return python


def _run(interpreter: Interpreter, wheel: str, *options: str | Path) -> int:
    suite = [_prepared(interpreter, wheel), "-m", "pytest", HERE, *options]
    return subprocess.run(suite, cwd=ROOT).returncode


def main(wheel: str, is_quick: bool) -> int:
    this, *others = sorted(find_interpreters(), key=lambda found: found.version[:2] != THIS)
    if is_quick:
        return _run(this, wheel)
    paths = {found: BUILD / f"{found}.json" for found in (this, *others)}
    # Another looks at the tables that this will write.
    options: list[str | Path] = ["--ignore", HERE / "test_table.py"]
    codes = [_run(this, wheel, *options, "--all", "--results", paths[this])]
    codes += [_run(other, wheel, *options, "--results", paths[other]) for other in others]
    subprocess.run([sys.executable, HERE / "table.py", *paths.values()], check=True)
    return max(codes)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel")
    parser.add_argument("--quick", action="store_true", help="this Python, the quick part")
    chosen = parser.parse_args()
    raise SystemExit(main(chosen.wheel, chosen.quick))
