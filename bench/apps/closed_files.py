"""watchdog as one would use it to reload pages: a file counts once it is closed, moved or gone."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from watchdog.events import (
    FileClosedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver


def observe(directory: Path, tell: Callable[[str], object]) -> BaseObserver:
    """Start telling, on the observer's thread, the path of each file but git's own.

    Only the events that are wanted are asked for: by default it hears of every directory that it
    opens itself, and with ten thousand of them its queue overflows, for which it opens them again.
    """
    observer = Observer()
    events: list[type[FileSystemEvent]] = [FileClosedEvent, FileDeletedEvent, FileMovedEvent]
    observer.schedule(_Handler(tell), str(directory), recursive=True, event_filter=events)
    observer.start()
    return observer


class _Handler(FileSystemEventHandler):
    def __init__(self, tell: Callable[[str], object]) -> None:
        self._tell = tell

    def on_closed(self, event: FileSystemEvent) -> None:
        self._tell_path(event.src_path)

    def on_deleted(self, event: FileSystemEvent) -> None:
        self._tell_path(event.src_path)

    def on_moved(self, event: FileSystemEvent) -> None:
        self._tell_path(event.dest_path)

    def _tell_path(self, path: str | bytes) -> None:
        text = os.fsdecode(path)
        if "/.git/" not in text:
            self._tell(text)
