"""What SageMaker's training toolkit prepares for a script: hyperparameters, flags and SM_* variables.

Source: aws/sagemaker-training-toolkit, src/sagemaker_training/environment.py, mapping.py and params.py. The table in
tests/training/test_toolkit.py names the source of each value. Needs the standard library only.

Two differences: SM_CHECKPOINT_DIR is added, and a variable that the job's Environment sets itself keeps its value.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

OWN_PREFIX = "sagemaker_"
OWN_NAMES = frozenset({"_tuning_objective_metric", "default_user_module_name"})
HOMOGENEOUS = "homogeneousCluster"  # the group of a job that declares no instance groups
# A distribution of the toolkit's own, which the SDK's estimators choose. Each applies to all hosts of the group.
DISTRIBUTIONS = (
    "sagemaker_mpi_enabled",
    "sagemaker_parameter_server_enabled",
    "sagemaker_distributed_dataparallel_enabled",
    "sagemaker_pytorch_ddp_enabled",
    "sagemaker_pytorch_xla_multi_worker_enabled",
    "sagemaker_multi_worker_mirrored_strategy_enabled",
)

# Hyperparameters that the toolkit reads itself; SM_FRAMEWORK_PARAMS holds the other ones that begin with sagemaker_.
OF_THE_TOOLKIT = OWN_NAMES | {
    "sagemaker_program",
    "sagemaker_submit_directory",
    "sagemaker_enable_cloudwatch_metrics",
    "sagemaker_region",
    "sagemaker_container_log_level",
    "sagemaker_job_name",
    "sagemaker_s3_output",
}


def read_config(root: Path, name: str) -> dict[str, Any]:
    path = root / "input/config" / name
    config: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    return config


def decode(hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
    """Each value decoded as JSON: `5` is a number and `"two words"` loses its quotes. Other text stays as it is."""

    def value(text: Any) -> Any:
        try:
            return json.loads(text)
        except (ValueError, TypeError):
            return text

    return {name: value(text) for name, text in hyperparameters.items()}


def split(hyperparameters: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The script's hyperparameters, and those that SageMaker's SDK and tuner add for the toolkit."""
    own = {name for name in hyperparameters if name in OWN_NAMES or name.startswith(OWN_PREFIX)}
    mine = {name: value for name, value in hyperparameters.items() if name not in own}
    return mine, {name: hyperparameters[name] for name in own}


def flags_of(hyperparameters: Mapping[str, Any]) -> list[str]:
    """`{"epochs": 5, "v": true}` as `--epochs 5 -v True`, sorted by name; a table as `key=value,key=value`."""

    def word(value: Any) -> str:
        if isinstance(value, dict):
            return ",".join(f"{key}={item}" for key, item in sorted(value.items()))
        return "" if value is None else str(value)

    def flag(name: str) -> str:
        return f"--{name}" if len(name) > 1 else f"-{name}"

    return [part for name in sorted(hyperparameters) for part in (flag(name), word(hyperparameters[name]))]


def variables(root: Path, script: str, given: Mapping[str, str]) -> dict[str, str]:
    """The variables for `script` of the job whose /opt/ml is `root`; `given` are those of the container."""
    hyperparameters, own = split(decode(read_config(root, "hyperparameters.json")))
    resources, inputs = read_config(root, "resourceconfig.json"), read_config(root, "inputdataconfig.json")
    host = resources.get("current_host", "algo-1")
    hosts = resources.get("hosts", [host])
    group = resources.get("current_group_name", HOMOGENEOUS)
    groups = {item["instance_group_name"]: item for item in resources.get("instance_groups", [])}
    distributed = own.get("sagemaker_distribution_instance_groups", [group] if any(map(own.get, DISTRIBUTIONS)) else [])
    distribution_hosts = (
        [name for each, item in groups.items() if each in distributed for name in item["hosts"]] if groups else hosts
    )
    master = (distribution_hosts or hosts)[0]
    region = own.get("sagemaker_region") or given.get("AWS_REGION") or given.get("AWS_DEFAULT_REGION") or ""
    channels = {name: str(root / "input/data" / name) for name in inputs}
    shared: dict[str, Any] = {
        "current_host": host,
        "current_instance_group": group,
        "current_instance_group_hosts": groups.get(group, {}).get("hosts", []),
        "current_instance_type": resources.get("current_instance_type", "local"),
        "distribution_instance_groups": distributed,
        "framework_module": given.get("SAGEMAKER_TRAINING_MODULE"),  # the framework's image sets it
        "hosts": hosts,
        "input_config_dir": str(root / "input/config"),
        "input_data_config": inputs,
        "input_dir": str(root / "input"),
        "instance_groups": list(groups),
        "instance_groups_dict": groups,
        "is_hetero": len(groups) > 1,
        "log_level": own.get("sagemaker_container_log_level", logging.INFO),
        "model_dir": str(root / "model"),
        "module_dir": str(own.get("sagemaker_submit_directory", root / "code")),
        "module_name": script.removesuffix(".py"),
        "network_interface_name": resources.get("network_interface_name", "eth0"),
        "num_cpus": os.cpu_count(),
        "num_gpus": len(list(Path("/dev").glob("nvidia[0-9]*"))),
        "output_data_dir": str(root / "output/data"),
        "output_dir": str(root / "output"),
        "output_intermediate_dir": str(root / "output/intermediate"),
        "resource_config": resources,
        "user_entry_point": script,
    }
    framework = {name: value for name, value in own.items() if name not in OF_THE_TOOLKIT}
    everything = {
        **shared,
        "additional_framework_parameters": framework,
        "channel_input_dirs": channels,
        "distribution_hosts": distribution_hosts,
        "hyperparameters": hyperparameters,
        "is_master": host == master,
        "is_modelparallel_enabled": None,
        "job_name": given.get("TRAINING_JOB_NAME"),
        "master_hostname": master,
    }
    named = {
        **shared,
        "channels": sorted(channels),
        "checkpoint_dir": str(root / "checkpoints"),
        "framework_params": framework,
        "hps": hyperparameters,
        "training_env": everything,
        "user_args": flags_of(hyperparameters),
        **{f"channel_{name}": path for name, path in channels.items()},
        **{f"hp_{name}": value for name, value in hyperparameters.items()},
    }
    return {
        **{f"SM_{name.upper()}": text_of(value) for name, value in named.items()},
        "CURRENT_HOST": host,
        "SAGEMAKER_JOB_NAME": str(own.get("sagemaker_job_name", "")),
        "SAGEMAKER_REGION": str(region),
    }


def text_of(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, separators=(",", ":"))
