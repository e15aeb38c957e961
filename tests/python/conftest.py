from __future__ import annotations

from pathlib import Path

import pytest
import starlette
from support import LayerUnderTest, make_engine


@pytest.fixture
def layer(tmp_path: Path) -> LayerUnderTest:
    return LayerUnderTest(make_engine(tmp_path))


def pytest_report_header() -> str:
    return f"starlette {starlette.__version__}"
