"""The sdist is enough to build from, with a C compiler and without Node."""

from __future__ import annotations

import ast
import os
import re
import shutil
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from conftest import run

NODE = ["node", "nodejs", "npm", "npx"]

# Compares what is embedded with the files of a directory.
COMPARE = """\
import sys
from pathlib import Path
from starlette_hot_reload import _core

assert Path(_core.__file__).is_relative_to(sys.path[1]), _core.__file__
for path in Path(sys.argv[1]).iterdir():
    assert _core.client_file(path.name.encode())[1] == path.read_bytes(), path
"""


@pytest.fixture
def source(sdist: Path, tmp_path: Path) -> Path:
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    (root,) = (tmp_path / "source").iterdir()
    return root


@pytest.fixture
def path_without_node(tmp_path: Path) -> str:
    """Every program of the PATH but Node's."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for directory in [Path(sys.executable).parent, *map(Path, os.get_exec_path())]:
        for program in directory.iterdir() if directory.is_dir() else ():
            link = programs / program.name
            if program.name not in NODE and not link.is_symlink():
                link.symlink_to(program)
    assert not any(shutil.which(name, path=str(programs)) for name in NODE)
    return str(programs)


def test_the_sdist_carries_the_bundled_client(source: Path) -> None:
    build = (source / "client" / "meson.build").read_text()
    names = re.search(r"client_names = (\[.*?\])", build, re.DOTALL)
    assert names
    bundled = {path.name: path.stat().st_size for path in (source / "client" / "dist").iterdir()}
    assert set(bundled) == set(ast.literal_eval(names[1]))
    assert all(bundled.values())


def test_a_wheel_builds_from_the_sdist_without_node(
    sdist: Path, source: Path, tmp_path: Path, path_without_node: str
) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    run([*build, "-w", tmp_path / "built", sdist], PATH=path_without_node)
    (wheel,) = (tmp_path / "built").iterdir()
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    run([sys.executable, "-c", COMPARE, source / "client/dist"], PYTHONPATH=str(installed))
