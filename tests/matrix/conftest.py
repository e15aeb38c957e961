from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
import trustme
from cases import CASES
from servers import Certificate

PACKAGES = [
    "starlette",
    "fastapi",
    "python-fasthtml",
    "litestar",
    "quart",
    "django",
    "uvicorn",
    "hypercorn",
    "granian",
    "uvloop",
    "trio",
    "sse-starlette",
]
# Where the end of the server is not seen, a stream must not come to its own before that is noticed.
FOR_EVER = """
import starlette_hot_reload._stream

starlette_hot_reload._stream.LIFE = float("inf")
"""
_results = pytest.StashKey[dict[str, float]]()
_load = pytest.StashKey[float]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="every combination, not the quick part")
    parser.addoption("--results", type=Path, help="write what table.py makes its tables from")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_results] = {}
    config.stash[_load] = os.getloadavg()[0]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        chosen = [case for case in CASES if case.is_quick or metafunc.config.getoption("--all")]
        metafunc.parametrize("case", chosen, ids=[case.name for case in chosen])


def pytest_report_header() -> list[str]:
    return [", ".join(f"{name} {version(name)}" for name in PACKAGES)]


def pytest_sessionfinish(session: pytest.Session) -> None:
    path: Path | None = session.config.getoption("--results")
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        results = {
            "python": platform.python_version(),
            "load": round(session.config.stash[_load], 2),
            "packages": {name: version(name) for name in PACKAGES},
            "seconds": session.config.stash[_results],
        }
        path.write_text(json.dumps(results, indent=1))


@pytest.fixture
def passed(request: pytest.FixtureRequest) -> Callable[[str, float], None]:
    """Note that a case has passed, and how long its server took to go."""

    def note(name: str, seconds: float) -> None:
        request.config.stash[_results][name] = round(seconds, 3)

    return note


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    directory = tmp_path_factory.mktemp("certificate")
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    authority.cert_pem.write_to_path(directory / "authority.pem")
    issued.private_key_pem.write_to_path(directory / "key.pem")
    for blob in issued.cert_chain_pems:
        blob.write_to_path(directory / "chain.pem", append=True)
    return Certificate(directory / "chain.pem", directory / "key.pem", directory / "authority.pem")


@pytest.fixture
def project(tmp_path: Path) -> Callable[[str], Path]:
    """Makes the directory of an app of a framework, with its templates and styles."""

    def make(framework: str) -> Path:
        directory = tmp_path / "project"
        for name, content in {
            "main.py": (Path(__file__).parent / "apps" / f"{framework}_app.py").read_text()
            + FOR_EVER,
            "templates/page.html": (
                "<!doctype html><html><head><title>Page</title></head>"
                '<body>{% include "part.html" %}</body></html>'
            ),
            "templates/part.html": "<p>first</p>",
            "static/style.css": "p { color: red }",
        }.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return directory

    return make
