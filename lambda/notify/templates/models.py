"""Notices about a model version: it waits for approval, is served, was rolled back, or its endpoint failed."""

from __future__ import annotations

from collections.abc import Mapping

from notify.environment import Environment
from notify.messages import ArtifactRefused, Deployed, EndpointDiffers, EndpointFailed, RolledBack
from notify.notice import Notice
from notify.queries import Version


def model_waits(environment: Environment, version: Version, champion: Version | None) -> Notice:
    run = "" if version.execution_arn is None else version.execution_arn.rpartition("/")[2]
    in_use = "none yet" if champion is None else f"version {champion.number}, accuracy {champion.accuracy}"
    recorded = version.recorded
    facts = [
        f"accuracy on the test set: {version.accuracy}",
        f"champion, the newest approved version: {in_use}",
        *_compared(recorded, champion),
        *_classes(recorded, champion),
        *([f"warning: {recorded['Warnings']}"] if recorded.get("Warnings", "none") != "none" else []),
        f"data set: {recorded.get('DataSet', 'not recorded')}",
        f"run: {run or 'not recorded'}",
        f"version: {version.arn}",
    ]
    by_cli = f"aws sagemaker update-model-package --model-package-arn {version.arn} --model-approval-status Approved"
    return Notice(
        "approval-needed",
        f"version {version.number} of {environment.model_package_group} waits for approval",
        facts,
        [
            environment.decision(f"approve {version.number}") + "   # deploys it",
            environment.decision(f"reject {version.number}"),
            f"{by_cli}   # the same without headrace",
        ],
        {
            "model_package": version.arn,
            "version": version.number,
            "accuracy": _number(recorded.get("Accuracy")),
            "comparison": recorded.get("Comparison"),
            "classes": recorded.get("Classes"),
            "warnings": recorded.get("Warnings"),
            "data_set": recorded.get("DataSet"),
            "execution": version.execution_arn,
            "champion": None
            if champion is None
            else {"version": champion.number, "accuracy": _number(champion.recorded.get("Accuracy"))},
        },
    )


def _compared(recorded: Mapping[str, str], champion: Version | None) -> list[str]:
    if "Comparison" in recorded:
        return [f"comparison: {recorded['Comparison']}"]
    if champion and "Improvement" in recorded:  # a version of an older template
        return [f"better than the champion by: {recorded['Improvement']}"]
    return []


def _classes(recorded: Mapping[str, str], champion: Version | None) -> list[str]:
    """The classes, and those of the champion if they differ: callers of the endpoint rely on the names."""
    if "Classes" not in recorded:
        return []
    facts = [f"classes: {recorded['Classes']}"]
    served = None if champion is None else champion.recorded.get("ClassesDigest")
    if champion and served and served != recorded.get("ClassesDigest"):
        facts.append(f"other classes than version {champion.number} has: {champion.recorded.get('Classes')}")
    return facts


def deployed(environment: Environment, event: Deployed, version: Version | None) -> Notice:
    facts = [
        f"endpoint: {event.endpoint}, InService and looked at after the change",
        f"configuration: {event.configuration}",
        *_of_version(version),
        f"version: {event.model_package_arn}",
    ]
    return Notice(
        event.kind,
        f"version {event.version} of {environment.model_package_group} is served by the endpoint {event.endpoint}",
        facts,
        [
            environment.line_command("predict IMAGE") + "   # ask it",
            environment.decision(f"reject {event.version}") + "   # has the version before served again",
        ],
        {
            "endpoint": event.endpoint,
            "configuration": event.configuration,
            "model_package": event.model_package_arn,
            "version": event.version,
            "accuracy": None if version is None else _number(version.recorded.get("Accuracy")),
        },
    )


def artifact_refused(environment: Environment, event: ArtifactRefused, version: Version | None) -> Notice:
    facts = [
        f"reason: {event.reason}",
        f"endpoint: {event.endpoint}, left as it is",
        *_of_version(version),
        f"version: {event.model_package_arn}",
    ]
    data_set = "DATA_SET" if version is None else version.recorded.get("DataSet", "DATA_SET")
    return Notice(
        event.kind,
        f"version {event.version} of {environment.model_package_group} is approved and is not deployed: its artifact "
        "is not the one that was registered",
        facts,
        [
            environment.decision(f"reject {event.version}") + "   # has the version before served",
            environment.decision(f"run {data_set} --again") + "   # registers it again, with its SHA-256",
            "find out who wrote there: CloudTrail's data events of the bucket show it, if they are switched on",
        ],
        {
            "endpoint": event.endpoint,
            "model_package": event.model_package_arn,
            "version": event.version,
            "reason": event.reason,
        },
    )


def rolled_back(environment: Environment, event: RolledBack, version: Version | None) -> Notice:
    facts = [
        f"endpoint: {event.endpoint}, InService",
        f"asked for: {event.configuration}",
        f"serving: {event.serving}, as before",
        f"reason: {event.reason or 'SageMaker gives none'}",
        *_of_version(version),
        f"version: {event.model_package_arn}",
    ]
    return Notice(
        event.kind,
        f"version {event.version} of {environment.model_package_group} was rolled back: it is not served",
        facts,
        [
            f"read the log group /aws/sagemaker/Endpoints/{event.endpoint} from the time of the update",
            environment.decision(f"reject {event.version}") + "   # so that registry and endpoint agree",
            environment.decision(f"approve {event.version}")
            + "   # after the rejection: tries once more. It is not tried again by itself",
        ],
        {
            "endpoint": event.endpoint,
            "configuration": event.configuration,
            "serving": event.serving,
            "reason": event.reason,
            "model_package": event.model_package_arn,
            "version": event.version,
        },
    )


def endpoint_failed(environment: Environment, event: EndpointFailed) -> Notice:
    return Notice(
        event.kind,
        f"the endpoint {event.endpoint} is {event.status} and may answer nobody",
        [f"configuration: {event.configuration}", f"reason: {event.reason or 'SageMaker gives none'}"],
        [
            f"read the log group /aws/sagemaker/Endpoints/{event.endpoint}",
            f"aws sagemaker delete-endpoint --endpoint-name {event.endpoint}   # a broken one can only be deleted",
            environment.decision("reject VERSION") + "   # a model that does not work: the one before is then served",
        ],
        {
            "endpoint": event.endpoint,
            "configuration": event.configuration,
            "status": event.status,
            "reason": event.reason,
        },
    )


DIFFERENCES = {
    "missing": "there is no endpoint {endpoint}, though version {version} is approved",
    "foreign": "the endpoint {endpoint} serves something that is not of the registry",
    "older": "the endpoint {endpoint} serves an older approved version than {version}",
    "configuration": "the endpoint {endpoint} serves version {version} with other settings than the environment has",
    "unapproved": "the endpoint {endpoint} serves a version, and none is approved",
    "withdrawn": "the endpoint {endpoint} serves a version that was rejected or deleted",
    "failed": "the endpoint {endpoint} is {status} and answers nobody",
}


def endpoint_differs(environment: Environment, event: EndpointDiffers) -> Notice:
    headline = DIFFERENCES.get(event.what, "the endpoint {endpoint} is not as wanted").format(
        endpoint=event.endpoint, version=event.version, status=event.status
    )
    facts = [
        f"endpoint: {event.endpoint}, {event.status}",
        f"serving: {event.serving or 'nothing'}",
        f"wanted: {event.wanted or 'no version is approved'}",
        "seen twice within 15 minutes; nobody has decided anything in between",
    ]
    if event.repaired:
        facts.append(f"version {event.version} is being deployed; the next notice says whether it is served")
        to_do = [environment.command("status") + "   # what is served now"]
    elif not event.version:
        to_do = [
            environment.decision("approve VERSION") + "   # deploys that version",
            f"aws sagemaker delete-endpoint --endpoint-name {event.endpoint}   # stops paying for it",
        ]
    else:
        to_do = [
            environment.command("repair") + f"   # deploys version {event.version}",
            "nothing, if it is meant to be so: it stays as it is until the next approval, rejection or deployment",
        ]
    data = {name: getattr(event, name) for name in ("endpoint", "what", "status", "serving", "wanted", "repaired")}
    return Notice(event.kind, headline, facts, to_do, data | {"version": event.version or None})


def _of_version(version: Version | None) -> list[str]:
    if version is None:
        return []
    return [f"accuracy: {version.accuracy}", f"data set: {version.recorded.get('DataSet', 'not recorded')}"]


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
