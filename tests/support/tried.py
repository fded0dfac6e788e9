"""Which parameters a test tries: `@tries("s3.PutObject", "Bucket Key Body")`; docs/parameters.md is made of these."""

import ast
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

Test = TypeVar("Test", bound=Callable[..., None])
TESTS = Path(__file__).parents[1]


def tries(operation: str, parameters: str) -> Callable[[Test], Test]:
    """Says that the test sees an effect, or a refusal, of each of these parameters of `<service>.<Operation>`."""
    return lambda test: test


@cache
def tried() -> dict[str, dict[str, str]]:
    """The tests by operation and parameter, read from the sources of all tests."""
    found: dict[str, dict[str, str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                for decorator in node.decorator_list:
                    match decorator:
                        case ast.Call(
                            func=ast.Name(id="tries"),
                            args=[ast.Constant(value=str(operation)), ast.Constant(value=str(parameters))],
                        ):
                            found.setdefault(operation, {}).update(
                                dict.fromkeys(parameters.split(), f"{path.relative_to(TESTS)}::{node.name}")
                            )
    return found
