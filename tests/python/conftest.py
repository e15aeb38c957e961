from __future__ import annotations

from pathlib import Path

import pytest
from support import LayerUnderTest, make_engine


@pytest.fixture
def layer(tmp_path: Path) -> LayerUnderTest:
    return LayerUnderTest(make_engine(tmp_path))
