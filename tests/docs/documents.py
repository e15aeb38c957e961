"""What the documents hold: blocks of code, headings and links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
GUIDES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
"""Those whose blocks are run."""
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
"""Those whose links are followed."""

_FENCE = re.compile(r"(?P<indent> *)(?P<fence>`{3,}|~{3,})(?P<info>.*)")
_MARK = re.compile(r"\s*<!-- not run: (?P<reason>\S.*?) -->")
_LINK = re.compile(r"!?\[[^\]]*\]\((?P<inline>[^)\s]+)\)|(?:src|href)=\"(?P<html>[^\"]+)\"")


@dataclass(frozen=True)
class Block:
    document: Path
    line: int
    """Of the fence, from 1."""
    language: str
    text: str
    reason: str | None
    """Why it is not run."""

    def __str__(self) -> str:
        return f"{self.document.relative_to(ROOT)}:{self.line}"


@dataclass(frozen=True)
class Link:
    document: Path
    line: int
    target: str

    def __str__(self) -> str:
        return f"{self.document.relative_to(ROOT)}:{self.line}: {self.target}"


def blocks(document: Path) -> Iterator[Block]:
    lines = iter(enumerate(document.read_text("utf-8").split("\n"), 1))
    reason: str | None = None
    for number, line in lines:
        opening = _FENCE.fullmatch(line)
        if opening:
            body = []
            for _, inner in lines:
                if inner.strip() == opening["fence"]:
                    break
                body.append(inner.removeprefix(opening["indent"]))
            else:
                raise AssertionError(f"{document}:{number}: the block has no end")
            yield Block(document, number, opening["info"].strip(), "\n".join(body) + "\n", reason)
        mark = _MARK.fullmatch(line)
        if line.strip():
            reason = mark["reason"] if mark else None


def prose(document: Path) -> Iterator[tuple[int, str]]:
    """The lines outside blocks, with their numbers."""
    fence: str | None = None
    for number, line in enumerate(document.read_text("utf-8").split("\n"), 1):
        found = _FENCE.fullmatch(line)
        if fence is None and found:
            fence = found["fence"]
        elif fence is not None:
            fence = None if line.strip() == fence else fence
        else:
            yield number, line


def headings(document: Path) -> list[str]:
    found = (re.fullmatch(r"#{1,6} (.*)", line) for _, line in prose(document))
    return [match[1].strip() for match in found if match]


def anchors(document: Path) -> set[str]:
    """As the usual hosts make them of headings."""
    made: set[str] = set()
    for heading in headings(document):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        count = 1
        unique = slug
        while unique in made:
            unique = f"{slug}-{count}"
            count += 1
        made.add(unique)
    return made


def links(document: Path) -> Iterator[Link]:
    for number, line in prose(document):
        for match in _LINK.finditer(re.sub(r"`[^`]*`", "``", line)):
            yield Link(document, number, match["inline"] or match["html"])
