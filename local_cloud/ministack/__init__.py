"""Everything that touches ministack's internals, for the version that pyproject.toml pins; one concern a file.

`register.py` lists every name that is replaced, in order; `patches.py` applies the list and checks it at start.

Importing this package imports ministack, which reads its settings from the environment: see `local_cloud.server`.
"""

from functools import partial
from pathlib import Path

from local_cloud.ministack import (
    account,
    alarms,
    event_buses,
    functions,
    gateway,
    logs,
    network,
    patches,
    persistence,
    queues,
)
from local_cloud.ministack.alarms import watch_queues
from local_cloud.ministack.cloud import MinistackCloud
from local_cloud.ministack.cloudformation import budgets, model_package_group, physical_names, properties, stacks
from local_cloud.ministack.cloudformation.stacks import fail_interrupted_stacks
from local_cloud.ministack.functions import end_functions
from local_cloud.ministack.iam import authorization, keys, recording, root_denials, sessions
from local_cloud.ministack.iam.keys import SecretKey, expects_response, find_key
from local_cloud.ministack.persistence import save, save_regularly
from local_cloud.ministack.register import PATCHES
from local_cloud.ministack.s3 import buckets, checksums, cross_account, identical_contents, large_bodies, object_events
from local_cloud.ministack.s3.lifecycle import enact_regularly
from local_cloud.sagemaker.api import SageMaker

__all__ = [
    "MinistackCloud",
    "enact_regularly",
    "end_functions",
    "expects_response",
    "fail_interrupted_stacks",
    "find_key",
    "install",
    "save",
    "save_regularly",
    "watch_queues",
]


def install(sagemaker: SageMaker, state: Path, root_secret_key: SecretKey) -> None:
    """Registers the service with ministack and applies the patches; before its server starts.

    Raises MinistackChanged.
    """
    patches.apply(
        PATCHES,
        {
            "iam.keys": partial(keys.install, root_secret_key),
            "iam.root_denials": root_denials.install,
            "iam.sessions": sessions.install,
            "iam.authorization": authorization.install,
            "iam.recording": partial(recording.install, state),
            "gateway": partial(gateway.install, sagemaker),
            "s3.buckets": buckets.install,
            "s3.object_events": object_events.install,
            "s3.large_bodies": large_bodies.install,
            "s3.identical_contents": identical_contents.install,
            "s3.checksums": checksums.install,
            "s3.cross_account": cross_account.install,
            "cloudformation.properties": properties.install,
            "cloudformation.budgets": budgets.install,
            "cloudformation.physical_names": physical_names.install,
            "cloudformation.stacks": stacks.install,
            "cloudformation.model_package_group": partial(model_package_group.install, sagemaker),
            "event_buses": event_buses.install,
            "account": partial(account.install, sagemaker.context),
            "network": network.install,
            "functions": partial(functions.install, state / "sagemaker" / "images"),
            "logs": logs.install,
            "queues": queues.install,
            "alarms": alarms.install,
            "persistence": persistence.install,
        },
    )
