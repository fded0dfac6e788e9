"""What the accounts behind the local cloud are like, as far as AWS's accounts differ: quotas, zones, tags, images.

Without a file each account has plenty of everything. ``sagemaker/account.toml`` in the state directory describes
another kind of account, as a new one is; it may be written and changed while the local cloud runs:

    lambda_concurrency = 10                              # concurrent executions of all functions
    inactive_cost_tags = ["headrace:environment"]        # cost allocation tags that nobody has activated
    missing_images = ["pytorch:2.13-cpu-amzn2023-sagemaker"]   # that AWS's registries do not have
    unconfirmed_emails = ["ml@example.com"]              # subscriptions that nobody has confirmed
    disabled_regions = ["eu-central-1"]                  # opt-in regions that the account has not enabled

    [zones]                                              # id of a zone, by its name
    us-east-1a = "use1-az3"

    [missing_types]                                      # EC2's instance types that a zone does not have
    us-east-1a = ["g4dn.xlarge"]

    [quotas.sagemaker]                                   # by the names of Service Quotas; each other one is plenty
    "ml.g4dn.xlarge for training job usage" = 0

    [quotas.vpc]
    "VPCs per Region" = 1

It holds for every account and region. A malformed file is an error of every call that asks for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from local_cloud.sagemaker.core.watched_file import WatchedFile

PLENTY = 1000.0
_LISTS = ("inactive_cost_tags", "missing_images", "unconfirmed_emails", "disabled_regions")


@dataclass(frozen=True, slots=True)
class Account:
    """`quotas` are those that are not plenty: by service code and name."""

    lambda_concurrency: int = 1000
    inactive_cost_tags: tuple[str, ...] = ()
    missing_images: tuple[str, ...] = ()
    unconfirmed_emails: tuple[str, ...] = ()
    disabled_regions: tuple[str, ...] = ()
    zones: Mapping[str, str] = field(default_factory=dict)
    missing_types: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by the name of the zone
    quotas: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def quota(self, service: str, name: str) -> float:
        return self.quotas.get(service, {}).get(name, PLENTY)


def account_file(directory: Path) -> WatchedFile[Account]:
    """`directory` is that of the SageMaker service."""
    return WatchedFile(directory / "account.toml", _account)


def _account(document: dict[str, Any]) -> Account:
    """Raises ValueError at the first thing that is wrong."""
    known = [member.name for member in fields(Account)]
    unknown = sorted(set(document) - set(known))
    if unknown:
        raise ValueError(f"'{unknown[0]}' is not one of {', '.join(known)}")
    concurrency = document.get("lambda_concurrency", PLENTY)
    if type(concurrency) not in (int, float) or concurrency < 0:
        raise ValueError(f"lambda_concurrency is {concurrency!r}, not a whole number from 0 on")
    zones = document.get("zones", {})
    if not isinstance(zones, dict) or not all(isinstance(zone, str) for zone in zones.values()):
        raise ValueError(f"zones is {zones!r}, not a table of zone ids in quotes")
    missing = {
        zone: _texts(f"missing_types.{zone}", types)
        for zone, types in _table("missing_types", document.get("missing_types", {}))
    }
    lists = {name: _texts(name, document.get(name, [])) for name in _LISTS}
    quotas = {service: _quotas(service, table) for service, table in _table("quotas", document.get("quotas", {}))}
    return Account(lambda_concurrency=int(concurrency), zones=zones, missing_types=missing, quotas=quotas, **lists)


def _table(name: str, value: Any) -> list[tuple[str, Any]]:
    if not isinstance(value, dict):
        raise ValueError(f"{name} is {value!r}, not a table")
    return list(value.items())


def _quotas(service: str, value: Any) -> dict[str, float]:
    quotas = dict(_table(f"quotas.{service}", value))
    for name, limit in quotas.items():
        if type(limit) not in (int, float) or limit < 0:
            raise ValueError(f"the quota {name!r} is {limit!r}, not a number from 0 on")
    return quotas


def _texts(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{name} is {value!r}, not a list of texts")
    return tuple(value)
