"""Everything that touches ministack's internals, for the version that pyproject.toml pins; one concern a file.

Importing this package imports ministack, which reads its settings from the environment: see `local_cloud.server`.
"""

from pathlib import Path

from local_cloud.ministack import account, alarms, event_buses, functions, gateway, logs, network, persistence, queues
from local_cloud.ministack.alarms import watch_queues
from local_cloud.ministack.cloud import MinistackCloud
from local_cloud.ministack.cloudformation import budgets, model_package_group, physical_names, properties, stacks
from local_cloud.ministack.cloudformation.stacks import settle_stacks
from local_cloud.ministack.functions import end_functions
from local_cloud.ministack.iam import authorization, keys, recording, root_denials, sessions
from local_cloud.ministack.iam.keys import SecretKey, expects_response, find_key
from local_cloud.ministack.persistence import save, save_regularly
from local_cloud.ministack.s3 import buckets, checksums, cross_account, large_bodies, object_events
from local_cloud.ministack.s3.lifecycle import enact_regularly
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
    gateway.plug_in(sagemaker)
    authorization.plug_in()
    buckets.plug_in()
    object_events.plug_in()
    large_bodies.plug_in()
    checksums.plug_in()
    properties.plug_in()
    cross_account.plug_in()
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
    persistence.plug_in()
