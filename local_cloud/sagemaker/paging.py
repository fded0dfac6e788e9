"""What every List call shares: creation-time filters, order, and pages."""

import base64
from datetime import datetime
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

    ``SortBy``, ``SortOrder``, ``CreationTimeAfter/Before``, ``CreatedAfter/Before``, ``LastModifiedTimeAfter/Before``,
    ``MaxResults`` and ``NextToken`` of the request are honoured; the default order is the operation's. ``Name`` and
    ``Status`` sort by the item's first member that is called so.
    """
    for name, time_of in (("CreationTime", _created), ("Created", _created), ("LastModifiedTime", _modified)):
        if f"{name}After" in request:
            earliest = epoch(request[f"{name}After"])
            items = [item for item in items if time_of(item) > earliest]
        if f"{name}Before" in request:
            latest = epoch(request[f"{name}Before"])
            items = [item for item in items if time_of(item) < latest]
    sort_by = request.get("SortBy", "CreationTime")
    if sort_by != "CreationTime":
        items = sorted(items, key=lambda item: _ending_in(item, sort_by))
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


def _modified(item: dict[str, Any]) -> float:
    return float(item.get("LastModifiedTime", _created(item)))


def _ending_in(item: dict[str, Any], suffix: str) -> str:
    return next((str(value) for name, value in item.items() if name.endswith(suffix)), "")


def epoch(time: float | str) -> float:
    """Seconds since 1970 of a timestamp as the JSON protocol takes it: a number, or ISO-8601 text."""
    try:
        return float(time)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(str(time)).timestamp()
    except ValueError as error:
        raise ValidationException(f"'{time}' is no timestamp.") from error


def _offset(token: str | None) -> int:
    if token is None:
        return 0
    try:
        label, _, offset = base64.urlsafe_b64decode(token.encode()).decode().partition(":")
        if label != "offset" or not offset.isdecimal():
            raise ValueError(token)
        return int(offset)
    except ValueError as error:
        raise ValidationException("The pagination token is invalid.") from error


def summary(document: dict[str, Any], *members: str) -> dict[str, Any]:
    """The listed members of ``document``, those that are there."""
    return {member: document[member] for member in members if member in document}
