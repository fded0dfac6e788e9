"""The wording of what keeps runs from starting: lost messages, a refused definition, runs that are too dear or many."""

from __future__ import annotations

from shlex import quote

from notify.environment import Environment
from notify.messages import AlarmRaised, DefinitionRefused, OverBudget, RunLimitReached, SetAside
from notify.notice import Notice

DEAD_LETTERS = "ApproximateNumberOfMessagesVisible"


def alarm(environment: Environment, told: AlarmRaised) -> Notice:
    """Dead letters are a kind of their own: something was lost that can be got back."""
    dead = told.metric == DEAD_LETTERS
    to_do = [
        environment.command("redrive") + "   # once the cause is mended: has the messages processed again",
        "the messages are kept for 14 days",
    ]
    return Notice(
        "dead-letter" if dead else "alarm",
        f"{told.description.partition('.')[0]} ({environment.pipeline})",
        [told.description, f"alarm: {told.name}, since {told.changed}", f"reason: {told.reason}"],
        to_do if dead else ["read the function's log and the dashboard; the alarm ends by itself"],
        {"alarm": told.name, "description": told.description, "reason": told.reason, "since": told.changed},
    )


def set_aside(environment: Environment, told: SetAside) -> Notice:
    return Notice(
        told.kind,
        f"a message was set aside: {told.message}",
        [f"it lies in the dead-letter queue {told.queue}, for 14 days", f"reason: {told.reason}"],
        [environment.command("redrive") + "   # once the cause is mended: has the messages processed again"],
        {"queue": told.queue, "message_id": told.message_id, "message": told.message, "reason": told.reason},
    )


def definition_refused(environment: Environment, told: DefinitionRefused) -> Notice:
    """One under another name than the pipeline's is to be moved: put again where it is, it is refused again."""
    bucket, right = f"s3://{environment.data_bucket}", f"pipelines/{environment.pipeline}.json"
    place, refusal = f"{bucket}/{told.definition}", f"{bucket}/{told.definition.removesuffix('.json')}.error.json"
    if told.definition == right:
        to_do = [f"mend it and put it again: aws s3 cp definition.json {place}"]
        end = "until a good definition comes"
    else:
        to_do = [
            f"if it is this environment's: aws s3 mv {quote(place)} {bucket}/{right}",
            f"if it is not: aws s3 rm {quote(place)}",
        ]
        end = "until it is gone from there"
    return Notice(
        told.kind,
        f"the definition {told.definition} was refused; the pipeline {environment.pipeline} stays as it was",
        [f"definition: {place}", f"error: {told.error}", f"hint: {told.hint}"],
        [*to_do, f"the same is said in {refusal}, {end}"],
        {"definition": place, "version": told.version, "error": told.error, "hint": told.hint},
    )


def over_budget(environment: Environment, told: OverBudget) -> Notice:
    return Notice(
        told.kind,
        f"no run was started on {told.data_set}: it could cost ${told.estimated_cost:,.2f}",
        [
            f"data set: {told.data_set}",
            f"most that a run may cost: ${told.max_run_cost:,.2f} (max_run_cost in environments.toml)",
            f"most that this one could cost: ${told.estimated_cost:,.2f}",
            *(f"  {line}" for line in told.breakdown),
        ],
        [
            "lower instance counts, instance types or time limits in environments.toml, or raise max_run_cost; deploy",
            environment.command("redrive") + "   # then: the upload waits in the dead-letter queue",
        ],
        {
            "data_set": told.data_set,
            "fingerprint": told.fingerprint,
            "estimated_cost": told.estimated_cost,
            "max_run_cost": told.max_run_cost,
            "breakdown": told.breakdown,
        },
    )


def run_limit_reached(environment: Environment, told: RunLimitReached) -> Notice:
    """One a day speaks for all data sets that it concerns: their number is what the limit is against."""
    waits = not told.free
    runs = f"{told.limit} run{'' if told.limit == 1 else 's'}"
    raised = f"or raise {told.setting} in environments.toml and deploy"
    if waits:
        headline = f"{told.data_set} waits for its run: {runs} at the same time is the limit"
        facts = ["it is started when one of them has ended, and so are others that wait"]
        to_do = [
            f"nothing, if this is right; {raised}",
            environment.command("runs") + "   # what is under way; headrace stop RUN ends one",
        ]
    else:
        headline = f"no run was started on {told.data_set}: {runs} in 24 hours is the limit"
        facts = [
            f"the next can be started at {told.free}",
            "until then, uploads of other data sets are set aside as well",
        ]
        to_do = [
            environment.command("runs") + "   # whether what was started is what you want",
            f"wait until {told.free}, {raised}",
            environment.command("redrive") + "   # then: the uploads wait in the dead-letter queue, for 14 days",
        ]
    return Notice(
        "run-waits" if waits else told.kind,
        headline,
        [
            f"data set: {told.data_set}",
            f"limit: {told.setting} is {told.limit}, over all data sets and lines",
            *facts,
            "no further notice of this limit is sent today (UTC)",
        ],
        to_do,
        {"data_set": told.data_set, "setting": told.setting, "limit": told.limit, "free": told.free},
    )
