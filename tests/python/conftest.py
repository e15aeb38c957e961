from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest
import starlette
import trio
from support import DEADLINE, LayerUnderTest, RunAsync, make_engine


@pytest.fixture
def layer(tmp_path: Path) -> LayerUnderTest:
    return LayerUnderTest(make_engine(tmp_path))


@pytest.fixture(params=["asyncio", "trio"])
def run_async(request: pytest.FixtureRequest) -> RunAsync:
    def run_it(main: Callable[[], Awaitable[None]]) -> None:
        async def limited() -> None:
            with anyio.fail_after(DEADLINE):
                await main()

        if request.param == "asyncio":
            asyncio.run(limited())
        else:
            trio.run(limited)

    return run_it


def pytest_report_header() -> str:
    return f"starlette {starlette.__version__}"
