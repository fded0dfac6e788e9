"""Which files of the code a script needs, found without running any of it.

A step's archive holds its script, entry.py, what those import from the code at any depth, and every file that is not
Python, but for hidden and compiled ones. So a change of train.py leaves the archive of preprocess.py alone, and with it
the cache of the step that runs it.

Imports are followed wherever they stand, in functions too. Beside import statements these count:

    importlib.import_module("a.b"), __import__("a"), runpy.run_module("a")    a module named by a literal
    [sys.executable, "-m", "a"]                                               the word after "-m" in a list
    "inference.py"                                                            a literal that is the path of a file

A file that imports a name only known at run time needs every Python file, unless a comment in it names them:

    # headrace: imports networks/*.py, judge.py
    # headrace: imports nothing more
"""

from __future__ import annotations

import ast
import re
import sys
import warnings
from fnmatch import fnmatchcase
from itertools import pairwise
from posixpath import dirname, join, normpath

from source_code.archive import Files
from source_code.errors import SourceError

ENTRY = "entry.py"
DECLARATION = re.compile(rb"^[ \t]*#[ \t]*headrace:[ \t]*imports\b(?P<patterns>[^\r\n]*)", re.MULTILINE)
NOTHING = "nothing more"
BY_NAME = frozenset({"import_module", "__import__", "run_module"})
BY_PATH = frozenset({"run_path", "spec_from_file_location"})


def needed(files: Files, script: str) -> dict[str, str]:
    """The files that a step with that script needs, and which file needs each ("" for the script itself).

    Raises SourceError for a script that is not there, a file that does not compile and a declaration of no file.
    """
    if script not in files:
        scripts = sorted(name for name in files if name.endswith(".py") and "/" not in name)
        raise SourceError(f"there is no file {script} in the code", f"its scripts are {', '.join(scripts) or 'none'}")
    found = {name: "" for name in files if not name.endswith(".py") and not _is_litter(name)}
    waiting = [(script, ""), *([(ENTRY, "")] if ENTRY in files else [])]
    while waiting:
        name, because = waiting.pop()
        if name not in found:
            found[name] = because
            waiting += [(other, name) for other in sorted(_uses(files, name))]
    return dict(sorted(found.items()))


def _is_litter(name: str) -> bool:
    """What running or keeping the code leaves beside it, which would be another archive every time."""
    return name.endswith(".pyc") or any(part == "__pycache__" or part.startswith(".") for part in name.split("/"))


def _uses(files: Files, name: str) -> set[str]:
    """The files that this one imports or names."""
    tree = parse(name, files[name].content)
    declared = _declared(files, name)
    found, dynamic = set[str](), False
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                for alias in names:
                    found |= _module(files, alias.name)
            case ast.ImportFrom(module=module, names=names, level=level):
                base = _absolute(name, module or "", level)
                found |= _module(files, base)
                for alias in names:
                    found |= _members(files, base) if alias.name == "*" else _module(files, _dotted(base, alias.name))
            case ast.Call():
                called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                argument = _literal(node.args[0]) if node.args else None
                if called in BY_NAME and argument is not None:
                    level = len(argument) - len(argument.lstrip("."))
                    found |= _module(files, _absolute(name, argument.lstrip("."), level))
                elif called in BY_NAME | BY_PATH and argument is None:
                    dynamic = True
            case ast.List(elts=items) | ast.Tuple(elts=items):
                words = [_literal(item) for item in items]
                for option, word in pairwise(words):
                    if option == "-m" and word:
                        found |= _module(files, word) | _module(files, f"{word}.__main__")
            case ast.Constant(value=str(text)) if text.endswith(".py"):
                found |= {path for path in (normpath(text), normpath(join(dirname(name), text))) if path in files}
    if dynamic and declared is None:
        return {other for other in files if other.endswith(".py")}
    return found | (declared or set())


def refuse_uncompilable(files: Files, minor: int | None = None) -> None:
    """Raises SourceError for the first file, by name, that the Python which runs this cannot compile.

    Of the syntax that Python 3.`minor` does not have, an older one, it finds what the parser knows to be newer.
    """
    for name, file in sorted(files.items()):
        if name.endswith(".py"):
            parse(name, file.content)
            if minor is not None and minor < sys.version_info.minor:
                parse(name, file.content, minor)


def parse(name: str, content: bytes, minor: int = sys.version_info.minor) -> ast.Module:
    """Raises SourceError where the Python that runs this cannot compile it, or Python 3.`minor` could not."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            tree = ast.parse(content, name, feature_version=(3, minor))
            compile(tree, name, "exec", dont_inherit=True)
            return tree
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        said = error.msg if isinstance(error, SyntaxError) else str(error)
        raise SourceError(
            f"{name}{line} does not compile with Python 3.{minor}: {said}",
            f"correct it; python3 -m py_compile {name} shows the place",
        ) from error


def _declared(files: Files, name: str) -> set[str] | None:
    """The files that comments declare; None where there is no such comment."""
    found: set[str] | None = None
    for match in DECLARATION.finditer(files[name].content):
        found = found or set()
        text = match["patterns"].decode("utf-8", "replace").strip()
        for pattern in text.split(",") if text and text != NOTHING else []:
            chosen = {other for other in files if other.endswith(".py") and fnmatchcase(other, pattern.strip())}
            if not chosen:
                raise SourceError(
                    f"{name} declares that it imports {pattern.strip()!r}, and no Python file of the code is called so",
                    "write # headrace: imports with paths from the top of the code, e.g. networks/*.py",
                )
            found |= chosen
    return found


def _module(files: Files, dotted: str) -> set[str]:
    """The files of a module and of the packages that it lies in; none where it is not of this code."""
    parts = dotted.split(".") if dotted else []
    paths = ["/".join(parts[: length + 1]) for length in range(len(parts))]
    last = [f"{paths[-1]}.py"] if paths else []
    return {path for path in (*(f"{path}/__init__.py" for path in paths), *last) if path in files}


def _members(files: Files, package: str) -> set[str]:
    """Each module of a package, of which an asterisk may mean any."""
    folder = package.replace(".", "/")
    return {name for name in files if folder and name.endswith(".py") and dirname(name) == folder}


def _absolute(name: str, module: str, level: int) -> str:
    if level == 0:
        return module
    package: list[str] = dirname(name).split("/") if dirname(name) else []
    return _dotted(".".join(package[: len(package) - level + 1]), module)


def _dotted(*parts: str) -> str:
    return ".".join(part for part in parts if part)


def _literal(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
