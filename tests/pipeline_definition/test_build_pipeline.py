"""What the pipeline promises: the same bytes, safe caching, safe spot, and a decision that says why."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from suite import PROJECT

from pipeline_definition import BINDING_NAMES, PipelineSettings, build_pipeline, render
from pipeline_definition.train import METRICS, metric_definitions

ROOT = Path(__file__).parents[2]
LINE = "epoch=3 train:loss=0.1234 validation:loss=1.5e-05 validation:accuracy=0.9800 images/s=5123"


def steps_by_name(**settings: Any) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    waiting = list(build_pipeline(PipelineSettings(**settings))["Steps"])
    while waiting:
        step = waiting.pop(0)
        found[step["Name"]] = step
        waiting += [inner for branch in ("IfSteps", "ElseSteps") for inner in step["Arguments"].get(branch, [])]
    return found


@pytest.mark.process
def test_same_settings_give_same_bytes_in_another_process() -> None:
    """In another folder, with another hash seed and another time zone."""
    code = """
import sys
from pipeline_definition import *
sys.stdout.buffer.write(render(build_pipeline(PipelineSettings())))
"""
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed, "TZ": zone},
            cwd="/",
            check=True,
            capture_output=True,
        ).stdout
        for seed, zone in (("1", "UTC"), ("2", "Asia/Tokyo"))
    }
    assert outputs == {render(build_pipeline(PipelineSettings()))}


def test_definition_is_portable() -> None:
    """No account, region, bucket or machine path; only names that every environment binds."""
    text = render(build_pipeline(PipelineSettings())).decode()
    names = set(re.findall(r"\$\{headrace:([^}]*)\}", text))
    assert {name.partition("/")[0] for name in names} <= BINDING_NAMES
    assert all((PROJECT / "training" / name.partition("/")[2]).exists() for name in names)
    assert not re.search(r"arn:aws|amazonaws|\d{12}|/home/|/work/", text)


def test_definition_fits_inline() -> None:
    assert len(render(build_pipeline(PipelineSettings()))) < 100 * 1024


def test_every_execution_says_which_content_it_is_about() -> None:
    definition = build_pipeline(PipelineSettings())
    without_default = [item["Name"] for item in definition["Parameters"] if "DefaultValue" not in item]
    assert without_default == ["DataSet", "Fingerprint"]


@pytest.mark.parametrize(
    ("capacity", "trainings", "candidates"),
    [
        ("spot", ["TrainSpot"], ["spot"]),
        ("on-demand", ["TrainOnDemand"], ["on-demand"]),
        ("both", ["TrainSpot", "TrainOnDemand"], ["spot", "on-demand"]),
    ],
)
def test_capacity_chooses_the_lanes(capacity: str, trainings: list[str], candidates: list[str]) -> None:
    """The cheaper candidate is listed first, because of equals the first wins."""
    steps = steps_by_name(capacity=capacity)
    assert [name for name, step in steps.items() if step["Type"] == "Training"] == trainings
    assert steps["FindChampion"]["DependsOn"] == trainings
    arguments = steps["Evaluate"]["Arguments"]["AppSpecification"]["ContainerArguments"]
    given = [arguments[n + 1] for n, word in enumerate(arguments) if word == "--candidate"]
    assert given == [f"{name}=/opt/ml/processing/input/{name}" for name in candidates]


@pytest.mark.parametrize("more", [{}, {"tuning_jobs": 2}])
def test_what_a_run_changes_is_known_before_anything_trains(more: dict[str, Any]) -> None:
    """From the classes that Preprocess found. No training is in its cache key: it is cached for the same classes."""
    steps = steps_by_name(**more)
    trainings = [step for step in steps.values() if step["Type"] in ("Training", "Tuning")]
    assert len(trainings) == 2 + bool(more)
    assert all(step["DependsOn"] == ["ExplainChange"] for step in trainings)
    assert "Steps.Preprocess." in json.dumps(steps["ExplainChange"]["Arguments"])


def test_trainings_run_beside_each_other() -> None:
    steps = steps_by_name()
    assert "TrainSpot" not in json.dumps(steps["TrainOnDemand"])
    assert "TrainOnDemand" not in json.dumps(steps["TrainSpot"])


def test_only_the_spot_lane_has_spot_and_checkpoints() -> None:
    steps = steps_by_name()
    spot, on_demand = steps["TrainSpot"]["Arguments"], steps["TrainOnDemand"]["Arguments"]
    assert spot["EnableManagedSpotTraining"] is True
    assert spot["StoppingCondition"]["MaxWaitTimeInSeconds"] > spot["StoppingCondition"]["MaxRuntimeInSeconds"]
    assert not {"EnableManagedSpotTraining", "CheckpointConfig"} & set(on_demand)
    assert "MaxWaitTimeInSeconds" not in on_demand["StoppingCondition"]


def test_checkpoints_are_addressed_by_what_training_depends_on() -> None:
    """The prefix leaves out the execution, which would defeat step caching. Configurations never share a prefix."""
    prefix = steps_by_name()["TrainSpot"]["Arguments"]["CheckpointConfig"]["S3Uri"]
    text = json.dumps(prefix)
    assert "Execution" not in text
    for name in ("DataSet", "Fingerprint", "ImageSize", "Epochs", "BatchSize", "LearningRate", "TrainInstanceType",
                 "TrainInstanceCount"):  # fmt: skip
        assert f"Parameters.{name}" in text
    assert "${headrace:CodeHash/train.py}" in text
    assert "/checkpoints/spot" in text
    for other in (
        {"seed": 1},
        {"validation_share": 0.2},
        {"test_share": 0.2},
        {"max_skipped_share": 0.2},
        {"group_pattern": "-(a)"},
    ):
        assert steps_by_name(**other)["TrainSpot"]["Arguments"]["CheckpointConfig"]["S3Uri"] != prefix


CACHE_KEYS = {
    "Processing": ("AppSpecification", "Environment", "ProcessingInputs"),
    "Training": ("AlgorithmSpecification", "CheckpointConfig", "Environment", "HyperParameters", "InputDataConfig"),
}


@pytest.mark.parametrize("name", ["Preprocess", "TrainSpot", "TrainOnDemand", "Evaluate"])
def test_cache_keys_hold_nothing_of_the_execution(name: str) -> None:
    """AWS compares these members; an execution's id in one of them would make every run a miss."""
    step = steps_by_name()[name]
    assert step["CacheConfig"] == {"Enabled": True, "ExpireAfter": "P30D"}
    key = {member: step["Arguments"].get(member) for member in CACHE_KEYS[step["Type"]]}
    assert "Execution." not in json.dumps(key)
    script = {"Preprocess": "preprocess.py", "Evaluate": "evaluate.py"}.get(name, "train.py")
    assert set(re.findall(r"\$\{headrace:Code\w+[^}]*\}", json.dumps(key))) <= {
        f"${{headrace:CodeUri/{script}}}", f"${{headrace:CodeHash/{script}}}"
    }  # fmt: skip
    assert f"${{headrace:CodeUri/{script}}}" in json.dumps(key)


def test_preprocess_reads_the_manifest_of_the_fingerprint() -> None:
    inputs = {
        item["InputName"]: item["S3Input"] for item in steps_by_name()["Preprocess"]["Arguments"]["ProcessingInputs"]
    }
    assert inputs["data"]["S3DataType"] == "ManifestFile"
    assert inputs["data"]["S3Uri"]["Std:Join"]["Values"] == [
        "s3://${headrace:DataBucket}/manifests/",
        {"Get": "Parameters.DataSet"},
        "/",
        {"Get": "Parameters.Fingerprint"},
        "/objects.manifest",
    ]
    assert inputs["contents"]["S3Uri"]["Std:Join"]["Values"][-1] == "/contents.json"


def test_champion_is_an_input_of_evaluate() -> None:
    """So that another champion is another evaluation, and not a cache hit."""
    inputs = steps_by_name()["Evaluate"]["Arguments"]["ProcessingInputs"]
    champion = next(item for item in inputs if item["InputName"] == "champion")
    assert champion["S3Input"]["S3Uri"] == {"Get": "Steps.FindChampion.OutputParameters['ModelDataUrl']"}


@pytest.mark.parametrize("name", ["Preprocess", "TrainSpot", "TrainOnDemand", "Evaluate"])
def test_every_job_starts_by_the_one_entry_point(name: str) -> None:
    arguments = steps_by_name()[name]["Arguments"]
    start = arguments.get("AppSpecification") or arguments["AlgorithmSpecification"]
    shell, option, command, zeroth = start["ContainerEntrypoint"]
    folder = "input/data/code" if name.startswith("Train") else "processing/input/code"
    assert (shell, option, zeroth) == ("/bin/sh", "-c", "entry")
    assert command == (
        f"mkdir -p /opt/ml/code && tar -xzf /opt/ml/{folder}/source.tar.gz -C /opt/ml/code"
        ' && exec python3 /opt/ml/code/entry.py "$@"'
    )
    assert (PROJECT / "training" / start["ContainerArguments"][0]).is_file()


def test_hyperparameters_are_strings() -> None:
    """SageMaker takes no numbers there, and an Integer parameter is a number until it is joined."""
    for value in steps_by_name()["TrainSpot"]["Arguments"]["HyperParameters"].values():
        assert isinstance(value, str) or set(value) == {"Std:Join"}


def test_metrics_are_read_from_the_line_that_training_prints() -> None:
    found = {item["Name"]: re.findall(item["Regex"], LINE) for item in metric_definitions()}
    assert found == {"train:loss": ["0.1234"], "validation:loss": ["1.5e-05"], "validation:accuracy": ["0.9800"]}
    assert set(found) == set(METRICS)


def test_only_faults_of_the_service_are_retried() -> None:
    """A script's error would fail the same way again, for money."""
    for step in steps_by_name().values():
        for policy in step.get("RetryPolicies", []):
            assert ("MaxAttempts" in policy) != ("ExpireAfterMin" in policy)
            assert all(kind.startswith(("Step.", "SageMaker.")) for kind in policy["ExceptionType"])


def test_quality_is_good_enough_in_every_respect_and_no_worse_than_the_champion() -> None:
    conditions = steps_by_name()["CheckQuality"]["Arguments"]["Conditions"]
    paths = [condition["LeftValue"]["Std:JsonGet"]["Path"] for condition in conditions]
    metrics = "multiclass_classification_metrics"
    assert paths == [
        f"{metrics}.accuracy.value",
        "gate.champion_margin",
        f"{metrics}.macro_f1.value",
        "lowest_recall.value",
    ]
    assert {condition["Type"] for condition in conditions} == {"GreaterThanOrEqualTo"}
    parameters = ("AccuracyThreshold", None, "MacroF1Threshold", "ClassRecallFloor")
    expected = [0.0 if name is None else {"Get": f"Parameters.{name}"} for name in parameters]
    assert [condition["RightValue"] for condition in conditions] == expected


def test_what_was_not_compared_waits_for_a_person_even_where_models_are_approved_by_themselves() -> None:
    steps = steps_by_name(model_approval_status="Approved")
    condition = steps["CheckComparison"]["Arguments"]["Conditions"][0]
    assert condition["LeftValue"]["Std:JsonGet"]["Path"] == "gate.needs_person"
    assert (condition["Type"], condition["RightValue"]) == ("LessThanOrEqualTo", 0)
    compared, not_compared = steps["RegisterModel"]["Arguments"], steps["RegisterForReview"]["Arguments"]
    assert compared["ModelApprovalStatus"] == "${headrace:ModelApprovalStatus}"
    assert not_compared["ModelApprovalStatus"] == "PendingManualApproval"
    assert compared | {"ModelApprovalStatus": ""} == not_compared | {"ModelApprovalStatus": ""}


def test_refusal_is_in_the_words_of_the_evaluation() -> None:
    values = steps_by_name()["RefuseModel"]["Arguments"]["ErrorMessage"]["Std:Join"]["Values"]
    figures = [value["Std:JsonGet"]["Path"] for value in values if isinstance(value, dict) and "Std:JsonGet" in value]
    assert figures == ["gate.refusal"]
    assert "hint:" in values[-1]


def test_evaluate_gets_every_threshold_of_the_gate() -> None:
    """The condition and the words of the refusal rest on the same figures."""
    arguments = steps_by_name()["Evaluate"]["Arguments"]["AppSpecification"]["ContainerArguments"]
    for flag, name in (
        ("--accuracy-threshold", "AccuracyThreshold"),
        ("--champion-tolerance", "ChampionTolerance"),
        ("--macro-f1-threshold", "MacroF1Threshold"),
        ("--class-recall-floor", "ClassRecallFloor"),
    ):
        given = arguments[arguments.index(flag) + 1]
        assert given == {"Std:Join": {"On": "", "Values": [{"Get": f"Parameters.{name}"}]}}


def test_registered_version_can_be_traced() -> None:
    properties = steps_by_name()["RegisterModel"]["Arguments"]["CustomerMetadataProperties"]
    assert set(properties) == {
        *("DataSet", "Fingerprint", "CodeHash", "TrainCode", "PipelineExecutionArn", "Winner", "Accuracy"),
        *("Improvement", "Classes", "ClassesDigest", "ImageSize", "Network", "Comparison", "Warnings"),
        *("ProbeAnswer",),
        *("TrainSpotJob", "TrainOnDemandJob", "ArtifactSha256", "ArtifactBytes", "ArtifactVersionId"),
    }


def test_registered_artifact_is_the_stored_one_that_evaluate_judged() -> None:
    steps = steps_by_name()
    stored = steps["StoreModel"]["Arguments"]
    assert stored["ModelDataUrl"]["Std:Join"]["Values"] == [
        {"Get": "Steps.Evaluate.ProcessingOutputConfig.Outputs['winner'].S3Output.S3Uri"},
        "/model.tar.gz",
    ]
    assert [stored[name]["Std:JsonGet"]["Path"] for name in ("Sha256", "Bytes")] == [
        "artifact.sha256",
        "artifact.bytes",
    ]
    for name in ("RegisterModel", "RegisterForReview"):
        container = steps[name]["Arguments"]["InferenceSpecification"]["Containers"][0]
        assert container["ModelDataUrl"] == {"Get": "Steps.StoreModel.OutputParameters['ModelDataUrl']"}
        recorded = steps[name]["Arguments"]["CustomerMetadataProperties"]
        assert recorded["ArtifactSha256"] == {"Std:Join": {"On": "", "Values": [stored["Sha256"]]}}
    assert steps["CheckComparison"]["DependsOn"] == ["StoreModel"]


@pytest.mark.parametrize("name", ["Preprocess", "TrainSpot", "Evaluate"])
@pytest.mark.process
def test_scripts_know_every_flag_they_are_given(name: str) -> None:
    """Hyperparameters become flags of the same name."""
    arguments = steps_by_name()[name]["Arguments"]
    start = arguments.get("AppSpecification") or arguments["AlgorithmSpecification"]
    script, *words = start["ContainerArguments"]
    flags = [word for word in words if isinstance(word, str) and word.startswith("--")]
    flags += [f"--{key}" for key in arguments.get("HyperParameters", {})]
    command = [sys.executable, str(PROJECT / "training" / script), "--help"]
    known = set(re.findall(r"--[a-z0-9-]+", subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    assert flags
    assert set(flags) <= known


def test_pretrained_weights_come_in_a_separate_channel() -> None:
    steps = steps_by_name(pretrained="resnet50")
    for name in ("TrainSpot", "TrainOnDemand"):
        uris = {
            channel["ChannelName"]: channel["DataSource"]["S3DataSource"]["S3Uri"]
            for channel in steps[name]["Arguments"]["InputDataConfig"]
        }
        assert uris["pretrained"] == "s3://${headrace:DataBucket}/pretrained/resnet50/"


def test_a_warm_pool_is_kept_for_on_demand_capacity_alone() -> None:
    steps = steps_by_name(keep_alive_seconds=600)
    assert steps["TrainOnDemand"]["Arguments"]["ResourceConfig"]["KeepAlivePeriodInSeconds"] == 600
    assert "KeepAlivePeriodInSeconds" not in steps["TrainSpot"]["Arguments"]["ResourceConfig"]


def test_the_input_mode_is_that_of_the_environment() -> None:
    steps = steps_by_name(input_mode="FastFile")
    assert steps["TrainSpot"]["Arguments"]["AlgorithmSpecification"]["TrainingInputMode"] == "FastFile"


def test_a_tuning_gives_its_best_rate_to_the_training_and_to_its_checkpoint_address() -> None:
    assert "Tune" not in steps_by_name()
    steps = steps_by_name(tuning_jobs=4)
    fixed = steps["Tune"]["Arguments"]["TrainingJobDefinition"]["StaticHyperParameters"]
    assert fixed["sagemaker_submit_directory"] == "/opt/ml/input/data/code/source.tar.gz"
    rate = {"Get": "Steps.Tune.BestTrainingJob.TunedHyperParameters['learning-rate']"}
    training = steps["TrainSpot"]["Arguments"]
    assert training["HyperParameters"]["learning-rate"] == rate
    assert json.dumps(rate) in json.dumps(training["CheckpointConfig"])
    assert "learning-rate" not in steps["Tune"]["Arguments"]["TrainingJobDefinition"]["StaticHyperParameters"]


@pytest.mark.parametrize("setting", [{"network": "timm:resnet50"}, {"crop": 0.5}, {"flip_probability": 0.5},
                                     {"ema_decay": 0.9}, {"pretrained": "a"}])  # fmt: skip
def test_what_training_depends_on_is_part_of_its_checkpoints_address(setting: dict[str, Any]) -> None:
    usual, other = (steps_by_name(**given)["TrainSpot"]["Arguments"]["CheckpointConfig"] for given in ({}, setting))
    assert usual != other


def test_every_hyperparameter_is_a_flag_of_the_training_script() -> None:
    source = (PROJECT / "training/options.py").read_text()
    for name in steps_by_name()["TrainSpot"]["Arguments"]["HyperParameters"]:
        assert f'add("--{name}"' in source
