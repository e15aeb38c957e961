from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from documents import GUIDES, blocks

PROJECT = Path(__file__).resolve().parent / "project"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Where a reader would put the block: templates, static files, and a Django site."""
    copy = tmp_path / "project"
    shutil.copytree(PROJECT, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    found = [block for document in GUIDES for block in blocks(document)]
    left = [block for block in found if block.reason]
    terminalreporter.write_line(
        f"{len(found)} blocks in the documents, {len(left)} of them not run"
    )
    for block in left:
        terminalreporter.write_line(f"  {block}: {block.reason}")
