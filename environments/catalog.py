"""What an environment says about offering the project template in its account: the table [<environment>.catalog]."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from environments.projects import load_project_settings
from environments.settings import PROJECT, PROJECTS, Settings, load_settings
from environments.typed_table import SettingsError, load_tables, typed_values
from pipeline_definition import limits
from pipeline_definition.limits import Pattern, Problem

_ROLE = re.compile(r"arn:aws[a-z-]*:iam::([0-9]{12}):role/(?:[\w+=,.@-]+/)*([\w+=,.@-]{1,64})")
_DOMAIN = re.compile(r"d-[a-z0-9-]{1,61}")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,49}")
_HASH = re.compile(r"[0-9a-f]{64}")
_VERSION_HINT = (
    "a version is a name of letters, digits, dots and hyphens, and the hash of 64 digits that is shown by headrace "
    "publish"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogSettings:
    """`launched_by` are the ARNs of the roles whose users start projects, as a rule Studio's execution roles.

    `domain` is the Studio domain that lists the templates. `versions` are those that Service Catalog offers: a
    name for people, and the hash of the template, as `headrace publish` shows it. Without any, there is no product.
    """

    environment: Settings
    launched_by: tuple[
        Annotated[str, Pattern(_ROLE, hint="each entry is the ARN of a role: arn:aws:iam::<account>:role/<name>")], ...
    ] = ()
    """ARNs of the roles whose users start projects, usually Studio's execution roles."""
    domain: Annotated[
        str | None, Pattern(_DOMAIN, hint="a Studio domain's number begins with d-: aws sagemaker list-domains")
    ] = None
    """The Studio domain that lists the templates."""
    owner: str = PROJECT
    """Owner of the Service Catalog product."""
    versions: Mapping[
        Annotated[str, Pattern(_VERSION, hint=_VERSION_HINT)], Annotated[str, Pattern(_HASH, hint=_VERSION_HINT)]
    ] = field(default_factory=dict)
    """Versions that Service Catalog offers: name and the hash that `headrace publish` shows."""
    model_approval_status: str = "PendingManualApproval"
    """That of [projects.pipeline]: no project's pipeline may register models otherwise."""
    images: tuple[str, ...] = ()
    """Those of [projects]: no project pulls images of other accounts than theirs, this one and AWS's."""

    def __post_init__(self) -> None:
        for what, hint in self._problems():
            raise SettingsError(what, f"[{self.environment.environment}.catalog]", hint)

    def _problems(self) -> Iterator[Problem]:
        yield from limits.problems(self)
        for arn in self.launched_by:
            match, account = _ROLE.fullmatch(arn), self.environment.account
            if match and match[1] != account:
                yield (
                    f"launched_by holds {arn!r}",
                    f"each entry is the ARN of a role of the account {account}: arn:aws:iam::{account}:role/<name>",
                )


def load_catalog_settings(path: Path, environment: str) -> CatalogSettings:
    """Raises SettingsError for a file, an environment, a key or a value that is not as it should be."""
    settings = load_settings(path, environment)
    table = load_tables(path)[environment].get("catalog")
    where = f"{path.name} [{environment}.catalog]"
    if table is None:
        raise SettingsError(
            f"{environment} offers no project template", where, f"add a table [{environment}.catalog], empty at first"
        )
    derived = {"environment": "this table's name", "model_approval_status": f"[{PROJECTS}.pipeline]"}
    derived["images"] = f"[{PROJECTS}]"
    hints = {name: f"leave it out: {place} says it" for name, place in derived.items()}
    values = typed_values(table, CatalogSettings, where, derived=hints)
    projects = load_project_settings(path)
    values["model_approval_status"] = projects.pipeline.model_approval_status
    values["images"] = tuple(sorted({projects.training_image, projects.processing_image, projects.inference_image}))
    return CatalogSettings(environment=settings, **values)
