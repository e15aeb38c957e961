"""How a block of each language is checked. Each function raises if it would not do."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import jinja2
import program
import yaml
from documents import ROOT
from uvicorn.main import main as uvicorn

Check = Callable[[str, Path], None]
"""The text of the block, and a project of its own to work in."""

_MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
_TARGETS = set(re.findall(r"^([a-z-]+):", _MAKEFILE, re.MULTILINE))


def _tool(name: str, package: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    assert found, f"{name} not found: install it (Debian: apt-get install {package})"
    return found


def _succeeds(command: list[str], text: str = "") -> None:
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}{done.stderr}"


# Shell. What would install something or serve for ever is read, not run.


def shell(text: str, project: Path) -> None:
    _succeeds([_tool("bash", "bash"), "-n"], text)
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            del words[0]
        if words:
            name, *arguments = words
            assert name in _COMMANDS, f"no check knows the command {name!r}"
            _COMMANDS[name](arguments)


def _make(arguments: list[str]) -> None:
    for word in arguments:
        name, is_variable, _ = word.partition("=")
        if is_variable:
            assert f"$({name})" in _MAKEFILE, f"the Makefile has no variable {name!r}"
        else:
            assert name in _TARGETS, f"the Makefile has no target {name!r}"


def _uvicorn(arguments: list[str]) -> None:
    """Raises for an option that is not known."""
    uvicorn.make_context("uvicorn", list(arguments))


def _pip(arguments: list[str]) -> None:
    assert arguments in (["install", "starlette-hot-reload"], ["install", "."])


def _uv(arguments: list[str]) -> None:
    assert arguments == ["add", "starlette-hot-reload"]


def _curl(arguments: list[str]) -> None:
    assert all(word.startswith(("-", "http://127.0.0.1:8000/__starl")) for word in arguments)


def _sysctl(arguments: list[str]) -> None:
    for word in arguments:
        name = word.partition("=")[0]
        if not name.startswith("-"):
            assert Path("/proc/sys", name.replace(".", "/")).exists(), f"no such setting: {name}"


def _sudo(arguments: list[str]) -> None:
    assert arguments[0] == "sysctl"
    _sysctl(arguments[1:])


def _docker(arguments: list[str]) -> None:
    assert arguments[:2] in (["compose", "up"], ["compose", "exec"])


_COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "curl": _curl,
    "docker": _docker,
    "make": _make,
    "pip": _pip,
    "sudo": _sudo,
    "sysctl": _sysctl,
    "uv": _uv,
    "uvicorn": _uvicorn,
}


# Settings of other programs.

_NGINX = """\
daemon off;
pid {directory}/pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    {text}
}}
"""


def nginx(text: str, project: Path) -> None:
    if not re.search(r"^server\b", text, re.MULTILINE):
        text = f"server {{ listen 127.0.0.1:8001; {text} }}"
    config = project / "nginx.conf"
    config.write_text(_NGINX.format(directory=project, text=text))
    _succeeds([_tool("nginx", "nginx-light"), "-t", "-q", "-p", str(project), "-c", str(config)])


_SERVICE_KEYS = {"build", "command", "develop", "environment", "image", "ports", "volumes"}


def compose(text: str, project: Path) -> None:
    document = yaml.safe_load(text)
    assert set(document) <= {"services", "volumes"}
    for service in document["services"].values():
        assert set(service) <= _SERVICE_KEYS
        assert "build" in service or "image" in service
        if isinstance(service.get("command"), list) and service["command"][0] == "uvicorn":
            _uvicorn(service["command"][1:])
        for name, value in service.get("environment", {}).items():
            assert name == "STARLETTE_HOT_RELOAD_POLLING"
            assert isinstance(value, str)


def dockerfile(text: str, project: Path) -> None:
    known = {"CMD", "COPY", "ENV", "EXPOSE", "FROM", "RUN", "WORKDIR"}
    for line in text.splitlines():
        if not line.strip():
            continue
        instruction, _, rest = line.partition(" ")
        assert instruction in known, f"no such instruction: {instruction}"
        if instruction == "CMD":
            name, *arguments = json.loads(rest)
            assert name == "uvicorn"
            _uvicorn(arguments)


def as_json(text: str, project: Path) -> None:
    assert isinstance(json.loads(text), dict)


# What browsers read.


class _Balanced(HTMLParser):
    VOID = frozenset({"br", "hr", "img", "input", "link", "meta"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> ends nothing"
        assert self.open.pop() == tag, f"</{tag}> ends something else"


def html(text: str, project: Path) -> None:
    jinja2.Environment().parse(text)
    parser = _Balanced()
    parser.feed(text)
    parser.close()
    assert not parser.open, f"never closed: {parser.open}"


def javascript(text: str, project: Path) -> None:
    file = project / "block.mjs"
    file.write_text(text)
    _succeeds([_tool("node", "nodejs"), "--check", str(file)])


def python(text: str, project: Path) -> None:
    program.run(text, project)


CHECKS: dict[str, Check] = {
    "dockerfile": dockerfile,
    "html": html,
    "js": javascript,
    "json": as_json,
    "nginx": nginx,
    "python": python,
    "sh": shell,
    "yaml": compose,
}
