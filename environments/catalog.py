"""What an environment says about offering the project template in its account: the table [<environment>.catalog]."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from environments.projects import load_project_settings
from environments.settings import PROJECT, PROJECTS, Problem, Settings, load_settings, load_tables
from environments.typed_table import SettingsError, typed_values

_ROLE = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}):role/(?:[\w+=,.@-]+/)*([\w+=,.@-]{1,64})")
_DOMAIN = re.compile(r"d-[a-z0-9-]{1,61}")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,49}")
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogSettings:
    """`launched_by` are the ARNs of the roles whose users start projects, as a rule Studio's execution roles.

    `domain` is the Studio domain that lists the templates. `versions` are those that Service Catalog offers: a
    name for people, and the hash of the template, as `headrace publish` shows it. Without any, there is no product.
    """

    environment: Settings
    launched_by: tuple[str, ...] = ()
    """ARNs of the roles whose users start projects, usually Studio's execution roles."""
    domain: str | None = None
    """The Studio domain that lists the templates."""
    owner: str = PROJECT
    """Owner of the Service Catalog product."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Versions that Service Catalog offers: name and the hash that `headrace publish` shows."""
    model_approval_status: str = "PendingManualApproval"
    """That of [projects.pipeline]: no project's pipeline may register models otherwise."""
    images: tuple[str, ...] = ()
    """Those of [projects]: no project pulls images of other accounts than theirs, this one and AWS's."""

    def __post_init__(self) -> None:
        for what, hint in self._problems():
            raise SettingsError(what, f"[{self.environment.environment}.catalog]", hint)

    def _problems(self) -> Iterator[Problem]:
        for arn in self.launched_by:
            match = _ROLE.fullmatch(arn)
            if not match or match[1] != self.environment.account:
                yield (
                    f"launched_by holds {arn!r}",
                    f"each entry is the ARN of a role of the account {self.environment.account}: "
                    f"arn:aws:iam::{self.environment.account}:role/<name>",
                )
        if self.domain is not None and not _DOMAIN.fullmatch(self.domain):
            yield f"domain is {self.domain!r}", "a Studio domain's number begins with d-: aws sagemaker list-domains"
        for name, template in self.versions.items():
            if not _VERSION.fullmatch(name) or not _HASH.fullmatch(template):
                yield (
                    f"versions holds {name} = {template!r}",
                    "a version is a name of letters, digits, dots and hyphens, and the hash of 64 digits that is shown "
                    "by headrace publish",
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
    for name in sorted(derived.keys() & table.keys()):
        raise SettingsError(f"{name} is set", where, f"leave it out: {derived[name]} says it")
    values = typed_values(table, CatalogSettings, where, apart=frozenset(derived))
    projects = load_project_settings(path)
    values["model_approval_status"] = projects.pipeline.model_approval_status
    values["images"] = tuple(sorted({projects.training_image, projects.processing_image, projects.inference_image}))
    return CatalogSettings(environment=settings, **values)
