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
    ]
    known = tried()
    for operation in sorted(parameters.EFFECTIVE):
        text += [f"### {operation}", "", "| parameter | here | test or reason |", "| --- | --- | --- |"]
        tests = known.get(f"sagemaker.{operation}", {})
        for line in parameters.EFFECTIVE[operation].split():
            path, equals, values = line.partition("=")
            shown = f"`{path}`" + (f" = {' or '.join(f'`{value}`' for value in values.split('|'))}" if equals else "")
            text.append(f"| {shown} | effect | {tests.get(path, 'none')} |")
        for path, reason in parameters.KEPT.get(operation, {}).items():
            text.append(f"| `{path}` | kept | {reason} |")
        text.append("")
    text += ["### InvokeEndpoint", "", "| parameter | here | test or reason |", "| --- | --- | --- |"]
    for path, test in known["sagemaker-runtime.InvokeEndpoint"].items():
        text.append(f"| `{path}` | {'effect' if path in parameters.INVOKE_ENDPOINT else 'refused'} | {test} |")
    return "\n".join([*text, ""])


def _base(passed: dict[str, set[str]]) -> str:
    text = [
        "",
        "## Other services",
        "",
        "What our own code, the documents' `aws` commands and the SDK pass to the services that ministack gives.",
        "",
        "| operation | parameter | test |",
        "| --- | --- | --- |",
    ]
    known = tried()
    for operation in sorted(passed):
        for parameter in sorted(passed[operation]):
            text.append(f"| {operation} | `{parameter}` | {known.get(operation, {}).get(parameter, 'none')} |")
    return "\n".join([*text, ""])
