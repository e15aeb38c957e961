"""Breaks the injector and the settle logic in small ways, and counts what the tests notice.

Each mutant differs from the source in one place: a relation, a condition, a constant, an operator,
a returned value, a statement that is gone. The tests of its file are linked with it and run. What
does not compile, what the optimiser makes into the same code, and what tools/mutate.equivalent
gives a reason for, does not count. Fails below LEAST, and where an entry of that file is not true.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shlex
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EQUIVALENT = ROOT / "tools" / "mutate.equivalent"
DATA = Path(os.environ.get("HOT_RELOAD_TEST_DATA", ROOT.parent / "shared" / "data"))
LEAST = 90.0
TIMEOUT = 30.0
"""Seconds for one test of one mutant, after which it counts as killed: it runs for ever."""

CC = shlex.split(os.environ.get("CC", "cc"))
FLAGS = ["-std=c17", "-D_GNU_SOURCE", f"-I{ROOT}/include", "-iquote", f"{ROOT}/src"]

TARGETS: dict[str, dict[str, list[str]]] = {
    "src/inject.c": {"test_inject": [], "test_html5lib": [str(DATA)]},
    "src/settle.c": {"test_settle": []},
}
"""Each source with its tests and their arguments."""

TOKEN = re.compile(
    r"""(?P<skip>/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\])*"|\#\s*include[^\n]*)
    |(?P<char>'(?:\\.|[^'\\])+')
    |(?P<number>\b(?:0[xX][0-9a-fA-F]+|\d+)\b)
    |(?P<word>[A-Za-z_]\w*)
    |(?P<operator><<=|>>=|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|[-+*/%&|^<>=!?:;,.(){}\[\]~])
    """,
    re.DOTALL | re.VERBOSE,
)

REPLACED = {
    "<": ["<=", ">="],
    "<=": ["<", ">"],
    ">": [">=", "<="],
    ">=": [">", "<"],
    "==": ["!="],
    "!=": ["=="],
    "&&": ["||"],
    "||": ["&&"],
    "+": ["-"],
    "-": ["+"],
    "|": ["&"],
    "<<": [">>"],
    ">>": ["<<"],
    "++": ["--"],
    "--": ["++"],
    "+=": ["-="],
    "-=": ["+="],
    "|=": ["&="],
}

FUNCTION = re.compile(
    r"^(?:static )?(?:inline )?(?:const )?(?P<type>\w+) \*?(?P<name>\w+)\([^;{]*\)\n"
    r"\{\n(?P<body>.*?)^\}",
    re.DOTALL | re.MULTILINE,
)
STATEMENT = re.compile(
    r"^[ ]+(?P<text>(?:return|break|continue|goto)\b[^;]*;"
    r"|(?!(?:if|for|while|switch|return|assert)\b)"
    r"(?:[\w.>\[\]-]+\s*(?:[-+*/%&|^]|<<|>>)?=(?!=)|[\w.>\[\]-]+(?:\+\+|--)|(?:\+\+|--)\w|\w+\()"
    r"[^;]*;)[ ]*(?:/\*.*?\*/)?$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Edit:
    begin: int
    end: int
    text: str


@dataclass
class Mutant:
    source: str
    function: str
    was: str
    becomes: str
    line: int
    text: str = field(repr=False)
    number: int = 1
    """Which of those that look the same."""
    outcome: str = ""

    @property
    def key(self) -> tuple[str, str, int, str, str]:
        return self.source, self.function, self.number, self.was, self.becomes

    def __str__(self) -> str:
        number = f" {self.number}" if self.number > 1 else ""
        return f"{self.source} {self.function}{number}\n- {self.was}\n+ {self.becomes}"


def condition_edits(text: str, begin: int, end: int) -> Iterator[Edit]:
    """Negates each condition of an `if` or a `while`."""
    for found in re.finditer(r"\b(?:if|while) \(", text[begin:end]):
        first = begin + found.end()
        at, depth = first, 1
        while depth:
            depth += {"(": 1, ")": -1}.get(text[at], 0)
            at += 1
        yield Edit(first, at - 1, f"!({text[first : at - 1]})")


def return_edits(text: str, begin: int, end: int, kind: str) -> Iterator[Edit]:
    other = {
        "bool": "!({})",
        "hr_verdict": "(hr_verdict)((({}) + 1) % 3)",
        "uint32_t": "({}) + 1",
        "uint64_t": "({}) + 1",
    }[kind]
    for found in re.finditer(r"\breturn ([^;]+);", text[begin:end]):
        yield Edit(begin + found.start(1), begin + found.end(1), other.format(found[1]))


def token_edits(text: str) -> Iterator[Edit]:
    for found in TOKEN.finditer(text):
        token = found[0]
        if found.lastgroup in ("number", "char"):
            for new in (f"({token} + 1)", f"({token} - 1)"):
                yield Edit(found.start(), found.end(), new)
        elif found.lastgroup == "operator":
            for new in REPLACED.get(token, ()):
                yield Edit(found.start(), found.end(), new)


def edits(text: str) -> Iterator[Edit]:
    yield from token_edits(text)
    for function in FUNCTION.finditer(text):
        begin, end = function.span("body")
        yield from condition_edits(text, begin, end)
        if function["type"] != "void":
            yield from return_edits(text, begin, end, function["type"])
        for statement in STATEMENT.finditer(text, begin, end):
            yield Edit(*statement.span("text"), ";")


def collapse(text: str) -> str:
    return " ".join(re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL).split())


def mutants(source: str) -> Iterator[Mutant]:
    text = (ROOT / source).read_text()
    functions = [(*found.span(), found["name"]) for found in FUNCTION.finditer(text)]
    seen: Counter[tuple[str, str, int, str, str]] = Counter()
    for edit in sorted(set(edits(text)), key=lambda edit: (edit.begin, edit.end, edit.text)):
        begin = text.rfind("\n", 0, edit.begin) + 1
        end = text.find("\n", edit.end)
        changed = text[:begin] + text[begin : edit.begin] + edit.text + text[edit.end :]
        mutant = Mutant(
            source=source,
            function=next((n for a, b, n in functions if a <= edit.begin < b), "-"),
            was=collapse(text[begin:end]),
            becomes=collapse(text[begin : edit.begin] + edit.text + text[edit.end : end]),
            line=text.count("\n", 0, edit.begin) + 1,
            text=changed,
        )
        seen[mutant.key] += 1
        mutant.number = seen[mutant.key]
        yield mutant


def compile_object(source: Path, target: Path, *flags: str) -> bool:
    command = [*CC, *FLAGS, "-Werror=return-type", *flags, "-c", str(source), "-o", str(target)]
    return subprocess.run(command, capture_output=True).returncode == 0


class Bench:
    """The objects that no mutant changes."""

    def __init__(self, directory: Path, sources: Sequence[str]) -> None:
        self.directory = directory
        self.objects: dict[str, Path] = {}
        tests = [f"tests/c/{test}.c" for source in sources for test in TARGETS[source]]
        for name in [*sources, *tests]:
            self.objects[name] = directory / (Path(name).stem + ".o")
            if not compile_object(ROOT / name, self.objects[name], "-O0"):
                sys.exit(f"{name} does not compile; `make setup` says what is missing")
        self.optimised = {name: self.optimise(ROOT / name, name) for name in sources}

    def optimise(self, source: Path, name: str) -> bytes:
        """The code alone, without what tells where it came from."""
        target = source if source.is_relative_to(self.directory) else self.directory / "whole.c"
        target = target.with_suffix(".s")
        command = [*CC, *FLAGS, "-O2", "-g0", "-DNDEBUG", "-S", "-x", "c", "-", "-o", str(target)]
        subprocess.run(command, input=source.read_bytes(), capture_output=True)
        return target.read_bytes() if target.exists() else b""

    def survives(self, changed: Path, test: str, arguments: list[str]) -> bool:
        program = changed.with_suffix(f".{test}")
        objects = [self.objects[f"tests/c/{test}.c"], changed]
        link = [*CC, *map(str, objects), "-lcmocka", "-lpthread", "-o", str(program)]
        subprocess.run(link, check=True)
        try:
            done = subprocess.run(
                [program, *arguments],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=TIMEOUT,
            )
        except subprocess.TimeoutExpired:
            return False
        finally:
            program.unlink()
        return done.returncode == 0

    def judge(self, index: int, mutant: Mutant) -> None:
        source = self.directory / f"mutant{index}.c"
        changed = source.with_suffix(".o")
        source.write_text(mutant.text)
        mutant.outcome = "survived"
        try:
            if not compile_object(source, changed, "-O0"):
                mutant.outcome = "invalid"
                return
            for test, arguments in TARGETS[mutant.source].items():
                if not self.survives(changed, test, arguments):
                    mutant.outcome = "killed"
                    return
            if self.optimise(source, mutant.source) == self.optimised[mutant.source]:
                mutant.outcome = "same code"
        finally:
            for path in self.directory.glob(f"mutant{index}.*"):
                path.unlink()


def read_equivalent() -> dict[tuple[str, str, int, str, str], str]:
    """Blocks of `source function [number]`, `- was`, `+ becomes`, and the reason."""
    entries: dict[tuple[str, str, int, str, str], str] = {}
    for block in EQUIVALENT.read_text().split("\n\n"):
        lines = [line for line in block.splitlines() if line and not line.startswith("#")]
        if not lines:
            continue
        head, was, becomes, *reason = lines
        source, function, *number = head.split()
        if not (was.startswith("- ") and becomes.startswith("+ ") and reason):
            sys.exit(f"{EQUIVALENT}: {head}: not in the format")
        key = (source, function, int(number[0]) if number else 1, was[2:], becomes[2:])
        entries[key] = " ".join(reason)
    return entries


def report(judged: list[Mutant], reasons: dict[tuple[str, str, int, str, str], str]) -> bool:
    good = True
    print("source          mutants  killed  survived  equivalent   share")
    for source in dict.fromkeys(mutant.source for mutant in judged):
        counts = Counter(mutant.outcome for mutant in judged if mutant.source == source)
        equivalent = counts["equivalent"] + counts["same code"]
        decided = counts["killed"] + counts["survived"]
        share = 100.0 * counts["killed"] / decided if decided else 100.0
        good = good and share >= LEAST
        print(
            f"{source:14} {decided + equivalent:8} {counts['killed']:7} {counts['survived']:9} "
            f"{equivalent:11} {share:6.1f} %"
        )
    for mutant in judged:
        if mutant.outcome == "survived":
            print(f"\nsurvived, line {mutant.line}:\n{mutant}")
        elif mutant.outcome == "killed" and mutant.key in reasons:
            print(f"\nnot equivalent, it was killed:\n{mutant}")
            good = False
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("sources", nargs="*", metavar="source", help="default: all")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="at once")
    parser.add_argument("--sample", type=int, help="so many, picked by --seed")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    if not (DATA / "html5lib-tests").is_dir():
        sys.exit(f"no html5lib-tests in {DATA} (HOT_RELOAD_TEST_DATA names another directory)")
    sources: list[str] = options.sources or list(TARGETS)
    reasons = read_equivalent()
    chosen = [mutant for source in sources for mutant in mutants(source)]
    stale = {key for key in reasons if key[0] in sources}
    stale -= {mutant.key for mutant in chosen}
    for key in stale:
        print(f"{EQUIVALENT.name}: no such mutant: {key}")
    if options.sample:
        chosen = random.Random(options.seed).sample(chosen, min(options.sample, len(chosen)))
        print(f"a sample of {len(chosen)} with the seed {options.seed}")

    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(Path(directory), sources)
        for source in sources:
            for test, arguments in TARGETS[source].items():
                if not bench.survives(bench.objects[source], test, arguments):
                    sys.exit(f"{test} fails without any change")
        with ThreadPoolExecutor(options.jobs) as pool:
            list(pool.map(bench.judge, range(len(chosen)), chosen))
    for mutant in chosen:
        if mutant.outcome == "survived" and mutant.key in reasons:
            mutant.outcome = "equivalent"
    good = report(chosen, reasons)
    return 0 if good and not stale else 1


if __name__ == "__main__":
    sys.exit(main())
