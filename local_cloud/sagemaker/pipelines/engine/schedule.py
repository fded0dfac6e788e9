"""Schedule: which steps may start, given how others ended.

A step starts when every step that it waits for ended as its trigger says, and is skipped as soon as one cannot any
more: so are steps of an untaken branch, and what waits for a skipped step. A skipped step leaves no record.

A failed step stops nothing that runs, but nothing new starts; then the execution is Failed (AWS documents this for
the Fail step). It is another matter when the failure is handled: when a step waits for it with the trigger Failed or
Any and was not skipped itself. A handled failure keeps nothing from starting and does not make the execution Failed.
A stopped execution starts only what waits for a stopped step with the trigger Stopped or Any.

[unsure] AWS's published JSON schema knows names alone in DependsOn, and its developer guide does not describe triggers:
what they do here follows their names. What an execution with a handled failure ends as on AWS is not documented.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from local_cloud.sagemaker.core.statuses import StepStatus
from pipeline_language.definition import Definition, Step, Trigger
from pipeline_language.graph import dependencies

_SKIPPED = "Skipped"

# The ends of a step that each trigger of DependsOn waits for.
_ENDS: Mapping[Trigger, tuple[StepStatus, ...]] = {
    Trigger.COMPLETED: (StepStatus.SUCCEEDED,),
    Trigger.FAILED: (StepStatus.FAILED,),
    Trigger.STOPPED: (StepStatus.STOPPED,),
    Trigger.ANY: (StepStatus.SUCCEEDED, StepStatus.FAILED, StepStatus.STOPPED),
}


class Schedule:
    """The steps of one execution, and how those that are over ended."""

    def __init__(self, definition: Definition) -> None:
        self._steps = definition.steps
        self._waits_for = dependencies(definition)
        self._ends: dict[str, str] = {}  # a StepStatus or _SKIPPED, by the step's name
        self._outcomes: dict[str, bool] = {}  # of conditions

    def end(self, name: str, status: StepStatus, properties: dict[str, Any]) -> None:
        """Takes note of how a step ended, and skips what can run no more."""
        self._ends[name] = status
        if self._steps[name].type == "Condition" and status == StepStatus.SUCCEEDED:
            self._outcomes[name] = properties["Outcome"] == "True"
        while excluded := [step.name for step in self._open() if self._is_excluded(step)]:
            self._ends |= dict.fromkeys(excluded, _SKIPPED)

    def ready(self, begun: Collection[str], *, stopping: bool) -> list[Step]:
        """Steps that may run, in the order of the definition; ``begun`` are those that a restart cut off."""
        failed = self.has_failed()
        return [
            step
            for step in self._open()
            if all(self._matches(name, trigger) for name, trigger in self._waits_for[step.name].items())
            and (step.name in begun or (self.follows_a_stop(step) if stopping else not failed))
        ]

    def follows_a_stop(self, step: Step) -> bool:
        """Whether the step waited for another one that was stopped, so that a stop is what it is there for."""
        return any(self._ends.get(name) == StepStatus.STOPPED for name in self._waits_for[step.name])

    def has_failed(self) -> bool:
        """Whether a step failed and no step handles it."""
        return any(status == StepStatus.FAILED and not self._is_handled(name) for name, status in self._ends.items())

    def _is_handled(self, failed: str) -> bool:
        return any(
            StepStatus.FAILED in _ENDS[triggers[failed]] and self._ends.get(name) != _SKIPPED
            for name, triggers in self._waits_for.items()
            if failed in triggers
        )

    def _open(self) -> Iterator[Step]:
        return (step for step in self._steps.values() if step.name not in self._ends)

    def _matches(self, name: str, trigger: Trigger) -> bool:
        return self._ends.get(name) in _ENDS[trigger]

    def _is_excluded(self, step: Step) -> bool:
        branch = step.branch
        if branch is not None and self._outcomes.get(branch.condition, branch.outcome) != branch.outcome:
            return True
        waits_for = self._waits_for[step.name]
        return any(name in self._ends and not self._matches(name, trigger) for name, trigger in waits_for.items())
