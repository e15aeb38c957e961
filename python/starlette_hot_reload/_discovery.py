"""The directories that an app names: static files with their addresses, and templates.

Only what is in plain sight is found: routes, mounts and what they wrap, ``app.state``, and the
globals of the modules that the endpoints live in.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from inspect import unwrap

from starlette.staticfiles import StaticFiles

__all__ = ["served_directories", "template_directories"]

_DEPTH = 16  # of mounts in mounts, and of wrappers around an app


def served_directories(app: object) -> list[tuple[str, str]]:
    """(directory, address) of every StaticFiles mount; the address has no trailing slash."""
    found: dict[tuple[str, str], None] = {}
    for prefix, inner in _apps(app, "", _DEPTH):
        if isinstance(inner, StaticFiles) and "{" not in prefix:
            for directory in inner.all_directories:
                found[os.path.abspath(directory), prefix] = None
    return list(found)


def template_directories(app: object) -> list[str]:
    """The directories that the reachable Jinja2 environments load from."""
    jinja2 = sys.modules.get("jinja2")
    if jinja2 is None:
        return []
    found: dict[str, None] = {}
    for value in _values(app):
        environment = getattr(value, "env", value)
        if isinstance(environment, jinja2.Environment):
            for directory in _loader_directories(environment.loader, _DEPTH):
                found[os.path.abspath(directory)] = None
    return list(found)


def _apps(app: object, prefix: str, depth: int) -> Iterator[tuple[str, object]]:
    """Every app inside `app`, itself included, with the address that it is mounted at."""
    for _ in range(_DEPTH):
        if app is None:
            return
        yield prefix, app
        routes = getattr(app, "routes", None)
        if isinstance(routes, list):
            break
        app = getattr(app, "app", None)  # a middleware
    else:
        return
    for route in routes if depth else ():
        inner = getattr(route, "app", None)
        path = getattr(route, "path", "")
        if hasattr(route, "endpoint"):
            yield prefix, route
        elif inner is not None and isinstance(path, str):
            yield from _apps(inner, prefix + path.rstrip("/"), depth - 1)


def _values(app: object) -> Iterator[object]:
    seen: set[int] = set()
    for _, inner in _apps(app, "", _DEPTH):
        state = getattr(getattr(inner, "state", None), "_state", None)
        for namespace in (state, _globals_of(getattr(inner, "endpoint", None))):
            if isinstance(namespace, Mapping) and id(namespace) not in seen:
                seen.add(id(namespace))
                yield from tuple(namespace.values())


def _globals_of(endpoint: object) -> object:
    while isinstance(endpoint, partial):
        endpoint = endpoint.func
    if callable(endpoint):
        endpoint = unwrap(endpoint)
    function = getattr(endpoint, "__func__", endpoint)
    if hasattr(function, "__globals__"):
        return function.__globals__
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    return vars(module) if module else None


def _loader_directories(loader: object, depth: int) -> Iterator[str]:
    if loader is None or not depth:
        return
    for path in getattr(loader, "searchpath", ()):  # FileSystemLoader
        yield os.fspath(path)
    root = getattr(loader, "_template_root", None)  # PackageLoader
    if isinstance(root, str) and os.path.isdir(root):
        yield root
    mapping = getattr(loader, "mapping", None)  # PrefixLoader
    inner = list(getattr(loader, "loaders", ()))  # ChoiceLoader
    inner += mapping.values() if isinstance(mapping, Mapping) else ()
    for one in inner:
        yield from _loader_directories(one, depth - 1)
