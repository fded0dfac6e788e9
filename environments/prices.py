"""prices.toml: what an instance of each type costs in an hour, by region."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import inf
from pathlib import Path

from environments.typed_table import SettingsError, load_tables
from pipeline_definition import PipelineSettings
from pipeline_definition.limits import Problem

PRICES_FILE = "prices.toml"
KEYS = ("as_of", "source", "usd_per_hour")  # of a region; the first two say of when and from where its prices are


def load_prices(path: Path, region: str) -> dict[str, float]:
    """The region's prices in USD an hour, if it has any. Raises SettingsError for a file that is wrong."""
    table = load_tables(path).get(region, {})
    prices: dict[str, float] | None = table.get("usd_per_hour", {}) if isinstance(table, dict) else None
    for key in table if isinstance(table, dict) else ():
        if key not in KEYS:
            raise SettingsError(f"unknown key {key!r}", f"{path.name} [{region}]", f"known are {', '.join(KEYS)}")
    if not isinstance(prices, dict):
        raise SettingsError(f"usd_per_hour is {prices!r}", f"{path.name} [{region}]", "write it as a [table] of prices")
    for kind, price in prices.items():
        if type(price) not in (int, float) or not 0 < price < inf:
            raise SettingsError(
                f"{kind} is {price!r}",
                f"{path.name} [{region}.usd_per_hour]",
                "a price is a number above 0, for example 0.23",
            )
    return prices


def price_problems(
    region: str, prices: Mapping[str, float], pipelines: Iterable[PipelineSettings]
) -> Iterator[Problem]:
    """Instance types of the pipelines that have no price."""
    if not prices:
        yield (
            f"max_run_cost is set, and {PRICES_FILE} has no prices for region {region!r}",
            f"check the region's spelling; or add [{region}.usd_per_hour] there, or take max_run_cost out",
        )
    for pipeline in pipelines:
        for name in ("processing_instance_type", "train_instance_type"):
            kind = getattr(pipeline, name)
            if kind not in prices:
                yield (
                    f"{name} is {kind!r}, for which {PRICES_FILE} has no price in {region}",
                    f'add "{kind}" = <USD an hour> under [{region}.usd_per_hour], or take max_run_cost out',
                )
