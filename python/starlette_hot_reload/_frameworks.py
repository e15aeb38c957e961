"""Where frameworks keep the names of their directories. Looked at, never called.

None of them is imported here, and what one does not have is not missed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping

__all__ = [
    "enclosed",
    "functions",
    "items",
    "loader_directories",
    "paths",
    "peek",
    "static_directories",
    "template_directories",
]

Served = Iterator[tuple[str, str]]


def peek(value: object, name: str) -> object:
    """An attribute, or None if there is none; also where the property that gives it fails."""
    try:
        return getattr(value, name, None)
    except Exception:  # whatever the code of others raises
        return None


def static_directories(place: object, prefix: str) -> Served:
    """(directory, address) of what `place`, which is an app or a route at `prefix`, serves."""
    if _is_django(place):
        yield from _django_static(prefix)
    elif peek(place, "url_map") is not None:
        yield from _quart_static(place, prefix)
    for function in functions(place):
        for name, value in enclosed(function).items():
            if name == "static_files":  # Litestar's create_static_files_router()
                for directory in paths(peek(value, "directories")):
                    yield directory, prefix.partition("/{")[0]
            elif callable(value):
                yield from _fasthtml_static(value, prefix)


def template_directories(app: object) -> Iterator[str]:
    """The directories that `app` itself names for its templates."""
    if _is_django(app):
        yield from _django_templates()
    engine = peek(peek(app, "template_engine"), "engine")  # Litestar
    yield from loader_directories(peek(engine, "loader"), 1)
    if peek(app, "url_map") is not None:
        for part in _quart_parts(app):
            yield from loader_directories(peek(part, "jinja_loader"), 1)


def loader_directories(loader: object, depth: int) -> Iterator[str]:
    """The directories that a loader of Jinja2 reads."""
    if loader is None or not depth:
        return
    yield from paths(peek(loader, "searchpath"))  # FileSystemLoader
    root = peek(loader, "_template_root")  # PackageLoader
    if isinstance(root, str) and os.path.isdir(root):
        yield root
    mapping = peek(loader, "mapping")  # PrefixLoader, and the templates of DictLoader
    inner = [*items(peek(loader, "loaders"))]  # ChoiceLoader
    inner += mapping.values() if isinstance(mapping, Mapping) else ()
    for one in inner:
        yield from loader_directories(one, depth - 1)


def functions(place: object) -> list[object]:
    """The endpoints of a route."""
    endpoint = peek(place, "endpoint")
    handlers = [peek(handler, "fn") for handler in items(peek(place, "route_handlers"))]
    return [one for one in (endpoint, *handlers) if one is not None]


def enclosed(function: object) -> dict[str, object]:
    """The variables that a function has from those around it."""
    names = peek(peek(function, "__code__"), "co_freevars")
    found = {}
    for name, cell in zip(items(names), items(peek(function, "__closure__")), strict=False):
        value = peek(cell, "cell_contents")
        if isinstance(name, str) and value is not None:
            found[name] = value
    return found


def items(value: object) -> Iterable[object]:
    """Those of a list or the like; of anything else there are none."""
    return value if isinstance(value, (list, tuple, set)) else ()


def paths(value: object) -> Iterator[str]:
    """Those of a list."""
    for item in items(value):
        if isinstance(item, (str, os.PathLike)) and isinstance(path := os.fspath(item), str):
            yield path


def _fasthtml_static(function: object, prefix: str) -> Served:
    """fast_app() and static_route() make a route of their own for static files."""
    if peek(function, "__module__") == "fasthtml.core":
        for path in paths([enclosed(function).get("static_path")]):
            yield path, prefix.partition("{")[0]


# Quart, and whatever else is made as Flask is.


def _quart_parts(app: object) -> list[object]:
    blueprints = peek(app, "blueprints")
    return [app, *(blueprints.values() if isinstance(blueprints, Mapping) else ())]


def _quart_static(app: object, prefix: str) -> Served:
    rules = peek(peek(app, "url_map"), "_rules")
    blueprints = peek(app, "blueprints")
    for rule in items(rules):
        endpoint, address = peek(rule, "endpoint"), peek(rule, "rule")
        if not isinstance(endpoint, str) or not isinstance(address, str):
            continue
        name, _, last = endpoint.rpartition(".")
        part = blueprints.get(name) if name and isinstance(blueprints, Mapping) else app
        if last == "static" and "/<path:" in address:
            for path in paths([peek(part, "static_folder")]):
                yield path, prefix + address.partition("/<path:")[0]


# Django.


def _is_django(app: object) -> bool:
    return str(peek(type(app), "__module__")).startswith("django.")


def _django_settings() -> object:
    return peek(sys.modules.get("django.conf"), "settings")


def _django_static(prefix: str) -> Served:
    settings = _django_settings()
    url = peek(settings, "STATIC_URL")
    if not isinstance(url, str) or not url.startswith("/"):
        return
    address = prefix + url.rstrip("/")
    for entry in items(peek(settings, "STATICFILES_DIRS")):
        below, directory = entry if isinstance(entry, tuple) else ("", entry)
        for path in paths([directory]):
            yield path, f"{address}/{below}".rstrip("/")
    for path in _django_apps("static"):
        yield path, address


def _django_templates() -> Iterator[str]:
    for engine in items(peek(_django_settings(), "TEMPLATES")):
        if isinstance(engine, Mapping):
            yield from paths(engine.get("DIRS"))
    yield from _django_apps("templates")


def _django_apps(name: str) -> Iterator[str]:
    """This directory of each app that is not installed but worked on."""
    configs = peek(peek(sys.modules.get("django.apps"), "apps"), "app_configs")
    for config in configs.values() if isinstance(configs, Mapping) else ():
        for path in paths([peek(config, "path")]):
            directory = os.path.join(path, name)
            if "site-packages" not in path and os.path.isdir(directory):
                yield directory
