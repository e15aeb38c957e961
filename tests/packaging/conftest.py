from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from interpreters import Interpreter, find_interpreters

ROOT = Path(__file__).resolve().parents[2]
INTERPRETERS = find_interpreters()


def pytest_report_header() -> list[str]:
    return [f"CPython {found}: {found.executable}" for found in INTERPRETERS]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "interpreter" in metafunc.fixturenames:
        metafunc.parametrize("interpreter", INTERPRETERS, ids=str)


@pytest.fixture(scope="session")
def wheel() -> Path:
    return _only(ROOT / "dist", "*.whl")


@pytest.fixture(scope="session")
def sdist() -> Path:
    return _only(ROOT / "dist", "*.tar.gz")


def _only(directory: Path, pattern: str) -> Path:
    found = list(directory.glob(pattern))
    assert len(found) == 1, f"{directory} holds {found}: run `make wheel`"
    return found[0]


class Environment:
    """A fresh virtual environment. It has nothing of its own, not even pip."""

    def __init__(self, interpreter: Interpreter, directory: Path) -> None:
        self.python = directory / "bin" / "python"
        run([interpreter.executable, "-m", "venv", "--without-pip", directory])

    def install(self, *requirements: str | Path) -> None:
        """Nothing is built: there is no program on the PATH to build it with."""
        pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", self.python, "install"]
        run([*pip, "--quiet", "--only-binary=:all:", *requirements], PATH="")

    def run(self, *arguments: str | Path) -> str:
        return run([self.python, "-I", *arguments])


@pytest.fixture
def environment(interpreter: Interpreter, tmp_path: Path) -> Environment:
    return Environment(interpreter, tmp_path / "venv")


def run(command: list[str | Path], cwd: Path | None = None, **variables: str) -> str:
    """What the command says; an error, with all of it, if it fails."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout
