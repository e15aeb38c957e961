from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory to work in; beside it lies what only the app knows of."""
    for name in "work", "static", "assets", "templates":
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


@pytest.fixture
def make_receive() -> Callable[[], Callable[[], Awaitable[Any]]]:
    """For one request: its body, and nothing after that."""

    def make() -> Callable[[], Awaitable[Any]]:
        messages = iter([{"type": "http.request", "body": b"", "more_body": False}])

        async def receive() -> Any:
            for message in messages:
                return message
            return await asyncio.Future()

        return receive

    return make
