"""Who deploys an environment from a repository: the table [<environment>.delivery]."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from infra.settings import PROJECT, Problem, Settings, load_settings, load_tables
from infra.typed_table import SettingsError, typed_values

_REPOSITORY = re.compile(r"[A-Za-z0-9-]{1,39}/[A-Za-z0-9._-]{1,100}")
_BRANCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySettings:
    """`repository` is GitHub's owner/name. Workflows of its `branch` deploy; where somebody has to `approve`, it is

    those that GitHub has let into its environment of the same name instead, which is where reviewers and branches are
    set. An account has one `oidc_provider` for GitHub: "new" makes it, "existing" uses the one there is.
    """

    environment: Settings
    repository: str
    branch: str = "main"
    approve: bool = True
    oidc_provider: Literal["new", "existing"] = "new"

    def __post_init__(self) -> None:
        for what, hint in self._problems():
            raise SettingsError(what, f"[{self.environment.environment}.delivery]", hint)

    def _problems(self) -> Iterator[Problem]:
        if not _REPOSITORY.fullmatch(self.repository):
            yield f"repository is {self.repository!r}", 'use GitHub\'s owner/name, say "team/headrace"'
        if not _BRANCH.fullmatch(self.branch):
            yield f"branch is {self.branch!r}", "name one branch, without wildcards: whoever may push to it deploys"

    @property
    def stack_name(self) -> str:
        return f"{PROJECT}-delivery-{self.environment.environment}"

    def role_name(self, what: str) -> str:
        """Known to the workflow: .github/target.py says it, too."""
        return f"{self.stack_name}-{what}"


def load_delivery_settings(path: Path, environment: str) -> DeliverySettings:
    """Raises SettingsError for a file, an environment, a key or a value that is not as it should be."""
    settings = load_settings(path, environment)
    table = load_tables(path)[environment].get("delivery")
    where = f"{path.name} [{environment}.delivery]"
    if table is None:
        raise SettingsError(
            f"{environment} is deployed by no repository",
            where,
            f"add a table [{environment}.delivery] with repository",
        )
    values = typed_values(table, DeliverySettings, where, apart=frozenset({"environment"}))
    if "environment" in table:
        raise SettingsError("environment is set", where, "the table it is in says it: leave it out")
    return DeliverySettings(environment=settings, **values)
