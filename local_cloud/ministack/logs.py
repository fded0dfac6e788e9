"""FilterLogEvents as CloudWatch Logs has it: streams by name or prefix, pages, and patterns that are understood.

ministack ignores ``logStreamNamePrefix`` and answers with the events of the whole group, so that a job which wrote
nothing seemed to have written what all others did. It gives at most 10,000 events and no token for the rest, takes a
JSON pattern for one that matches everything, and gives the lines of Lambda functions no ``eventId``.
"""

import heapq
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import islice
from typing import Any

from ministack.core import responses
from ministack.services import cloudwatch_logs as logs

MAX_EVENTS = 10_000  # in one answer, as on AWS
_INVALID = "InvalidParameterException"

Answer = tuple[int, dict[str, str], bytes]


def install() -> None:
    logs._filter_log_events = filter_log_events


def filter_log_events(request: dict[str, Any]) -> Answer:
    """Answers FilterLogEvents; the token holds a time, and how many events of that time were given before."""
    name = logs._resolve_log_group_name(request)
    group = logs._log_groups.get(name)
    if group is None:
        return _error("ResourceNotFoundException", f"The specified log group does not exist: {name}")
    refusal = _refusal(request, group)
    if refusal is not None:
        return refusal
    start, end = request.get("startTime"), request.get("endTime")
    skipped = 0
    if "nextToken" in request:
        try:
            start, skipped = map(int, request["nextToken"].split(":"))
        except ValueError:
            return _error(_INVALID, "The specified nextToken is invalid.")
    matches = logs._compile_filter_pattern(request.get("filterPattern", ""))
    found = (event for event in _events(group, request, start, end) if matches(event["message"]))
    limit = min(request.get("limit", MAX_EVENTS), MAX_EVENTS)
    page = list(islice(found, skipped, skipped + limit))
    answer: dict[str, Any] = {"events": page, "searchedLogStreams": []}
    if len(page) == limit and next(found, None) is not None:
        last = page[-1]["timestamp"]
        same = sum(event["timestamp"] == last for event in page)
        answer["nextToken"] = f"{last}:{same + (skipped if same == len(page) and last == start else 0)}"
    found_so_far: Answer = responses.json_response(answer)
    return found_so_far


def _refusal(request: dict[str, Any], group: dict[str, Any]) -> Answer | None:
    names = request.get("logStreamNames", [])
    if names and "logStreamNamePrefix" in request:
        return _error(_INVALID, "logStreamNames and logStreamNamePrefix cannot be given together.")
    for name in names:
        if name not in group["streams"]:
            return _error("ResourceNotFoundException", f"The specified log stream does not exist: {name}")
    if request.get("filterPattern", "").lstrip().startswith(("{", "[", "%")):
        hint = "hint: give words to look for, and filter the lines that are found"
        return _error(
            _INVALID,
            f"filterPattern: the local cloud does not serve JSON, space-delimited and regular patterns; {hint}",
        )
    if request.get("startFromHead") is False:
        hint = "hint: leave it out, and take the last events"
        return _error(_INVALID, f"startFromHead: the local cloud gives the earliest events first only; {hint}")
    return None


def _events(
    group: dict[str, Any], request: dict[str, Any], start: int | None, end: int | None
) -> Iterator[dict[str, Any]]:
    """The events of the streams that the request names, oldest first."""
    streams = group["streams"]
    names = request.get("logStreamNames") or streams.keys()
    prefix = request.get("logStreamNamePrefix", "")
    with logs._log_events_lock:
        ranges = [
            _between(name, list(streams[name]["events"]), start, end) for name in list(names) if name.startswith(prefix)
        ]
    yield from heapq.merge(*ranges, key=lambda event: (event["timestamp"], event.get("ingestionTime", 0)))


def _between(stream: str, history: list[Any], start: int | None, end: int | None) -> Iterator[dict[str, Any]]:
    first = 0 if start is None else bisect_left(history, start, key=logs._event_timestamp)
    last = len(history) if end is None else bisect_right(history, end, key=logs._event_timestamp)
    for number in range(first, last):
        event = history[number]
        yield {"eventId": f"{stream}:{number}", **event, "logStreamName": stream}


def _error(code: str, message: str) -> Answer:
    answer: Answer = responses.error_response_json(code, message, 400)
    return answer
