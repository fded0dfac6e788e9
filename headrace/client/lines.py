"""Which model line of an environment a command concerns: the one that was chosen, or the one that its argument names.

`--line NAME` chooses one; `default` is the environment's own line. A data set names its line by its name, a version by
its number where only one line has it. Where an environment declares no lines, everything is its default line's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from headrace.client.endpoint import read_endpoint
from headrace.client.environment import DEFAULT_LINE, Environment
from headrace.client.model_packages import list_packages
from headrace.errors import NotFound, UsageError
from headrace.project.folder import read_target


def of_data_set(environment: Environment, data_set: str) -> Environment:
    """The environment in the line that will take the data set.

    Raises:
        UsageError: several lines match its name, another line was chosen, or none was and environments.toml says
            another line than the deployed stack.
    """
    declared = environment.stack.lines
    found = _matching(data_set, declared)
    _require_deployed(environment, data_set, found)
    if not declared:
        return environment
    if len(found) > 1:
        raise UsageError(
            f"the data set {data_set} matches the model lines {' and '.join(found)}, and a data set has one line",
            hint=f"change their data_sets in environments.toml so that one line matches, then: "
            f"{environment.deploy_command}",
        )
    line = found[0] if found else DEFAULT_LINE
    if environment.line not in (None, line):
        raise UsageError(
            f"the data set {data_set} belongs to the line {line}, not to {environment.line}: a line takes data sets by "
            "their names",
            hint=f"leave --line out, or choose a name that matches {_patterns(declared, environment.line)}",
        )
    return environment.in_line(line)


def _matching(data_set: str, lines: Mapping[str, Sequence[str]]) -> list[str]:
    return sorted(line for line, names in lines.items() if any(fnmatchcase(data_set, name) for name in names))


def _require_deployed(environment: Environment, data_set: str, deployed: list[str]) -> None:
    """A line that was declared and not deployed yet would leave its data set to the default line."""
    if environment.line is not None or environment.project is not None:
        return
    written = read_target(environment.name).lines
    if written is None or (wanted := _matching(data_set, written)) == deployed:
        return
    one, other = (", ".join(names) or DEFAULT_LINE for names in (wanted, deployed))
    raise UsageError(
        f"environments.toml gives the data set {data_set} to the model line {one}, and the deployed stack to {other}",
        hint=f"{environment.deploy_command}   # or --line {other}, to take the stack as it is",
    )


def of_version(environment: Environment, version: str, command: str) -> Environment:
    """The environment in the only line that has the version; `latest` is the newest version of that line.

    Raises:
        NotFound: no line has it.
        UsageError: several lines have it.
    """
    every = environment.every_line
    if len(every) == 1:
        return environment
    numbers = {line: [str(item["ModelPackageVersion"]) for item in list_packages(line)] for line in every}
    found = [line for line, known in numbers.items() if (known if version == "latest" else version in known)]
    if not found:
        known = "; ".join(f"{line.line}: {', '.join(known) or 'none'}" for line, known in numbers.items())
        raise NotFound(f"no line has a version {version!r}; there is {known}", hint=environment.command("models"))
    return _only(environment, found, f"have a version {version}" if version != "latest" else "have versions", command)


def of_subject(environment: Environment, name: str | None, command: str) -> Environment:
    """For a name that is a run's or a version's: runs are found in all lines, a version's number in one of them."""
    if name is None or not (name == "latest" or name.isdecimal()):
        return environment
    try:
        return of_version(environment, name, command)
    except NotFound:
        return environment  # the name of a run, perhaps


def of_endpoint(environment: Environment, command: str) -> Environment:
    """The environment in the only line that has an endpoint, or a version if none has an endpoint yet."""
    every = environment.every_line
    if len(every) == 1:
        return environment
    found = [line for line in every if read_endpoint(line)] or [line for line in every if list_packages(line)]
    return _only(environment, found, "serve models", command) if found else environment.in_line(DEFAULT_LINE)


def of_one(environment: Environment, command: str) -> Environment:
    """The environment in its only line. Raises UsageError if it has several and none was chosen."""
    every = environment.every_line
    return environment if len(every) == 1 else _only(environment, every, "are declared", command)


def _only(environment: Environment, found: Sequence[Environment], what: str, command: str) -> Environment:
    if len(found) == 1:
        return found[0]
    names = ", ".join(str(line.line) for line in found)
    raise UsageError(
        f"which line is meant? {names} {what}", hint=f"{found[0].command(command)}   # or another of {names}"
    )


def _patterns(declared: Mapping[str, Sequence[str]], line: str | None) -> str:
    return ", ".join(declared[line]) if line and line in declared else "no declared line"
