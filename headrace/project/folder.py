"""The project on disk: its root (the folder of cdk.json), where local state lies, and environments.toml."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from environments.names import ACCOUNT, NAME
from headrace.errors import SetupError

PROJECT = "headrace"
LOCAL = "local"
PROJECTS = "projects"  # the table that is not an environment


@dataclass(frozen=True, slots=True)
class Target:
    """What environments.toml says of one environment; all of it is optional."""

    account: str | None = None
    region: str | None = None
    profile: str | None = None
    quiet_seconds: float = 0.0  # how long the bucket must be quiet before an upload starts a run
    studio_domain: str | None = None  # of [<environment>.catalog]
    promotes_from: str | None = None
    networks: tuple[str, ...] = ()  # that are trained, in any line and variant
    lines: dict[str, tuple[str, ...]] | None = None  # patterns of data sets by model line; None without the file
    max_skipped_share: dict[str | None, float] = field(default_factory=dict)  # by model line; None is the environment

    def skipped_share_of(self, line: str | None) -> float:
        """The limit for a model line: its own, else the environment's, else the pipeline's default."""
        from data_sets.reading import MAX_SKIPPED_SHARE  # with the reader, which few commands need

        own = self.max_skipped_share
        return own.get(line, own.get(None, MAX_SKIPPED_SHARE))


def find_root(start: Path | None = None) -> Path | None:
    """The nearest folder at or above `start` that holds cdk.json."""
    here = (start or Path.cwd()).resolve()
    return next((folder for folder in (here, *here.parents) if (folder / "cdk.json").is_file()), None)


def state_folder() -> Path:
    """Where the local cloud keeps everything: HEADRACE_STATE, or .headrace beside cdk.json."""
    override = os.environ.get("HEADRACE_STATE")
    if override:
        return Path(override).expanduser().resolve()
    root = find_root()
    if root is None:
        raise SetupError(
            f"{Path.cwd()} is not inside a Headrace project: no folder from here upwards holds cdk.json",
            hint="cd into the project, or export HEADRACE_STATE=FOLDER to name the state folder of the local cloud",
        )
    return root / ".headrace"


def read_target(environment: str) -> Target:
    """The environment's table in environments.toml; for `local`, an empty Target where there is no such file.

    Raises:
        SetupError: the file is not there, cannot be read, or has no table of that name.
    """
    root = find_root()
    path = root / "environments.toml" if root else None
    if path is None or not path.is_file():
        if environment == LOCAL:
            return Target()
        raise SetupError(  # without it, nothing says which account is meant
            f"environment {environment} is described in environments.toml, which no folder from {Path.cwd()} "
            "upwards has beside cdk.json",
            hint="cd into the project",
        )
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SetupError(f"{path} is not valid TOML: {error}", hint=f"git diff {path} shows what changed") from error
    environments = [name for name in tables if name != PROJECTS]
    if environment not in environments:
        add = f", or add a table [{environment}] with account and region" if NAME.fullmatch(environment) else ""
        raise SetupError(
            f"there is no environment {environment!r} in {path}; there are {', '.join(environments) or 'none'}",
            hint=f"--env with one of these{add}",
        )
    table = tables[environment]
    if not isinstance(table, dict):
        raise SetupError(f"{path}: {environment} is not a table", hint=f"write it as [{environment}]")
    return Target(
        account=_account(table, environment, path),
        region=_text(table, "region", environment, path),
        profile=_text(table, "profile", environment, path),
        quiet_seconds=_seconds(table.get("quiet_seconds")),
        studio_domain=_text(table.get("catalog", {}), "domain", f"{environment}.catalog", path),
        promotes_from=_text(table, "promotes_from", environment, path),
        networks=_networks(table),
        lines=_lines(table),
        max_skipped_share=_skipped_shares(table),
    )


def _skipped_shares(table: dict[str, Any]) -> dict[str | None, float]:
    """The CDK app checks the file, this only reads it: a value of another form is left out."""
    lines = table.get("lines")
    tables = {None: table, **(lines if isinstance(lines, dict) else {})}
    pipelines = {name: each.get("pipeline") for name, each in tables.items() if isinstance(each, dict)}
    found = {
        name: pipeline.get("max_skipped_share") for name, pipeline in pipelines.items() if isinstance(pipeline, dict)
    }
    return {name: float(value) for name, value in found.items() if isinstance(value, int | float)}


def _lines(table: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """The CDK app checks the file, this only reads it: what has another form is left out."""
    declared = table.get("lines")
    patterns = {
        name: line.get("data_sets") if isinstance(line, dict) else None
        for name, line in (declared.items() if isinstance(declared, dict) else ())
    }
    return {name: tuple(map(str, found)) for name, found in patterns.items() if isinstance(found, list)}


def _networks(table: dict[str, Any]) -> tuple[str, ...]:
    """The CDK app judges the file, this only reads it: what has another form is left out."""

    def named(value: object) -> Iterator[str]:
        for key, item in value.items() if isinstance(value, dict) else ():
            if key == "network" and isinstance(item, str):
                yield item
            for each in item if key == "variants" and isinstance(item, list) else ():
                yield from named(each)

    lines = table.get("lines")
    pipelines = [table, *(lines.values() if isinstance(lines, dict) else ())]
    return tuple(sorted({name for each in pipelines if isinstance(each, dict) for name in named(each.get("pipeline"))}))


def _account(table: dict[str, Any], environment: str, path: Path) -> str | None:
    account = _text(table, "account", environment, path)
    if account is not None and not ACCOUNT.fullmatch(account):
        raise SetupError(
            f"{path}: account of [{environment}] is {account!r}",
            hint='an AWS account number is 12 digits in quotes, for example "123456789012"',
        )
    return account


def _seconds(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0  # the CDK app judges the file, this only reads it


def _text(table: dict[str, Any], key: str, environment: str, path: Path) -> str | None:
    value = table.get(key)
    if value is None or isinstance(value, str):
        return value or None
    raise SetupError(
        f"{path}: {key} of [{environment}] is {value!r}, not text",
        hint=f'put it in quotes: {key} = "{value}" (an account number may begin with a zero)',
    )
