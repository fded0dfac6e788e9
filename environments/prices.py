"""prices.toml: what an instance of each type costs in an hour, by region."""

from __future__ import annotations

import tomllib
from pathlib import Path

from environments.typed_table import SettingsError

PRICES_FILE = "prices.toml"


def load_prices(path: Path, region: str) -> dict[str, float]:
    """The region's prices in USD an hour, if it has any. Raises SettingsError for a file that is wrong."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SettingsError("there is no such file", str(path), f"git checkout {PRICES_FILE}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"it is not valid TOML: {error}", path.name, "git diff shows what changed") from error
    table = tables.get(region, {})
    prices = table.get("usd_per_hour", {}) if isinstance(table, dict) else None
    if not isinstance(prices, dict):
        raise SettingsError(f"usd_per_hour is {prices!r}", f"{path.name} [{region}]", "write it as a [table] of prices")
    for kind, price in prices.items():
        if type(price) not in (int, float) or price <= 0:
            raise SettingsError(
                f"{kind} is {price!r}",
                f"{path.name} [{region}.usd_per_hour]",
                "a price is a number above 0, for example 0.23",
            )
    return prices
