"""Change the code in one place at a time, and see whether a test fails: `make mutants`.

    python tests/mutation/mutants.py                                 # 40 mutants of each area; some hours on 2 cores
    python tests/mutation/mutants.py --area notify --mutants 10 --seed 3

Each mutant is one change in a copy of what git knows of: a comparison or a boolean turned round, a number that is one
larger, a statement, a keyword or a returned value left out. Messages, logs and annotations stay as they are. The
area's quick tests run first, and the others only if those pass. A mutant that no test notices has survived: it is
equivalent to the code, or a test is missing. The seed makes a run repeatable. The exit status is 1 if less than 95 %
were killed.
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WANTED = 0.95
LONGEST = 1800  # seconds that the tests of one mutant may take
UNIT = ("-m", "not process")


@dataclass(frozen=True, slots=True)
class Area:
    """What is changed, and the arguments of pytest that find a change there, the quick ones first."""

    code: tuple[str, ...]
    tests: tuple[tuple[str, ...], ...]


LAMBDA = "tests/lambda/test_"
SAGEMAKER = "local_cloud/sagemaker"
AREAS = {
    "start_pipeline": Area(
        ("lambda/start_pipeline", "lambda/shared"),
        ((*UNIT, "tests/lambda"), ("tests/lambda", "tests/bad_input", "tests/parameters")),
    ),
    "deploy_model": Area(
        ("lambda/deploy_model",), ((*UNIT, f"{LAMBDA}deploy_model*.py"), ("tests/lambda", "tests/notices"))
    ),
    "notify": Area(("lambda/notify",), ((*UNIT, f"{LAMBDA}notify*.py"), ("tests/lambda", "tests/notices"))),
    "engine": Area(
        (f"{SAGEMAKER}/pipelines", "pipeline_language"),
        (
            (*UNIT, "tests/local_cloud", "tests/pipeline_definition"),
            ("tests/local_cloud/test_engine.py", "tests/local_cloud/test_scheduling.py", "tests/local_cloud"),
        ),
    ),
    "registry, jobs, hosting": Area(
        (f"{SAGEMAKER}/registry", f"{SAGEMAKER}/jobs", f"{SAGEMAKER}/hosting"),
        ((*UNIT, "tests/local_cloud"), ("tests/local_cloud/test_hosting.py", "tests/local_cloud")),
    ),
    "infra": Area(("infra",), (("tests/infra/test_statements.py",), ("tests/infra",))),
    "training": Area(("training",), ((*UNIT, "tests/training"), ("tests/training",))),
    "headrace's client": Area(("headrace/client",), ((*UNIT, "tests/headrace"), ("tests/headrace",))),
}

COMPARED = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
CALCULATED = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult}


@dataclass(frozen=True, slots=True)
class Mutant:
    path: str  # below the project
    line: int
    before: str
    after: str
    content: bytes  # of the whole changed file


@dataclass(slots=True)
class Outcome:
    area: str
    killed: int = 0
    survivors: list[Mutant] = field(default_factory=list)

    def __str__(self) -> str:
        count = self.killed + len(self.survivors)
        return f"{self.area}: {self.killed} of {count} killed ({100 * self.killed / max(count, 1):.0f} %)"


class Sites(ast.NodeVisitor):
    """Collects each place of a module that can be changed, with what stands there afterwards."""

    def __init__(self) -> None:
        self.found: list[tuple[ast.expr | ast.stmt, str]] = []

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.stmt):
            self._statement(node)
        elif isinstance(node, ast.expr):
            self.found += [(node, f"({ast.unparse(changed)})") for changed in _changed(node)]
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list") or _is_left_alone(node, name):
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST) and not _is_left_alone(child, ""):
                    self.visit(child)

    def _statement(self, node: ast.stmt) -> None:
        if isinstance(node, ast.Return) and node.value is not None and ast.unparse(node.value) != "None":
            self.found.append((node, "return None"))
        elif isinstance(node, ast.Raise | ast.Continue | ast.Break) or (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
        ):
            self.found.append((node, "pass"))


def _is_left_alone(node: ast.AST, field_name: str) -> bool:
    """Texts for people, types, imports; and f-strings, in which Python 3.11 does not know the places."""
    if isinstance(node, ast.JoinedStr | ast.Import | ast.ImportFrom | ast.AnnAssign) and field_name == "":
        return not isinstance(node, ast.AnnAssign)
    if isinstance(node, ast.Raise):
        return field_name != ""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        return True
    return isinstance(node, ast.Expr) and ast.unparse(node).startswith(("log.", "output.", "print("))


def _changed(node: ast.expr) -> Iterator[ast.expr]:
    new = copy.deepcopy(node)
    match new:
        case ast.Compare(ops=[only]) if type(only) in COMPARED:
            new.ops = [COMPARED[type(only)]()]
            yield new
        case ast.BoolOp():
            new.op = ast.Or() if isinstance(new.op, ast.And) else ast.And()
            yield new
        case ast.UnaryOp(op=ast.Not()):
            yield new.operand
        case ast.BinOp() if type(new.op) in CALCULATED and not isinstance(new.left, ast.Constant | ast.JoinedStr):
            new.op = CALCULATED[type(new.op)]()
            yield new
        case ast.IfExp():
            new.body, new.orelse = new.orelse, new.body
            yield new
        case ast.Constant(value=bool()):
            yield ast.Constant(not new.value)
        case ast.Constant(value=int() | float()):
            yield ast.Constant(new.value + 1)  # type: ignore[operator]
        case ast.Call(keywords=[_, *_]):
            for index, keyword in enumerate(node.keywords if isinstance(node, ast.Call) else ()):
                if keyword.arg not in (None, "hint"):
                    fewer = copy.deepcopy(new)
                    del fewer.keywords[index]
                    yield fewer


def mutants_of(root: Path, path: Path) -> Iterator[Mutant]:
    source = path.read_bytes()
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    sites = Sites()
    sites.visit(ast.parse(source))
    for node, after in sites.found:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        begin = starts[node.lineno - 1] + node.col_offset
        end = starts[node.end_lineno - 1] + node.end_col_offset
        content = source[:begin] + after.encode() + source[end:]
        try:
            ast.parse(content)
        except SyntaxError:
            continue
        before = " ".join(source[begin:end].decode().split())
        yield Mutant(str(path.relative_to(root)), node.lineno, before, after, content)


def copy_project(folder: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    for name in (".venv", "node_modules"):
        (folder / name).symlink_to(ROOT / name)


def is_killed(project: Path, area: Area, scratch: Path) -> bool:
    """Whether a test fails. Tests that never end are ended, and count as failed."""
    for arguments in area.tests:
        expanded = [
            str(found)
            for argument in arguments
            for found in (sorted(project.glob(argument)) if "*" in argument else [argument])
        ]
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", *expanded]
        environment = os.environ | {"PYTHONPATH": str(project), "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(scratch)}
        try:
            done = subprocess.run(
                command, cwd=project, env=environment, capture_output=True, timeout=LONGEST, check=False
            )
        except subprocess.TimeoutExpired:
            return True
        if done.returncode not in (0, 5):  # 5: no test is selected
            return True
    return False


def try_area(name: str, count: int, seed: int) -> Outcome:
    area, outcome = AREAS[name], Outcome(name)
    with tempfile.TemporaryDirectory(prefix="headrace-mutants-", ignore_cleanup_errors=True) as folder:
        project, scratch = Path(folder) / "project", Path(folder) / "scratch"
        project.mkdir()
        scratch.mkdir()
        copy_project(project)
        if is_killed(project, area, scratch):
            sys.exit(f"error: {name}: its tests fail without a mutant\nhint: make test")
        files = sorted(file for code in area.code for file in (project / code).rglob("*.py"))
        possible = [mutant for file in files for mutant in mutants_of(project, file)]
        chosen = random.Random(f"{seed} {name}").sample(possible, min(count, len(possible)))
        print(f"{name}: {len(chosen)} of {len(possible):,} possible mutants", flush=True)
        for mutant in chosen:
            began = time.monotonic()
            original = (project / mutant.path).read_bytes()
            (project / mutant.path).write_bytes(mutant.content)
            if mutant.path.startswith("training/"):
                written = [sys.executable, "tests/support/shipped_training.py", "--write"]
                subprocess.run(written, cwd=project, check=True)
            killed = is_killed(project, area, scratch)
            (project / mutant.path).write_bytes(original)
            outcome.killed += killed
            if not killed:
                outcome.survivors.append(mutant)
            seconds = time.monotonic() - began
            said = f"{mutant.path}:{mutant.line}: {mutant.before[:100]} -> {mutant.after[:100]}"
            print(f"  {'killed' if killed else 'SURVIVED'} in {seconds:.0f} s: {said}", flush=True)
    print(outcome, flush=True)
    return outcome


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Change the code in one place at a time, and see whether a test fails."
    )
    parser.add_argument("--area", action="append", choices=AREAS, help="default: each")
    parser.add_argument("--mutants", type=int, default=40, help="of each area; default: 40")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    outcomes = [try_area(name, options.mutants, options.seed) for name in options.area or AREAS]
    killed = sum(outcome.killed for outcome in outcomes)
    count = killed + sum(len(outcome.survivors) for outcome in outcomes)
    print(f"all: {killed} of {count} killed")
    return int(killed < WANTED * count)


if __name__ == "__main__":
    sys.exit(main())
