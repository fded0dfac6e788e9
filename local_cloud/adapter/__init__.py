"""Everything that touches ministack's internals, for the version that pyproject.toml pins; one concern a file.

Importing this package imports ministack, which reads its settings from the environment: see `local_cloud.server`.
"""

from pathlib import Path

from local_cloud.adapter import (
    account,
    alarms,
    authorization,
    buckets,
    budgets,
    checksums,
    event_buses,
    foreign_buckets,
    functions,
    keys,
    large_bodies,
    logs,
    model_package_group,
    network,
    object_events,
    physical_names,
    properties,
    queues,
    recording,
    requests,
    root_denials,
    saving,
    sessions,
    stacks,
)
from local_cloud.adapter.alarms import watch_queues
from local_cloud.adapter.cloud import MinistackCloud
from local_cloud.adapter.functions import end_functions
from local_cloud.adapter.keys import SecretKey, expects_response, find_key
from local_cloud.adapter.lifecycle import enact_regularly
from local_cloud.adapter.saving import save, save_regularly
from local_cloud.adapter.stacks import settle_stacks
from local_cloud.sagemaker.api import SageMaker

__all__ = [
    "MinistackCloud",
    "enact_regularly",
    "end_functions",
    "expects_response",
    "find_key",
    "plug_in",
    "save",
    "save_regularly",
    "settle_stacks",
    "watch_queues",
]


def plug_in(sagemaker: SageMaker, state: Path, root_secret_key: SecretKey) -> None:
    """Registers the service with ministack, and mends what the product's promises rest on; before its server starts."""
    keys.plug_in(root_secret_key)
    root_denials.plug_in()
    sessions.plug_in()
    requests.plug_in(sagemaker)
    authorization.plug_in()
    buckets.plug_in()
    object_events.plug_in()
    large_bodies.plug_in()
    checksums.plug_in()
    properties.plug_in()
    foreign_buckets.plug_in()
    event_buses.plug_in()
    budgets.plug_in()
    account.plug_in(sagemaker.context)
    network.plug_in()
    physical_names.plug_in()
    stacks.plug_in()
    model_package_group.plug_in(sagemaker)
    functions.plug_in(state / "sagemaker" / "images")
    logs.plug_in()
    recording.plug_in(state)
    queues.plug_in()
    alarms.plug_in()
    saving.plug_in()
