"""One JSON object a line on stdout, which Lambda hands to CloudWatch Logs as it is."""

import json
import traceback

from botocore.exceptions import ClientError

from refusals import HeadraceError


def info(message: str, **fields: object) -> None:
    _write("INFO", message, fields)


def warning(message: str, **fields: object) -> None:
    _write("WARNING", message, fields)


def error(message: str, problem: Exception, **fields: object) -> None:
    """The problem's type and text; a hint where it has one; the traceback where nobody foresaw it."""
    fields |= {"type": type(problem).__name__, "error": str(problem)}
    if isinstance(problem, HeadraceError):
        fields |= {"error": problem.what, "hint": problem.hint}
    elif not isinstance(problem, ClientError):
        fields["traceback"] = "".join(traceback.format_exception(problem))
    _write("ERROR", message, fields)


def _write(level: str, message: str, fields: dict[str, object]) -> None:
    print(json.dumps({"level": level, "message": message, **fields}, default=str), flush=True)
