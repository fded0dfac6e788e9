"""Run: schedules the steps of an execution as soon as what they wait for is done.

What is known is in the store before it is acted on, so an execution that was cut off goes on where it was: finished
steps stay finished, and a step whose job is still there waits for that job again. `Schedule` says what may start.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local_cloud.sagemaker.core import events
from local_cloud.sagemaker.core.context import Context
from local_cloud.sagemaker.core.documents import DocumentKind
from local_cloud.sagemaker.core.errors import ServiceError
from local_cloud.sagemaker.core.statuses import ExecutionStatus, StepStatus
from local_cloud.sagemaker.core.store import Document, Scope, retry_while_disk_full
from local_cloud.sagemaker.pipelines.engine import cache
from local_cloud.sagemaker.pipelines.engine.check import run_attempt
from local_cloud.sagemaker.pipelines.engine.retry import pause_before_retry
from local_cloud.sagemaker.pipelines.engine.schedule import Schedule
from local_cloud.sagemaker.pipelines.engine.values import StepValues
from local_cloud.sagemaker.pipelines.steps import STEP_TYPES
from local_cloud.sagemaker.pipelines.steps.step_type import Attempt, Outcome, WaitForJob, failed, job_name
from pipeline_language.definition import Definition, DefinitionError, Step, parse
from pipeline_language.graph import own_arguments
from pipeline_language.references import Unresolved, resolve

log = logging.getLogger(__name__)

_GENERIC_FAILURE = "Step failure: One or multiple steps failed."
_MAX_PARALLEL_STEPS = 50
_ENDED_EXECUTION = (ExecutionStatus.SUCCEEDED, ExecutionStatus.FAILED, ExecutionStatus.STOPPED)
_ENDED_STEP = (StepStatus.SUCCEEDED, StepStatus.FAILED, StepStatus.STOPPED)


class ExecutionRunner:
    """Runs executions, one thread each."""

    def __init__(self, context: Context, wait_for_job: WaitForJob) -> None:
        self._context, self._wait_for_job = context, wait_for_job
        self._running: dict[str, _Run] = {}
        self._ending = False
        self._lock = threading.Lock()

    def start(self, scope: Scope, execution: Document) -> None:
        run = _Run(self._context, self._wait_for_job, scope, execution)
        with self._lock:
            self._running[execution["PipelineExecutionArn"]] = run
            if self._ending:  # a request that came while the local cloud ends; the next start runs it
                run.abandon()
        threading.Thread(target=self._run_to_end, args=(run,), name=f"execution {run.arn}", daemon=True).start()

    def request_stop(self, execution_arn: str) -> None:
        with self._lock:
            run = self._running.get(execution_arn)
        if run is not None:
            run.request_stop()

    def resume(self) -> None:
        for scope, execution in self._context.store.scan(DocumentKind.EXECUTION):
            if execution["PipelineExecutionStatus"] in _ENDED_EXECUTION:
                continue
            try:
                self.start(scope, execution)
            except DefinitionError as error:  # recorded by a version that took what this one refuses
                arn, reason = execution["PipelineExecutionArn"], f"The definition cannot be run any more. {error}"
                self._context.store.update(
                    scope,
                    DocumentKind.EXECUTION,
                    arn,
                    PipelineExecutionStatus=ExecutionStatus.FAILED,
                    FailureReason=reason,
                )

    def stop(self) -> None:
        """Leaves every execution as it is recorded; `resume` of the next process goes on."""
        with self._lock:
            self._ending = True
            for run in self._running.values():
                run.abandon()

    def _run_to_end(self, run: "_Run") -> None:
        try:
            run.run()
        except Exception:  # the boundary of the thread: an execution must end in a true state
            if not run.abandoned.is_set():
                log.exception("%s: the engine failed", run.arn)
                run.finish(ExecutionStatus.FAILED, "InternalServerError: the engine failed; its log says why.")
        finally:
            with self._lock:
                self._running.pop(run.arn, None)


class _Run:
    """One execution that runs. Only its own thread changes its record."""

    def __init__(self, context: Context, wait_for_job: WaitForJob, scope: Scope, execution: Document) -> None:
        self.context, self.scope, self.execution = context, scope, execution
        self._wait_for_job = wait_for_job
        self.arn: str = execution["PipelineExecutionArn"]
        self.stop_requested = threading.Event()
        self.abandoned = threading.Event()
        self._interrupted = threading.Event()  # stopped or abandoned: nothing goes on waiting for a retry
        self._definition: Definition = parse(execution["PipelineDefinition"])
        self._schedule = Schedule(self._definition)
        self._limit = execution.get("ParallelismConfiguration", {}).get(
            "MaxParallelExecutionSteps", _MAX_PARALLEL_STEPS
        )
        self._records: dict[str, Document] = {}

    def request_stop(self) -> None:
        self.stop_requested.set()
        self._interrupted.set()

    def abandon(self) -> None:
        self.abandoned.set()
        self._interrupted.set()

    def run(self) -> None:
        if self._recorded_status() == ExecutionStatus.STOPPING:  # asked before, or while, this run was made
            self.request_stop()
        for record in self.context.store.find(self.scope, DocumentKind.STEP, f"{self.arn}/"):
            self._records[record["StepName"]] = record
            if record["StepStatus"] in _ENDED_STEP:
                self._schedule.end(record["StepName"], record["StepStatus"], record.get("Properties", {}))
        running: dict[Future[Outcome], Step] = {}
        stopped: dict[str, Document] = {}
        with ThreadPoolExecutor(self._limit, thread_name_prefix="step") as pool:
            while not self.abandoned.is_set():
                for step in self._ready(running.values())[: self._limit - len(running)]:
                    running[pool.submit(self._run_step, step)] = step
                if not running:
                    break
                done, _ = wait(running, timeout=0.5, return_when=FIRST_COMPLETED)
                for future in done:
                    self._conclude(running.pop(future), future.result())
                if self.stop_requested.is_set():
                    self._stop_steps(list(running.values()), stopped)
        if not self.abandoned.is_set():
            self._conclude_execution()

    def finish(self, status: ExecutionStatus, reason: str | None = None) -> None:
        previous = self._recorded_status()
        now = time.time()
        self.execution = self._written(lambda: self.context.store.update(
            self.scope, DocumentKind.EXECUTION, self.arn, PipelineExecutionStatus=status, FailureReason=reason,
            LastModifiedTime=now, EndTime=now,
        ))  # fmt: skip
        events.pipeline_execution_changed(self.context.cloud, self.scope, self.execution, previous)

    def _recorded_status(self) -> str:
        """The status in the store, which a stop changes while this run is on its way."""
        execution = self.context.store.get(self.scope, DocumentKind.EXECUTION, self.arn)
        assert execution is not None, f"{self.arn} vanished"
        return str(execution["PipelineExecutionStatus"])

    def _conclude_execution(self) -> None:
        if self._schedule.has_failed():
            self.finish(ExecutionStatus.FAILED, _GENERIC_FAILURE)
        elif self.stop_requested.is_set():
            self.finish(ExecutionStatus.STOPPED)
        else:
            self.finish(ExecutionStatus.SUCCEEDED)

    def _ready(self, running: Collection[Step]) -> list[Step]:
        busy = {step.name for step in running}
        ready = self._schedule.ready(self._records, stopping=self.stop_requested.is_set())
        return [step for step in ready if step.name not in busy]

    def _run_step(self, step: Step) -> Outcome:
        """One step with its retries, in a thread of the pool; never raises."""
        try:
            record = self._records.get(step.name) or self._begin(step)
            attempt = self._attempt(step, int(record.get("AttemptCount", 0)))
            key = cache.key(step, STEP_TYPES[step.type], attempt.arguments)
            if key is not None:
                hit = cache.lookup(self.context.store, self.scope, self.execution, step, key)
                if hit is not None:
                    return self._from_cache(step, hit)
            outcome = self._attempts(attempt, record)
            if key is not None and outcome.status == StepStatus.SUCCEEDED:
                remember = partial(cache.remember, self.context.store, self.scope, self.execution, step, key, outcome)
                retry_while_disk_full(remember, self.abandoned)
            return outcome
        except (Unresolved, ServiceError, ClientError, BotoCoreError, ValueError) as error:
            return failed(f"ClientError: {error}")
        except Exception as error:  # the boundary of the thread; a defect here must not leave the step Executing
            log.exception("%s: step %s", self.arn, step.name)
            return failed(f"InternalServerError: {error}")

    def _attempts(self, attempt: Attempt, record: Document) -> Outcome:
        clock = self.context.clock
        started = clock.now() - (time.time() - record["StartTime"])
        while True:
            outcome = run_attempt(attempt)
            pause = pause_before_retry(attempt.step, outcome, attempt.number, clock.now() - started)
            if pause is None:
                return outcome
            if clock.wait(self._interrupted, pause):
                return replace(outcome, status=StepStatus.STOPPED)
            attempt = self._attempt(self._definition.steps[attempt.step.name], attempt.number + 1)
            self._record(attempt.step, AttemptCount=attempt.number)

    def _attempt(self, step: Step, number: int) -> Attempt:
        """With every reference of the step replaced; the name of its job is another one in each attempt."""
        values = StepValues(self.context, self.scope, self.execution, self._definition, self._records)
        prefix = resolve(step.arguments.get(f"{step.type}JobName"), values)
        name = job_name(self.execution, step.name, number, prefix)
        values = StepValues(self.context, self.scope, self.execution, self._definition, self._records, name)
        step = replace(step, extra=resolve(dict(step.extra), values))
        return self._unresolved(step, resolve(own_arguments(step), values), number)

    def _unresolved(self, step: Step, arguments: dict[str, Any], number: int) -> Attempt:
        return Attempt(
            context=self.context, scope=self.scope, execution=self.execution,
            step=step, arguments=arguments, number=number,
            record_metadata=lambda metadata: self._record(step, Metadata=metadata),
            wait_for_job=self._wait_for_job, is_stopping=self.stop_requested.is_set,
        )  # fmt: skip

    def _begin(self, step: Step) -> Document:
        record = {
            "StepName": step.name,
            "StepStatus": StepStatus.EXECUTING,
            "StartTime": time.time(),
            "AttemptCount": 0,
            **{f"Step{member}": text for member, text in step.description.items()},
        }
        self._written(lambda: self.context.store.put(self.scope, DocumentKind.STEP, f"{self.arn}/{step.name}", record))
        self._records[step.name] = record
        events.pipeline_step_changed(
            self.context.cloud, self.scope, self.execution, record, step.type, StepStatus.STARTING
        )
        return record

    def _record(self, step: Step, **changes: Any) -> None:
        name = f"{self.arn}/{step.name}"
        self._records[step.name] = self._written(
            lambda: self.context.store.update(self.scope, DocumentKind.STEP, name, **changes)
        )

    def _written(self, write: Callable[[], Document]) -> Document:
        return retry_while_disk_full(write, self.abandoned)

    def _from_cache(self, step: Step, hit: cache.Hit) -> Outcome:
        self._record(step, CacheHitResult={"SourcePipelineExecutionArn": hit.execution_arn})
        return Outcome(StepStatus.SUCCEEDED, properties=hit.properties, metadata=hit.metadata)

    def _conclude(self, step: Step, outcome: Outcome) -> None:
        if self.abandoned.is_set():
            return
        self._record(
            step, StepStatus=outcome.status, EndTime=time.time(), Properties=outcome.properties,
            Metadata=outcome.metadata or None, FailureReason=outcome.failure_reason,
        )  # fmt: skip
        self._schedule.end(step.name, outcome.status, outcome.properties)
        record = self._records[step.name]
        events.pipeline_step_changed(
            self.context.cloud, self.scope, self.execution, record, step.type, StepStatus.EXECUTING
        )

    def _stop_steps(self, steps: list[Step], stopped: dict[str, Document]) -> None:
        """Asks running steps to end, once for each job that they announced; a step without a job is asked later."""
        for step in steps:
            metadata = self._records.get(step.name, {}).get("Metadata")
            stop = STEP_TYPES[step.type].stop
            if stop is None or not metadata or stopped.get(step.name) == metadata:
                continue
            if self._schedule.follows_a_stop(step):
                continue
            stopped[step.name] = metadata
            try:
                stop(self._unresolved(step, {}, 0), metadata)
            except (ServiceError, ClientError, BotoCoreError) as error:  # its job runs on, and the execution waits
                log.warning("%s: step %s cannot be stopped: %s", self.arn, step.name, error)
