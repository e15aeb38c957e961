"""Whatever a page is made of, however it is cut: without the tag it is what the app sent.

HR_BYTES_RUNS is the number of cases, HR_BYTES_SEED the first one's seed.
"""

from __future__ import annotations

import asyncio
import os
import random
from typing import Any

import pytest
from starlette.types import Message, Scope
from support import NAVIGATION, TAG, LayerUnderTest, body, body_of, call, http_scope, sender, start

RUNS = int(os.environ.get("HR_BYTES_RUNS", "2000"))
SEED = int(os.environ.get("HR_BYTES_SEED", "1"))
BATCH = 100

LAN = [(b"host", b"192.0.2.1"), (b"accept", b"text/html,*/*;q=0.8")]
FETCH = [(b"sec-fetch-dest", b"empty")]
PIECES = (
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\0",
    b" ",
    b"\n",
    b"\f",
    b"\xc2\xa0",
    b"text",
    b"\xe4\xf6",
    b"<!doctype html>",
    b"<!DOCTYPE html PUBLIC '>'>",
    b"<!doctype",
    b"<html>",
    b"<HTML lang='>'>",
    b"<html",
    b"<head>",
    b'<head data-a=">">',
    b"<head/>",
    b"<header>",
    b"<hea",
    b"</head>",
    b"<body>",
    b"<body class=a>",
    b"</body>",
    b"</html>",
    b"</p>",
    b"</>",
    b"</ a>",
    b"<p>",
    b"<",
    b"<title>x</title>",
    b"<base href='//elsewhere.example/'>",
    b"<script>'<head>'</script>",
    b"<!--",
    b"-->",
    b"<!-->",
    b"<!--->",
    b"--!>",
    b"<!-- <head> -->",
    b"<![CDATA[x]]>",
    b"<?xml?>",
    b"&#32;",
    b"&Tab;",
    b"&#x",
    b"&nbsp;",
    b"<frameset>",
    b"<svg><head>",
    b"<plaintext>",
    b"a='",
    b'<script data-cursor="',
    b'<script data-cursor="x" async="" src="y"></script>',
)
TYPES = (b"text/html", b"TEXT/HTML; charset=utf-8", b"text/html;charset=latin1", b"text/plain")
OTHER_HEADERS = (
    (b"ETag", b'"1"'),
    (b"last-modified", b"Sun, 01 Nov 2026 00:00:00 GMT"),
    (b"cache-control", b"max-age=60"),
    (b"vary", b"Accept"),
    (b"set-cookie", b"a=1"),
    (b"set-cookie", b"b=2"),
    (b"content-digest", b"x"),
    (b"x-content-length", b"7"),
)


def document(choice: random.Random) -> bytes:
    """Mostly the beginning of a page, sometimes noise; now and then so large that it is split."""
    if choice.random() < 0.15:
        return choice.randbytes(choice.choice((0, 1, 15, 16, 17, 300)))
    content = b"".join(choice.choices(PIECES, k=choice.randrange(12)))
    if choice.random() < 0.1:
        content = b" " * choice.choice((1 << 10, 1 << 16)) + content
    if choice.random() < 0.1:
        content += b"<p>" + choice.randbytes(300_000)
    return content


def as_any_bytes(choice: random.Random, content: bytes) -> Any:
    return choice.choice((bytes, bytes, bytearray, memoryview))(content)


def messages(choice: random.Random, content: bytes) -> list[Message]:
    """A response with this body."""
    headers = choice.sample(OTHER_HEADERS, choice.randrange(len(OTHER_HEADERS)))
    headers.append((b"content-type", choice.choices(TYPES, (8, 4, 2, 1))[0]))
    if choice.random() < 0.5:
        headers.append((b"Content-Length", b"%d" % len(content)))
    choice.shuffle(headers)
    cuts = [choice.randrange(len(content) + 1) for _ in range(choice.choice((0, 0, 1, 2, 5, 30)))]
    if choice.random() < 0.3:  # where the decision falls
        cuts += [choice.randrange(min(len(content), 40) + 1) for _ in range(8)]
    edges = [0, *sorted(cuts), len(content)]  # equal ones make an empty message
    sent: list[Message] = [start(headers, choice.choice((200, 200, 404, 500)))]
    for index in range(len(edges) - 1):
        part = as_any_bytes(choice, content[edges[index] : edges[index + 1]])
        sent.append(body(part, index < len(edges) - 2))
    if choice.random() < 0.2:  # the end in a message of its own, which leaves everything out
        sent[-1]["more_body"] = True
        sent.append({"type": "http.response.body"})
    return sent


def assert_nothing_but_a_tag(said: list[Message], sent: list[Message], scope: Scope) -> bool:
    """Is there a tag? Everything else has to be what the app said."""
    before, after = body_of(said), body_of(sent)
    added = len(after) - len(before)
    if added:
        assert any(
            len(match.group()) == added and after[: match.start()] + after[match.end() :] == before
            for match in TAG.finditer(after)
        ), after[:400]
    else:
        assert after == before
    lengths = [value for name, value in sent[0]["headers"] if name.lower() == b"content-length"]
    assert lengths in ([], [b"%d" % len(after)])
    assert [message["type"] for message in sent[1:]] == ["http.response.body"] * (len(sent) - 1)
    ends = [not message.get("more_body", False) for message in sent[1:]]
    assert ends == [False] * (len(ends) - 1) + [True]
    assert sent[0]["status"] == said[0]["status"]
    if scope["headers"] == FETCH:
        assert all(a is b for a, b in zip(sent[1:], said[1:], strict=True))
        assert sent[0]["headers"][: len(said[0]["headers"])] == said[0]["headers"]
    return bool(added)


async def run_case(layer: LayerUnderTest, seed: int) -> tuple[bool, bool]:
    """Whether it got a tag, and whether it could."""
    choice = random.Random(seed)
    headers = choice.choices((NAVIGATION, LAN, FETCH), (6, 3, 1))[0]
    scope = http_scope(headers=headers)
    said = messages(choice, document(choice))
    kept = [{**message} for message in said]
    sent = await call(layer.wrap(sender(*said)), scope)
    assert said == kept
    return assert_nothing_but_a_tag(said, sent, scope), headers is not FETCH


@pytest.mark.parametrize("first", range(SEED, SEED + RUNS, BATCH))
def test_without_the_tag_a_page_is_what_the_app_sent(layer: LayerUnderTest, first: int) -> None:
    tagged = tried = 0

    async def main() -> None:
        nonlocal tagged, tried
        for seed in range(first, min(first + BATCH, SEED + RUNS)):
            print(f"HR_BYTES_SEED={seed} HR_BYTES_RUNS=1")  # shown if it fails: the last one did
            has_tag, could = await run_case(layer, seed)
            tagged += has_tag
            tried += could

    asyncio.run(main())
    if tried >= BATCH // 2:  # or nothing would have been tested
        assert tried // 4 < tagged < tried
