"""Tags of any resource, by its ARN."""

from typing import Any

from local_cloud.sagemaker.cloud import Call
from local_cloud.sagemaker.errors import ValidationException
from local_cloud.sagemaker.paging import page
from local_cloud.sagemaker.service import Operation, SageMaker

_LIMIT = 50


def set_at_creation(service: SageMaker, call: Call, arn: str, request: dict[str, Any]) -> None:
    """Stores the tags of a create call; the caller needs ``sagemaker:AddTags`` on the new ARN, as on AWS."""
    if request.get("Tags"):
        call.authorize("sagemaker:AddTags", arn)
        add(service, call, arn, request["Tags"])


def add(service: SageMaker, call: Call, arn: str, tags: list[dict[str, str]]) -> list[dict[str, str]]:
    with service.store.transaction():
        known = of(service, call, arn) | {tag["Key"]: tag["Value"] for tag in tags}
        if len(known) > _LIMIT:
            raise ValidationException(f"The number of tags on {arn} exceeds {_LIMIT}.")
        service.store.put(call.scope, "tags", arn, known)
    return as_list(known)


def of(service: SageMaker, call: Call, arn: str) -> dict[str, str]:
    return service.store.get(call.scope, "tags", arn) or {}


def forget(service: SageMaker, call: Call, arn: str) -> None:
    service.store.delete(call.scope, "tags", arn)


def as_list(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def _add_tags(service: SageMaker, call: Call, request: dict[str, Any]) -> dict[str, Any]:
    return {"Tags": add(service, call, request["ResourceArn"], request["Tags"])}


def _list_tags(service: SageMaker, call: Call, request: dict[str, Any]) -> dict[str, Any]:
    return page(as_list(of(service, call, request["ResourceArn"])), request, "Tags", newest_first=False)


def _delete_tags(service: SageMaker, call: Call, request: dict[str, Any]) -> dict[str, Any]:
    with service.store.transaction():
        known = of(service, call, request["ResourceArn"])
        kept = {key: value for key, value in known.items() if key not in request["TagKeys"]}
        service.store.put(call.scope, "tags", request["ResourceArn"], kept)
    return {}


OPERATIONS: dict[str, Operation] = {"AddTags": _add_tags, "ListTags": _list_tags, "DeleteTags": _delete_tags}
