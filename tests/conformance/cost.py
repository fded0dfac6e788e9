"""What the checks may cost on AWS: said, and asked about, before anything is made."""

from __future__ import annotations

from dataclasses import dataclass

from environments.settings import Settings
from headrace.client.environment import Environment

MOST_USD = 5.0
OTHERS_USD = 1.0  # a customer managed key for a month; requests, logs and storage are cents


@dataclass(frozen=True, slots=True)
class Item:
    what: str
    instance_type: str
    hours: float
    usd: float | None  # None: prices.toml has no price for the type


def estimate(environment: Environment, settings: Settings) -> list[Item]:
    """On-demand prices. One run, the decision steps of a second one, and an endpoint whose updates double it."""
    pipeline = settings.pipeline
    lanes = 2 if pipeline.capacity == "both" else 1
    hours = [
        ("processing", pipeline.processing_instance_type, 0.8),
        ("training", pipeline.train_instance_type, 0.4 * lanes * pipeline.train_instance_count),
        ("endpoint", settings.endpoint_instance_type, 2.0 * settings.endpoint_instance_count),
    ]
    prices = environment.prices.usd_per_hour
    return [Item(what, kind, time, prices[kind] * time if kind in prices else None) for what, kind, time in hours]


def describe(items: list[Item]) -> str:
    lines = [
        f"  {item.what:<11} {item.instance_type:<15} {item.hours:.1f} h  "
        + (f"{item.usd:.2f} USD" if item.usd is not None else "no price in prices.toml")
        for item in items
    ]
    return "\n".join(
        [*lines, f"  key, requests, logs            {OTHERS_USD:.2f} USD", f"  together at most {total(items):.2f} USD"]
    )


def total(items: list[Item]) -> float:
    """Infinite where a price is not known."""
    return OTHERS_USD + sum(float("inf") if item.usd is None else item.usd for item in items)
