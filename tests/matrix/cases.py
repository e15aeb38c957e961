"""What is run: each combination of server, loop and framework, and each way to start a server."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CASES", "LOOPS", "SUBCLASSES", "WRAPPED", "Case"]

LOOPS = {
    "uvicorn": ["asyncio", "uvloop"],
    "hypercorn": ["asyncio", "uvloop", "trio"],
    "granian": ["asyncio", "uvloop"],
}
SUBCLASSES = ["starlette", "fastapi", "fasthtml"]
WRAPPED = ["litestar", "quart", "django"]
WAYS = {
    "uvicorn": [
        "--reload",
        "--workers 2",
        "TLS",
        "--uds behind nginx",
        "--proxy-headers behind nginx",
        "--root-path",
    ],
    "hypercorn": ["--reload", "--workers 2", "TLS, HTTP/2", "--root-path"],
    "granian": ["--reload", "--workers 2", "TLS, HTTP/2", "--url-path-prefix"],
}
QUICK_WAYS = {
    "uvicorn": ["--reload", "--uds behind nginx"],
    "hypercorn": ["TLS, HTTP/2"],
    "granian": ["--reload", "--workers 2"],
}


@dataclass(frozen=True)
class Case:
    server: str
    loop: str
    framework: str = "starlette"
    way: str = ""
    """How it is started, where that is not the plain way."""
    is_quick: bool = False
    """It is of the part that runs with every other suite."""

    @property
    def is_plain(self) -> bool:
        return self.framework == "starlette" and not self.way

    @property
    def alone(self) -> str:
        """The name of what is measured for comparison: its server without us or any stream."""
        return f"{self.name}, alone"

    @property
    def name(self) -> str:
        words = [self.server, self.loop, self.framework, self.way]
        return " ".join(word for word in words if word)


def _cases() -> list[Case]:
    cases = [
        Case(server, loop, framework, is_quick=framework == "starlette")
        for server, loops in LOOPS.items()
        for loop in loops
        for framework in SUBCLASSES
    ]
    cases += [Case("uvicorn", "asyncio", framework) for framework in WRAPPED]
    for server, ways in WAYS.items():
        quick = QUICK_WAYS[server]
        cases += [Case(server, "asyncio", way=way, is_quick=way in quick) for way in ways]
    cases.append(Case("hypercorn", "trio", way="TLS, HTTP/2"))
    return cases


CASES = _cases()
