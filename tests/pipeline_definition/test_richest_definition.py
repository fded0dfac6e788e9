"""CreatePipeline's request for the richest settings is a golden file; docs/definition.md says what each changes."""

from __future__ import annotations

import json
from dataclasses import fields

import botocore.session
import pytest
from botocore.model import StructureShape
from botocore.validate import ParamValidator
from richest_definition import (
    DOCUMENT,
    GOLDEN,
    NOT_TOGETHER,
    OTHER,
    RICHEST,
    WRITE,
    bound,
    changes,
    document,
    golden,
    request,
)

from local_cloud.sagemaker.pipelines.engine.check import checked
from pipeline_definition import PipelineSettings, PipelineSettingsError
from pipeline_language.definition import DefinitionError

WITHOUT_EFFECT = {"model_approval_status"}
"""In the portable definition it is a name, which the environment binds."""


def test_the_request_and_the_document_are_as_they_were(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("write_definition", default=False):
        GOLDEN.write_text(golden(), "utf-8")
        DOCUMENT.write_text(document(), "utf-8")
    assert GOLDEN.read_text("utf-8") == golden(), WRITE
    assert DOCUMENT.read_text("utf-8") == document(), WRITE


def test_the_request_fits_botocores_model() -> None:
    """The request also fits SageMaker's length limits, which botocore leaves to the server."""
    shape = botocore.session.get_session().get_service_model("sagemaker").operation_model("CreatePipeline").input_shape
    assert isinstance(shape, StructureShape)
    sent = request() | {"ClientRequestToken": "0" * 36}
    report = ParamValidator().validate(sent, shape)
    assert not report.has_errors(), report.generate_report()
    for name, value in sent.items():
        rules = shape.members[name].metadata
        assert rules.get("min", 0) <= len(value) <= rules.get("max", len(value)), name


def test_the_local_cloud_takes_the_definition() -> None:
    """It holds each step's Arguments to botocore's request; AWS's SDKs have no schema of definitions."""
    checked(json.dumps(bound(RICHEST, in_vpc=True)))


def test_settings_take_the_instance_types_of_a_model_that_the_local_cloud_takes() -> None:
    """Some of SageMaker's instance types run endpoints and no batch transforms, and a version names types for both."""
    model = botocore.session.get_session().get_service_model("sagemaker")
    kinds = {kind for use in ("ProductionVariant", "Transform") for kind in model.shape_for(f"{use}InstanceType").enum}
    definition = json.dumps(bound(PipelineSettings()))
    default = json.dumps(PipelineSettings().inference_instance_types)
    assert default in definition
    refused = set()
    for kind in sorted(kinds | {"ml.c5", "ml.c5.small", "c5.large"}):
        try:
            checked(definition.replace(default, json.dumps([kind])))
        except DefinitionError:
            refused.add(kind)
            with pytest.raises(PipelineSettingsError, match=f"inference_instance_types holds '?{kind}"):
                PipelineSettings(inference_instance_types=(kind,))
        else:
            assert PipelineSettings(inference_instance_types=(kind,)).inference_instance_types == (kind,)
    assert "ml.c5.large" in refused
    assert "ml.m5.large" not in refused


def test_every_setting_is_in_the_request_or_has_a_reason_why_not() -> None:
    names = {field.name for field in fields(PipelineSettings)}
    assert set(OTHER) == names
    default = PipelineSettings()
    assert {name for name in names if getattr(RICHEST, name) == getattr(default, name)} == set(NOT_TOGETHER)


@pytest.mark.parametrize("name", [*OTHER, "network_access"])
def test_every_setting_changes_the_definition(name: str) -> None:
    assert bool(changes(name)) == (name not in WITHOUT_EFFECT)


def test_nothing_is_left_to_be_bound() -> None:
    assert "${headrace:" not in json.dumps(bound(RICHEST, in_vpc=True))
