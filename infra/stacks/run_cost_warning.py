"""A max_run_cost below what a run of the definition may cost, said when the app is synthesized.

A warning, not an error: the limit applies to each run, and a run with other parameters, or with a maintainer's own
definition, may cost less. With the settings as they are, each upload would end in the dead-letter queue.
"""

from __future__ import annotations

import math

from aws_cdk import Annotations
from constructs import Construct

from environments.settings import Settings
from pipeline_definition import PipelineSettings, build_pipeline
from run_costs import UnknownCostError, estimate

LINES_SHOWN = 3


def warn_of_run_cost(scope: Construct, settings: Settings) -> None:
    """`npx cdk synth` and `npx cdk deploy` print it; for each model line on its own."""
    if settings.max_run_cost is None:
        return
    for table, pipeline in settings.pipeline_tables.items():
        if said := _said(settings, table, pipeline):
            Annotations.of(scope).add_warning_v2(f"headrace:max_run_cost:{table}", said)


def _said(settings: Settings, table: str, pipeline: PipelineSettings) -> str | None:
    assert settings.max_run_cost is not None
    try:
        found = estimate(build_pipeline(pipeline), {}, settings.prices)
    except UnknownCostError as problem:
        return f"{settings.table}: max_run_cost is set, and no run can be started: {problem}"
    if found.total <= settings.max_run_cost:
        return None
    enough = math.ceil(found.total * 100) / 100  # rounded up, so that the hint suffices
    most_expensive = sorted(found.lines, key=lambda line: -line.usd)[:LINES_SHOWN]
    return (
        f"{settings.table}: max_run_cost is {settings.max_run_cost:.2f} USD, and a run may cost {found.total:.2f} USD: "
        f"{', '.join(map(str, most_expensive))}. No run would be started.\nhint: raise max_run_cost to {enough:.2f}, "
        f"or lower max_run_seconds or choose cheaper instance types under [{table}]"
    )
