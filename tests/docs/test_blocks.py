"""Every block of code in README.md and docs/ does what the text says it does."""

from __future__ import annotations

import re
from pathlib import Path

import given
import pytest
from checks import CHECKS
from documents import GUIDES, ROOT, Block, blocks, prose

BLOCKS = [block for document in GUIDES for block in blocks(document)]


@pytest.mark.parametrize("block", [block for block in BLOCKS if not block.reason], ids=str)
def test_a_block_works(block: Block, project: Path) -> None:
    assert block.language in CHECKS, f"{block}: nothing checks {block.language!r}; mark it"
    CHECKS[block.language](block.text, project)


def test_what_is_not_run_could_not_be() -> None:
    """A mark is for what is no program and no settings at all."""
    for block in BLOCKS:
        if block.reason:
            assert block.language == "text", f"{block} is marked, but can be checked"


def test_no_code_hides_outside_a_block() -> None:
    for document in GUIDES:
        is_in_list = is_after_blank = False
        for number, line in prose(document):
            if re.match(r"\s*([-*]|\d+\.) ", line):
                is_in_list = True
            elif line and not line.startswith(" "):
                is_in_list = False
            is_code = line.startswith("    ") and is_after_blank and not is_in_list
            assert not is_code, f"{document.relative_to(ROOT)}:{number}: use a fence"
            is_after_blank = not line.strip()


def test_nothing_is_given_in_vain() -> None:
    code = "\n".join(block.text for block in BLOCKS if block.language == "python")
    for name in given.NAMES:
        assert re.search(rf"\b{name}\b", code)
