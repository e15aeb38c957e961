"""What the kernel counts for a process; see proc(5)."""

from __future__ import annotations

from pathlib import Path


def cpu_seconds(pid: int) -> float:
    """Processor time of all of its threads that live, to the nanosecond; the ticks of
    /proc/PID/stat are too coarse for one that rests."""
    return sum(int(text.split()[0]) for text in _of_threads(pid, "schedstat")) / 1e9


def voluntary_switches(pid: int) -> int:
    """How often its threads that live went to sleep: each time, something had woken them."""
    return sum(_field(text, "voluntary_ctxt_switches") for text in _of_threads(pid, "status"))


def resident_kib(pid: int) -> int:
    return _field(Path(f"/proc/{pid}/status").read_text(), "VmRSS")


def _of_threads(pid: int, name: str) -> list[str]:
    return [(thread / name).read_text() for thread in sorted(Path(f"/proc/{pid}/task").iterdir())]


def _field(status: str, name: str) -> int:
    for line in status.splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0])
    raise RuntimeError(f"the kernel does not say {name}")
