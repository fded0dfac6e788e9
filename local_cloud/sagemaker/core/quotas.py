"""Account quotas of instances, in the names of Service Quotas and the words of SageMaker's refusals.

Each kind of use has a quota for each instance type. Training and processing have one for all types together as well:
"Number of instances across all training jobs". The quotas of the local cloud are plenty unless account.toml says
otherwise (`account`), and only those that it names are counted.

A warm pool above its quota is not an error: "a warm pool isn't retained" (SageMaker's guide, train-warm-pools).
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cache

from local_cloud.sagemaker.core import shapes
from local_cloud.sagemaker.core.account import PLENTY
from local_cloud.sagemaker.core.context import Context
from local_cloud.sagemaker.core.documents import DocumentKind
from local_cloud.sagemaker.core.errors import ServiceError
from local_cloud.sagemaker.core.statuses import EndpointStatus, JobStatus
from local_cloud.sagemaker.core.store import Document, Scope

TRAINING, SPOT, PROCESSING = "training job", "spot training job", "processing job"
_ENDPOINT = "endpoint"
_ENDED = (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.STOPPED)
# The enumerations of the instance types of each use.
_TYPES = {
    TRAINING: "TrainingInstanceType",
    SPOT: "TrainingInstanceType",
    "training warm pool": "TrainingInstanceType",
    PROCESSING: "ProcessingInstanceType",
    _ENDPOINT: "ProductionVariantInstanceType",
    "transform job": "TransformInstanceType",
}
_TOGETHER = {use: f"Number of instances across all {use}s" for use in (TRAINING, SPOT, PROCESSING)}


class ResourceLimitExceeded(ServiceError):
    code = "ResourceLimitExceeded"


@cache
def names() -> tuple[str, ...]:
    """Every quota of instances there is."""
    types = {use: shapes.enumeration(shape) for use, shape in _TYPES.items()}
    single = [f"{kind} for {use} usage" for use, kinds in types.items() for kind in kinds]
    return tuple(sorted([*single, *_TOGETHER.values()]))


def code(name: str) -> str:
    """The quota's code, which is the same in every account."""
    return f"L-{hashlib.sha256(name.encode()).hexdigest()[:8].upper()}"


def require_for_training(context: Context, scope: Scope, request: Document) -> None:
    """Raises ResourceLimitExceeded. Call it in the transaction that creates the job."""
    use = _training_use(request)

    def in_use() -> Iterator[Counter[str]]:
        for job in context.store.find(scope, DocumentKind.TRAINING_JOB):
            if job["TrainingJobStatus"] not in _ENDED and _training_use(job) == use:
                yield _of_training(job)

    _require(context, use, _of_training(request), in_use)


def require_for_processing(context: Context, scope: Scope, request: Document) -> None:
    """Raises ResourceLimitExceeded. Call it in the transaction that creates the job."""

    def in_use() -> Iterator[Counter[str]]:
        for job in context.store.find(scope, DocumentKind.PROCESSING_JOB):
            if job["ProcessingJobStatus"] not in _ENDED:
                yield _of_processing(job)

    _require(context, PROCESSING, _of_processing(request), in_use)


def require_for_endpoint(context: Context, scope: Scope, config: Document) -> None:
    """Raises ResourceLimitExceeded. Call it in the transaction that creates or updates the endpoint.

    An update starts the new instances beside the old ones (blue/green), which go on counting until they are replaced.
    """
    _require(context, _ENDPOINT, _of_endpoint(config), lambda: _on_endpoints(context, scope))


def _require(context: Context, use: str, wanted: Counter[str], in_use: Callable[[], Iterable[Counter[str]]]) -> None:
    limits = context.account.read().quotas.get("sagemaker", {})
    requested = {f"{kind} for {use} usage": ({kind}, count) for kind, count in wanted.items()}
    if use in _TOGETHER:
        requested[_TOGETHER[use]] = (set(), wanted.total())
    limited = {name: asked for name, asked in requested.items() if limits.get(name, PLENTY) < PLENTY}
    if not limited:
        return
    used: Counter[str] = sum(in_use(), Counter())
    for name, (kinds, delta) in limited.items():
        current = sum(count for kind, count in used.items() if not kinds or kind in kinds)
        if current + delta > limits[name]:
            raise ResourceLimitExceeded(
                f"The account-level service limit '{name}' is {limits[name]:g} Instances, with current utilization of "
                f"{current} Instances and a request delta of {delta} Instances. Please use AWS Service Quotas to "
                "request an increase for this quota. If AWS Service Quotas is not available, contact AWS support to "
                "request an increase for this quota."
            )


def _training_use(job: Document) -> str:
    return SPOT if job.get("EnableManagedSpotTraining") else TRAINING


def _of_training(job: Document) -> Counter[str]:
    resources = job["ResourceConfig"]
    return Counter({resources["InstanceType"]: resources.get("InstanceCount", 1)})


def _of_processing(job: Document) -> Counter[str]:
    cluster = job["ProcessingResources"]["ClusterConfig"]
    return Counter({cluster["InstanceType"]: cluster["InstanceCount"]})


def _of_endpoint(config: Document) -> Counter[str]:
    found: Counter[str] = Counter()
    for variant in config["ProductionVariants"]:
        if "InstanceType" in variant:  # a serverless one has none
            found[variant["InstanceType"]] += variant.get("InitialInstanceCount", 1)
    return found


def _on_endpoints(context: Context, scope: Scope) -> Iterator[Counter[str]]:
    for endpoint in context.store.find(scope, DocumentKind.ENDPOINT):
        pending = endpoint.get("PendingDeploymentSummary", {}).get("EndpointConfigName")
        for name in {endpoint["EndpointConfigName"], pending} - {None}:
            config = context.store.get(scope, DocumentKind.ENDPOINT_CONFIG, name)
            if config is not None and endpoint["EndpointStatus"] != EndpointStatus.FAILED:
                yield _of_endpoint(config)
