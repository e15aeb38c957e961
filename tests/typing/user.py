"""A user's program, for mypy and pyright: every public name, every argument, every type it takes.

It runs as well. What must be an error stands in `wrong`, which nobody calls; there an ignore that
is not needed is the error.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette_hot_reload import (
    Batch,
    Change,
    HotReload,
    HotReloadMiddleware,
    __version__,
    hot_reload,
)

version: str = __version__


class Framework(Starlette):
    """As FastAPI and FastHTML are made."""


async def raw(scope: Scope, receive: Receive, send: Send) -> None: ...


def build(batch: Batch) -> None:
    when: datetime = batch.time
    if batch.is_complete:
        print(when, [describe(change) for change in batch.changes])


def describe(change: Change) -> str:
    file: Path = change.file
    address: str | None = change.url
    if change.kind == "css" and change.op != "removed":
        return change.path
    return address or file.name


async def build_slowly(batch: Batch) -> bool:
    return bool(batch.changes)


app = Framework(debug=True)
plain: HotReload = HotReload()
plain.setup(app)
with plain.hold() as nothing_held:
    held: None = nothing_held

HotReload(["templates", Path("static")], "/events", 1)
HotReload(
    watch_dirs=(Path("templates"),),
    events_path="/events",
    poll_interval=0.5,
    polling=None,
    exclude=["*.bak"],
    include={"*.log"},
    allowed_hosts=(host for host in ["dev.example.com"]),
    morph=True,
    on_change=build,
    enabled=True,
).setup(Starlette())


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncGenerator[None]:
    async with hot_reload(app=app):
        yield


@asynccontextmanager
async def lifespan_with_everything(app: Framework) -> AsyncGenerator[None]:
    async with hot_reload(
        app=app,
        watch_dirs=["templates"],
        events_path="/events",
        poll_interval=1,
        inject_before_body=True,
        polling=True,
        exclude=["*.bak"],
        include=["*.log"],
        allowed_hosts=["*"],
        morph=False,
        on_change=build_slowly,
        enabled=None,
    ) as nothing:
        done: None = nothing
        yield done


Framework(lifespan=lifespan)
Framework(lifespan=lifespan_with_everything)

wrapped: ASGIApp = HotReloadMiddleware(raw)
wrapped = HotReloadMiddleware(raw, ["templates"], "/events", 0.5)
wrapped = HotReloadMiddleware(
    wrapped if version == "0" else raw,
    watch_dirs=None,
    events_path="/events",
    poll_interval=0.5,
    polling=False,
    exclude=[],
    include=[],
    allowed_hosts=[],
    morph=True,
    on_change=[build, build_slowly],
    enabled=False,
)
Starlette(middleware=[Middleware(HotReloadMiddleware, watch_dirs=["templates"], morph=True)])


async def wrong() -> None:
    HotReload([1])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    HotReload(poll_interval="1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    HotReload(polling="auto")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    HotReload(exclude=[b"x"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    HotReload(morph=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    HotReload(on_change=describe)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    HotReload(watch=["x"])  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    HotReload(["x"], "/x", 1, True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    plain.setup()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    plain.setup(raw)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    plain.app = 1  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    hot_reload(app)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    hot_reload(app=raw)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with hot_reload(app=app):  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
        pass
    HotReloadMiddleware(watch_dirs=["x"])  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    HotReloadMiddleware(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    HotReloadMiddleware(raw, enabled=1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
