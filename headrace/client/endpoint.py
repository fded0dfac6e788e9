"""The endpoint: what it serves, and what it answers about images."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from headrace.client.environment import Environment
from headrace.client.image_types import UNKNOWN, media_type
from headrace.client.model_packages import PENDING, is_servable, list_packages
from headrace.errors import HeadraceError, NotFound, SetupError, error_code, is_missing

LARGEST_BODY = 6_291_456  # bytes; SageMaker's limit of a real-time request


IN_SERVICE = "InService"


@dataclass(frozen=True, slots=True)
class Endpoint:
    name: str
    status: str
    reason: str | None
    version: int | None  # of the model package that it serves; None if unknown
    configuration: str | None = None  # the name of its endpoint configuration


@dataclass(frozen=True, slots=True)
class Answer:
    file: Path
    label: str | None
    probability: float | None
    probabilities: dict[str, float]
    error: str | None

    def as_data(self) -> dict[str, Any]:
        return {
            "file": str(self.file),
            "label": self.label,
            "probability": self.probability,
            "probabilities": self.probabilities,
            "error": self.error,
        }


def read_endpoint(environment: Environment) -> Endpoint | None:
    """None while there is no endpoint: the first approval makes it."""
    name = environment.stack.endpoint
    with environment.doing(f"reading the endpoint {name}"):
        try:
            found = environment.client("sagemaker").describe_endpoint(EndpointName=name)
        except ClientError as error:
            if is_missing(error):
                return None
            raise
        configuration = found.get("EndpointConfigName")
        version = _served_version(environment, configuration)
    return Endpoint(name, found["EndpointStatus"], found.get("FailureReason"), version, configuration)


def wait_for_endpoint(
    environment: Environment,
    *,
    seconds: float,
    interval: float = 2.0,
    waiting: Callable[[Endpoint | None], None] = lambda endpoint: None,
) -> Endpoint:
    """The endpoint, once it is in service with the newest approved version (or with one whose version is unknown).

    An update that is rolled back ends InService too, with the version before: InService alone is not success.
    `waiting` is called once, before the first wait, with what there is.

    Raises:
        SetupError: it is not so within `seconds`; the message says what there is instead.
    """
    deadline = time.monotonic() + seconds
    told = False
    while True:
        endpoint = read_endpoint(environment)
        wanted = _newest_approved(environment)
        serves = endpoint.version if endpoint else None
        if endpoint and endpoint.status == IN_SERVICE and (seconds <= 0 or serves in (None, wanted) or wanted is None):
            return endpoint
        if time.monotonic() + interval > deadline or (endpoint and endpoint.status == "Failed"):
            raise _not_ready(environment, endpoint, wanted, waited=seconds > 0)
        if not told:
            told = True
            waiting(endpoint)
        time.sleep(interval)


def ask(environment: Environment, images: Sequence[Path]) -> list[Answer]:
    """Ask the endpoint about each image, a few at a time."""
    client, name = environment.client("sagemaker-runtime"), environment.stack.endpoint

    def one(image: Path) -> Answer:
        try:
            content = image.read_bytes()
            with environment.doing(f"asking {name} about {image}"):
                body = client.invoke_endpoint(
                    EndpointName=name, ContentType=media_type(content) or UNKNOWN, Accept="application/json",
                    Body=content,
                )["Body"].read()  # fmt: skip
        except OSError as error:
            return Answer(image, None, None, {}, f"cannot be read: {error.strerror}")
        except HeadraceError as error:
            if isinstance(error.__cause__, ClientError) and error_code(error.__cause__) == "ModelError":
                said = error.__cause__.response.get("OriginalMessage") or str(error.__cause__)
                return Answer(image, None, None, {}, _reason(str(said)))
            raise
        return _answer(image, body)

    with ThreadPoolExecutor(4, thread_name_prefix="predict") as pool:
        return list(pool.map(one, images))


def _reason(said: str) -> str:
    """What the model's server said, on one line: the message, where it answered with JSON that has one."""
    with suppress(ValueError, KeyError, TypeError):  # plain text, or another server's form
        said = str(json.loads(said)["message"])
    return " ".join(said.split())


def _answer(image: Path, body: bytes) -> Answer:
    try:
        prediction = json.loads(body)["predictions"][0]
        if "error" in prediction:
            return Answer(image, None, None, {}, str(prediction["error"]))
        return Answer(
            image,
            str(prediction["label"]),
            float(prediction["probability"]),
            {str(label): float(value) for label, value in prediction.get("probabilities", {}).items()},
            None,
        )
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return Answer(image, None, None, {}, f"the endpoint's answer has another form: {body[:80]!r}")


def _served_version(environment: Environment, config_name: str | None) -> int | None:
    """The model package version behind an endpoint configuration; None if it serves no package, or may not be read."""
    if config_name is None:
        return None
    client = environment.client("sagemaker")
    try:
        config = client.describe_endpoint_config(EndpointConfigName=config_name)
        model = client.describe_model(ModelName=config["ProductionVariants"][0]["ModelName"])
    except ClientError as error:
        if is_missing(error) or error_code(error) == "AccessDeniedException":
            return None
        raise
    containers = [model.get("PrimaryContainer", {}), *model.get("Containers", [])]
    arns = [str(container["ModelPackageName"]) for container in containers if "ModelPackageName" in container]
    group, _, number = arns[0].rpartition("/") if arns else ("", "", "")
    own = environment.stack.model_package_group.rpartition("/")[2]  # of a name, or of another account's ARN
    return int(number) if number.isdigit() and group.rpartition("/")[2].lower() == own.lower() else None


def _newest_approved(environment: Environment) -> int | None:
    approved = (item for item in list_packages(environment) if is_servable(item))
    return next((int(item["ModelPackageVersion"]) for item in approved), None)


def _not_ready(
    environment: Environment, endpoint: Endpoint | None, wanted: int | None, *, waited: bool
) -> HeadraceError:
    name = environment.stack.endpoint
    again = environment.command("predict --wait 600 IMAGE")
    repair = f"{environment.command('repair')}   # deploys version {wanted}"
    if endpoint is None and wanted is None:
        pending = any(item.get("ModelApprovalStatus") == PENDING for item in list_packages(environment))
        hint = environment.registry_command("approve latest" if pending else "upload FOLDER")
        return NotFound(f"there is no endpoint {name} yet: approving a model version makes it", hint=hint)
    if endpoint is None:
        return NotFound(f"there is no endpoint {name}, though version {wanted} is approved", hint=repair)
    reason = f": {endpoint.reason}" if endpoint.reason else ""
    if endpoint.status == "Failed" and wanted is not None:
        return SetupError(f"the endpoint {name} is Failed{reason}", hint=repair)
    if endpoint.status != IN_SERVICE:
        hint = f"{environment.command('status')}   # shows how to repair it" if waited else again
        return SetupError(f"the endpoint {name} is {endpoint.status}, not {IN_SERVICE}{reason}", hint=hint)
    return SetupError(
        f"the endpoint {name} serves version {endpoint.version}, not version {wanted}, the newest approved one{reason}",
        hint=f"{environment.command('predict IMAGE')}   # asks the version it serves now",
    )
