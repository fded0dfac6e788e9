"""What a container runs whose job names no ContainerEntrypoint: the image's own entry point, as far as one runs here.

Of AWS's framework images that is the training toolkit with the script of the hyperparameter `sagemaker_program`
(`toolkit.py`), of an image that the user has mapped to a command that command.
"""

import json
from collections.abc import Mapping
from typing import Any

from local_cloud.sagemaker.containers.images import TOOLKIT, Counterpart
from local_cloud.sagemaker.core.errors import ValidationException

PROGRAM, SOURCE = "sagemaker_program", "sagemaker_submit_directory"
ARCHIVE = "input/source/sourcedir.tar.gz"  # below /opt/ml: the code that SOURCE names in S3
_ENTRYPOINT = "give the job a ContainerEntrypoint"
# Hyperparameters with which the SDK asks for a way of distributing that needs what this machine does not have.
_REFUSED = {
    "mp_parameters": "smdistributed.modelparallel",
    "sagemaker_distributed_dataparallel_enabled": "smdistributed.dataparallel",
    "sagemaker_mpi_enabled": "mpi",
    "sagemaker_multi_worker_mirrored_strategy_enabled": "multi_worker_mirrored_strategy",
    "sagemaker_parameter_server_enabled": "parameter_server",
    "sagemaker_pytorch_ddp_enabled": "pytorchddp",
    "sagemaker_pytorch_xla_multi_worker_enabled": "pytorchxla",
}


def training_command(request: Mapping[str, Any], counterpart: Counterpart) -> tuple[str, ...]:
    """What each host of a training job runs. Raises ValidationException where that cannot be here."""
    algorithm = request["AlgorithmSpecification"]
    arguments = tuple(algorithm.get("ContainerArguments", ()))
    if "ContainerEntrypoint" in algorithm:
        return (*algorithm["ContainerEntrypoint"], *arguments)
    if counterpart.command:
        return (*counterpart.command, *(arguments or ("train",)))
    image = algorithm["TrainingImage"]
    given, variables = request.get("HyperParameters", {}), request.get("Environment", {})
    if not (given.get(PROGRAM) or variables.get(PROGRAM.upper())):
        _refuse_without_script(image, counterpart)
    for name, way in _REFUSED.items():
        if _decoded(given.get(name, "")) not in ("", False, "false", None, {}):
            raise ValidationException(
                f"The hyperparameter {name} asks for the distribution {way}, which the local cloud does not run. "
                "hint: torch_distributed runs here, or leave distribution out"
            )
    if arguments:
        raise ValidationException(
            "ContainerArguments are for a ContainerEntrypoint; a script gets the hyperparameters as its arguments. "
            f"hint: leave them out, or {_ENTRYPOINT}"
        )
    source = _source(request)
    if source.startswith("s3://"):
        if request.get("EnableNetworkIsolation"):
            raise ValidationException(
                f"{SOURCE} is {source}, and a job with EnableNetworkIsolation cannot read S3. hint: have the code in a "
                "channel, as the SDK has it for an estimator with enable_network_isolation"
            )
        return ("python3", str(TOOLKIT), "/opt/ml", f"/opt/ml/{ARCHIVE}")
    if not source.startswith("/"):
        raise ValidationException(
            f"{SOURCE} is {source!r}, not an archive in S3 and not a path below /opt/ml/input/data. "
            f"hint: give the hyperparameter {SOURCE}, or {_ENTRYPOINT}"
        )
    return ("python3", str(TOOLKIT), "/opt/ml")


def source_in_s3(request: Mapping[str, Any], command: tuple[str, ...]) -> str | None:
    """The archive with the script, which AWS's toolkit reads as the job's role before it runs it."""
    source = _source(request)
    return source if command[-1].endswith(ARCHIVE) and source.startswith("s3://") else None


def processing_command(specification: Mapping[str, Any], counterpart: Counterpart) -> tuple[str, ...]:
    """What a processing job runs. Raises ValidationException where that cannot be here."""
    arguments = tuple(specification.get("ContainerArguments", ()))
    entrypoint = tuple(specification.get("ContainerEntrypoint", ())) or counterpart.command
    if not entrypoint:
        raise ValidationException(
            f"The image {specification['ImageUri']} has no entry point here: its counterpart is a Python environment. "
            f"hint: {_ENTRYPOINT}, as ScriptProcessor does, or map the image to a command under [local.images]"
        )
    return (*entrypoint, *arguments)


def _refuse_without_script(image: str, counterpart: Counterpart) -> None:
    family = counterpart.family
    if counterpart.configured is None and family.algorithm is not None:
        raise ValidationException(
            f"Without a script the image {image} is SageMaker's built-in algorithm {family.algorithm}, which does not "
            f"run here. hint: train with a script (the hyperparameters {PROGRAM} and {SOURCE}), or {_ENTRYPOINT}"
        )
    if counterpart.configured is None and not family.has_toolkit:
        raise ValidationException(
            f"The image {image} has no entry point here: its counterpart is a Python environment. hint: {_ENTRYPOINT}, "
            "or map the image to a command under [local.images]"
        )
    raise ValidationException(
        f"The training job has neither a script (the hyperparameter {PROGRAM}) nor a ContainerEntrypoint, so the image "
        f"{image} has nothing to run here. hint: give one of them"
    )


def _source(request: Mapping[str, Any]) -> str:
    given = _decoded(request.get("HyperParameters", {}).get(SOURCE, ""))
    return str(given or request.get("Environment", {}).get(SOURCE.upper(), ""))


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
