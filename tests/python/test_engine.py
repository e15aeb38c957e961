"""The engine's Python type: life, cursors, frames, notes."""

from __future__ import annotations

import gc
import importlib.util
import os
import select
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import pytest
from starlette_hot_reload import _core
from support import DEADLINE, LayerUnderTest, html, http_scope, make_engine, run, save, threads


@pytest.fixture
def engine(tmp_path: Path) -> Any:
    engine = make_engine(tmp_path)
    engine.start()
    assert engine.wait_ready(DEADLINE)
    yield engine
    engine.stop()


def save_and_wait(engine: _core.Engine, path: Path, text: str = "x") -> None:
    """Change a file, and wait until the engine has pushed it."""
    fd = engine.subscribe()
    cursor = engine.now()
    try:
        save(path, text)
        while not engine.since(cursor)[0]:
            assert select.select([fd], [], [], DEADLINE)[0], "no batch"
            os.read(fd, 8)
    finally:
        engine.unsubscribe(fd)


def test_since_tells_what_changed_and_where_to_go_on(engine: _core.Engine, tmp_path: Path) -> None:
    begin = engine.now()
    assert engine.since(begin) == (b"", begin)
    save_and_wait(engine, tmp_path / "a.css")
    frame, cursor = engine.since(begin)
    assert b'"files":["a.css"]' in frame
    assert f"id: {cursor}\n".encode() in frame
    assert engine.since(cursor) == (b"", cursor)


def test_streams_at_one_cursor_share_one_answer(engine: _core.Engine, tmp_path: Path) -> None:
    cursors = {engine.hello(None, 1)[1] for _ in range(100)}
    assert len(cursors) == 1
    save_and_wait(engine, tmp_path / "a.css")
    (cursor,) = cursors
    deadline = time.monotonic() + DEADLINE
    first = engine.since(cursor)
    while engine.since(cursor) is not first:  # the watcher's thread may be about to be done
        assert time.monotonic() < deadline
        first = engine.since(cursor)
    assert first[0]
    assert all(engine.since(cursor) is first for _ in range(100))


def test_a_shared_answer_never_hides_a_later_change(engine: _core.Engine, tmp_path: Path) -> None:
    cursor = engine.now()
    for number in range(50):
        engine.since(cursor)
        save_and_wait(engine, tmp_path / f"{number}.css")
        assert f"{number}.css".encode() in engine.since(cursor)[0]


def hello(engine: _core.Engine, cursor: str | None) -> tuple[bool, str]:
    frame, position = engine.hello(cursor, 500)
    assert frame.startswith(b"retry: 500\n")
    assert b"event: hello\n" in frame
    return b'"reload":true' in frame, position


def test_hello_without_a_cursor_begins_now(engine: _core.Engine, tmp_path: Path) -> None:
    save_and_wait(engine, tmp_path / "a.css")
    for cursor in (None, "", "garbage", "x" * 33, "\ud800"):
        reload, position = hello(engine, cursor)
        assert not reload
        assert engine.since(position)[0] == b""


def test_hello_with_a_known_cursor_goes_on_from_there(engine: _core.Engine, tmp_path: Path) -> None:
    cursor = engine.now()
    assert not hello(engine, cursor)[0]
    save_and_wait(engine, tmp_path / "a.css")
    assert hello(engine, cursor) == (False, cursor)
    assert b"a.css" in engine.since(cursor)[0]


def test_hello_with_a_cursor_of_another_boot_reloads(engine: _core.Engine) -> None:
    other = "00000000000000ff" + engine.now()[16:]
    reload, position = hello(engine, other)
    assert reload
    assert position.startswith(f"{1:016x}.")


def test_hello_with_a_cursor_from_before_the_journal_reloads(engine: _core.Engine) -> None:
    assert hello(engine, f"{1:016x}.{0:016x}")[0]


def test_a_stream_that_fell_too_far_behind_is_told_to_reload(engine: _core.Engine) -> None:
    frame, position = engine.since(f"{1:016x}.{0:016x}")
    assert b"event: hello\n" in frame
    assert b'"reload":true' in frame
    assert engine.since(position) == (b"", position)


@pytest.mark.parametrize("cursor", [None, 1, b"x", "", "x", "\ud800"])
def test_since_wants_a_cursor(engine: _core.Engine, cursor: Any) -> None:
    with pytest.raises(ValueError, match="invalid"):
        engine.since(cursor)


def test_a_batch_leaves_a_note_that_cannot_break_the_log(
    engine: _core.Engine, tmp_path: Path
) -> None:
    engine.take_notes()
    save_and_wait(engine, tmp_path / "a\nb\\\x1b\xe4.css")
    notes = engine.take_notes()
    assert [(level, text.rpartition(": ")[2]) for level, text in notes] == [
        (10, "a\\x0ab\\x5c\\x1b\\xc3\\xa4.css")
    ]
    assert "ms" in notes[0][1]
    assert engine.take_notes() == []


def test_a_long_name_is_cut_in_a_note(engine: _core.Engine, tmp_path: Path) -> None:
    deep = tmp_path / ("\xe4" * 120) / ("\xe4" * 120)
    deep.mkdir(parents=True)
    engine.take_notes()
    save_and_wait(engine, deep / ("\xe4" * 120))
    assert all(len(text) < 1024 for _, text in engine.take_notes())


def test_the_frame_of_a_shutdown(engine: _core.Engine) -> None:
    assert b'"type":"shutdown"' in engine.shutdown_frame()
    assert _core.heartbeat_frame().startswith(b":")


def test_notes_that_nobody_takes_are_counted_and_the_first_kept(tmp_path: Path) -> None:
    engine = make_engine(*(tmp_path / str(number) for number in range(300)))
    engine.start()
    assert engine.wait_ready(DEADLINE)
    notes = [text for _, text in engine.take_notes()]
    assert notes[0] == f"{tmp_path / '0'} does not exist: it is waited for"
    assert len(notes) == 257
    assert notes[256] == "45 messages of the watcher were lost"
    assert engine.take_notes() == []
    engine.stop()


@pytest.mark.parametrize(
    ("method", "arguments", "error"),
    [
        ("waiting", ("x",), ValueError),
        ("waiting", (b"x",), ValueError),
        ("tell", ("x",), ValueError),
        ("tell", (None,), ValueError),
        ("hello", (None,), TypeError),
        ("hello", (None, "x"), TypeError),
        ("wait_ready", ("x",), TypeError),
        ("unsubscribe", ("x",), TypeError),
    ],
)
def test_what_is_asked_wrongly_is_refused(
    engine: _core.Engine, method: str, arguments: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        getattr(engine, method)(*arguments)


def test_an_engine_is_not_stopped_under_who_waits_for_it(tmp_path: Path) -> None:
    deadline = time.monotonic() + DEADLINE
    refused = False
    while not refused:  # the thread may not be there yet, or have been too late
        assert time.monotonic() < deadline
        engine = make_engine(tmp_path)
        begins = threading.Event()

        def wait(engine: _core.Engine = engine, begins: threading.Event = begins) -> None:
            begins.set()
            engine.wait_ready(0.2)

        thread = threading.Thread(target=wait)
        thread.start()
        begins.wait(DEADLINE)
        while thread.is_alive() and not refused:
            try:
                engine.stop()
            except RuntimeError as error:
                refused = "wait_ready() is under way" in str(error)
        thread.join(DEADLINE)
        engine.stop()


def test_stats_name_their_figures(engine: _core.Engine, tmp_path: Path) -> None:
    stats = engine.stats()
    assert stats.ready is True
    assert (stats.directories, stats.files, stats.batches) == (1, 0, 0)


def test_stop_joins_the_thread_and_wakes_the_readers(tmp_path: Path) -> None:
    before = threads()
    engine = make_engine(tmp_path)
    assert threads() == before
    engine.start()
    assert threads() == before + 1
    fd = engine.subscribe()
    engine.stop()
    assert threads() == before
    assert select.select([fd], [], [], 0)[0]
    engine.unsubscribe(fd)
    engine.stop()
    assert engine.stats().batches == 0
    assert engine.wait_ready(0) is False
    with pytest.raises(RuntimeError):
        engine.start()


def test_an_engine_that_is_dropped_stops(tmp_path: Path) -> None:
    before = threads()
    engine = make_engine(tmp_path)
    engine.start()
    del engine
    assert threads() == before


def test_stop_lets_other_threads_run(tmp_path: Path) -> None:
    engines = [make_engine(tmp_path) for _ in range(8)]
    for engine in engines:
        engine.start()
    stopping = [threading.Thread(target=engine.stop) for engine in engines]
    for thread in stopping:
        thread.start()
    for thread in stopping:
        thread.join(DEADLINE)
        assert not thread.is_alive()


def test_a_root_that_is_a_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(NotADirectoryError, match="file"):
        make_engine(file)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"polling": 3}, ValueError),
        ({"polling": -1}, ValueError),
        ({"poll_interval": 0.0}, ValueError),
        ({"poll_interval": float("nan")}, ValueError),
        ({"poll_interval": float("inf")}, ValueError),
        ({"boot": 0}, ValueError),
        ({"exclude": ["text"]}, TypeError),
        ({"served": [(b"/x",)]}, TypeError),
        ({"served": [(b"relative", b"")]}, ValueError),
    ],
)
def test_an_engine_checks_what_it_is_given(
    tmp_path: Path, change: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        make_engine(tmp_path, **change)


def test_roots_are_absolute_bytes() -> None:
    options: dict[str, Any] = {
        "base": b"/", "served": [], "polling": 0, "poll_interval": 1.0, "exclude": [], "boot": 1,
        "morph": False,
    }  # fmt: skip
    with pytest.raises(ValueError, match="relative"):
        _core.Engine([b"relative"], **options)
    with pytest.raises(TypeError):
        _core.Engine(["/"], **options)  # type: ignore[list-item]
    with pytest.raises(ValueError, match="invalid"):
        _core.Engine([b"/"], **{**options, "base": b"relative"})


def test_the_types_are_closed() -> None:
    for kind in (_core.Engine, _core.Layer, _core.Send, _core.Sequence, _core.Ready):
        with pytest.raises(TypeError):
            type("Sub", (kind,), {})
    for kind in (_core.Send, _core.Sequence, _core.Ready):
        with pytest.raises(TypeError):
            kind()


def test_a_file_of_the_client() -> None:
    file = _core.client_file(b"client.js")
    assert file is not None
    media_type, content, etag = file
    assert media_type == b"text/javascript"
    assert content
    assert etag.startswith(b'"')
    assert etag.endswith(b'"')
    assert _core.client_file(b"../client.js") is None
    with pytest.raises(TypeError, match="bytes"):
        _core.client_file("client.js")  # type: ignore[arg-type]


def test_a_module_that_nobody_uses_is_freed() -> None:
    spec = importlib.util.spec_from_file_location(_core.__name__, _core.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    left = weakref.ref(module.Layer)
    del module, spec
    gc.collect()
    assert left() is None


def test_what_is_done_is_a_coroutine_that_has_ended(tmp_path: Path) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        ready.append(send(html()))

    ready: list[Any] = []
    run(LayerUnderTest(make_engine(tmp_path)).wrap(app), http_scope())
    [one] = ready
    assert type(one).__name__ == "Ready"
    assert list(one) == []
    with pytest.raises(StopIteration):
        one.send(None)
    with pytest.raises(ZeroDivisionError):
        one.throw(ZeroDivisionError)
    assert one.close() is None
