"""The directories that an app names: static files with their addresses, and templates.

Only what is in plain sight is found: routes, mounts and what they wrap, ``app.state``, and the
globals and enclosed variables of the endpoints. Nothing of the app is called. Any value may be a
proxy of what is not there yet, so that only its real type is asked: ``isinstance`` runs its code.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from inspect import getattr_static, unwrap
from types import FunctionType, MethodType

from starlette.staticfiles import StaticFiles

from . import _frameworks
from ._core import Layer
from ._frameworks import peek

__all__ = [
    "MARK",
    "addresses",
    "find_set_up",
    "runtimes_inside",
    "static_directories",
    "template_directories",
]

MARK = "_hot_reload"
"""The attribute by which an app that has been set up holds its runtime."""

_DEPTH = 16  # of mounts in mounts, of wrappers around an app, of functions in functions


def find_set_up(app: object) -> bool:
    """Whether `app`, or what it wraps as a middleware, has hot reload."""
    for _ in range(_DEPTH):
        if issubclass(type(app), Layer) or MARK in _namespace(app):
            return True
        app = peek(app, "app")
    return False


def runtimes_inside(app: object) -> list[object]:
    """What the apps in `app`, itself included, hold by `MARK`."""
    found = {}
    for _, inner in _apps(app, "", _DEPTH):
        runtime = _namespace(inner).get(MARK)
        if runtime is not None:
            found[id(runtime)] = runtime
    return list(found.values())


def static_directories(app: object) -> list[tuple[str, str | None]]:
    """(directory, address) of everything that serves static files.

    The address has no trailing slash; it is None where a parameter is part of it.
    """
    found: dict[tuple[str, str | None], None] = {}
    for prefix, inner in _apps(app, "", _DEPTH):
        directories: Iterable[tuple[str, str]]
        if issubclass(type(inner), StaticFiles):
            paths = _frameworks.paths(peek(inner, "all_directories"))
            directories = [(path, prefix) for path in paths]
        else:
            directories = _frameworks.static_directories(inner, prefix)
        for directory, address in directories:
            url = None if "{" in address else address.rstrip("/")
            found[os.path.abspath(directory), url] = None
    return list(found)


def addresses(
    served: Iterable[tuple[str, str | None]], roots: Iterable[str]
) -> list[tuple[str, str]]:
    """(directory, address) for each name by which a watched file may be called.

    A change is named by its root as it was given. Either of that and of the served directory may be
    a symbolic link to, into or above the other.
    """
    found: dict[tuple[str, str], None] = {}
    named = [(directory, url) for directory, url in served if url is not None]
    real = [(os.path.realpath(directory), url) for directory, url in named]
    for directory, url in (*named, *real):
        found[directory, url] = None
    for root in roots:
        target = os.path.realpath(root)
        if target == root:
            continue
        for directory, url in real:
            below = _rest(directory, target)
            above = _rest(target, directory)
            if below is not None:
                found[os.path.join(root, below).rstrip("/"), url] = None
            elif above is not None:
                found[root, f"{url}/{above}"] = None
    return list(found)


def _rest(path: str, directory: str) -> str | None:
    """What of `path` lies below `directory`."""
    if path == directory:
        return ""
    prefix = directory.rstrip("/") + "/"
    return path[len(prefix) :] if path.startswith(prefix) else None


def template_directories(app: object) -> list[str]:
    """The directories that the reachable template engines load from."""
    found: dict[str, None] = {}
    for directory in _templates(app):
        found[os.path.abspath(directory)] = None
    return list(found)


def _templates(app: object) -> Iterator[str]:
    jinja2 = sys.modules.get("jinja2")
    if jinja2 is not None:
        for value in _values(app):
            for one in (value, getattr_static(value, "env", None)):
                if issubclass(type(one), jinja2.Environment):
                    yield from _frameworks.loader_directories(peek(one, "loader"), _DEPTH)
    for _, inner in _apps(app, "", _DEPTH):
        yield from _frameworks.template_directories(inner)


def _apps(app: object, prefix: str, depth: int) -> Iterator[tuple[str, object]]:
    """Every app and endpoint inside `app`, itself included, with the address that it has."""
    for _ in range(_DEPTH):
        if app is None:
            return
        yield prefix, app
        routes = peek(app, "routes")
        if isinstance(routes, list):
            break
        app = peek(app, "app")  # a middleware
    else:
        return
    if depth:
        router = peek(app, "router") or app
        late = _frameworks.items(peek(router, "_low_priority_routes"))  # FastAPI's frontend()
        for route in (*routes, *late):
            yield from _inside(route, prefix, depth - 1)


def _inside(route: object, prefix: str, depth: int) -> Iterator[tuple[str, object]]:
    path = peek(route, "path")
    address = prefix + path.rstrip("/") if isinstance(path, str) else prefix
    if peek(route, "endpoint") is not None or peek(route, "route_handlers") is not None:
        yield address, route
    elif peek(route, "app") is not None:
        yield from _apps(peek(route, "app"), address, depth)
    elif peek(route, "original_router") is not None:  # FastAPI's include_router()
        own = peek(peek(route, "include_context"), "prefix")
        inner = prefix + own if isinstance(own, str) else prefix
        yield from _apps(peek(route, "original_router"), inner, depth)
    elif isinstance(peek(route, "routes"), list):
        yield from _apps(route, address, depth)


def _values(app: object) -> Iterator[object]:
    """What the endpoints can see."""
    spaces: dict[int, Mapping[str, object]] = {}  # keeps them, so that no id comes twice
    for _, inner in _apps(app, "", _DEPTH):
        state = peek(peek(inner, "state"), "_state")
        found = [state] if isinstance(state, Mapping) else []
        for function in _frameworks.functions(inner):
            found += _spaces(function, _DEPTH)
        spaces.update((id(space), space) for space in found)
    for space in spaces.values():
        yield from tuple(space.values())


def _spaces(function: object, depth: int) -> list[Mapping[str, object]]:
    """The globals and the enclosed variables of a function, and of functions among the latter."""
    while issubclass(type(function), partial):
        function = peek(function, "func")
    if callable(function):
        function = unwrap(function)
    function = peek(function, "__func__") or function
    module = sys.modules.get(str(peek(function, "__module__")))
    outer = peek(function, "__globals__")
    if not isinstance(outer, dict):
        outer = vars(module) if module else {}
    enclosed = _frameworks.enclosed(function)
    found: list[Mapping[str, object]] = [outer, enclosed]
    for value in enclosed.values() if depth else ():
        if issubclass(type(value), (FunctionType, MethodType, partial)):
            found += _spaces(value, depth - 1)
    return found


def _namespace(value: object) -> Mapping[str, object]:
    space = peek(value, "__dict__")
    return space if isinstance(space, Mapping) else {}
