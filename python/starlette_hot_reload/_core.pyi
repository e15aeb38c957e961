from collections.abc import Awaitable, Callable, Generator
from typing import Any, NamedTuple, final

from starlette.types import ASGIApp, Message, Receive, Scope
from starlette.types import Send as ASGISend

__version__: str

def client_file(name: bytes, /) -> tuple[bytes, bytes, bytes] | None: ...
def heartbeat_frame() -> bytes: ...

class Stats(NamedTuple):
    directories: int
    files: int
    polled_directories: int
    wakeups: int
    batches: int
    ready: bool

@final
class Engine:
    def __new__(
        cls,
        roots: list[bytes],
        *,
        base: bytes,
        served: list[tuple[bytes, bytes]],
        polling: int,
        poll_interval: float,
        exclude: list[bytes],
        boot: int,
        morph: bool,
    ) -> Engine: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def wait_ready(self, timeout: float, /) -> bool: ...
    def now(self) -> str: ...
    def hello(self, cursor: str | None, retry: int, /) -> tuple[bytes, str]: ...
    def since(self, cursor: str, /) -> tuple[bytes, str]: ...
    def shutdown_frame(self) -> bytes: ...
    def subscribe(self) -> int: ...
    def unsubscribe(self, fd: int, /) -> None: ...
    def take_notes(self) -> list[tuple[int, str]]: ...
    def stats(self) -> Stats: ...

@final
class Layer:
    engine: Engine | None
    @property
    def app(self) -> ASGIApp: ...
    def __new__(
        cls,
        app: ASGIApp,
        *,
        events_path: str,
        endpoint: ASGIApp,
        lifespan: Callable[[ASGIApp, Scope, Receive, ASGISend], Awaitable[None]],
        start: Callable[[Scope], Engine | None],
        warn: Callable[[str, str], object],
        note: Callable[[str, list[tuple[bytes, bytes]]], object],
        outermost: bool,
        morph: bool,
    ) -> Layer: ...
    def __call__(self, scope: Scope, receive: Receive, send: ASGISend, /) -> Awaitable[None]: ...

@final
class Send:
    def __call__(self, message: Message, /) -> Awaitable[None]: ...

@final
class Sequence:
    def __await__(self) -> Generator[Any]: ...

@final
class Ready:
    def __await__(self) -> Generator[Any]: ...
