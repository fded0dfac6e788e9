"""A deployment's life in a few minutes: everything that its roles are there for happens once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deployed_app import function_of, store_artifact
from eventually import eventually

from headrace.client import endpoint
from headrace.client import model_packages as registry
from headrace.client.environment import Environment
from headrace.client.executions import Execution, list_executions, list_steps, read_execution, read_parameters
from headrace.commands import cdk, decision, redrive, runs, upload
from headrace.demo.digits import write_digits
from headrace.terminal.output import Output
from local_cloud import process

DATA_SET = "digits"
ATTEMPTS = 5  # that a function makes of a call (lambda/shared/aws.py)
KEPT_CHECKPOINTS = 2  # training/checkpoint.py
LONG = {"Epochs": "2000", "ImageSize": "128"}  # a training that is still on when it is to be disturbed
QUIET = Output()


class Life:
    """The acts, in the order of `live`; `images` holds few of them, because it is not accuracy that counts here."""

    def __init__(self, environment: Environment, state: Path, folder: Path, as_role: Callable[[str, str], Any]) -> None:
        self.environment, self._state, self._as_role = environment, state, as_role
        seen, self.held_out = write_digits(folder / "all")
        self.images = folder / DATA_SET
        for digit in sorted(seen.iterdir())[:3]:
            shutil.copytree(digit, self.images / digit.name)
            for image in sorted((self.images / digit.name).iterdir())[20:]:
                image.unlink()

    def live(self) -> None:
        self.strike("StartPipelineExecution", "CreateEndpointConfig")
        first = self.upload_and_run()
        self.wait_for(first, "Succeeded")
        self.upload_the_same()
        decision.decide(self.environment, QUIET, version="1", approval=registry.APPROVED, note=None)
        self.wait_until_served(1)
        endpoint.ask(self.environment, sorted(self.held_out.rglob("*.jpg"))[:1])
        self.put_definitions()
        self.stop_runs()
        self.interrupt_training()
        self.fail_runs()
        self.wait_until_served(self.register_again())
        self.serve_what_cannot_be_served()
        self.store_what_was_exchanged()
        self.set_aside_and_redrive()
        self.wait_until_served(self.register_again())

    def strike(self, *operations: str) -> None:
        """Each is throttled as often as a function tries it, so that the message has to come again."""
        rules = [f'[[fault]]\noperation = "{name}"\nkind = "throttle"\ntimes = {ATTEMPTS}\n' for name in operations]
        draft = self._state / "faults.draft"
        draft.write_text("\n".join(rules))
        draft.rename(self._state / "sagemaker" / "faults.toml")

    def upload_and_run(self, *, change: bool = False) -> Execution:
        before = {execution.arn for execution in list_executions(self.environment)}
        if change:
            image = next(self.images.rglob("*.jpg"))
            image.write_bytes(image.read_bytes() + b"\0")  # decoders ignore what follows the end of the image
        upload.upload(self.environment, QUIET, path=self.images, name=None, delete=False)
        execution = self._new_execution(before)
        self._given = read_parameters(self.environment, execution.arn)
        return execution

    def upload_the_same(self) -> None:
        """The trigger looks up the execution that this content has had."""
        bucket, image = self.environment.stack.data_bucket, next(self.images.rglob("*.jpg"))
        key = f"datasets/{DATA_SET}/{image.relative_to(self.images)}"
        count = len(list(list_executions(self.environment)))
        self.environment.client("s3").put_object(
            Bucket=bucket, Key=key, Body=image.read_bytes(), ChecksumAlgorithm="CRC32"
        )
        self.wait_until_idle()
        assert len(list(list_executions(self.environment))) == count

    def put_definitions(self) -> None:
        """A maintainer puts a bad definition, sees why it is refused, puts a good one, and drafts of all there is."""
        s3, stack = self._as_role("Maintainer", "s3"), self.environment.stack
        key, refusal = f"pipelines/{stack.pipeline}.json", f"pipelines/{stack.pipeline}.error.json"
        good = json.loads(s3.get_object(Bucket=stack.data_bucket, Key=key)["Body"].read())
        s3.put_object(Bucket=stack.data_bucket, Key=key, Body=b"no json")
        eventually("the refusal is written", lambda: refusal in self._keys(s3, "pipelines/"))
        s3.get_object(Bucket=stack.data_bucket, Key=refusal)
        good["Metadata"] = good.get("Metadata", {}) | {"changed": "by a maintainer"}
        s3.put_object(Bucket=stack.data_bucket, Key=key, Body=json.dumps(good).encode())
        eventually("the refusal is cleared", lambda: refusal not in self._keys(s3, "pipelines/"))
        for draft in ("code/draft.tar.gz", "datasets/draft.zip.part", "pipelines/draft.json"):
            s3.put_object(Bucket=stack.data_bucket, Key=draft, Body=b"{}")
            s3.get_object(Bucket=stack.data_bucket, Key=draft)
            s3.delete_object(Bucket=stack.data_bucket, Key=draft)

    def stop_runs(self) -> None:
        """One is stopped while it preprocesses, its successor while it trains; the third is left to end."""
        execution = self.upload_and_run(change=True)
        self.strike("ListPipelineParametersForExecution")  # here only the function that reports the stop calls it
        self._stop_during(execution, "Preprocess")
        execution = self._run_again()
        self._stop_during(execution, "Train")
        execution = self._run_again()
        eventually("it has ended", lambda: not read_execution(self.environment, execution.arn).going_on, seconds=180)

    def interrupt_training(self) -> None:
        """Often enough for a checkpoint to be old: the job deletes it, and so does SageMaker in S3."""
        execution = self.start_by_hand(**LONG)
        for count in range(1, KEPT_CHECKPOINTS + 2):
            job = self._job_of(execution, "TrainSpot")
            eventually("it trains", lambda job=job, count=count: self._starts(job) == count)
            process.interrupt(self._state, job)
        eventually("it trains", lambda: self._starts(self._job_of(execution, "TrainSpot")) == KEPT_CHECKPOINTS + 2)
        self.environment.client("sagemaker").stop_pipeline_execution(PipelineExecutionArn=execution.arn)
        self.wait_for(execution, "Stopped")

    def fail_runs(self) -> None:
        """In preprocessing, in training, and at the gate: each failure is reported with what is known of it."""
        before = self._notices()
        for parameters, reason in (
            ({"Epochs": "-1"}, "Train"),
            ({"AccuracyThreshold": "1.0", "Epochs": "1"}, "RefuseModel"),
            ({"ImageSize": "-1"}, "Preprocess"),
        ):
            execution = self.start_by_hand(**parameters)
            self.wait_for(execution, "Failed")
            steps = list_steps(self.environment, execution)
            assert any(step.name.startswith(reason) and step.status == "Failed" for step in steps), steps
        eventually("they are reported", lambda: self._notices() >= before + 3)

    def start_by_hand(self, **parameters: str) -> Execution:
        """A run on what was uploaded last, with other parameters."""
        arn = self.environment.client("sagemaker").start_pipeline_execution(
            PipelineName=self.environment.stack.pipeline,
            PipelineParameters=[{"Name": name, "Value": value} for name, value in (self._given | parameters).items()],
        )["PipelineExecutionArn"]
        return read_execution(self.environment, arn)

    def register_again(self, artifact: bytes | None = None) -> int:
        """One more version like the first, or with another artifact, as if a run had registered it, and approved."""
        sagemaker, group = self.environment.client("sagemaker"), self.environment.stack.model_package_group
        (first,) = [item for item in registry.list_packages(self.environment) if item["ModelPackageVersion"] == 1]
        package = sagemaker.describe_model_package(ModelPackageName=first["ModelPackageArn"])
        specification, recorded = package["InferenceSpecification"], package["CustomerMetadataProperties"]
        container = specification["Containers"][0]
        kept = {key: value for key, value in container.items() if key in ("Image", "ModelDataUrl", "Environment")}
        if artifact is not None:
            kept["ModelDataUrl"], recorded = store_artifact(self.environment, artifact)
        specification["Containers"][0] = kept
        arn = sagemaker.create_model_package(
            ModelPackageGroupName=group,
            InferenceSpecification=specification,
            ModelApprovalStatus="PendingManualApproval",
            CustomerMetadataProperties=recorded,
        )["ModelPackageArn"]
        self._approve(arn)
        return int(arn.rsplit("/", 1)[-1])

    def _approve(self, arn: str) -> None:
        """Approve with the approver's role, as a person does: list versions, read the first one's metrics, decide."""
        sagemaker, s3 = self._as_role("Approver", "sagemaker"), self._as_role("Approver", "s3")
        versions = sagemaker.list_model_packages(ModelPackageGroupName=self.environment.stack.model_package_group)
        first = min(versions["ModelPackageSummaryList"], key=lambda version: version["ModelPackageVersion"])
        package = sagemaker.describe_model_package(ModelPackageName=first["ModelPackageArn"])
        bucket, _, key = (
            package["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"].removeprefix("s3://").partition("/")
        )
        s3.get_object(Bucket=bucket, Key=key)
        sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")

    def serve_what_cannot_be_served(self) -> None:
        """An update to it is rolled back; an endpoint that cannot be created is deleted before another is made."""
        sagemaker, stack = self.environment.client("sagemaker"), self.environment.stack
        version = self.register_again(b"no archive")
        eventually("the rollback is remembered", lambda: self._was_rolled_back(version))
        decision.decide(self.environment, QUIET, version=str(version), approval=registry.REJECTED, note=None)
        decisions = stack.queues[1].url
        eventually("nobody looks at it any more", lambda: not self._count(decisions))
        sagemaker.delete_endpoint(EndpointName=stack.endpoint)
        eventually("the endpoint is gone", lambda: endpoint.read_endpoint(self.environment) is None)
        version = self.register_again(b"no archive")

        def status() -> str:
            found = endpoint.read_endpoint(self.environment)
            return found.status if found else "none"

        eventually("the endpoint has failed", lambda: status() == "Failed")
        decision.decide(self.environment, QUIET, version=str(version), approval=registry.REJECTED, note=None)
        eventually("the failed endpoint is deleted", lambda: status() in ("none", "Deleting", "Creating", "InService"))

    def store_what_was_exchanged(self) -> None:
        """The artifact of a run has other bytes than Evaluate has judged: the copy is deleted again."""
        found = self.environment.client("s3").list_objects_v2(Bucket=self.environment.stack.data_bucket, Prefix="runs/")
        (key, size), *_ = [
            (item["Key"], item["Size"]) for item in found["Contents"] if item["Key"].endswith("/winner/model.tar.gz")
        ]
        event = {"ModelDataUrl": f"s3://{self.environment.stack.data_bucket}/{key}", "Sha256": "0" * 64, "Bytes": size}
        answer = self.environment.client("lambda").invoke(
            FunctionName=function_of(self.environment, "StoreModel"), Payload=json.dumps(event)
        )
        assert "not the artifact that Evaluate judged" in answer["Payload"].read().decode()

    def set_aside_and_redrive(self) -> None:
        sqs, stack = self.environment.client("sqs"), self.environment.stack
        for queue in stack.queues:
            sqs.send_message(QueueUrl=queue.url, MessageBody="no json")
            eventually(f"{queue.name} has set it aside", lambda queue=queue: self._count(queue.dead_letters_url))
        redrive.redrive(self.environment, QUIET, list_only=False)

    def end(self) -> None:
        """While a run is on and an endpoint serves."""
        self._job_of(self.start_by_hand(**LONG), "Train")
        cdk.destroy(self.environment, QUIET)

    def wait_for(self, execution: Execution, status: str) -> None:
        eventually("it has ended", lambda: not read_execution(self.environment, execution.arn).going_on, seconds=180)
        found = read_execution(self.environment, execution.arn)
        steps = [f"{step.name}: {step.status} {step.reason or ''}" for step in list_steps(self.environment, execution)]
        assert found.status == status, steps

    def wait_until_served(self, version: int) -> None:
        def serves() -> bool:
            found = endpoint.read_endpoint(self.environment)
            return found is not None and (found.status, found.version) == ("InService", version)

        eventually(f"version {version} is served", serves)

    def wait_until_idle(self) -> None:
        """Nothing is in the upload queue, be it hidden or delayed."""
        eventually("the upload queue is empty", lambda: not self._count(self.environment.stack.upload_queue_url))

    def _run_again(self) -> Execution:
        before = {execution.arn for execution in list_executions(self.environment)}
        runs.run_again(self.environment, QUIET, data_set=DATA_SET, again=True)
        return self._new_execution(before)

    def _new_execution(self, before: set[str]) -> Execution:
        def look() -> Execution | None:
            return next((item for item in list_executions(self.environment) if item.arn not in before), None)

        execution: Execution = eventually("an execution has started", look)
        return execution

    def _stop_during(self, execution: Execution, prefix: str) -> None:
        self._job_of(execution, prefix)
        self.environment.client("sagemaker").stop_pipeline_execution(PipelineExecutionArn=execution.arn)
        self.wait_for(execution, "Stopped")

    def _job_of(self, execution: Execution, prefix: str) -> str:
        """The job of the step of this name, once it is under way."""

        def look() -> str | None:
            steps = [step for step in list_steps(self.environment, execution) if step.name.startswith(prefix)]
            return next((step.job for step in steps if step.status == "Executing" and step.job), None)

        job: str = eventually(f"{prefix} is under way", look)
        return job

    def _starts(self, job: str) -> int:
        """How often it has begun to train: each instance of a spot job says so in its log."""
        logs, group = self.environment.client("logs"), "/aws/sagemaker/TrainingJobs"
        try:
            events = logs.filter_log_events(logGroupName=group, filterPattern='"weights on"')["events"]
        except logs.exceptions.ResourceNotFoundException:
            return 0
        return sum(event["logStreamName"].startswith(job) for event in events)

    def _notices(self) -> int:
        """Notices of failed runs: each leaves a marker, so that it is not sent twice."""
        return len(self._keys(self.environment.client("s3"), "notices/"))

    def _was_rolled_back(self, version: int) -> bool:
        sagemaker, stack = self.environment.client("sagemaker"), self.environment.stack
        found = sagemaker.list_endpoint_configs(NameContains=f"{stack.endpoint}-v{version}-")["EndpointConfigs"]
        tags = [sagemaker.list_tags(ResourceArn=item["EndpointConfigArn"])["Tags"] for item in found]
        return any(tag["Key"] == "headrace:rolled-back" for each in tags for tag in each)

    def _keys(self, s3: Any, prefix: str) -> list[str]:
        answer = s3.list_objects_v2(Bucket=self.environment.stack.data_bucket, Prefix=prefix)
        return [item["Key"] for item in answer.get("Contents", [])]

    def _count(self, queue_url: str) -> int:
        names = ["", "NotVisible", "Delayed"]
        names = [f"ApproximateNumberOfMessages{name}" for name in names]
        answer = self.environment.client("sqs").get_queue_attributes(QueueUrl=queue_url, AttributeNames=names)
        return sum(int(value) for value in answer["Attributes"].values())
