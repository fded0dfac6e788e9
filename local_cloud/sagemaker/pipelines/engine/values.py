"""Where references get their values from when a step starts: parameters, the execution, earlier steps, S3."""

import json
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local_cloud.sagemaker.core.context import Context
from local_cloud.sagemaker.core.errors import ServiceError
from local_cloud.sagemaker.core.statuses import StepStatus
from local_cloud.sagemaker.core.store import Document, Scope
from pipeline_language.definition import Definition
from pipeline_language.references import Path, Unresolved, follow

MAX_PROPERTY_FILE = 64 * 1024
"""Bytes. Up to which size AWS reads a file for JsonGet is not documented, so a definition must not rest on more."""


class StepValues:
    """Implements `references.Values` for one execution. Files are read as the pipeline's role."""

    def __init__(
        self,
        context: Context,
        scope: Scope,
        execution: Document,
        definition: Definition,
        records: dict[str, Document],
        job_name: str | None = None,
    ) -> None:
        """``job_name`` is that of the job which the values are for."""
        self._context, self._scope, self._execution = context, scope, execution
        self._definition, self._records, self._job_name = definition, records, job_name

    def parameter(self, name: str) -> Any:
        return self._execution["PipelineParameters"][name]

    def execution(self, name: str) -> Any:
        arn: str = self._execution["PipelineExecutionArn"]
        match name:
            case "PipelineExecutionArn":
                return arn
            case "PipelineExecutionId":
                return arn.rsplit("/", 1)[1]
            case "PipelineArn":
                return self._execution["PipelineArn"]
            case "PipelineName":
                return self._execution["PipelineArn"].rsplit("/", 1)[1]
            case "StartDateTime":
                return _iso(self._execution["CreationTime"])
            case "CurrentDateTime":
                return _iso(datetime.now(UTC).timestamp())
            case "TrainingJobName" | "ProcessingJobName" if self._job_name is not None:
                return self._job_name
        raise Unresolved(f"Execution.{name} has no value here.")

    def step(self, name: str, path: Path) -> Any:
        record, shown = self._records.get(name, {}), f"Steps.{name}.{'.'.join(map(str, path))}"
        if (status := record.get("StepStatus")) != StepStatus.SUCCEEDED:
            raise Unresolved(f"'{shown}' has no value: step '{name}' is {status}, and only one that Succeeded has any.")
        return follow(record["Properties"], path, shown)

    def property_file(self, step: str, name: str) -> Any:
        file = self._definition.steps[step].property_files[name]
        uri = self.step(step, ("ProcessingOutputConfig", "Outputs", file.output, "S3Output", "S3Uri"))
        return self.s3_json(f"{uri.rstrip('/')}/{file.path}")

    def s3_json(self, uri: str) -> Any:
        bucket, _, object_key = uri.removeprefix("s3://").partition("/")
        arn = self._execution["PipelineExecutionArn"]
        try:
            s3 = self._context.clients.get("s3", self._scope, self._execution["RoleArn"], arn)
            answer = s3.get_object(Bucket=bucket, Key=object_key)
            if answer["ContentLength"] > MAX_PROPERTY_FILE:
                raise Unresolved(
                    f"{uri} has {answer['ContentLength']:,} bytes, and the local cloud reads at most "
                    f"{MAX_PROPERTY_FILE:,} for Std:JsonGet. hint: have the step write the values that other steps "
                    "read into a small file beside it; up to which size AWS reads one is not documented."
                )
            return json.loads(answer["Body"].read())
        except (ClientError, BotoCoreError, ServiceError) as error:
            raise Unresolved(f"{uri} cannot be read: {error}") from error
        except ValueError as error:
            raise Unresolved(f"{uri} is not JSON: {error}") from error


class StartValues(StepValues):
    """What is known when an execution starts: nothing of its steps, nor of what they will write."""

    def s3_json(self, uri: str) -> Any:
        raise Unresolved(f"{uri} is not read before a step needs it.")


def _iso(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
