"""What is public is typed, documented, and used by the program that the type checkers read."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import starlette_hot_reload

USER = Path(__file__).resolve().parents[1] / "typing" / "user.py"
PUBLIC = {name: getattr(starlette_hot_reload, name) for name in starlette_hot_reload.__all__}
DATA = [name for name, value in PUBLIC.items() if dataclasses.is_dataclass(value)]
"""What the user is given, and does not make."""
CALLABLES = [name for name, value in PUBLIC.items() if callable(value) and name not in DATA]


def parameters(name: str) -> list[str]:
    return list(inspect.signature(PUBLIC[name]).parameters)


def used() -> Iterator[ast.AST]:
    """All of the user's program, without what is wrong."""
    for statement in ast.parse(USER.read_text()).body:
        if getattr(statement, "name", "") != "wrong":
            yield from ast.walk(statement)


def public_methods() -> Iterator[tuple[str, Any]]:
    for name, value in PUBLIC.items():
        if inspect.isclass(value):
            for attribute, member in vars(value).items():
                if callable(member) and not attribute.startswith("_"):
                    yield f"{name}.{attribute}", member


def test_the_users_program_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = runpy.run_path(str(USER))
    assert set(PUBLIC) <= set(names)


@pytest.mark.parametrize("name", CALLABLES)
def test_the_users_program_gives_every_argument(name: str) -> None:
    given = {
        keyword.arg
        for node in used()
        if isinstance(node, ast.Call)
        if isinstance(node.func, ast.Name) and node.func.id == name
        for keyword in node.keywords
    }
    assert set(parameters(name)) - given <= {"app"}  # which may be the first


def test_the_users_program_uses_every_method_and_field() -> None:
    touched = {node.attr for node in used() if isinstance(node, ast.Attribute)}
    names = [name.partition(".")[2] for name, _ in public_methods()]
    for name in DATA:
        names += [field.name for field in dataclasses.fields(PUBLIC[name])]
    assert set(names) <= touched


@pytest.mark.parametrize("name", CALLABLES)
def test_every_argument_is_documented(name: str) -> None:
    common = inspect.getdoc(PUBLIC["HotReload"]) or ""
    own = inspect.getdoc(PUBLIC[name]) or ""
    for parameter in parameters(name):
        is_described = re.search(rf"^    {parameter}: ", common, re.MULTILINE)
        assert is_described or re.search(rf"\b{parameter}\b", own), parameter


def test_everything_public_has_a_docstring() -> None:
    assert inspect.getdoc(starlette_hot_reload)
    undocumented = [
        name
        for name, value in [*((name, PUBLIC[name]) for name in CALLABLES + DATA), *public_methods()]
        if not inspect.getdoc(value)
    ]
    assert not undocumented
