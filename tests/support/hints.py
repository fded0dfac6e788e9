"""Every `hint:` and `next:` text of the sources, as far as the sources say it, and the commands in them.

A part that is known only at run time stands as {the expression}; `environment.command("runs")` is `headrace runs`. An
expression with alternatives gives one text each.
"""

from __future__ import annotations

import ast
import io
import re
import shlex
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from unittest.mock import patch

import botocore.session
from botocore import xform_name

from headrace.cli.main import main
from headrace.commands.command import Command

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "tests" / "hints.toml"
FOLDERS = (
    "data_sets", "environments", "headrace", "infra", "lambda", "local_cloud", "pipeline_definition",
    "pipeline_language", "run_costs", "source_code", "training",
)  # fmt: skip
# Calls whose positional argument of that number is a hint, or a command to type next.
POSITIONAL = {"SettingsError": 2, "PipelineSettingsError": 1, "SourceError": 1, "Difference": 1, "next": 0}
OF_HEADRACE = {"command", "registry_command", "decision", "_command"}  # methods that make a headrace command
MOST_ALTERNATIVES = 12
WRITTEN_OUT = "hint: "  # in a message that is one text
S3_COMMANDS = {"cp", "ls", "mb", "mv", "presign", "rb", "rm", "sync", "website"}  # of the CLI, not of the API
GLOBAL_FLAGS = {"--profile", "--region", "--output", "--query", "--endpoint-url", "--cli-pager"}
CDK_COMMANDS = {"bootstrap", "deploy", "destroy", "diff", "ls", "synth"}
COMMAND = re.compile(r"(?<![\w./-])(headrace|aws|make|npx cdk) (?=[-a-z1])")
END = re.compile(r" +#|; |;$| && |\)|, |: |\. |\n|\.$|`| \(|   ")
# What a part that is known only at run time is taken for.
STAND_INS = ((r"--after \0", "--after 2026-01-31T12:00:00Z"), (r"--set \0", "--set NAME=1"), (r"\0", "1"))
TARGETS = frozenset(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


@dataclass(frozen=True, slots=True)
class Hint:
    """`file` is relative to the project."""

    file: str
    line: int
    text: str


@cache
def every_hint() -> tuple[Hint, ...]:
    found = []
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            file = path.relative_to(ROOT).as_posix()
            found += [Hint(file, line, text) for line, text in hints_of(path.read_text("utf-8"))]
    return tuple(found)


@cache
def every_command() -> tuple[Hint, ...]:
    """Commands that are not in a hint: what `environment.command(...)` makes, as in notices, and texts `aws …`."""
    found = []
    for folder in ("headrace", "lambda"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            file = path.relative_to(ROOT).as_posix()
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                match node:
                    case ast.Call(func=ast.Attribute(attr=name), args=[_]) if name in OF_HEADRACE:
                        found += [Hint(file, node.lineno, text) for text in texts(node)]
                    case ast.JoinedStr():
                        found += [Hint(file, node.lineno, text) for text in texts(node) if text.startswith("aws ")]
    return tuple(found)


def hints_of(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of each hint in a module."""
    for scope in ast.walk(ast.parse(source)):
        if isinstance(scope, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef):
            names = _assigned(scope)
            for node in _own_nodes(scope):
                for expression in _messages(node):
                    for text in texts(expression, names):
                        *_, hint = text.rpartition(WRITTEN_OUT)
                        if WRITTEN_OUT in text and hint.strip():
                            yield expression.lineno, hint.strip()
                for expression in _hint_expressions(node):
                    for text in texts(expression, names):
                        if text.strip("{}") not in ("None", "hint", "error.hint", "missing.hint"):
                            yield expression.lineno, text


def texts(node: ast.expr, names: dict[str, list[ast.expr]] | None = None) -> list[str]:
    """The alternatives of an expression, each with its unknown parts in braces."""
    names = names or {}
    match node:
        case ast.Constant(value=None):
            return []
        case ast.Constant(value=value):
            return [str(value)]
        case ast.JoinedStr(values=values):
            return _joined([texts(part, names) for part in values])
        case ast.FormattedValue(value=value):
            return texts(value, names)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _joined([texts(left, names), texts(right, names)])
        case ast.IfExp(body=body, orelse=other):
            return [*texts(body, names), *texts(other, names)]
        case ast.BoolOp(op=ast.Or(), values=values):
            return [text for value in values for text in texts(value, names)]
        case ast.Call(func=ast.Attribute(attr=name), args=[argument]) if name in OF_HEADRACE:
            return [f"headrace {text}" for text in texts(argument, names)]
        case ast.Name(id=name) if name in names:
            inner = {key: value for key, value in names.items() if key != name}
            return [text for value in names[name] for text in texts(value, inner)][:MOST_ALTERNATIVES]
    return [f"{{{ast.unparse(node)}}}"]


def commands(text: str) -> Iterator[list[str]]:
    """The words of each command in a text that names its program: headrace, aws, make or npx cdk."""
    while (replaced := re.sub(r"\{[^{}]*\}", "\0", text)) != text:  # braces may hold braces
        text = replaced
    for pattern, stand_in in STAND_INS:
        text = re.sub(pattern, stand_in, text)
    for found in COMMAND.finditer(text):
        rest = text[found.start() :]
        end = END.search(rest)
        command = rest[: end.start()] if end else rest
        try:
            words = shlex.split(command)
        except ValueError:
            words = command.split()
        if words[0] == "make" and words[1] not in TARGETS and len(text.split()) > 2:
            continue  # a sentence: make the archive again
        yield words


def problem(words: list[str]) -> str | None:
    """What its program would not take; None for a command that parses."""
    match words:
        case ["headrace", *arguments]:
            return _headrace_problem(arguments)
        case ["aws", *arguments]:
            return _aws_problem(arguments)
        case ["make", target, *_]:
            return None if target in TARGETS else f"make has no target {target}"
        case ["npx", "cdk", command, *_] if command not in CDK_COMMANDS:
            return f"cdk has no command {command}"
    return None


def _headrace_problem(arguments: list[str]) -> str | None:
    command = next((word for word in arguments if not word.startswith("--")), None)
    if command is None or any(re.fullmatch("1+", word) for word in arguments[:3]):
        return None  # which command it is, the caller knows
    parsed_only = patch.object(Command, "invoke", lambda *_: None)
    with parsed_only, redirect_stderr(io.StringIO()), redirect_stdout(io.StringIO()):
        return f"headrace does not take {' '.join(arguments)}" if main(arguments) else None


@cache
def _operations(service: str) -> dict[str, frozenset[str]]:
    """The operations of a service as the CLI calls them, with their flags."""
    model = botocore.session.get_session().get_service_model(service)
    found = {}
    for name in model.operation_names:
        shape = model.operation_model(name).input_shape
        members = shape.members if shape else {}
        found[xform_name(name, "-")] = frozenset(f"--{xform_name(member, '-')}" for member in members)
    return found


def _aws_problem(arguments: list[str]) -> str | None:
    match arguments:
        case ["configure" | "sso", *_]:
            return None
        case ["s3", command, *_]:
            return None if command in S3_COMMANDS else f"aws s3 has no command {command}"
        case [service, operation, *flags]:
            known = _operations(service)
            if operation not in known:
                return f"aws {service} has no operation {operation}"
            # The CLI has shorter names beside the API's for a few parameters.
            short = {"--notification-endpoint"} if (service, operation) == ("sns", "subscribe") else set()
            given = {flag.replace("--no-", "--", 1) for flag in flags if flag.startswith("--")}
            unknown = given - known[operation] - GLOBAL_FLAGS - short
            return f"aws {service} {operation} has no {', '.join(sorted(unknown))}" if unknown else None
    return None


def _hint_expressions(node: ast.AST) -> Iterator[ast.expr]:
    match node:
        case ast.Call(func=function, args=arguments, keywords=keywords):
            yield from (keyword.value for keyword in keywords if keyword.arg == "hint")
            name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
            number = POSITIONAL.get(name)
            is_builtin = name == "next" and isinstance(function, ast.Name)
            if number is not None and len(arguments) > number and not is_builtin:
                yield arguments[number]
        case ast.Yield(value=ast.Tuple(elts=[_, hint])):
            if _is_text(hint):
                yield hint


def _messages(node: ast.AST) -> Iterator[ast.expr]:
    """Texts that hold their hint themselves, as the local cloud's do."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) not in ("re.compile", "Text"):
        for argument in node.args:
            if _is_text(argument) and WRITTEN_OUT in ast.unparse(argument).replace("\\n", " "):
                yield argument


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr | ast.BinOp) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def _own_nodes(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function, or of a module, without those of functions in it."""
    for child in ast.iter_child_nodes(scope):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child
            yield from _own_nodes(child)


def _assigned(scope: ast.AST) -> dict[str, list[ast.expr]]:
    found: dict[str, list[ast.expr]] = {}
    for node in _own_nodes(scope):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                found.setdefault(name, []).append(value)
    return found


def _joined(parts: list[list[str]]) -> list[str]:
    return ["".join(choice) for choice in product(*parts)][:MOST_ALTERNATIVES]
