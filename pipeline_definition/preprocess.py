"""Preprocess: from uploaded files to arrays, split into train, validation and test."""

from __future__ import annotations

from typing import Any

from pipeline_definition.job import (
    PROCESSING_INPUT,
    PROCESSING_OUTPUT,
    cache,
    entrypoint,
    job_retries,
    processing_input,
    processing_output_to,
    processing_resources,
)
from pipeline_definition.references import binding, code_uri, join, parameter, text
from pipeline_definition.settings import PipelineSettings

NAME = "Preprocess"
SCRIPT = "preprocess.py"
SPLITS = ("train", "validation", "test")
TEST_FILES = "test-files"  # the test images as they are, because each model prepares them with its own code
OUTPUTS = (*SPLITS, TEST_FILES)


def preprocess(settings: PipelineSettings) -> dict[str, Any]:
    """Its input is a manifest whose address holds the fingerprint of the content it lists.

    So changed content under an old key is another input and no cache hit, and the same content uploaded twice is one.
    """
    return {
        "Name": NAME,
        "Type": "Processing",
        "Arguments": {
            "ProcessingResources": processing_resources(settings),
            "AppSpecification": {
                "ImageUri": binding("ProcessingImage"),
                "ContainerEntrypoint": entrypoint(f"{PROCESSING_INPUT}/code"),
                "ContainerArguments": _arguments(settings),
            },
            "RoleArn": binding("JobRoleArn"),
            "ProcessingInputs": [
                processing_input("code", code_uri(SCRIPT)),
                processing_input("data", _manifest_uri("objects.manifest"), "ManifestFile"),
                processing_input("contents", _manifest_uri("contents.json")),
            ],
            "ProcessingOutputConfig": {
                "Outputs": [processing_output_to("preprocess", name) for name in OUTPUTS],
                "KmsKeyId": binding("DataKeyArn"),
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": settings.max_run_seconds},
        },
        "CacheConfig": cache(settings),
        "RetryPolicies": job_retries(),
    }


def _manifest_uri(file: str) -> Any:
    return join(
        f"s3://{binding('DataBucket')}/manifests/", parameter("DataSet"), "/", parameter("Fingerprint"), f"/{file}"
    )


def _arguments(settings: PipelineSettings) -> list[Any]:
    outputs = [word for name in OUTPUTS for word in (f"--{name}", f"{PROCESSING_OUTPUT}/{name}")]
    return [
        SCRIPT,
        *("--data", f"{PROCESSING_INPUT}/data"),
        *("--contents", f"{PROCESSING_INPUT}/contents/contents.json"),
        *outputs,
        *("--image-size", text(parameter("ImageSize"))),
        *("--validation-share", str(settings.validation_share)),
        *("--test-share", str(settings.test_share)),
        *("--seed", str(settings.seed)),
        *("--max-skipped-share", str(settings.max_skipped_share)),
        # One word, because a pattern may begin with a hyphen.
        *([f"--group-pattern={settings.group_pattern}"] if settings.group_pattern else []),
    ]
