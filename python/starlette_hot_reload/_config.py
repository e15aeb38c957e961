"""What the user asks for, checked when it is asked for."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps
from typing import ParamSpec, TypeVar

from ._hooks import OnChange

__all__ = [
    "DEFAULT_EVENTS_PATH",
    "DEFAULT_POLL_INTERVAL",
    "Config",
    "StrPath",
    "make_config",
    "names_checked",
]

StrPath = str | os.PathLike[str]
P = ParamSpec("P")
R = TypeVar("R")

DEFAULT_EVENTS_PATH = "/__starlette_hot_reload"
DEFAULT_POLL_INTERVAL = 0.25
POLLING_VARIABLE = "STARLETTE_HOT_RELOAD_POLLING"


@dataclass(frozen=True)
class Config:
    """Checked options."""

    watch_dirs: tuple[str, ...] | None
    """Absolute; None: those that the app names."""
    events_path: str
    poll_interval: float
    """Seconds."""
    polling: bool | None
    exclude: tuple[str, ...]
    """Patterns of gitignore; those of `include` follow with a "!"."""
    allowed_hosts: tuple[str, ...]
    """In lower case."""
    morph: bool
    on_change: tuple[OnChange, ...]
    enabled: bool | None
    """None: what the app's `debug` says."""
    base: str
    """The working directory when this was made."""


def make_config(
    watch_dirs: Iterable[StrPath] | None,
    events_path: str,
    poll_interval: float,
    polling: bool | None,
    exclude: Iterable[str],
    include: Iterable[str],
    allowed_hosts: Iterable[str],
    morph: bool,
    on_change: OnChange | Iterable[OnChange],
    enabled: bool | None,
) -> Config:
    """Check the options. TypeError or ValueError name the one that is wrong."""
    base = os.getcwd()
    return Config(
        watch_dirs=None if watch_dirs is None else _watch_dirs(watch_dirs, base),
        events_path=_events_path(events_path),
        poll_interval=_poll_interval(poll_interval),
        polling=_polling(polling),
        exclude=(
            *(_pattern("exclude", item) for item in _strings("exclude", exclude, "*.bak")),
            *("!" + _pattern("include", item) for item in _strings("include", include, "*.log")),
        ),
        allowed_hosts=tuple(
            _host(item) for item in _strings("allowed_hosts", allowed_hosts, "dev.example.com")
        ),
        morph=_morph(morph),
        on_change=_on_change(on_change),
        enabled=_enabled(enabled),
        base=base,
    )


def names_checked(function: Callable[P, R]) -> Callable[P, R]:
    """`function`, which answers to a wrong name with the right one."""
    code = getattr(function, "__code__")  # noqa: B009
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    called = function.__qualname__.removesuffix(".__init__")

    @wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        for name in kwargs:
            if name not in names:
                raise TypeError(f"{called}() has no argument {name!r}; {_nearest(name, names)}")
        if len(args) > code.co_argcount and not code.co_argcount:
            raise TypeError(f"{called}() takes its arguments by name: {called}(app=app, ...)")
        return function(*args, **kwargs)

    return checked


def _nearest(name: str, names: tuple[str, ...]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, names, 1, 0.5)
    known = ", ".join(one for one in names if one != "self")
    return f"did you mean {near[0]!r}?" if near else f"it has {known}"


def _watch_dirs(value: object, base: str) -> tuple[str, ...]:
    if callable(value) or hasattr(value, "build_middleware_stack"):
        raise TypeError(
            f"watch_dirs must be a list of directories, not {value!r}: an application goes to "
            "HotReload().setup(app), hot_reload(app=app) or HotReloadMiddleware(app)"
        )
    if isinstance(value, (str, bytes, os.PathLike)) or not isinstance(value, Iterable):
        raise TypeError(
            f'watch_dirs must be a list of directories, such as ["templates"], not {value!r}'
        )
    directories = tuple(_directory(item, base) for item in value)
    if not directories:
        raise ValueError(
            "watch_dirs is empty: name a directory, or leave it out to watch the working "
            "directory and what the app's routes name"
        )
    return directories


def _directory(item: object, base: str) -> str:
    if not isinstance(item, (str, os.PathLike)):
        raise TypeError(f"watch_dirs must hold str or os.PathLike, not {item!r}")
    path = os.fspath(item)
    if not isinstance(path, str):
        raise TypeError(f"watch_dirs must hold paths that are str, not {item!r}")
    if not path or "\0" in path:
        raise ValueError(f'watch_dirs holds {path!r}: write "." for the working directory')
    absolute = os.path.normpath(os.path.join(base, path))
    if os.path.exists(absolute) and not os.path.isdir(absolute):
        raise NotADirectoryError(
            f"watch_dirs holds {path!r}, which is a file: name the directory that it lies in"
        )
    return absolute


def _events_path(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f'events_path must be a str such as "{DEFAULT_EVENTS_PATH}", not {value!r}')
    path = value.rstrip("/")
    if not value.startswith("/") or value.startswith("//") or not path:
        raise ValueError(
            f'events_path must begin with one "/" and name something, as "{DEFAULT_EVENTS_PATH}" '
            f"does, not {value!r}"
        )
    if re.search(r"[\s?#%\\\x00-\x1f\x7f]", path) or {".", ".."} & set(path.split("/")):
        raise ValueError(
            "events_path must be a plain path, without white space, '?', '#', '%', a backslash "
            f"or parts that are '.' or '..', not {value!r}"
        )
    return path


def _poll_interval(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"poll_interval must be a number of seconds, not {value!r}")
    if not math.isfinite(value) or value <= 0:
        raise ValueError(f"poll_interval must be more than 0 seconds and finite, not {value!r}")
    return float(value)


def _polling(value: object) -> bool | None:
    if value is None:
        wanted = os.environ.get(POLLING_VARIABLE, "").strip().lower()
        return True if wanted in {"1", "true", "yes", "on"} else None
    if not isinstance(value, bool):
        raise TypeError(
            "polling must be True (always), False (never) or None (where it is needed), "
            f"not {value!r}"
        )
    return value


def _morph(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(
            f"morph must be True (change the page in place) or False (reload it), not {value!r}"
        )
    return value


def _enabled(value: object) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise TypeError(
            f"enabled must be True (on), False (off) or None (as app.debug says), not {value!r}"
        )
    return value


def _on_change(value: object) -> tuple[OnChange, ...]:
    if callable(value):
        return (value,)
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise TypeError(
            f"on_change must be a function that takes a Batch, or a list of such, not {value!r}"
        )
    calls: list[OnChange] = []
    for item in value:
        if not callable(item):
            raise TypeError(f"on_change must hold functions that take a Batch, not {item!r}")
        calls.append(item)
    return tuple(calls)


def _strings(name: str, value: object, example: str) -> list[str]:
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise TypeError(f'{name} must be a list of str, such as ["{example}"], not {value!r}')
    items: list[str] = []
    for item in value:
        if not isinstance(item, str):
            raise TypeError(f"{name} must hold str, not {item!r}")
        items.append(item)
    return items


def _pattern(name: str, item: str) -> str:
    if not item.strip(" /") or "\0" in item or "\n" in item:
        raise ValueError(f"{name} holds {item!r}, which matches nothing: write as in .gitignore")
    if item.startswith("!"):
        raise ValueError(
            f"{name} holds {item!r}: include is for what to watch, exclude for what to ignore; "
            'write "\\!" for a name that begins with "!"'
        )
    return item


def _host(item: str) -> str:
    host = item.strip().lower().rstrip(".")
    if not host or re.search(r"[\s/@,]", host) or (":" in host and not _is_ipv6(host)):
        raise ValueError(
            f'allowed_hosts holds {item!r}: write the host alone, such as "dev.example.com", '
            '"*.example.com" or "*", without scheme and port'
        )
    return host.strip("[]")


def _is_ipv6(host: str) -> bool:
    return re.fullmatch(r"\[?[0-9a-f:.]+\]?", host) is not None and host.count(":") > 1
