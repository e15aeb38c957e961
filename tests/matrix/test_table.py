"""docs/servers.md shows what the suite runs, all of it."""

from __future__ import annotations

from cases import CASES
from table import DOCUMENT, shown


def test_the_tables_name_every_case_and_none_fails() -> None:
    names, failures = shown(DOCUMENT.read_text())
    assert names == {case.name for case in CASES}
    assert failures == 0
