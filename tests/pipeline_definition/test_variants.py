"""Variants: models that really differ are trained beside each other, and Evaluate finds the best."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipeline_definition import PipelineSettings, PipelineSettingsError, build_pipeline
from pipeline_definition.variants import MOST_VARIANTS, Variant
from start_pipeline.runs.budget import estimate

SMALL = Variant(name="small")
NORMED = Variant(name="group-norm", network="small-cnn-groupnorm", learning_rate=0.01, epochs=3, batch_size=16, seed=7)
CROPPED = Variant(name="cropped", crop=0.8, flip_probability=0.5, ema_decay=0.9, pretrained="weights")


def steps(*variants: Variant, capacity: Any = "spot", **settings: Any) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    waiting = list(build_pipeline(PipelineSettings(capacity=capacity, variants=variants, **settings))["Steps"])
    while waiting:
        step = waiting.pop(0)
        found[step["Name"]] = step
        waiting += [inner for branch in ("IfSteps", "ElseSteps") for inner in step["Arguments"].get(branch, [])]
    return found


def test_each_variant_is_a_training_and_a_candidate_in_the_order_of_the_settings() -> None:
    found = steps(NORMED, SMALL)
    trainings = [name for name, step in found.items() if step["Type"] == "Training"]
    assert trainings == ["TrainGroupNorm", "TrainSmall"]
    assert found["FindChampion"]["DependsOn"] == trainings
    words = found["Evaluate"]["Arguments"]["AppSpecification"]["ContainerArguments"]
    candidates = [words[number + 1] for number, word in enumerate(words) if word == "--candidate"]
    assert candidates == [f"{name}=/opt/ml/processing/input/{name}" for name in ("group-norm", "small")]
    properties = found["RegisterModel"]["Arguments"]["CustomerMetadataProperties"]
    assert {"TrainGroupNormJob", "TrainSmallJob"} < properties.keys()


def test_what_a_variant_sets_becomes_flags_and_the_rest_is_the_pipelines() -> None:
    found = steps(NORMED, SMALL)
    own = found["TrainGroupNorm"]["Arguments"]["HyperParameters"]
    shared = found["TrainSmall"]["Arguments"]["HyperParameters"]
    assert [own[name]["Std:Join"]["Values"] for name in ("epochs", "batch-size", "learning-rate")] == [
        ["3"], ["16"], ["0.01"],
    ]  # fmt: skip
    assert (own["network"], own["seed"]) == ("small-cnn-groupnorm", "7")
    assert shared["epochs"]["Std:Join"]["Values"] == [{"Get": "Parameters.Epochs"}]
    assert (shared["network"], shared["seed"]) == ("small-cnn", "0")


def test_the_seed_of_a_variant_does_not_change_the_split() -> None:
    assert steps(NORMED)["Preprocess"] == steps(SMALL)["Preprocess"]


@pytest.mark.parametrize(("capacity", "spot"), [("spot", True), ("on-demand", False)])
def test_all_variants_are_trained_on_the_one_capacity(capacity: str, spot: bool) -> None:
    found = steps(SMALL, NORMED, capacity=capacity)
    for name in ("TrainSmall", "TrainGroupNorm"):
        arguments = found[name]["Arguments"]
        assert ("EnableManagedSpotTraining" in arguments, "CheckpointConfig" in arguments) == (spot, spot)
        tags = {tag["Key"]: tag["Value"] for tag in arguments["Tags"]}
        assert tags["TrainingType"] == ("Spot" if spot else "OnDemand")
    assert tags["Variant"] == "group-norm"


@pytest.mark.parametrize("setting", [{"network": "small-cnn-groupnorm"}, {"epochs": 3}, {"batch_size": 8}, {"seed": 1},
                                     {"learning_rate": 0.1}, {"crop": 0.5}, {"flip_probability": 0.5},
                                     {"ema_decay": 0.9}, {"pretrained": "a"}])  # fmt: skip
def test_what_a_variant_depends_on_is_part_of_its_checkpoints_address(setting: dict[str, Any]) -> None:
    usual, other = (
        json.dumps(steps(Variant(name="a", **given))["TrainA"]["Arguments"]["CheckpointConfig"])
        for given in ({}, setting)
    )
    assert usual != other


def test_two_variants_never_share_their_checkpoints() -> None:
    found = steps(SMALL, Variant(name="smaller", epochs=2))
    one, other = (found[name]["Arguments"]["CheckpointConfig"] for name in ("TrainSmall", "TrainSmaller"))
    assert one["S3Uri"]["Std:Join"]["Values"][0] != other["S3Uri"]["Std:Join"]["Values"][0]


def test_a_variants_weights_come_in_its_own_channel() -> None:
    found = steps(CROPPED, SMALL)
    channels = {
        name: {channel["ChannelName"] for channel in found[name]["Arguments"]["InputDataConfig"]}
        for name in ("TrainCropped", "TrainSmall")
    }
    assert channels["TrainCropped"] - channels["TrainSmall"] == {"pretrained"}


def test_a_definition_without_variants_is_as_it_was() -> None:
    assert "Variant" not in json.dumps(build_pipeline(PipelineSettings()))


def test_evaluate_has_no_more_inputs_than_sagemaker_takes() -> None:
    variants = [Variant(name=f"v{number}", seed=number) for number in range(MOST_VARIANTS)]
    assert len(steps(*variants)["Evaluate"]["Arguments"]["ProcessingInputs"]) <= 10


def test_the_cost_guard_counts_the_training_of_each_variant() -> None:
    definition = build_pipeline(PipelineSettings(capacity="spot", variants=(SMALL, NORMED)))
    estimated = estimate(definition, {}, {"ml.m5.xlarge": 0.2, "ml.g4dn.xlarge": 0.7})
    assert [line.step for line in estimated.lines] == ["Preprocess", "TrainSmall", "TrainGroupNorm", "Evaluate"]


@pytest.mark.parametrize(
    ("variants", "settings", "what"),
    [
        ([SMALL, NORMED], {"capacity": "both"}, "capacity is 'both', and there are variants"),
        ([SMALL], {"tuning_jobs": 2}, "tuning_jobs is 2, and there are variants"),
        ([SMALL, Variant(name="other")], {}, "the variants 'small' and 'other' are the same"),
        ([Variant(name="a-b"), Variant(name="a-b", seed=1)], {}, "would both be trained by a step TrainAB"),
        ([Variant(name="a1"), Variant(name="a-1", seed=1)], {}, "would both be trained by a step TrainA1"),
        ([Variant(name="Large")], {}, "a variant's name is 'Large'"),
        ([Variant(name="champion")], {}, "a variant's name is 'champion'"),
        ([Variant(name="a" * 21)], {}, f"a variant's name is '{'a' * 21}'"),
        ([Variant(name="a", epochs=0)], {}, "in the variant 'a', epochs is 0"),
        ([Variant(name="a", learning_rate=-1.0)], {}, "in the variant 'a', learning_rate is -1.0"),
        ([Variant(name=f"v{number}", seed=number) for number in range(7)], {}, "there are 7 variants"),
    ],
)
def test_variants_that_make_no_sense_are_refused(variants: list[Variant], settings: dict[str, Any], what: str) -> None:
    with pytest.raises(PipelineSettingsError) as caught:
        PipelineSettings(**{"capacity": "spot", **settings}, variants=tuple(variants))
    assert what in caught.value.what
    assert caught.value.hint
