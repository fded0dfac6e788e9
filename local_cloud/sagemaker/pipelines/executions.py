"""Pipeline executions: start, stop, describe, list, and the lists of their steps and parameters."""

import math
import secrets
import string
import time
from collections.abc import Mapping
from typing import Any

from local_cloud.sagemaker.core import events
from local_cloud.sagemaker.core.cloud import Call
from local_cloud.sagemaker.core.context import Context, Operations
from local_cloud.sagemaker.core.documents import DocumentKind
from local_cloud.sagemaker.core.errors import ConflictException, ResourceNotFound, ValidationException
from local_cloud.sagemaker.core.paging import page, pick
from local_cloud.sagemaker.core.statuses import ExecutionStatus
from local_cloud.sagemaker.core.store import Document
from local_cloud.sagemaker.pipelines import pipelines
from local_cloud.sagemaker.pipelines.engine.limits import Limits, unserved
from local_cloud.sagemaker.pipelines.engine.run import ExecutionRunner
from local_cloud.sagemaker.pipelines.engine.values import StartValues
from pipeline_language.definition import DEFAULT_EXPERIMENT, Parameter
from pipeline_language.references import Unresolved, as_text, resolve

_ID_CHARACTERS = string.ascii_lowercase + string.digits


class Executions:
    """Executions of pipelines: start, stop, describe, and their lists."""

    def __init__(self, context: Context, runner: ExecutionRunner, limits: Limits) -> None:
        self._context, self._store, self._runner, self._limits = context, context.store, runner, limits

    def operations(self) -> Operations:
        return {
            "StartPipelineExecution": self._start,
            "StopPipelineExecution": self._stop,
            "DescribePipelineExecution": self._describe,
            "ListPipelineExecutions": self._list,
            "ListPipelineExecutionSteps": self._list_steps,
            "ListPipelineParametersForExecution": self._list_parameters,
            "DescribePipelineDefinitionForExecution": self._describe_definition,
        }

    def _existing(self, call: Call, arn: str) -> Document:
        execution = self._store.get(call.scope, DocumentKind.EXECUTION, arn)
        if execution is None:
            raise ResourceNotFound(f"Pipeline execution '{arn}' does not exist.")
        return execution

    def _start(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        pipeline = pipelines.existing(self._context, call, request["PipelineName"])
        definition = pipelines.parsed(pipeline["PipelineDefinition"])
        given = {item["Name"]: item["Value"] for item in request.get("PipelineParameters", [])}
        parameters = _parameters(dict(definition.parameters), given)
        token = f"{pipeline['PipelineName']}/{request['ClientRequestToken']}"
        with self._store.transaction():
            started = self._store.get(call.scope, DocumentKind.START_TOKEN, token)
            if started is not None:
                return {"PipelineExecutionArn": started["PipelineExecutionArn"]}
            identifier = "".join(secrets.choice(_ID_CHARACTERS) for _ in range(12))
            arn, now = f"{pipeline['PipelineArn']}/execution/{identifier}", time.time()
            execution = pick(request, "PipelineExecutionDescription", "ParallelismConfiguration") | {
                "PipelineArn": pipeline["PipelineArn"],
                "PipelineExecutionArn": arn,
                "PipelineExecutionDisplayName": request.get(
                    "PipelineExecutionDisplayName", f"execution-{int(now * 1000)}"
                ),
                "PipelineExecutionStatus": ExecutionStatus.EXECUTING,
                "CreationTime": now,
                "LastModifiedTime": now,
                "RoleArn": pipeline["RoleArn"],
                "PipelineDefinition": pipeline["PipelineDefinition"],
                "PipelineParameters": parameters,
            }
            values = StartValues(self._context, call.scope, execution, definition, {})
            if definition.experiment is not None:
                execution["PipelineExperimentConfig"] = _experiment(definition.experiment, values)
            if found := list(unserved(definition, values, self._limits)):
                problem = f"The local cloud does not run this pipeline. {' '.join(found)}"
                if "hint:" in found[-1]:
                    raise ValidationException(problem)
                raise ValidationException(f"{problem} hint: leave out what is named, or start it on AWS")
            if "ParallelismConfiguration" in pipeline:
                execution.setdefault("ParallelismConfiguration", pipeline["ParallelismConfiguration"])
            self._store.put(call.scope, DocumentKind.EXECUTION, arn, execution)
            self._store.put(call.scope, DocumentKind.START_TOKEN, token, {"PipelineExecutionArn": arn})
        events.pipeline_execution_changed(self._context.cloud, call.scope, execution, None)
        self._runner.start(call.scope, execution)
        return {"PipelineExecutionArn": arn}

    def _stop(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        with self._store.transaction():
            execution = self._existing(call, request["PipelineExecutionArn"])
            status = execution["PipelineExecutionStatus"]
            if status == ExecutionStatus.EXECUTING:
                execution = self._store.update(
                    call.scope, DocumentKind.EXECUTION, execution["PipelineExecutionArn"],
                    PipelineExecutionStatus=ExecutionStatus.STOPPING, LastModifiedTime=time.time(),
                )  # fmt: skip
            elif status != ExecutionStatus.STOPPING:
                raise ConflictException(
                    f"Pipeline execution with ARN {execution['PipelineExecutionArn']} status {status}. "
                    "Only executions in Executing status can be stopped."
                )
        if status == ExecutionStatus.EXECUTING:
            events.pipeline_execution_changed(self._context.cloud, call.scope, execution, status)
        self._runner.request_stop(execution["PipelineExecutionArn"])
        return {"PipelineExecutionArn": execution["PipelineExecutionArn"]}

    def _describe(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        execution = self._existing(call, request["PipelineExecutionArn"])
        return pick(
            execution, "PipelineArn", "PipelineExecutionArn", "PipelineExecutionDisplayName", "PipelineExecutionStatus",
            "PipelineExecutionDescription", "PipelineExperimentConfig", "FailureReason", "CreationTime",
            "LastModifiedTime", "ParallelismConfiguration",
        )  # fmt: skip

    def _list(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        pipeline = pipelines.existing(self._context, call, request["PipelineName"])
        prefix = f"{pipeline['PipelineArn']}/execution/"
        items = [
            pick(
                execution, "PipelineExecutionArn", "PipelineExecutionStatus", "PipelineExecutionDescription",
                "PipelineExecutionDisplayName",
            )
            | {"StartTime": execution["CreationTime"]}
            | ({"PipelineExecutionFailureReason": execution["FailureReason"]} if "FailureReason" in execution else {})
            for execution in self._store.find(call.scope, DocumentKind.EXECUTION, prefix)
        ]  # fmt: skip
        return page(items, request, "PipelineExecutionSummaries")

    def _list_steps(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        if "PipelineExecutionArn" not in request:
            raise ValidationException("ListPipelineExecutionSteps needs a PipelineExecutionArn.")
        execution = self._existing(call, request["PipelineExecutionArn"])
        records = self._store.find(call.scope, DocumentKind.STEP, f"{execution['PipelineExecutionArn']}/")
        members = ("StepName", "StepDisplayName", "StepDescription", "StartTime", "EndTime", "StepStatus",
                   "CacheHitResult", "FailureReason", "Metadata", "AttemptCount")  # fmt: skip
        return page([pick(record, *members) for record in records], request, "PipelineExecutionSteps")

    def _list_parameters(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        execution = self._existing(call, request["PipelineExecutionArn"])
        items = [
            {"Name": name, "Value": as_text(value)} for name, value in sorted(execution["PipelineParameters"].items())
        ]
        return page(items, request, "PipelineParameters", newest_first=False)

    def _describe_definition(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        execution = self._existing(call, request["PipelineExecutionArn"])
        return {"PipelineDefinition": execution["PipelineDefinition"], "CreationTime": execution["CreationTime"]}


def _experiment(config: Mapping[str, Any], values: StartValues) -> dict[str, str]:
    """The names; that of the pipeline, which an experiment has by default, is in small letters then."""
    try:
        names = {member: as_text(resolve(value, values)) for member, value in config.items()}
    except Unresolved as error:
        raise ValidationException(f"PipelineExperimentConfig: {error}") from error
    if config.get("ExperimentName") == DEFAULT_EXPERIMENT["ExperimentName"]:
        names["ExperimentName"] = names["ExperimentName"].lower()
    return names


def _parameters(declared: dict[str, Parameter], given: dict[str, str]) -> dict[str, Any]:
    unknown = sorted(set(given) - set(declared))
    if unknown:
        raise ValidationException(f"Unknown parameter '{unknown[0]}'; declared are {', '.join(declared) or 'none'}.")
    values = {}
    for name, parameter in declared.items():
        value = _typed(parameter, given[name]) if name in given else parameter.default
        if value is None:
            raise ValidationException(f"Parameter '{name}' is undefined: it has no default and no value was given.")
        if parameter.allowed and value not in parameter.allowed:
            raise ValidationException(f"Parameter '{name}' is '{value}', not one of {list(parameter.allowed)}.")
        values[name] = value
    return values


def _typed(parameter: Parameter, text: str) -> Any:
    if not text:
        raise ValidationException(f"Parameter '{parameter.name}' is empty.")
    try:
        match parameter.type:
            case "Integer":
                return int(text)
            case "Float":
                if not math.isfinite(number := float(text)):
                    raise ValueError(text)
                return number
            case "Boolean":
                return {"true": True, "false": False}[text.lower()]
    except (ValueError, KeyError) as error:
        raise ValidationException(f"Parameter '{parameter.name}' is '{text}', not a {parameter.type}.") from error
    return text
