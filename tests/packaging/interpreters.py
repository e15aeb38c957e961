"""The CPythons of this machine that the wheel is for."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

OLDEST = (3, 10)

_QUESTION = """\
import json, platform, sys, sysconfig
print(json.dumps([
    platform.python_implementation(),
    sys.version_info[:3],
    bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
]))
"""


@dataclass(frozen=True)
class Interpreter:
    executable: Path
    version: tuple[int, ...]

    def __str__(self) -> str:
        return ".".join(map(str, self.version))


def find_interpreters() -> list[Interpreter]:
    """One for each minor version, in order: this one, those on PATH, those of pyenv."""
    found: dict[tuple[int, ...], Interpreter] = {}
    for executable in _candidates():
        interpreter = _ask(executable)
        if interpreter is not None:
            found.setdefault(interpreter.version[:2], interpreter)
    return [found[version] for version in sorted(found)]


def _candidates() -> Iterator[Path]:
    yield Path(sys.executable)
    for directory in os.get_exec_path():
        yield from _versioned(Path(directory))
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for version in sorted(pyenv.glob("versions/*/bin"), reverse=True):
        yield from _versioned(version)


def _versioned(directory: Path) -> Iterator[Path]:
    for path in sorted(directory.glob("python3.*")):
        if re.fullmatch(r"python3\.\d+", path.name):
            yield path


def _ask(executable: Path) -> Interpreter | None:
    """None: it does not run (pyenv's shims may not), is too old, or takes no abi3 wheel."""
    try:
        done = subprocess.run([executable, "-I", "-c", _QUESTION], capture_output=True, text=True)
    except OSError:
        return None
    if done.returncode != 0:
        return None
    implementation, version, is_free_threaded = json.loads(done.stdout)
    if implementation != "CPython" or is_free_threaded or tuple(version) < OLDEST:
        return None
    return Interpreter(executable, tuple(version))
