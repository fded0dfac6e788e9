"""The variables and flags that a training script finds are those of SageMaker's training toolkit.

Each row names its source in aws/sagemaker-training-toolkit, below src/sagemaker_training/. Left out of the table, and
not prepared: SM_NUM_NEURONS (Inferentia and Trainium) and the variables of MPI, SMDDP and parameter servers.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

import toolkit

HYPERPARAMETERS = {
    "epochs": "5",
    "learning-rate": "0.001",
    "freeze": "true",
    "sizes": "[1, 2]",
    "table": '{"b": 2, "a": 1}',
    "quoted": '"two words"',
    "plain": "two words",
    "nothing": "null",
    "v": "1",
    "sagemaker_program": '"other.py"',
    "sagemaker_region": '"eu-central-1"',
    "sagemaker_job_name": '"mine"',
    "sagemaker_container_log_level": "10",
    "sagemaker_estimator_class_name": '"PyTorch"',
    "_tuning_objective_metric": "validation:accuracy",
}
RESOURCES = {
    "current_host": "algo-2",
    "current_instance_type": "ml.g4dn.xlarge",
    "current_group_name": "homogeneousCluster",
    "hosts": ["algo-1", "algo-2"],
    "instance_groups": [
        {
            "instance_group_name": "homogeneousCluster",
            "instance_type": "ml.g4dn.xlarge",
            "hosts": ["algo-1", "algo-2"],
        }
    ],
    "network_interface_name": "eth1",
}
INPUTS = {"train": {"TrainingInputMode": "File"}, "validation": {"TrainingInputMode": "File"}}
MINE = {
    "epochs": 5, "learning-rate": 0.001, "freeze": True, "sizes": [1, 2], "table": {"a": 1, "b": 2},
    "quoted": "two words", "plain": "two words", "nothing": None, "v": 1,
}  # fmt: skip
FLAGS = [
    "--epochs", "5", "--freeze", "True", "--learning-rate", "0.001", "--nothing", "", "--plain", "two words",
    "--quoted", "two words", "--sizes", "[1, 2]", "--table", "a=1,b=2", "-v", "1",
]  # fmt: skip


def compact(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


# Variable, value below the root ROOT, source.
TABLE = [
    ("SM_HOSTS", '["algo-1","algo-2"]', "environment.py to_env_vars: hosts"),
    ("SM_NETWORK_INTERFACE_NAME", "eth1", "environment.py: network_interface_name, else eth0"),
    ("SM_HPS", compact(MINE), "environment.py read_hyperparameters: json.loads, else the text"),
    ("SM_USER_ENTRY_POINT", "train.py", "environment.py: SAGEMAKER_PROGRAM; here the script of entry.py"),
    ("SM_FRAMEWORK_PARAMS", '{"sagemaker_estimator_class_name":"PyTorch"}', "environment.py, params.py"),
    ("SM_RESOURCE_CONFIG", compact(RESOURCES), "environment.py to_env_vars: resource_config"),
    ("SM_INPUT_DATA_CONFIG", compact(INPUTS), "environment.py to_env_vars: input_data_config"),
    ("SM_OUTPUT_DATA_DIR", "ROOT/output/data", "environment.py: output_data_dir"),
    ("SM_CHANNELS", '["train","validation"]', "environment.py to_env_vars: channels"),
    ("SM_CURRENT_HOST", "algo-2", "environment.py to_env_vars: current_host"),
    ("SM_CURRENT_INSTANCE_TYPE", "ml.g4dn.xlarge", "environment.py: current_instance_type, else local"),
    ("SM_CURRENT_INSTANCE_GROUP", "homogeneousCluster", "environment.py: current_group_name"),
    ("SM_CURRENT_INSTANCE_GROUP_HOSTS", '["algo-1","algo-2"]', "environment.py get_current_instance_group_hosts"),
    ("SM_INSTANCE_GROUPS", '["homogeneousCluster"]', "environment.py get_instance_groups"),
    (
        "SM_INSTANCE_GROUPS_DICT",
        compact({"homogeneousCluster": RESOURCES["instance_groups"][0]}),  # type: ignore[index]
        "environment.py get_instance_groups_dict",
    ),
    ("SM_DISTRIBUTION_INSTANCE_GROUPS", "[]", "environment.py: none without a distribution of the toolkit"),
    ("SM_IS_HETERO", "false", "environment.py is_hetero"),
    ("SM_MODULE_NAME", "train", "environment.py _parse_module_name: without .py"),
    ("SM_LOG_LEVEL", "10", "environment.py: sagemaker_container_log_level, else 20"),
    ("SM_FRAMEWORK_MODULE", "sagemaker_pytorch_container.training:main", "environment.py: SAGEMAKER_TRAINING_MODULE"),
    ("SM_INPUT_DIR", "ROOT/input", "environment.py: input_dir"),
    ("SM_INPUT_CONFIG_DIR", "ROOT/input/config", "environment.py: input_config_dir"),
    ("SM_OUTPUT_DIR", "ROOT/output", "environment.py: output_dir"),
    ("SM_OUTPUT_INTERMEDIATE_DIR", "ROOT/output/intermediate", "environment.py: output_intermediate_dir"),
    ("SM_NUM_CPUS", str(os.cpu_count()), "environment.py num_cpus"),
    ("SM_NUM_GPUS", str(len(list(Path("/dev").glob("nvidia[0-9]*")))), "environment.py num_gpus; here from /dev"),
    ("SM_MODEL_DIR", "ROOT/model", "environment.py: model_dir"),
    ("SM_MODULE_DIR", "ROOT/code", "environment.py: sagemaker_submit_directory, else code_dir"),
    ("SM_USER_ARGS", compact(FLAGS), "mapping.py to_cmd_args"),
    ("SM_CHANNEL_TRAIN", "ROOT/input/data/train", "environment.py to_env_vars: channel_*"),
    ("SM_CHANNEL_VALIDATION", "ROOT/input/data/validation", "environment.py to_env_vars: channel_*"),
    ("SM_HP_EPOCHS", "5", "environment.py to_env_vars: hp_*; mapping.py to_env_vars"),
    ("SM_HP_LEARNING-RATE", "0.001", "mapping.py format_key: upper case, the hyphen stays"),
    ("SM_HP_FREEZE", "true", "mapping.py format_value: JSON for values other than strings"),
    ("SM_HP_SIZES", "[1,2]", "mapping.py format_value: without spaces"),
    ("SM_HP_TABLE", '{"a":1,"b":2}', "mapping.py format_value: sorted"),
    ("SM_HP_QUOTED", "two words", "environment.py read_hyperparameters: the quotes are JSON's"),
    ("SM_HP_PLAIN", "two words", "environment.py read_hyperparameters: no JSON, so the text itself"),
    ("SM_HP_NOTHING", "", "mapping.py format_value: None is empty"),
    ("SM_HP_V", "1", "environment.py to_env_vars: hp_*"),
    ("SM_CHECKPOINT_DIR", "ROOT/checkpoints", "ours: the toolkit has no variable for it"),
    ("CURRENT_HOST", "algo-2", "environment.py Environment.__init__"),
    ("SAGEMAKER_JOB_NAME", "mine", "environment.py Environment.__init__"),
    ("SAGEMAKER_REGION", "eu-central-1", "environment.py Environment.__init__"),
]
TRAINING_ENV = {
    *("additional_framework_parameters", "channel_input_dirs", "current_host", "current_instance_group"),
    *("current_instance_group_hosts", "current_instance_type", "distribution_hosts", "distribution_instance_groups"),
    *("framework_module", "hosts", "hyperparameters", "input_config_dir", "input_data_config", "input_dir"),
    *("instance_groups", "instance_groups_dict", "is_hetero", "is_master", "is_modelparallel_enabled", "job_name"),
    *("log_level", "master_hostname", "model_dir", "module_dir", "module_name", "network_interface_name", "num_cpus"),
    *("num_gpus", "output_data_dir", "output_dir", "output_intermediate_dir", "resource_config", "user_entry_point"),
}
GIVEN = {"SAGEMAKER_TRAINING_MODULE": "sagemaker_pytorch_container.training:main", "TRAINING_JOB_NAME": "job-1"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "input/config"
    folder.mkdir(parents=True)
    documents = {"hyperparameters": HYPERPARAMETERS, "resourceconfig": RESOURCES, "inputdataconfig": INPUTS}
    for name, document in documents.items():
        (folder / f"{name}.json").write_text(json.dumps(document))
    return tmp_path


@pytest.fixture
def found(root: Path) -> dict[str, str]:
    return toolkit.variables(root, "train.py", GIVEN)


@pytest.mark.parametrize(("name", "value", "source"), TABLE, ids=[row[0] for row in TABLE])
def test_the_toolkits_variable_has_the_toolkits_value(
    found: dict[str, str], root: Path, name: str, value: str, source: str
) -> None:
    assert found[name] == value.replace("ROOT", str(root)), source


def test_no_variable_is_set_that_the_table_does_not_name(found: dict[str, str]) -> None:
    assert found.keys() == {name for name, _, _ in TABLE} | {"SM_TRAINING_ENV"}


def test_the_training_environment_is_one_document_with_the_toolkits_members(found: dict[str, str]) -> None:
    """Source: environment.py, the properties of Environment; mapping.py, MappingMixin."""
    document = json.loads(found["SM_TRAINING_ENV"])
    assert document.keys() == TRAINING_ENV
    assert document["hyperparameters"] == MINE
    assert (document["is_master"], document["master_hostname"], document["job_name"]) == (False, "algo-1", "job-1")


def test_flags_are_those_of_the_toolkit() -> None:
    """Source: mapping.py to_cmd_args: sorted, one dash for one letter, a table as pairs, None as nothing."""
    assert toolkit.flags_of(MINE) == FLAGS


def test_a_distribution_of_the_toolkit_names_the_group_and_its_master(root: Path) -> None:
    """Source: environment.py get_distribution_instance_groups_from_resource_config, get_distribution_hosts."""
    path = root / "input/config/hyperparameters.json"
    path.write_text(json.dumps({"sagemaker_mpi_enabled": "true"}))
    found = toolkit.variables(root, "train.py", {})
    assert found["SM_DISTRIBUTION_INSTANCE_GROUPS"] == '["homogeneousCluster"]'
    assert json.loads(found["SM_TRAINING_ENV"])["distribution_hosts"] == ["algo-1", "algo-2"]


def test_without_any_configuration_the_values_are_the_toolkits_defaults(tmp_path: Path) -> None:
    found = toolkit.variables(tmp_path, "train.py", {})
    expected = {"SM_CURRENT_INSTANCE_TYPE": "local", "SM_LOG_LEVEL": "20", "SM_NETWORK_INTERFACE_NAME": "eth0",
                "SM_HPS": "{}", "SM_USER_ARGS": "[]", "SM_CHANNELS": "[]", "SM_FRAMEWORK_MODULE": ""}  # fmt: skip
    assert {name: found[name] for name in expected} == expected
