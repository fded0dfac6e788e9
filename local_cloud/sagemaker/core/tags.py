"""Tags of any resource, by its ARN."""

from typing import Any

from local_cloud.sagemaker.core import arns
from local_cloud.sagemaker.core.cloud import Call
from local_cloud.sagemaker.core.context import Context, Operations
from local_cloud.sagemaker.core.documents import DocumentKind
from local_cloud.sagemaker.core.errors import ValidationException
from local_cloud.sagemaker.core.paging import page
from local_cloud.sagemaker.core.store import Scope, Store

_LIMIT = 50


def tag_on_create(store: Store, call: Call, arn: str, request: dict[str, Any]) -> None:
    """Stores the tags of a create call; the caller needs ``sagemaker:AddTags`` on the new ARN, as on AWS."""
    if request.get("Tags"):
        call.authorize("sagemaker:AddTags", arn)
        add(store, call.scope, arn, request["Tags"])


def add(store: Store, scope: Scope, arn: str, tags: list[dict[str, str]]) -> list[dict[str, str]]:
    with store.transaction():
        known = get(store, scope, arn) | {tag["Key"]: tag["Value"] for tag in tags}
        if len(known) > _LIMIT:
            raise ValidationException(f"The number of tags on {arn} exceeds {_LIMIT}.")
        store.put(scope, DocumentKind.TAGS, arn, known)
    return as_list(known)


def get(store: Store, scope: Scope, arn: str) -> dict[str, str]:
    return store.get(scope, DocumentKind.TAGS, arn) or {}


def delete(store: Store, scope: Scope, arn: str) -> None:
    store.delete(scope, DocumentKind.TAGS, arn)


def as_list(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


class Tags:
    """Tags: add, list, delete."""

    def __init__(self, context: Context) -> None:
        self._store = context.store

    def operations(self) -> Operations:
        return {
            "AddTags": self._add_tags,
            "ListTags": self._list_tags,
            "DeleteTags": self._delete_tags,
        }

    def _add_tags(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {"Tags": add(self._store, call.scope, _own(call, request), request["Tags"])}

    def _list_tags(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return page(as_list(get(self._store, call.scope, _own(call, request))), request, "Tags", newest_first=False)

    def _delete_tags(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        arn = _own(call, request)
        with self._store.transaction():
            known = get(self._store, call.scope, arn)
            kept = {key: value for key, value in known.items() if key not in request["TagKeys"]}
            self._store.put(call.scope, DocumentKind.TAGS, arn, kept)
        return {}


def _own(call: Call, request: dict[str, Any]) -> str:
    """The resource's ARN. No policy gives another account access to tags."""
    arn: str = request["ResourceArn"]
    if arns.scope_of(arn, call.scope) != call.scope:
        raise ValidationException(f"{arn} is a resource of another account or region than the request.")
    return arn
