"""Notices about runs that do not start: dead-lettered messages, a refused definition, a limit on cost or number."""

from __future__ import annotations

from shlex import quote

from notify.environment import Environment
from notify.messages import AlarmRaised, DefinitionRefused, OverBudget, RunLimitReached, SetAside
from notify.notice import Notice

DEAD_LETTERS = "ApproximateNumberOfMessagesVisible"


def alarm(environment: Environment, event: AlarmRaised) -> Notice:
    """The notice of an alarm. Alarms on dead-letter queues have a separate kind: their messages can be redriven."""
    dead = event.metric == DEAD_LETTERS
    to_do = [
        environment.command("redrive") + "   # once the cause is fixed: the messages are processed again",
        "the messages are kept for 14 days",
    ]
    return Notice(
        "dead-letter" if dead else "alarm",
        f"{event.description.partition('.')[0]} ({environment.pipeline})",
        [event.description, f"alarm: {event.name}, since {event.changed}", f"reason: {event.reason}"],
        to_do if dead else ["read the function's log and the dashboard; the alarm ends by itself"],
        {"alarm": event.name, "description": event.description, "reason": event.reason, "since": event.changed},
    )


def set_aside(environment: Environment, event: SetAside) -> Notice:
    return Notice(
        event.kind,
        f"a message was dead-lettered: {event.message}",
        [f"the dead-letter queue {event.queue} keeps it for 14 days", f"reason: {event.reason}"],
        [environment.command("redrive") + "   # once the cause is fixed: the messages are processed again"],
        {"queue": event.queue, "message_id": event.message_id, "message": event.message, "reason": event.reason},
    )


def definition_refused(environment: Environment, event: DefinitionRefused) -> Notice:
    """The notice of a refused definition. A definition with the wrong key has to be moved, not only uploaded again."""
    bucket, right = f"s3://{environment.data_bucket}", f"pipelines/{environment.pipeline}.json"
    place, refusal = f"{bucket}/{event.definition}", f"{bucket}/{event.definition.removesuffix('.json')}.error.json"
    if event.definition == right:
        to_do = [f"fix it and upload it again: aws s3 cp definition.json {place}"]
        end = "until a valid definition is uploaded"
    else:
        to_do = [
            f"if it is this environment's: aws s3 mv {quote(place)} {bucket}/{right}",
            f"if it is not: aws s3 rm {quote(place)}",
        ]
        end = "until it is removed from there"
    return Notice(
        event.kind,
        f"the definition {event.definition} was refused; the pipeline {environment.pipeline} stays as it was",
        [f"definition: {place}", f"error: {event.error}", f"hint: {event.hint}"],
        [*to_do, f"{refusal} has the same error, {end}"],
        {"definition": place, "version": event.version, "error": event.error, "hint": event.hint},
    )


def over_budget(environment: Environment, event: OverBudget) -> Notice:
    return Notice(
        event.kind,
        f"no run was started on {event.data_set}: it could cost ${event.estimated_cost:,.2f}",
        [
            f"data set: {event.data_set}",
            f"most that a run may cost: ${event.max_run_cost:,.2f} (max_run_cost in environments.toml)",
            f"most that this one could cost: ${event.estimated_cost:,.2f}",
            *(f"  {line}" for line in event.breakdown),
        ],
        [
            "lower instance counts, instance types or time limits in environments.toml, or raise max_run_cost; deploy",
            environment.command("redrive") + "   # then: the upload waits in the dead-letter queue",
        ],
        {
            "data_set": event.data_set,
            "fingerprint": event.fingerprint,
            "estimated_cost": event.estimated_cost,
            "max_run_cost": event.max_run_cost,
            "breakdown": event.breakdown,
        },
    )


def run_limit_reached(environment: Environment, event: RunLimitReached) -> Notice:
    """The notice of a run limit. One a day stands for all data sets that the limit concerns."""
    waits = not event.free
    runs = f"{event.limit} run{'' if event.limit == 1 else 's'}"
    raised = f"or raise {event.setting} in environments.toml and deploy"
    if waits:
        headline = f"{event.data_set} waits for its run: {runs} at the same time is the limit"
        facts = ["it is started when one of them has ended, and so are others that wait"]
        to_do = [
            f"nothing, if this is right; {raised}",
            environment.command("runs") + "   # what is under way; headrace stop RUN ends one",
        ]
    else:
        headline = f"no run was started on {event.data_set}: {runs} in 24 hours is the limit"
        facts = [
            f"the next can be started at {event.free}",
            "until then, uploads of other data sets are sent to the dead-letter queue as well",
        ]
        to_do = [
            environment.command("runs") + "   # whether what was started is what you want",
            f"wait until {event.free}, {raised}",
            environment.command("redrive") + "   # then: the uploads wait in the dead-letter queue, for 14 days",
        ]
    return Notice(
        "run-waits" if waits else event.kind,
        headline,
        [
            f"data set: {event.data_set}",
            f"limit: {event.setting} is {event.limit}, over all data sets and lines",
            *facts,
            "no further notice of this limit is sent today (UTC)",
        ],
        to_do,
        {"data_set": event.data_set, "setting": event.setting, "limit": event.limit, "free": event.free},
    )
