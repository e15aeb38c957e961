"""Scripts that need a process of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).parent / "isolated").glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script(script: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", script], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
