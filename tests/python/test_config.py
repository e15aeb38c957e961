"""Bad input is refused where it is given, with words that say what to do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette_hot_reload import HotReload, HotReloadMiddleware
from starlette_hot_reload._config import Config, make_config


def config(**options: Any) -> Config:
    chosen: dict[str, Any] = {
        "watch_dirs": None,
        "events_path": "/e",
        "poll_interval": 1,
        "polling": None,
        "exclude": (),
        "include": (),
        "allowed_hosts": (),
        "morph": False,
        "on_change": (),
        "enabled": None,
        **options,
    }
    return make_config(**chosen)


class BytesPath(os.PathLike[bytes]):
    def __fspath__(self) -> bytes:
        return b"templates"


BAD: list[tuple[str, Any, type[Exception], str]] = [
    ("on_change", "build", TypeError, "a function that takes a Batch"),
    ("on_change", 3, TypeError, "a function that takes a Batch"),
    ("on_change", [print, "build"], TypeError, "must hold functions"),
    ("watch_dirs", "templates", TypeError, 'list of directories, such as ["templates"]'),
    ("watch_dirs", Path("templates"), TypeError, "list of directories"),
    ("watch_dirs", b"templates", TypeError, "list of directories"),
    ("watch_dirs", 3, TypeError, "list of directories"),
    ("watch_dirs", [], ValueError, "leave it out"),
    ("watch_dirs", [3], TypeError, "str or os.PathLike"),
    ("watch_dirs", [None], TypeError, "str or os.PathLike"),
    ("watch_dirs", [b"x"], TypeError, "str"),
    ("watch_dirs", [BytesPath()], TypeError, "paths that are str"),
    ("watch_dirs", [""], ValueError, 'write "."'),
    ("watch_dirs", ["a\0b"], ValueError, "a\\x00b"),
    ("watch_dirs", [__file__], NotADirectoryError, "is a file"),
    ("events_path", "events", ValueError, "begin with one"),
    ("events_path", "", ValueError, "begin with one"),
    ("events_path", "/", ValueError, "name something"),
    ("events_path", "//x", ValueError, "begin with one"),
    ("events_path", "/a b", ValueError, "white space"),
    ("events_path", "/a?b", ValueError, "'?'"),
    ("events_path", "/a#b", ValueError, "'#'"),
    ("events_path", "/a%20b", ValueError, "'%'"),
    ("events_path", "/a/../b", ValueError, "'..'"),
    ("events_path", "/a\n", ValueError, "white space"),
    ("events_path", "http://x/y", ValueError, "begin with one"),
    ("events_path", None, TypeError, "must be a str"),
    ("events_path", b"/x", TypeError, "must be a str"),
    ("poll_interval", 0, ValueError, "more than 0"),
    ("poll_interval", -1, ValueError, "more than 0"),
    ("poll_interval", float("nan"), ValueError, "finite"),
    ("poll_interval", float("inf"), ValueError, "finite"),
    ("watch_dirs", Starlette(), TypeError, "HotReload().setup(app)"),
    ("enabled", 1, TypeError, "enabled must be True (on)"),
    ("enabled", "yes", TypeError, "not 'yes'"),
    ("morph", 1, TypeError, "morph must be True"),
    ("morph", None, TypeError, "not None"),
    ("poll_interval", True, TypeError, "number of seconds"),
    ("poll_interval", "0.25", TypeError, "number of seconds"),
    ("poll_interval", None, TypeError, "number of seconds"),
    ("polling", 1, TypeError, "True (always)"),
    ("polling", "auto", TypeError, "True (always)"),
    ("exclude", "*.tmp", TypeError, '["*.bak"]'),
    ("exclude", [3], TypeError, "must hold str"),
    ("exclude", [""], ValueError, "matches nothing"),
    ("exclude", ["!a"], ValueError, "include is for what to watch"),
    ("include", "*.log", TypeError, '["*.log"]'),
    ("include", [None], TypeError, "must hold str"),
    ("include", ["/"], ValueError, "matches nothing"),
    ("allowed_hosts", "dev.example.com", TypeError, '["dev.example.com"]'),
    ("allowed_hosts", [3], TypeError, "must hold str"),
    ("allowed_hosts", [""], ValueError, "host alone"),
    ("allowed_hosts", ["http://x"], ValueError, "without scheme"),
    ("allowed_hosts", ["x:8000"], ValueError, "port"),
    ("allowed_hosts", ["a b"], ValueError, "host alone"),
]


@pytest.mark.parametrize(("name", "value", "error", "advice"), BAD)
def test_bad_input_is_named(name: str, value: Any, error: type[Exception], advice: str) -> None:
    with pytest.raises(error) as caught:
        config(**{name: value})
    assert name in str(caught.value)
    assert advice in str(caught.value)


@pytest.mark.parametrize(("name", "value", "error", "advice"), BAD[:1] + BAD[11:12])
def test_every_door_checks(name: str, value: Any, error: type[Exception], advice: str) -> None:
    with pytest.raises(error):
        HotReload(**{name: value})
    with pytest.raises(error):
        HotReloadMiddleware(Starlette(), **{name: value})


def test_relative_directories_are_taken_from_here_and_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = config(watch_dirs=["a", Path("b/../c"), tmp_path / "d"])
    monkeypatch.chdir("/")
    assert made.base == str(tmp_path)
    assert made.watch_dirs == tuple(str(tmp_path / name) for name in "acd")


def test_a_directory_need_not_exist(tmp_path: Path) -> None:
    assert config(watch_dirs=[tmp_path / "later"]).watch_dirs == (str(tmp_path / "later"),)


def test_any_iterable_of_paths_will_do(tmp_path: Path) -> None:
    class Custom(os.PathLike[str]):
        def __fspath__(self) -> str:
            return str(tmp_path)

    assert config(watch_dirs=(path for path in [Custom()])).watch_dirs == (str(tmp_path),)


def test_a_slash_at_the_end_of_the_events_path_does_not_count() -> None:
    assert config(events_path="/events/").events_path == "/events"


@pytest.mark.parametrize(
    ("variable", "given", "polling"),
    [
        ("1", None, True),
        ("1", False, False),
        ("0", None, None),
        ("", None, None),
        ("0", True, True),
    ],
)
def test_polling_can_be_had_from_outside(
    monkeypatch: pytest.MonkeyPatch, variable: str, given: bool | None, polling: bool | None
) -> None:
    monkeypatch.setenv("STARLETTE_HOT_RELOAD_POLLING", variable)
    assert config(polling=given).polling is polling


def test_hosts_are_compared_in_lower_case() -> None:
    assert config(allowed_hosts=["Dev.Example.COM.", "[::2]"]).allowed_hosts == (
        "dev.example.com",
        "::2",
    )
