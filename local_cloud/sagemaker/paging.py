"""What every List call shares: creation-time filters, order, and pages."""

import base64
from typing import Any

from local_cloud.sagemaker.errors import ValidationException

_DEFAULT_PAGE = 100


def page(
    items: list[dict[str, Any]],
    request: dict[str, Any],
    member: str,
    *,
    newest_first: bool = True,
) -> dict[str, Any]:
    """One page of ``items`` (oldest first, as the store gives them) as ``{member: […], "NextToken": …}``.

    ``SortOrder``, ``CreationTimeAfter/Before``, ``CreatedAfter/Before``, ``MaxResults`` and ``NextToken`` of the
    request are honoured; the default order is the operation's.
    """
    after = request.get("CreationTimeAfter", request.get("CreatedAfter"))
    before = request.get("CreationTimeBefore", request.get("CreatedBefore"))
    if after is not None:
        items = [item for item in items if _created(item) > after]
    if before is not None:
        items = [item for item in items if _created(item) < before]
    order = request.get("SortOrder")
    if order == "Descending" or (order is None and newest_first):
        items = items[::-1]
    start = _offset(request.get("NextToken"))
    stop = start + request.get("MaxResults", _DEFAULT_PAGE)
    answer: dict[str, Any] = {member: items[start:stop]}
    if stop < len(items):
        answer["NextToken"] = base64.urlsafe_b64encode(f"offset:{stop}".encode()).decode()
    return answer


def _created(item: dict[str, Any]) -> float:
    return float(item.get("CreationTime", item.get("StartTime", 0)))


def _offset(token: str | None) -> int:
    if token is None:
        return 0
    try:
        label, _, offset = base64.urlsafe_b64decode(token.encode()).decode().partition(":")
        if label != "offset":
            raise ValueError(token)
        return int(offset)
    except ValueError as error:
        raise ValidationException("The pagination token is invalid.") from error


def summary(document: dict[str, Any], *members: str) -> dict[str, Any]:
    """The listed members of ``document``, those that are there."""
    return {member: document[member] for member in members if member in document}
