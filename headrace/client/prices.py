"""What instances cost: prices.toml of the project, as the CDK app reads it for the cost guard."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field

from headrace.errors import SetupError
from headrace.project.folder import find_root

PRICES_FILE = "prices.toml"


@dataclass(frozen=True, slots=True)
class Prices:
    """USD an hour by instance type, on demand, in one region; a type without a price is a type of unknown cost."""

    region: str
    usd_per_hour: Mapping[str, float] = field(default_factory=dict)


def read_prices(region: str) -> Prices:
    """The region's prices; none where there is no such file or region. Raises SetupError for a file that is wrong."""
    root = find_root()
    path = root / PRICES_FILE if root else None
    if path is None or not path.is_file():
        return Prices(region)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")).get(region, {}).get("usd_per_hour", {})
        return Prices(region, {kind: float(price) for kind, price in table.items()})
    except (ValueError, TypeError, AttributeError) as error:  # not TOML, not UTF-8, not a table of numbers
        raise SetupError(
            f"{path} is not a valid table of prices: {error}", hint=f"git diff {path} shows what changed"
        ) from error
