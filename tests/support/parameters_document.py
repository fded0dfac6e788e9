"""docs/parameters.md: operation x parameter, what becomes of each in the local cloud, and the test that tries it."""

from __future__ import annotations

from pathlib import Path

from tried import tried

from local_cloud.sagemaker import parameters

DOCUMENT = Path(__file__).parents[2] / "docs" / "parameters.md"
HEAD = """# Parameters in the local cloud

What becomes of each parameter of a call in the local cloud. Written by `python -m pytest tests/parameters
--write-parameters`; the suite compares it, and tries each line.

- **effect**: the parameter does here what it does on AWS; a test sees it.
- **kept**: Describe gives it back, and one machine has nothing that it could change; the reason is in the line.
- **refused**: the call fails, and its message names the parameter and says what to do.

"""


def document(passed: dict[str, set[str]]) -> str:
    """`passed` holds, by `<service>.<Operation>`, what our code and the documents' commands pass to other services."""
    return HEAD + _sagemaker() + _base(passed)


def _sagemaker() -> str:
    text = [
        "## SageMaker",
        "",
        "The local cloud's own service. Each parameter that is not listed is refused by its name, with a hint, e.g.",
        "`CreateEndpoint: the local cloud does not serve DeploymentConfig, and does not take what it would leave "
        "undone. hint: leave DeploymentConfig out, or try this on AWS`. A value after `=` is the only one served.",
        "",
        *_HEADER,
    ]
    known = tried()
    for operation in sorted(parameters.EFFECTIVE):
        tests = known.get(f"sagemaker.{operation}", {})
        rows: dict[tuple[str, str], list[str]] = {}
        for line in parameters.EFFECTIVE[operation].split():
            rows.setdefault(("effect", tests.get(line.partition("=")[0], "none")), []).append(line)
        for path, reason in parameters.KEPT.get(operation, {}).items():
            rows.setdefault(("kept", reason), []).append(path)
        text += _rows(operation, rows)
    rows = {}
    for path, test in known["sagemaker-runtime.InvokeEndpoint"].items():
        here = "effect" if path in parameters.INVOKE_ENDPOINT else "refused"
        rows.setdefault((here, test), []).append(path)
    return "\n".join([*text, *_rows("InvokeEndpoint", rows), ""])


def _base(passed: dict[str, set[str]]) -> str:
    text = [
        "",
        "## Other services",
        "",
        "What our own code, the documents' `aws` commands and the SDK pass to the services that ministack gives.",
        "",
        *_HEADER,
    ]
    known = tried()
    for operation in sorted(passed):
        rows: dict[tuple[str, str], list[str]] = {}
        for parameter in sorted(passed[operation]):
            rows.setdefault(("effect", known.get(operation, {}).get(parameter, "none")), []).append(parameter)
        text += _rows(operation, rows)
    return "\n".join([*text, ""])


_HEADER = ("| operation | parameters | here | test or reason |", "| --- | --- | --- | --- |")


def _rows(operation: str, rows: dict[tuple[str, str], list[str]]) -> list[str]:
    return [
        f"| {operation} | {', '.join(f'`{name}`'.replace('|', ' or ') for name in names)} | {here} | {why} |"
        for (here, why), names in rows.items()
    ]
