"""The wheel is one for all, and runs where nothing but Python is."""

from __future__ import annotations

import re
import tarfile
import zipfile
from pathlib import Path, PurePath

from conftest import Environment

SMOKE = Path(__file__).resolve().with_name("smoke.py")


def test_one_wheel_is_for_every_cpython_from_3_10(wheel: Path) -> None:
    python, abi, platforms = wheel.stem.split("-")[-3:]
    assert (python, abi) == ("cp310", "abi3")
    assert all(re.match(r"(many|musl)linux_\d+_\d+_", name) for name in platforms.split("."))
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/WHEEL"))
        said = re.findall(r"^Tag: (.+)$", archive.read(name).decode(), re.MULTILINE)
    assert said == [f"cp310-abi3-{name}" for name in platforms.split(".")]


def test_the_wheel_holds_the_whole_package(wheel: Path, sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        paths = [PurePath(member.name) for member in archive if member.isfile()]
    source = {path.name for path in paths if path.match("python/starlette_hot_reload/*")}
    with zipfile.ZipFile(wheel) as archive:
        paths = [PurePath(name) for name in archive.namelist()]
    package = {path.name for path in paths if path.match("starlette_hot_reload/*")}
    assert package == source - {"meson.build"} | {"_core.abi3.so"}
    assert {"py.typed", "_core.pyi"} <= package


def test_it_runs(environment: Environment, wheel: Path) -> None:
    environment.install(wheel, "uvicorn")
    print(environment.run(SMOKE))
