"""Settings that cannot work are refused where they are made, with a hint."""

from math import inf, nan
from typing import Any

import pytest

from pipeline_definition import PipelineSettings, PipelineSettingsError


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"capacity": "cheap"}, "use one of spot, on-demand, both"),
        ({"accuracy_threshold": 80.0}, "accuracy_threshold is 80.0"),
        ({"accuracy_threshold": -0.1}, "accuracy_threshold is -0.1"),
        ({"champion_tolerance": 2.0}, "champion_tolerance is 2.0"),
        ({"macro_f1_threshold": 80.0}, "macro_f1_threshold is 80.0"),
        ({"class_recall_floor": -0.5}, "class_recall_floor is -0.5"),
        ({"capacity": "spot", "spot_wait_seconds": 0}, "spot_wait_seconds is 0, with capacity 'spot'"),
        ({"capacity": "both", "spot_wait_seconds": 0}, "spot_wait_seconds is 0, with capacity 'both'"),
        ({"epochs": 0}, "epochs is 0"),
        ({"image_size": 4}, "image_size is 4\nhint: use 8 to 1024 pixels"),
        ({"batch_size": 33, "train_instance_count": 2}, "batch_size is 33, which 2 instances cannot share equally"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0"),
        ({"learning_rate": nan}, "learning_rate is nan"),
        ({"learning_rate": inf}, "learning_rate is inf"),
        ({"inference_instance_types": ("ml.m5.large", "m5.large")}, "inference_instance_types holds 'm5.large'"),
        ({"train_instance_type": "g4dn.xlarge"}, "train_instance_type is 'g4dn.xlarge'"),
        ({"inference_instance_types": ()}, "inference_instance_types is empty"),
        ({"inference_instance_types": ("ml.m5.large", "ml.c5.large")}, "holds ml.c5.large, which"),
        ({"inference_instance_types": ("ml.c5.large",)}, "hint: use others, for example ml.c5.xlarge, ml.c5.2xlarge"),
        ({"inference_instance_types": ("m5.large",)}, "hint: an instance type is ml.<family>.<size>"),
        ({"validation_share": 0.6, "test_share": 0.4}, "leave something to train on"),
        ({"max_run_seconds": 30}, "max_run_seconds is 30"),
        ({"model_approval_status": "Rejected"}, "PendingManualApproval"),
        ({"seed": -1}, "seed is -1"),
        ({"group_pattern": "(patient"}, "group_pattern is '(patient', which is not a regular expression"),
        ({"group_pattern": "x" * 201}, "group_pattern has 201 characters"),
        ({"input_mode": "Pipe"}, "use one of File, FastFile"),
        ({"pretrained": "weights/"}, "pretrained is 'weights/'"),
        ({"crop": 0.0}, "crop is 0.0"),
        ({"flip_probability": 2.0}, "flip_probability is 2.0"),
        ({"keep_alive_seconds": 4000}, "use 0 to 3600"),
        ({"keep_alive_seconds": 60, "capacity": "spot"}, "no effect with capacity 'spot'"),
        ({"tuning_jobs": -1}, "use 0 jobs for no tuning"),
    ],
)
def test_wrong_setting_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(PipelineSettingsError) as caught:
        PipelineSettings(**wrong)
    assert message in str(caught.value)
    assert "\nhint: " in str(caught.value)


def test_spot_wait_does_not_matter_without_spot() -> None:
    assert PipelineSettings(capacity="on-demand", spot_wait_seconds=0).spot_wait_seconds == 0


def test_all_wrong_settings_are_named_at_once() -> None:
    with pytest.raises(PipelineSettingsError) as caught:
        PipelineSettings(image_size=2000, epochs=0, capacity="cheap")  # type: ignore[arg-type]
    what, _, hint = str(caught.value).partition("\nhint: ")
    assert what == "capacity is 'cheap'; epochs is 0; image_size is 2000"
    assert hint == "use one of spot, on-demand, both; use a whole number from 1 up; use 8 to 1024 pixels"
