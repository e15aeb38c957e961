"""Pages that come compressed although the app was asked not to."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import random
import re
import zlib
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Scope
from support import (
    NAVIGATION,
    PAGE,
    TAG,
    LayerUnderTest,
    body,
    body_of,
    call,
    headers_of,
    html,
    http_scope,
    sender,
    start,
)

PLAIN = http_scope(headers=[(b"host", b"192.0.2.1"), (b"accept", b"text/html,*/*;q=0.8")])
FETCH = http_scope(headers=[(b"sec-fetch-dest", b"empty")])
FRAGMENT = b"<li>" + b"one " * 99
NOISE = random.Random(1).randbytes(100)


def raw_deflate(content: bytes) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return compressor.compress(content) + compressor.flush()


def named_gzip(content: bytes) -> bytes:
    """With every optional part of the header (RFC 1952, section 2.3)."""
    plain = gzip.compress(content, mtime=0)
    header = plain[:3] + b"\x1e" + plain[4:10] + b"\x04\0ABCD" + b"page.html\0" + b"a comment\0"
    return header + (zlib.crc32(header) & 0xFFFF).to_bytes(2, "little") + plain[10:]


def two_members(content: bytes) -> bytes:
    middle = len(content) // 2
    return gzip.compress(content[:middle]) + gzip.compress(content[middle:])


def stored(content: bytes) -> bytes:
    return gzip.compress(content, 0)


Code = Callable[[bytes], bytes]
CODINGS: dict[str, tuple[bytes, Code]] = {
    "gzip": (b"gzip", gzip.compress),
    "x-gzip": (b"x-gzip", gzip.compress),
    "capitals": (b" GZip ", gzip.compress),
    "identity too": (b"identity, gzip", gzip.compress),
    "named": (b"gzip", named_gzip),
    "stored": (b"gzip", stored),
    "two members": (b"gzip", two_members),
    "members of nothing": (
        b"gzip",
        lambda content: gzip.compress(b"") * 3 + gzip.compress(content),
    ),
    "deflate": (b"deflate", zlib.compress),
    "bare deflate": (b"deflate", raw_deflate),
}
every_coding = pytest.mark.parametrize(("name", "code"), CODINGS.values(), ids=CODINGS)


def coded(name: bytes, content: bytes, *more: tuple[bytes, bytes]) -> Message:
    length = (b"content-length", b"%d" % len(content))
    return html((b"content-encoding", name), length, *more)


def in_pieces(content: bytes, size: int) -> list[Message]:
    parts = [content[i : i + size] for i in range(0, len(content), size)] or [b""]
    return [body(part, index < len(parts) - 1) for index, part in enumerate(parts)]


def untagged(sent: list[Message]) -> bytes:
    """The page of a decoded response, without the one tag that it has to hold."""
    assert b"content-encoding" not in headers_of(sent[0])
    rest, count = TAG.subn(b"", body_of(sent))
    assert count == 1, body_of(sent)[:200]
    return rest


def same(sent: list[Message], messages: Iterable[Message]) -> bool:
    expected = list(messages)
    return len(sent) == len(expected) and all(a is b for a, b in zip(sent, expected, strict=True))


# ---- pages -----------------------------------------------------------------------------------


@every_coding
def test_a_coded_page_arrives_decoded_with_one_tag(
    layer: LayerUnderTest, name: bytes, code: Code
) -> None:
    content = code(PAGE)
    for scope in (http_scope(), PLAIN):
        sent = layer.send(coded(name, content), body(content), scope=scope)
        assert untagged(sent) == PAGE
        assert headers_of(sent[0])[b"content-length"] == b"%d" % len(body_of(sent))
        assert len(sent) == 2
    assert layer.reasons == []


@every_coding
@pytest.mark.parametrize("size", [1, 2, 3, 9, 10, 11, 40])
def test_where_a_coded_body_is_cut_changes_nothing(
    layer: LayerUnderTest, name: bytes, code: Code, size: int
) -> None:
    content = code(PAGE)
    pieces = in_pieces(content, size)
    for scope in (http_scope(), PLAIN):
        sent = layer.send(coded(name, content), *pieces, scope=scope)
        assert untagged(sent) == PAGE
        assert b"content-length" not in headers_of(sent[0])
        assert [message["more_body"] for message in sent[1:]] == [
            message["more_body"] for message in pieces
        ]


@every_coding
def test_every_cut_of_a_coded_body_in_two_gives_the_same_page(
    layer: LayerUnderTest, name: bytes, code: Code
) -> None:
    content = code(PAGE)

    async def main() -> None:
        for cut in range(len(content) + 1):
            parts = body(content[:cut], True), body(content[cut:])
            sent = await call(layer.wrap(sender(coded(name, content), *parts)), http_scope())
            assert untagged(sent) == PAGE

    asyncio.run(main())


@pytest.mark.parametrize("convert", [bytearray, memoryview])
def test_every_kind_of_bytes_is_decoded(layer: LayerUnderTest, convert: Any) -> None:
    content = gzip.compress(PAGE)
    pieces = body(convert(content[:50]), True), body(b"", True), body(convert(content[50:]))
    assert untagged(layer.send(coded(b"gzip", content), *pieces)) == PAGE


def test_the_last_message_may_leave_everything_out(layer: LayerUnderTest) -> None:
    content = gzip.compress(PAGE)
    end = {"type": "http.response.body"}
    sent = layer.send(coded(b"gzip", content), body(content, True), end)
    assert untagged(sent) == PAGE
    assert not sent[-1].get("more_body", False)


def test_validators_go_and_other_headers_stay(layer: LayerUnderTest) -> None:
    content = gzip.compress(PAGE)
    more = (b"etag", b'"1"'), (b"vary", b"Accept-Encoding"), (b"cache-control", b"max-age=9")
    sent = layer.send(coded(b"gzip", content, *more), body(content))
    assert sent[0]["headers"] == [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-length", b"%d" % len(body_of(sent))),
        *more[1:],
        (b"vary", b"Sec-Fetch-Dest"),
    ]


@pytest.mark.parametrize(("name", "code"), [(b"gzip", 31), (b"deflate", 15), (b"deflate", -15)])
def test_each_flushed_piece_reaches_the_browser_at_once(
    layer: LayerUnderTest, name: bytes, code: int
) -> None:
    pieces = [PAGE[:21], PAGE[21:], b"<p>later", b"", b"<p>" + NOISE, b"<p>the end"]
    shown: list[bytes] = []
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def content() -> Any:
        compressor = zlib.compressobj(9, zlib.DEFLATED, code)
        for piece in pieces:
            yield compressor.compress(piece) + compressor.flush(zlib.Z_SYNC_FLUSH)
            shown.append(TAG.sub(b"", body_of(sent)))
        yield compressor.flush()

    async def never() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    response = StreamingResponse(
        content(), media_type="text/html", headers={"content-encoding": name.decode()}
    )
    asyncio.run(_wait(layer.wrap(response)(http_scope(), never, send)))
    assert shown == [b"".join(pieces[: index + 1]) for index in range(len(pieces))]
    assert untagged(sent) == b"".join(pieces)


async def _wait(awaitable: Any) -> None:
    await awaitable


def test_a_starlette_response_of_gzip_is_a_page(layer: LayerUnderTest) -> None:
    async def app(scope: Scope, receive: Any, send: Any) -> None:
        assert Request(scope).headers["accept-encoding"] == "identity"
        content = gzip.compress(PAGE)
        headers = {"content-encoding": "gzip"}
        await Response(content, headers=headers, media_type="text/html")(scope, receive, send)

    sent = layer.run(app, http_scope(headers=[*NAVIGATION, (b"accept-encoding", b"gzip")]))
    assert untagged(sent) == PAGE
    assert headers_of(sent[0])[b"content-length"] == b"%d" % len(body_of(sent))


@pytest.mark.parametrize("size", [10 << 20, 64 << 10, 1009])
def test_ten_megabytes_arrive_whole(layer: LayerUnderTest, size: int) -> None:
    page = PAGE + random.Random(2).randbytes(1 << 20) * 10
    content = gzip.compress(page, 1)
    if size == 1009:  # many pieces of less
        page = PAGE + NOISE * 20_000
        content = gzip.compress(page, 0)
    sent = layer.send(coded(b"gzip", content), *in_pieces(content, size))
    assert untagged(sent) == page


def test_a_small_body_may_become_a_large_page(layer: LayerUnderTest) -> None:
    page = PAGE + bytes(10 << 20)
    content = gzip.compress(page)
    assert len(content) < 20_000
    sent = layer.send(coded(b"gzip", content), body(content))
    assert untagged(sent) == page
    assert headers_of(sent[0])[b"content-length"] == b"%d" % len(body_of(sent))


@pytest.mark.parametrize("content", [b"", b"just text", b"<!-- c --><HTML lang=en>x", PAGE + NOISE])
def test_a_coded_body_gets_the_tag_where_a_plain_one_gets_it(
    layer: LayerUnderTest, content: bytes
) -> None:
    plain = body_of(layer.send(html(), body(content)))
    compressed = gzip.compress(content)
    decoded = body_of(layer.send(coded(b"gzip", compressed), body(compressed)))
    if TAG.sub(b"", plain) == plain:
        assert decoded == compressed
    else:
        assert TAG.sub(b"<TAG>", decoded) == TAG.sub(b"<TAG>", plain)


def test_a_body_of_no_bytes_is_no_error(layer: LayerUnderTest) -> None:
    for messages in ([body()], [body(b"", True), body()]):
        sent = layer.send(coded(b"gzip", b""), *messages)
        assert TAG.sub(b"", body_of(sent)) == b""
    assert layer.reasons == []


@every_coding
def test_random_cuts_of_random_pages_change_nothing(
    layer: LayerUnderTest, name: bytes, code: Code
) -> None:
    async def main() -> None:
        for seed in range(40):
            choice = random.Random(seed)
            page = PAGE + choice.randbytes(choice.randrange(2000))
            content = code(page)
            edges = sorted(choice.randrange(len(content) + 1) for _ in range(choice.randrange(9)))
            edges = [0, *edges, len(content)]
            parts = [content[a:b] for a, b in itertools.pairwise(edges)]
            messages = [body(part, i < len(parts) - 1) for i, part in enumerate(parts)]
            sent = await call(layer.wrap(sender(coded(name, content), *messages)), http_scope())
            assert untagged(sent) == page, seed

    asyncio.run(main())


# ---- what stays coded ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "scope",
    [FETCH, http_scope(headers=[]), http_scope(method="PUT"), {**FETCH, "method": "HEAD"}],
    ids=["fetch", "unknown", "put", "head"],
)
@every_coding
def test_what_is_no_navigation_is_the_very_sequence_of_messages(
    layer: LayerUnderTest, name: bytes, code: Code, scope: Scope
) -> None:
    content = code(PAGE)
    messages = [coded(name, content), *in_pieces(content, 20)]
    assert same(layer.send(*messages, scope=scope), messages)


@pytest.mark.parametrize(
    "kind", [b"application/json", b"text/css", b"image/svg+xml", b"text/plain"]
)
@every_coding
def test_what_is_no_page_is_the_very_sequence_of_messages(
    layer: LayerUnderTest, name: bytes, code: Code, kind: bytes
) -> None:
    content = code(PAGE)
    messages = [
        start([(b"content-type", kind), (b"content-encoding", name)]),
        *in_pieces(content, 20),
    ]
    assert same(layer.send(*messages), messages)
    assert layer.reasons == []


@every_coding
def test_a_coded_fragment_on_plain_http_is_the_very_sequence_of_messages(
    layer: LayerUnderTest, name: bytes, code: Code
) -> None:
    content = code(FRAGMENT)
    messages = coded(name, content, (b"etag", b'"1"')), body(content)
    assert same(layer.send(*messages, scope=PLAIN), messages)
    assert layer.reasons == []


def test_a_coded_fragment_that_shows_in_its_first_piece_is_the_very_sequence_of_messages(
    layer: LayerUnderTest,
) -> None:
    content = stored(FRAGMENT)
    messages = [coded(b"gzip", content), *in_pieces(content, 40)]
    assert same(layer.send(*messages, scope=PLAIN), messages)


@every_coding
def test_a_coded_fragment_that_shows_late_arrives_decoded(
    layer: LayerUnderTest, name: bytes, code: Code
) -> None:
    content = code(FRAGMENT)
    sent = layer.send(coded(name, content), *in_pieces(content, 1), scope=PLAIN)
    assert b"content-encoding" not in headers_of(sent[0])
    assert b"content-length" not in headers_of(sent[0])
    assert body_of(sent) == FRAGMENT


@pytest.mark.parametrize(
    "content", [b"\xff\xfe<\0h\0", b"<!doctype html><!-- cut off", b"\0<html>", b"<html lang='"]
)
def test_what_gets_no_tag_stays_coded(layer: LayerUnderTest, content: bytes) -> None:
    compressed = gzip.compress(content)
    messages = coded(b"gzip", compressed), body(compressed)
    assert same(layer.send(*messages), messages)


def test_a_coded_page_that_holds_the_tag_stays_coded(layer: LayerUnderTest) -> None:
    compressed = gzip.compress(body_of(layer.send(html(), body(PAGE))))
    messages = coded(b"gzip", compressed), body(compressed)
    assert same(layer.send(*messages), messages)


@pytest.mark.parametrize(
    "names",
    [[b"br"], [b"zstd"], [b"gzip, br"], [b"gzip, gzip"], [b"gzip", b"deflate"], [b"compress"]],
)
def test_another_coding_passes_with_one_warning_that_says_what_to_do(
    layer: LayerUnderTest, names: list[bytes]
) -> None:
    messages = [html(*((b"content-encoding", name) for name in names)), *in_pieces(NOISE, 30)]
    wrapped = layer.wrap(sender(*messages))

    async def main() -> None:
        for path in ("/page", "/page", "/other", "/page"):
            assert same(await call(wrapped, http_scope(path)), messages)

    asyncio.run(main())
    assert [path for path, _ in layer.reasons] == ["/page", "/other"]
    assert all("Accept-Encoding" in reason for _, reason in layer.reasons)


@pytest.mark.parametrize("name", [b"", b"identity", b" , identity"])
def test_a_coding_that_is_none_is_none(layer: LayerUnderTest, name: bytes) -> None:
    sent = layer.send(html((b"content-encoding", name)), body(PAGE))
    assert TAG.sub(b"", body_of(sent)) == PAGE
    assert (b"content-encoding", name) in sent[0]["headers"]


# ---- what is broken --------------------------------------------------------------------------


@pytest.mark.parametrize("name", [b"gzip", b"deflate"])
@pytest.mark.parametrize(
    "content", [PAGE, NOISE, gzip.compress(PAGE)[:15] + NOISE, zlib.compress(PAGE)[:9] + NOISE]
)
def test_what_is_not_coded_as_it_says_passes_as_it_came(
    layer: LayerUnderTest, name: bytes, content: bytes
) -> None:
    messages = coded(name, content), body(content)
    for scope in (http_scope("/page"), PLAIN):
        assert same(layer.send(*messages, scope=scope), messages)
    assert layer.reasons[0][0] == "/page"
    assert re.search("Content-Encoding", layer.reasons[0][1])


@pytest.mark.parametrize("at", ["checksum", "length"])
def test_a_body_whose_end_is_wrong_passes_as_it_came(layer: LayerUnderTest, at: str) -> None:
    content = bytearray(gzip.compress(PAGE))
    content[-8 if at == "checksum" else -4] ^= 1
    messages = coded(b"gzip", bytes(content)), body(bytes(content))
    assert same(layer.send(*messages), messages)


STORED_BLOCK = b"\0\xe8\x03\x17\xfc"  # of 1000 bytes, not the last: RFC 1951, section 3.2.4


def stored_blocks(content: bytes) -> bytes:
    """gzip of thousands of bytes, in blocks that are not compressed."""
    assert len(content) % 1000 == 0
    blocks = (STORED_BLOCK + content[i : i + 1000] for i in range(0, len(content), 1000))
    end = b"\1\0\0\xff\xff" + zlib.crc32(content).to_bytes(4, "little")
    header = b"\x1f\x8b\x08" + bytes(7)
    return header + b"".join(blocks) + end + len(content).to_bytes(4, "little")


@pytest.mark.parametrize("size", [1, 50, 2000])
def test_a_page_that_turns_bad_ends_where_it_does(layer: LayerUnderTest, size: int) -> None:
    page = (PAGE + random.Random(3).randbytes(9000))[:9000]
    assert gzip.decompress(stored_blocks(page)) == page
    content = bytearray(stored_blocks(page))
    content[content.index(STORED_BLOCK, 4000)] = 6  # a type of block that there is not
    sent = layer.send(coded(b"gzip", bytes(content)), *in_pieces(bytes(content), size))
    shown = untagged(sent)
    assert page.startswith(shown)
    assert len(shown) >= 2000
    assert [message["more_body"] for message in sent[1:]] == [True] * (len(sent) - 2) + [False]
    assert len(layer.reasons) == 1


@pytest.mark.parametrize("rest", [b"\0" * 100, b"x", b"\r\n", NOISE[:1]])
@pytest.mark.parametrize(("name", "code"), [(b"gzip", gzip.compress), (b"deflate", zlib.compress)])
@pytest.mark.parametrize("size", [1, 1000])
def test_what_follows_the_end_is_ignored(
    layer: LayerUnderTest, rest: bytes, name: bytes, code: Code, size: int
) -> None:
    content = code(PAGE) + rest
    sent = layer.send(coded(name, content), *in_pieces(content, size))
    assert untagged(sent) == PAGE


@every_coding
@pytest.mark.parametrize("size", [1, 1000])
def test_of_a_body_cut_off_arrives_what_is_there(
    layer: LayerUnderTest, name: bytes, code: Code, size: int
) -> None:
    content = code(PAGE + NOISE)[: -len(NOISE) // 2]
    sent = layer.send(coded(name, content), *in_pieces(content, size))
    shown = untagged(sent)
    assert shown.startswith(PAGE[:60])
    assert (PAGE + NOISE).startswith(shown)


@pytest.mark.parametrize("after", [1, 2])
def test_another_message_in_the_middle_passes_in_its_place(
    layer: LayerUnderTest, after: int
) -> None:
    """After the first piece the place of the tag is open still, after the second it is found."""
    content = stored(PAGE)
    pieces = [body(content[:20], True), body(content[20:60], True), body(content[60:])]
    odd = {"type": "something.new"}
    sent = layer.send(coded(b"gzip", content), *pieces[:after], odd, *pieces[after:])
    arrived = zlib.decompressobj(31).decompress(content[: (20, 60)[after - 1]])
    assert TAG.sub(b"", body_of(sent[: sent.index(odd)])) == arrived
    assert TAG.sub(b"", body_of(sent)) == PAGE
    assert b"content-encoding" not in headers_of(sent[0])


def test_a_file_that_the_server_sends_stays_coded(layer: LayerUnderTest) -> None:
    messages = coded(b"gzip", b""), {"type": "http.response.pathsend", "path": "/x.html.gz"}
    assert same(layer.send(*messages), messages)


# ---- HEAD, trailers --------------------------------------------------------------------------


def test_a_head_of_a_coded_page_has_the_headers_of_the_page(layer: LayerUnderTest) -> None:
    content = gzip.compress(PAGE)
    more = (b"etag", b'"1"'), (b"x", b"y")
    page = layer.send(coded(b"gzip", content, *more), body(content))
    head = layer.send(coded(b"gzip", content, *more), body(), scope=http_scope(method="HEAD"))
    kept = [pair for pair in page[0]["headers"] if pair[0] != b"content-length"]
    assert head[0]["headers"] == kept
    assert body_of(head) == b""


def test_trailers_of_a_coded_page_lose_what_is_no_longer_true(layer: LayerUnderTest) -> None:
    content = gzip.compress(PAGE)
    trailers = {
        "type": "http.response.trailers",
        "headers": [(b"digest", b"x"), (b"x-time", b"1")],
        "more_trailers": False,
    }
    for size in (1, 1000):
        start_message = {**coded(b"gzip", content), "trailers": True}
        sent = layer.send(start_message, *in_pieces(content, size), trailers)
        assert untagged(sent) == PAGE
        assert sent[-1] == {**trailers, "headers": [(b"x-time", b"1")]}
