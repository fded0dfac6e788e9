"""The table [<environment>.delivery]: which GitHub repository deploys the environment."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from environments.settings import PROJECT, Settings, load_settings
from environments.typed_table import SettingsError, load_tables, typed_values
from pipeline_definition import limits
from pipeline_definition.limits import Pattern, Range

_REPOSITORY = re.compile(r"[A-Za-z0-9-]{1,39}/[A-Za-z0-9._-]{1,100}")
FIND_IDS = "gh api repos/OWNER/NAME --jq '.owner.id, .id'"
_BRANCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}")


Id = Annotated[int, Range(1, hint=f"use the number that this prints: {FIND_IDS}")]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySettings:
    """Deployment of one environment by GitHub Actions.

    `repository` is `owner/name`; `owner_id` and `repository_id` are GitHub's numbers of both. Numbers are never given
    twice; a name can be given up and taken by another owner. Without `approve`, workflows of `branch` deploy; with
    it, only jobs in the GitHub environment of the same name, where reviewers and branches are configured.

    `subject_format` is how the repository's tokens name it in `sub`: "immutable" (owner@id/name@id) for repositories
    that were created or renamed since 15 July 2026, or have opted in; "name" (owner/name) for all others.

    An account has one `oidc_provider` for GitHub: "new" makes it, "existing" uses the one that is there.
    """

    environment: Settings
    repository: Annotated[str, Pattern(_REPOSITORY, hint='use GitHub\'s owner/name, for example "team/headrace"')]
    """The GitHub repository that deploys the environment, as owner/name."""
    owner_id: Id
    """GitHub's number of the owner. A name can be taken over by others, a number cannot."""
    repository_id: Id
    """GitHub's number of the repository."""
    subject_format: Literal["immutable", "name"] = "immutable"
    """How the repository's tokens name it: with its numbers (immutable) or by name only."""
    branch: Annotated[
        str, Pattern(_BRANCH, hint="name one branch, without wildcards: everybody who may push to it deploys")
    ] = "main"
    """The branch whose workflows deploy, unless `approve` is set."""
    approve: bool = True
    """Whether a reviewer of the GitHub environment of the same name has to approve."""
    oidc_provider: Literal["new", "existing"] = "new"
    """Whether to make the account's identity provider for GitHub, or to use the existing one."""

    def __post_init__(self) -> None:
        for what, hint in limits.problems(self):
            raise SettingsError(what, f"[{self.environment.environment}.delivery]", hint)

    @property
    def subject(self) -> str:
        """The repository's part of the token's `sub`."""
        if self.subject_format == "name":
            return f"repo:{self.repository}"
        owner, _, name = self.repository.partition("/")
        return f"repo:{owner}@{self.owner_id}/{name}@{self.repository_id}"

    @property
    def deploy_workflow(self) -> str:
        """The token's `job_workflow_ref` in a job of deploy.yml that a run on `branch` has called."""
        return f"{self.repository}/.github/workflows/deploy.yml@refs/heads/{self.branch}"

    @property
    def stack_name(self) -> str:
        return f"{PROJECT}-delivery-{self.environment.environment}"

    def role_name(self, what: str) -> str:
        """The workflow derives the same name in .github/target.py."""
        return f"{self.stack_name}-{what}"


def load_delivery_settings(path: Path, environment: str) -> DeliverySettings:
    """Raises SettingsError for a file, an environment, a key or a value that is not as it should be."""
    settings = load_settings(path, environment)
    table = load_tables(path)[environment].get("delivery")
    where = f"{path.name} [{environment}.delivery]"
    if table is None:
        raise SettingsError(
            f"no repository deploys {environment}",
            where,
            f"add a table [{environment}.delivery] with repository, owner_id and repository_id",
        )
    derived = {"environment": "the table it is in says it: leave it out"}
    values = typed_values(table, DeliverySettings, where, derived=derived)
    return DeliverySettings(environment=settings, **values)
