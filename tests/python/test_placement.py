"""The place of the tag, on the tree-construction cases of html5lib-tests.

Each document is parsed with and without the tag. With the tag's element taken out again both must
have the same doctype, the same mode and the same tree, and there must have been exactly one script
that runs; or else the injector must have left the document alone.
"""

from __future__ import annotations

import os
import re
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import html5lib  # type: ignore[import-untyped,unused-ignore]
import pytest

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("HOT_RELOAD_TEST_DATA", ROOT.parent / "shared" / "data"))
FILES = sorted((DATA / "html5lib-tests" / "tree-construction").glob("*.dat"))

CURSOR = "0.0"
TAG = f'<script async="" data-cursor="{CURSOR}" src="/client.js"></script>'.encode()

SECTION = re.compile(
    r"^#(data|errors|new-errors|document-fragment|script-on|script-off|document)\n", re.MULTILINE
)


@dataclass(frozen=True)
class Case:
    text: str
    scripting: bool


def read_cases(path: Path) -> Iterator[Case]:
    """The documents of a file, each with and without scripting unless it says which."""
    content = path.read_bytes().decode()
    for block in re.split(r"^#data\n", content, flags=re.MULTILINE)[1:]:
        parts = SECTION.split("#data\n" + block)
        sections = dict(zip(parts[1::2], parts[2::2], strict=True))
        if "document-fragment" in sections:
            continue
        for scripting in (True, False):
            if ("script-off" if scripting else "script-on") not in sections:
                yield Case(sections["data"].removesuffix("\n"), scripting)


def find_filter() -> Path:
    if named := os.environ.get("HOT_RELOAD_INJECT_FILTER"):
        return Path(named)
    built = sorted((ROOT / "build").glob("**/tests/c/inject_filter"))
    if not built:
        pytest.fail("tests/c/inject_filter is not built: run `make test`", pytrace=False)
    return built[0]


def find_places(documents: list[bytes]) -> list[int]:
    """Where the tag goes in each document; -1: it is left untouched."""
    packed = b"".join(struct.pack("<I", len(document)) + document for document in documents)
    done = subprocess.run(
        [find_filter()], input=packed, capture_output=True, check=True, timeout=60
    )
    return list(struct.unpack(f"<{len(documents)}q", done.stdout))


@dataclass
class Document:
    """A parsed document. `scripts` of the tag were found, and taken out."""

    tree: str
    mode: str
    scripts: int


def parse(data: bytes, scripting: bool) -> Document:
    parser = html5lib.HTMLParser(html5lib.getTreeBuilder("dom"))
    root: Any = parser.parse(data, scripting=scripting, transport_encoding="utf-8")
    scripts = [
        element
        for element in root.getElementsByTagName("script")
        if element.getAttribute("data-cursor") == CURSOR
        and element.namespaceURI == "http://www.w3.org/1999/xhtml"
    ]
    for script in scripts:
        script.parentNode.removeChild(script)
    root.normalize()
    return Document(parser.tree.testSerializer(root), parser.compatMode, len(scripts))


@cache
def outcomes(path: Path) -> list[tuple[Case, int]]:
    cases = list(read_cases(path))
    return list(zip(cases, find_places([case.text.encode() for case in cases]), strict=True))


@pytest.fixture(autouse=True)
def data() -> None:
    if not FILES:
        pytest.skip(f"no html5lib-tests in {DATA} (HOT_RELOAD_TEST_DATA names another directory)")


@pytest.mark.parametrize("path", FILES or [Path("absent.dat")], ids=lambda path: path.stem)
def test_tag_changes_nothing_but_itself(path: Path) -> None:
    wrong = []
    for case, place in outcomes(path):
        if place < 0:
            continue
        data = case.text.encode()
        plain = parse(data, case.scripting)
        tagged = parse(data[:place] + TAG + data[place:], case.scripting)
        if (tagged.tree, tagged.mode, tagged.scripts) != (plain.tree, plain.mode, 1):
            wrong.append((case.text, place, plain, tagged))
    assert not wrong


def test_only_a_document_cut_off_in_a_construct_is_left_untouched() -> None:
    untouched = [case.text for path in FILES for case, place in outcomes(path) if place < 0]
    assert untouched
    # Whatever is open is closed by this; then there is a place.
    places = find_places([text.encode() + b"'\">--><p>" for text in untouched])
    assert [text for text, place in zip(untouched, places, strict=True) if place < 0] == []
