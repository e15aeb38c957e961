"""What the documents point at is there, and what they quote is said."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest
from documents import DOCUMENTS, ROOT, Link, anchors, headings, links
from starlette_hot_reload import HotReload, HotReloadMiddleware, hot_reload

README = ROOT / "README.md"
PICTURE = ROOT / "docs" / "hot-reload.webp"
OPTIONS = ROOT / "docs" / "options.md"
TROUBLESHOOTING = ROOT / "docs" / "troubleshooting.md"
SOURCES = [
    *ROOT.glob("client/src/**/*.ts"),
    *ROOT.glob("python/**/*.py"),
    *ROOT.glob("src/*.c"),
    *ROOT.glob("bindings/python/*.c"),
]
LINKS = [link for document in DOCUMENTS for link in links(document)]


@pytest.mark.parametrize("link", [link for link in LINKS if ":" not in link.target], ids=str)
def test_a_link_leads_somewhere(link: Link) -> None:
    path, _, anchor = link.target.partition("#")
    target = (link.document.parent / path).resolve() if path else link.document
    assert target.is_relative_to(ROOT), "it leaves the repository"
    assert target.exists(), "there is no such file"
    if anchor:
        assert anchor in anchors(target), f"{path} has no such heading"


def test_every_guide_is_linked_from_the_readme() -> None:
    linked = {link.target.partition("#")[0] for link in links(README)}
    for guide in sorted((ROOT / "docs").glob("*.md")):
        assert f"docs/{guide.name}" in linked, f"README.md does not lead to docs/{guide.name}"


def test_the_picture_moves() -> None:
    """For some seconds, and is no burden to a reader."""
    content = PICTURE.read_bytes()
    assert len(content) < 1_000_000
    frames = [data for name, data in _riff_chunks(content) if name == b"ANMF"]
    # The duration of a frame: 24 bits, after four other numbers of 24.
    seconds = sum(int.from_bytes(data[12:15], "little") for data in frames) / 1000
    assert len(frames) > 20
    assert 5 < seconds < 10


def _riff_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 12
    while position < len(content):
        size = int.from_bytes(content[position + 4 : position + 8], "little")
        yield content[position : position + 4], content[position + 8 : position + 8 + size]
        position += 8 + size + size % 2


def _options() -> dict[str, Any]:
    named: dict[str, Any] = {}
    for face in HotReload, hot_reload, HotReloadMiddleware:
        for parameter in inspect.signature(face).parameters.values():
            if parameter.name not in {"self", "app"}:
                named.setdefault(parameter.name, parameter.default)
    return named


def test_options_have_a_chapter_each_with_their_default() -> None:
    text = OPTIONS.read_text("utf-8")
    for name, default in _options().items():
        assert f"`{name}`" in headings(OPTIONS), f"docs/options.md says nothing of {name}"
        chapter = text.partition(f"## `{name}`\n")[2].partition("\n## ")[0]
        shown = f'"{default}"' if isinstance(default, str) else repr(default)
        assert f"Default: `{shown}`" in chapter, f"{name}: the default is {shown}"


def test_the_readme_has_every_option() -> None:
    text = README.read_text("utf-8")
    for name in _options():
        assert f"`{name}`" in text or name == "inject_before_body"


def test_messages_are_quoted_as_they_are() -> None:
    """Those in the headings of docs/troubleshooting.md, with `…` for what varies."""
    said = _squeezed("\n".join(path.read_text("utf-8") for path in SOURCES))
    quoted = [text for heading in headings(TROUBLESHOOTING) for text in _quotes(heading)]
    assert quoted
    for text in quoted:
        for part in text.split("…"):
            assert _squeezed(part) in said, f"nothing says {part!r}"


def _quotes(heading: str) -> list[str]:
    """Words, rather than names."""
    return [text for text in re.findall(r"`([^`]+)`", heading) if " " in text]


def _squeezed(text: str) -> str:
    """Without white space, and quotes that divide a literal."""
    return re.sub(r'[\s"\'`\\]+', "", text)
