"""What every List call shares: creation-time filters, order, and pages."""

import base64
import json
from datetime import datetime
from typing import Any

from local_cloud.sagemaker.core.errors import ValidationException

_DEFAULT_PAGE = 100

Position = tuple[float | str, str]


def page(
    items: list[dict[str, Any]],
    request: dict[str, Any],
    member: str,
    *,
    newest_first: bool = True,
) -> dict[str, Any]:
    """One page of ``items`` as ``{member: […], "NextToken": …}``.

    ``SortBy``, ``SortOrder``, ``CreationTimeAfter/Before``, ``CreatedAfter/Before``, ``LastModifiedTimeAfter/Before``,
    ``MaxResults`` and ``NextToken`` of the request are honoured; the default order is the operation's. ``Name`` and
    ``Status`` sort by the item's first member that is called so.

    The token names the last item of the page, not a number: what is made or deleted between two pages moves nothing.
    """
    for name, time_of in (("CreationTime", _created), ("Created", _created), ("LastModifiedTime", _modified)):
        if f"{name}After" in request:
            earliest = epoch(request[f"{name}After"])
            items = [item for item in items if time_of(item) > earliest]
        if f"{name}Before" in request:
            latest = epoch(request[f"{name}Before"])
            items = [item for item in items if time_of(item) < latest]
    sort_by = request.get("SortBy", "CreationTime")
    order = request.get("SortOrder")
    descending = order == "Descending" or (order is None and newest_first)
    places = sorted(((_position(item, sort_by), item) for item in items), key=lambda place: place[0])
    if descending:
        places.reverse()
    if "NextToken" in request:
        last = _last(request["NextToken"], sort_by)
        places = [place for place in places if (place[0] < last if descending else place[0] > last)]
    shown = places[: request.get("MaxResults", _DEFAULT_PAGE)]
    answer: dict[str, Any] = {member: [item for _, item in shown]}
    if len(shown) < len(places):
        token = json.dumps([sort_by, *shown[-1][0]])
        answer["NextToken"] = base64.urlsafe_b64encode(token.encode()).decode()
    return answer


def _position(item: dict[str, Any], sort_by: str) -> Position:
    """Where the item stands; no two items of a list stand in the same place."""
    name = _ending_in(item, "Arn") or _ending_in(item, "Name") or _ending_in(item, "Key")
    if sort_by == "CreationTime":
        return _created(item), name
    return _ending_in(item, sort_by), name


def _last(token: str, sort_by: str) -> Position:
    """The position that a token stands for; it belongs to one order."""
    try:
        sorted_by, value, name = json.loads(base64.urlsafe_b64decode(token.encode()))
        like = float if sort_by == "CreationTime" else str
        if sorted_by != sort_by or not isinstance(value, like) or not isinstance(name, str):
            raise ValueError(token)
    except (ValueError, TypeError) as error:
        raise ValidationException("The pagination token is invalid.") from error
    return value, name


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
        raise ValidationException(f"'{time}' is not a timestamp.") from error


def pick(document: dict[str, Any], *members: str) -> dict[str, Any]:
    """The listed members of ``document``, those that are there."""
    return {member: document[member] for member in members if member in document}
