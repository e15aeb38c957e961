"""What comes between a save and the browsers: callables, and whoever holds."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette_hot_reload import Batch, Change, HotReload, HotReloadMiddleware, _hooks
from starlette_hot_reload._core import Layer
from starlette_hot_reload._hooks import ROUNDS, _batch
from support import DEADLINE, EVENTS_PATH, Connection, RunAsync, body_of, http_scope, never, save


def app_of(hot: HotReload) -> Starlette:
    app = Starlette(debug=True)
    hot.setup(app)
    return app


@asynccontextmanager
async def listening(app: Any, **scope: Any) -> AsyncIterator[Connection]:
    """A browser, from its hello on."""
    connection = Connection()
    async with anyio.create_task_group() as group:
        group.start_soon(connection.run, app, http_scope(EVENTS_PATH, **scope))
        await connection.wait_for(b"event: hello")
        yield connection
        connection.leave()


def updates(connection: Connection) -> list[list[str]]:
    """The files of each update so far."""
    lines = body_of(connection.messages).split(b"\n")
    told = [json.loads(line[6:]) for line in lines if line.startswith(b"data: ")]
    return [sorted(event["files"]) for event in told if "files" in event]


class Seen:
    """A callable that remembers the files of each batch."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def __call__(self, batch: Batch) -> None:
        self.batches.append(sorted(change.path for change in batch.changes))


# ---- on_change -------------------------------------------------------------------------------


def test_it_has_the_batch_before_the_browser_has(tmp_path: Path, run_async: RunAsync) -> None:
    async def main() -> None:
        batches: list[Batch] = []
        called, may_end = anyio.Event(), anyio.Event()

        async def on_change(batch: Batch) -> None:
            batches.append(batch)
            called.set()
            await may_end.wait()

        app = Starlette(debug=True, routes=[Mount("/s", StaticFiles(directory=tmp_path))])
        HotReload([tmp_path], on_change=on_change).setup(app)
        async with listening(app) as connection:
            layer = app.middleware_stack
            assert isinstance(layer, Layer)
            assert layer.engine is not None
            assert layer.engine.wait_ready(DEADLINE)  # before, nobody knows that it was not there
            save(tmp_path / "a b.css")
            await called.wait()
            assert updates(connection) == []
            may_end.set()
            await connection.wait_for(b"a b.css")
            assert updates(connection) == [["a b.css"]]
        [batch] = batches
        assert batch.changes == (
            Change("a b.css", tmp_path / "a b.css", "/s/a%20b.css", "css", "added"),
        )
        assert batch.is_complete
        assert batch.time.tzinfo == timezone.utc
        assert timedelta(0) <= datetime.now(timezone.utc) - batch.time < timedelta(seconds=DEADLINE)

    run_async(main)


def test_one_that_is_not_async_blocks_no_loop(tmp_path: Path, run_async: RunAsync) -> None:
    async def main() -> None:
        called, may_end = threading.Event(), threading.Event()

        def on_change(batch: Batch) -> None:
            called.set()
            assert may_end.wait(DEADLINE)

        async with listening(app_of(HotReload([tmp_path], on_change=on_change))) as connection:
            save(tmp_path / "a.css")
            while not called.is_set():
                await anyio.sleep(0.001)
            may_end.set()
            await connection.wait_for(b"a.css")

    run_async(main)


class Caller:
    def __init__(self, calls: list[str]) -> None:
        self.calls = calls

    async def __call__(self, batch: Batch) -> None:
        self.calls.append("object")

    async def method(self, batch: Batch) -> None:
        self.calls.append("method")


def test_several_are_called_in_order_whatever_they_are(tmp_path: Path, run_async: RunAsync) -> None:
    async def main() -> None:
        calls: list[str] = []

        async def first(batch: Batch) -> None:
            await anyio.sleep(0.01)
            calls.append("first")

        async def with_more(more: str, batch: Batch) -> None:
            calls.append(more)

        caller = Caller(calls)
        on_change: list[Any] = [
            first,
            lambda batch: calls.append("sync"),
            partial(with_more, "partial"),
            caller,
            caller.method,
            lambda batch: with_more("awaitable", batch),
        ]
        async with listening(app_of(HotReload([tmp_path], on_change=on_change))) as connection:
            save(tmp_path / "a.css")
            await connection.wait_for(b"a.css")
        assert calls == ["first", "sync", "partial", "object", "method", "awaitable"]

    run_async(main)


def test_one_that_fails_is_logged_and_takes_nothing_from_anybody(
    tmp_path: Path, run_async: RunAsync, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        seen = Seen()

        async def on_change(batch: Batch) -> None:
            raise ZeroDivisionError("of the hook")

        def sync(batch: Batch) -> None:
            raise KeyError("of the thread")

        hot = HotReload([tmp_path], on_change=[on_change, sync, seen])
        async with listening(app_of(hot)) as connection:
            for name in "a.css", "b.css":
                save(tmp_path / name)
                await connection.wait_for(name.encode())
        assert seen.batches == [["a.css"], ["b.css"]]
        failures = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert len(failures) == 4
        assert "on_change failed" in failures[0].getMessage()
        assert failures[0].exc_info
        assert failures[0].exc_info[0] is ZeroDivisionError

    run_async(main)


def test_what_it_writes_goes_with_what_it_was_called_for(
    tmp_path: Path, run_async: RunAsync
) -> None:
    async def main() -> None:
        seen = Seen()

        def build(batch: Batch) -> None:
            if any(change.path.endswith(".html") for change in batch.changes):
                save(tmp_path / "built.css", f"{len(seen.batches)}")

        async with listening(app_of(HotReload([tmp_path], on_change=[seen, build]))) as connection:
            for number in 1, 2, 3:
                save(tmp_path / "page.html", f"{number}")
                await connection.wait_for(b'"path":"built.css"', number)
            save(tmp_path / "other.css")
            await connection.wait_for(b"other.css")
        assert updates(connection) == [["built.css", "page.html"]] * 3 + [["other.css"]]
        assert seen.batches == [["page.html"], ["built.css"]] * 3 + [["other.css"]]

    run_async(main)


def test_one_that_always_writes_comes_to_an_end(
    tmp_path: Path,
    run_async: RunAsync,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_hooks, "PAUSES", (0.01, 0.02))

    async def main() -> None:
        seen = Seen()

        def write(batch: Batch) -> None:
            save(tmp_path / "log.txt", f"{len(seen.batches)}")

        async with listening(app_of(HotReload([tmp_path], on_change=[seen, write]))) as connection:
            for number, name in enumerate(["a.css", "b.css"], 1):
                save(tmp_path / name)
                await connection.wait_for(b'"path":"log.txt"', 3 * number)
                assert len(seen.batches) == number * 3 * ROUNDS
        again = [["log.txt"]] * 2
        assert updates(connection) == [["a.css", "log.txt"], *again, ["b.css", "log.txt"], *again]
        assert "changes watched files whenever it runs" in caplog.text
        assert "not run again for 'log.txt'" in caplog.text

    run_async(main)


def test_saves_that_are_faster_than_it_runs_are_not_left_out(
    tmp_path: Path, run_async: RunAsync, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_hooks, "PAUSES", (0.01,))

    async def main() -> None:
        page = tmp_path / "page.html"
        read: list[str] = []

        async def on_change(batch: Batch) -> None:
            read.append(page.read_text())
            if len(read) <= ROUNDS:  # somebody saves while it runs
                save(page, f"{len(read)}")

        async with listening(app_of(HotReload([tmp_path], on_change=on_change))) as connection:
            save(page, "0")
            await connection.wait_for(b'"path":"page.html"', 2)
        assert read == [f"{number}" for number in range(ROUNDS + 1)]

    run_async(main)


def test_what_changes_meanwhile_is_one_more_batch(tmp_path: Path, run_async: RunAsync) -> None:
    async def main() -> None:
        seen = Seen()

        async def slow(batch: Batch) -> None:
            if len(seen.batches) == 1:
                for name in "b.css", "c.css":
                    save(tmp_path / name)
                    await anyio.sleep(0.01)

        async with listening(app_of(HotReload([tmp_path], on_change=[seen, slow]))) as connection:
            save(tmp_path / "a.css")
            await connection.wait_for(b"c.css")
        assert updates(connection) == [["a.css", "b.css", "c.css"]]
        assert seen.batches == [["a.css"], ["b.css", "c.css"]]

    run_async(main)


def test_what_happened_while_nobody_listened_is_seen_before_it_is_told(
    tmp_path: Path, run_async: RunAsync
) -> None:
    async def main() -> None:
        seen = Seen()
        app = app_of(HotReload([tmp_path], on_change=seen))
        async with listening(app) as connection:
            cursor = body_of(connection.messages).split(b'"cursor":"')[1][:33]
        save(tmp_path / "a.css")
        query = b"cursor=" + cursor
        async with listening(app, query_string=query) as connection:
            await connection.wait_for(b"a.css")
        assert updates(connection) == [["a.css"]]
        assert seen.batches == [["a.css"]]

    run_async(main)


@pytest.mark.parametrize("is_async", [True, False])
def test_one_that_never_ends_holds_up_no_shutdown(
    tmp_path: Path, run_async: RunAsync, is_async: bool
) -> None:
    called, may_end = threading.Event(), threading.Event()

    def sync(batch: Batch) -> None:
        called.set()
        may_end.wait(2 * DEADLINE)

    async def never_ends(batch: Batch) -> None:
        called.set()
        await anyio.sleep_forever()

    async def main() -> None:
        on_change = never_ends if is_async else sync
        async with listening(app_of(HotReload([tmp_path], on_change=on_change))):
            save(tmp_path / "a.css")
            while not called.is_set():
                await anyio.sleep(0.001)

    try:
        run_async(main)
    finally:
        may_end.set()


def test_a_middleware_has_it_too(tmp_path: Path, run_async: RunAsync) -> None:
    async def main() -> None:
        seen = Seen()
        app = HotReloadMiddleware(never, [tmp_path], on_change=seen)
        async with listening(app) as connection:
            save(tmp_path / "a.css")
            await connection.wait_for(b"a.css")
        assert seen.batches == [["a.css"]]

    run_async(main)


def test_a_file_with_several_addresses_is_one_change(tmp_path: Path, run_async: RunAsync) -> None:
    async def main() -> None:
        told: list[tuple[str, str | None, Path]] = []

        def on_change(batch: Batch) -> None:
            told.extend((change.path, change.url, change.file) for change in batch.changes)

        css = tmp_path / "css"
        css.mkdir()
        routes = [
            Mount("/static", StaticFiles(directory=tmp_path)),
            Mount("/css", StaticFiles(directory=css)),
        ]
        app = Starlette(debug=True, routes=routes)
        hot = HotReload([tmp_path], on_change=on_change)
        hot.setup(app)
        async with listening(app) as connection:
            with hot.hold():
                save(tmp_path / "b.css")
                save(css / "a.css")
            await connection.wait_for(b"b.css")
        assert told == [
            ("b.css", "/static/b.css", tmp_path / "b.css"),
            ("css/a.css", "/css/a.css", css / "a.css"),
        ]

    run_async(main)


def test_too_much_to_be_named_says_so() -> None:
    batch = _batch(b"", [], [])
    assert batch.changes == ()
    assert not batch.is_complete


def test_a_name_that_is_no_text_is_a_path_all_the_same(tmp_path: Path, run_async: RunAsync) -> None:
    async def main() -> None:
        files: list[Path] = []

        def on_change(batch: Batch) -> None:
            files.extend(change.file for change in batch.changes)

        odd = Path(f"{tmp_path}/\udcff.css")
        async with listening(app_of(HotReload([tmp_path], on_change=on_change))) as connection:
            save(odd)
            await connection.wait_for(b'"changes"')
        assert files == [odd]
        assert files[0].read_text() == "x"

    run_async(main)


# ---- hold ------------------------------------------------------------------------------------


def test_what_changes_in_a_hold_waits_and_is_told_as_one(
    tmp_path: Path, run_async: RunAsync
) -> None:
    async def main() -> None:
        hot = HotReload([tmp_path])
        app = app_of(hot)
        async with listening(app) as connection:
            with hot.hold():
                for name in "a.css", "b.css":
                    save(tmp_path / name)
                    # Long enough for the watcher to be done with the first.
                    await _found(app, name)
                assert updates(connection) == []
                save(tmp_path / "c.css")
            await connection.wait_for(b"c.css")
            save(tmp_path / "d.css")
            await connection.wait_for(b"d.css")
        assert updates(connection) == [["a.css", "b.css", "c.css"], ["d.css"]]

    run_async(main)


async def _found(app: Starlette, name: str) -> None:
    """Until the watcher has found a file, and its journal keeps it."""
    engine: Any = app.middleware_stack.engine  # type: ignore[union-attr]
    while True:
        waiting = engine.waiting(None)
        if waiting is not None and (0, name.encode()) in waiting[1]:
            return
        await anyio.sleep(0.001)


def test_the_last_of_several_holds_lets_go(tmp_path: Path, run_async: RunAsync) -> None:
    async def main() -> None:
        hot = HotReload([tmp_path])
        app = app_of(hot)
        async with listening(app) as connection:
            first = hot.hold()
            first.__enter__()
            with hot.hold():
                save(tmp_path / "a.css")
                await _found(app, "a.css")
            save(tmp_path / "b.css")
            await _found(app, "b.css")
            assert updates(connection) == []
            await anyio.to_thread.run_sync(first.__exit__, None, None, None)
            await connection.wait_for(b"b.css")
        assert updates(connection) == [["a.css", "b.css"]]

    run_async(main)


def test_callables_are_called_once_a_hold_is_over(tmp_path: Path, run_async: RunAsync) -> None:
    async def main() -> None:
        seen = Seen()
        hot = HotReload([tmp_path], on_change=seen)
        app = app_of(hot)
        async with listening(app) as connection:
            with hot.hold():
                for name in "a.css", "b.css":
                    save(tmp_path / name)
                    await _found(app, name)
                assert seen.batches == []
            await connection.wait_for(b"b.css")
        assert seen.batches == [["a.css", "b.css"]]
        assert updates(connection) == [["a.css", "b.css"]]

    run_async(main)


def test_a_hold_from_before_the_start_counts(tmp_path: Path, run_async: RunAsync) -> None:
    async def main() -> None:
        hot = HotReload([tmp_path])
        app = app_of(hot)
        with hot.hold():
            async with listening(app) as connection:
                save(tmp_path / "a.css")
                await _found(app, "a.css")
            cursor = body_of(connection.messages).split(b'"cursor":"')[1][:33]
        async with listening(app, query_string=b"cursor=" + cursor) as connection:
            await connection.wait_for(b"a.css")

    run_async(main)


def test_a_failing_build_lets_go_too(tmp_path: Path, run_async: RunAsync) -> None:
    async def main() -> None:
        hot = HotReload([tmp_path])
        async with listening(app_of(hot)) as connection:

            def build() -> None:
                with hot.hold():
                    save(tmp_path / "a.css")
                    raise ZeroDivisionError

            with pytest.raises(ZeroDivisionError):
                build()
            await connection.wait_for(b"a.css")

    run_async(main)


def test_a_hold_where_hot_reload_is_off_does_nothing(tmp_path: Path) -> None:
    hot = HotReload([tmp_path])
    hot.setup(Starlette())
    with hot.hold():
        pass


def test_holding_and_saving_in_many_threads_loses_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        hot = HotReload([tmp_path])
        async with listening(app_of(hot)) as connection:

            def work(number: int) -> None:
                for step in range(20):
                    with hot.hold():
                        save(tmp_path / f"{number}-{step}.css")

            async with anyio.create_task_group() as group:
                for number in range(4):
                    group.start_soon(anyio.to_thread.run_sync, work, number)
            for number in range(4):
                await connection.wait_for(b"%d-19.css" % number)
        told = [name for files in updates(connection) for name in files]
        assert sorted(told) == sorted(f"{n}-{s}.css" for n in range(4) for s in range(20))

    asyncio.run(main())
