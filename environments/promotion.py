"""Promotion as environments.toml says it: an environment serves what another one, its source, trains and approves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from environments.names import ACCOUNT
from environments.typed_table import SettingsError

KEY = "promotes_from"
# What an environment may say that has neither data nor runs nor a registry; the rest would have no effect.
SERVING_KEYS = frozenset(
    {
        KEY,
        "account",
        "region",
        "profile",
        "catalog",
        "delivery",
        "removal",
        "log_retention_days",
        "monthly_budget",
        "notice_emails",
        "tags",
        "endpoint_instance_type",
        "endpoint_instance_count",
    }
)


@dataclass(frozen=True, slots=True)
class Consumer:
    """An environment that serves what this one approves; `name` is its stack's, for example headrace-prod.

    Its roles and its bus have physical names, because the policies of its source name them before they exist.
    """

    name: str
    account: str

    @property
    def endpoint_role(self) -> str:
        return f"{self.name}-endpoint"

    @property
    def deployer_role(self) -> str:
        return f"{self.name}-deploy-model"

    @property
    def bus(self) -> str:
        return self.name


def announcement_rule(source: str, consumer: str) -> str:
    """The name of the rule that forwards decisions of the stack `source` to `consumer`; at most 62 of 64 characters."""
    return f"{source}-to-{consumer}"


def source_of(environments: Mapping[str, Any], environment: str, file: str) -> str | None:
    """The environment that the named one promotes from.

    Raises SettingsError for a source that has nothing to promote, and for settings that have no effect.
    """
    table = environments[environment]
    if not isinstance(table, dict) or KEY not in table:
        return None
    source, where = table[KEY], f"{file} [{environment}]"
    trains = [name for name, other in environments.items() if isinstance(other, dict) and KEY not in other]
    hint = f"use an environment that trains: {', '.join(trains) or 'there is none'}"
    if source == environment:
        raise SettingsError(f"{KEY} is its own name", where, hint)
    if source not in environments:
        raise SettingsError(f"{KEY} is {source!r}, which is not an environment here", where, hint)
    if source not in trains:
        what = f"{KEY} is {source!r}, which only serves what another environment approves and has no registry"
        raise SettingsError(what, where, hint)
    if idle := sorted(table.keys() - SERVING_KEYS):
        raise SettingsError(
            f"{', '.join(idle)} would have no effect: it only serves what [{source}] approves",
            where,
            f"set it in [{source}], or leave it out; what counts here is {', '.join(sorted(SERVING_KEYS))}",
        )
    return str(source)


def consumers_of(environments: Mapping[str, Any], environment: str, file: str, *, project: str) -> tuple[Consumer, ...]:
    """The environments that promote from the named one, as it grants them what they need."""
    found = []
    for name, table in environments.items():
        if isinstance(table, dict) and table.get(KEY) == environment:
            account = table.get("account")
            if not isinstance(account, str) or not ACCOUNT.fullmatch(account):
                raise SettingsError(
                    f"account is {account!r}",
                    f"{file} [{name}]",
                    f'[{environment}] grants it its models: write 12 digits in quotes, for example "123456789012"',
                )
            found.append(Consumer(f"{project}-{name}", account))
    return tuple(found)
