"""How a training job runs: download, train, upload; and, on spot capacity, again after each interruption.

Secondary statuses as AWS has them: Starting, Downloading, Training, (Interrupted, Starting, Downloading, Training)*,
Uploading, Completed. Running time is what the job holds an instance for; an interruption costs nothing.
"""

import time
from dataclasses import replace
from typing import Any

from local_cloud.sagemaker.containers import images, transfer
from local_cloud.sagemaker.containers.folder import Folder
from local_cloud.sagemaker.containers.hosts import Ending, ExitReason, Host
from local_cloud.sagemaker.containers.images.entry_points import ARCHIVE, source_in_s3, training_command
from local_cloud.sagemaker.containers.opt_ml import algorithm_error, message, resource_config
from local_cloud.sagemaker.core.documents import DocumentKind
from local_cloud.sagemaker.core.errors import ServiceError
from local_cloud.sagemaker.core.statuses import JobStatus, SecondaryStatus
from local_cloud.sagemaker.core.store import Document
from local_cloud.sagemaker.jobs.job import Job, publish
from local_cloud.sagemaker.jobs.training.checkpoints import Checkpoints
from local_cloud.sagemaker.jobs.training.metrics import Metrics
from local_cloud.sagemaker.jobs.training.pipes import Pipes

_DEFAULT_SECONDS = 24 * 3600
# BillableTimeInSeconds of a spot job is its running time at the spot price; 0.3 of the on-demand price is an
# assumption of this local cloud (AWS advertises "up to 90 %" off; 60 to 70 % is common for GPU instances).
SPOT_PRICE_SHARE = 0.3

_MESSAGES = {
    SecondaryStatus.STARTING: "Preparing the instances for training",
    SecondaryStatus.DOWNLOADING: "Downloading input data",
    SecondaryStatus.TRAINING: "Training image download completed. Training in progress.",
    SecondaryStatus.INTERRUPTED: "Spot capacity was taken away; waiting for new capacity",
    SecondaryStatus.UPLOADING: "Uploading generated training model",
    SecondaryStatus.COMPLETED: "Training job completed",
    SecondaryStatus.FAILED: "Training job failed",
    SecondaryStatus.STOPPED: "Training job stopped",
    SecondaryStatus.MAX_RUNTIME_EXCEEDED: "The job ran longer than MaxRuntimeInSeconds",
    SecondaryStatus.MAX_WAIT_TIME_EXCEEDED: "The job waited longer than MaxWaitTimeInSeconds",
}


class Training:
    """Implements `job.JobType`."""

    name = "Training"
    document = DocumentKind.TRAINING_JOB
    log_group = "/aws/sagemaker/TrainingJobs"

    def run(self, job: Job) -> None:
        try:
            _TrainingRun(job).run()
        except (transfer.TransferError, ServiceError) as error:
            self.fail(job, str(error))

    def fail(self, job: Job, reason: str) -> None:
        _conclude(job, JobStatus.FAILED, SecondaryStatus.FAILED, FailureReason=reason)


class _TrainingRun:
    def __init__(self, job: Job) -> None:
        self.job = job
        self.description = job.describe()
        self.s3 = job.client("s3")
        self.metrics = Metrics(self.description["AlgorithmSpecification"].get("MetricDefinitions", []), job.name)
        image = images.require(job.context, self.description["AlgorithmSpecification"]["TrainingImage"])
        self.command = training_command(self.description, image)
        self.hosts = job.hosts(self.description["ResourceConfig"].get("InstanceCount", 1))
        config = self.description.get("CheckpointConfig")
        # One prefix for all hosts, as on AWS: what two of them write under the same name is theirs to sort out.
        self.checkpoints = [Checkpoints(self.s3, config, host.root) for host in self.hosts] if config else []
        self.pipes = Pipes()
        stopping = self.description.get("StoppingCondition", {})
        self.longest = float(stopping.get("MaxRuntimeInSeconds", _DEFAULT_SECONDS))
        self.longest_wait = float(stopping.get("MaxWaitTimeInSeconds", float("inf")))
        self.used = 0.0  # seconds that instances were held

    def run(self) -> None:
        if self.description["TrainingJobStatus"] == JobStatus.STOPPING:
            self.job.stop_requested.set()
        begun = time.monotonic()
        while True:
            ending = self._train_once()
            if ending.reason not in (ExitReason.INTERRUPTED, ExitReason.KILLED) or ending.code == 0:
                break
            _move(self.job, SecondaryStatus.INTERRUPTED)
            if time.monotonic() - begun > self.longest_wait:
                ending = replace(ending, reason=ExitReason.MAX_WAIT)
                break
            _move(self.job, SecondaryStatus.STARTING)
        self._end(ending)

    def _train_once(self) -> Ending:
        """One stretch on the instances; spot capacity is taken away from all of them at once."""
        self.pipes = Pipes()
        try:
            ending = self._run_hosts()
            self.pipes.check()
            return ending
        finally:
            self.pipes.stop()

    def _run_hosts(self) -> Ending:
        begun = time.monotonic()
        _move(
            self.job,
            SecondaryStatus.DOWNLOADING,
            TrainingStartTime=self.job.describe().get("TrainingStartTime", time.time()),
        )
        for number, host in enumerate(self.hosts):
            self._prepare(host, number)
        for checkpoints in self.checkpoints:
            checkpoints.restore()
        _move(self.job, SecondaryStatus.TRAINING)
        try:
            return self.job.run_containers(
                self.hosts,
                image_uri=self.description["AlgorithmSpecification"]["TrainingImage"],
                command=self.command,
                environment=dict(self.description.get("Environment", {}))
                | {"TRAINING_JOB_NAME": self.job.name, "TRAINING_JOB_ARN": self.description["TrainingJobArn"]},
                seconds=self.longest - self.used,
                on_line=self.metrics.read,
                tick=self._tick,
                notes=_notes(self.description),
            )
        finally:
            self._save()
            self.used += time.monotonic() - begun

    def _prepare(self, host: Host, number: int) -> None:
        host.root.mkdir(parents=True, exist_ok=True)
        inside, description = Folder(host.root), self.description
        for folder in ("model", "output/data", "input/data"):
            (inside / folder).make()
        config = inside / "input/config"
        channels = description.get("InputDataConfig", [])
        config.write_json("hyperparameters.json", description.get("HyperParameters", {}))
        mode = description["AlgorithmSpecification"]["TrainingInputMode"]
        config.write_json("inputdataconfig.json", {item["ChannelName"]: _channel(item, mode) for item in channels})
        names = [host.name for host in self.hosts]
        instance = description["ResourceConfig"]["InstanceType"]
        config.write_json("resourceconfig.json", resource_config(instance, host.name, names))
        for channel in channels:
            folder = inside / "input/data" / channel["ChannelName"]
            source = channel["DataSource"]["S3DataSource"]
            sharded = source.get("S3DataDistributionType") == "ShardedByS3Key"
            share = slice(number, None, len(self.hosts)) if sharded else transfer.ALL
            if channel.get("InputMode", mode) == "Pipe":
                content = transfer.stream(self.s3, source, share)
                self.pipes.add(inside / "input/data", channel["ChannelName"], content)
            elif not folder.exists():  # a spot job's new instance downloads again; here the files are still there
                transfer.download(self.s3, source, folder, share)
        source_code = source_in_s3(description, self.command)
        if source_code is not None:
            transfer.download_into(self.s3, source_code, inside, ARCHIVE)

    def _tick(self) -> None:
        self.pipes.check()
        self._save()

    def _save(self) -> None:
        self.metrics.publish(self.job.client("cloudwatch"))
        for checkpoints in self.checkpoints:
            checkpoints.save()

    def _end(self, ending: Ending) -> None:
        job = self.job
        if ending.reason == ExitReason.EXITED and ending.code != 0:
            outputs = [Folder(host.root, "output") for host in self.hosts]
            written = [(when, number) for number, output in enumerate(outputs) if (when := output.changed("failure"))]
            first = outputs[min(written, default=(0, 0))[1]]
            # A host fails in its turn when another is gone.
            reason = algorithm_error(message(first, "failure"), ending.code)
            _conclude(job, JobStatus.FAILED, SecondaryStatus.FAILED, FailureReason=reason, **self._times())
            return
        _move(job, SecondaryStatus.UPLOADING)
        self._upload()
        figures: dict[str, Any] = self._times() | {"FinalMetricDataList": self.metrics.final() or None}
        match ending.reason:
            case ExitReason.MAX_RUNTIME:
                _conclude(job, JobStatus.STOPPED, SecondaryStatus.MAX_RUNTIME_EXCEEDED, **figures)
            case ExitReason.MAX_WAIT:
                _conclude(job, JobStatus.STOPPED, SecondaryStatus.MAX_WAIT_TIME_EXCEEDED, **figures)
            case ExitReason.STOPPED:
                _conclude(job, JobStatus.STOPPED, SecondaryStatus.STOPPED, **figures)
            case _:
                _conclude(job, JobStatus.COMPLETED, SecondaryStatus.COMPLETED, **figures)

    def _upload(self) -> None:
        archive = self.job.directory / "model.tar.gz"
        transfer.pack([Folder(host.root, "model") for host in self.hosts], archive)
        uri, key = artifact_uri(self.description), self.description["OutputDataConfig"].get("KmsKeyId")
        transfer.upload_file(self.s3, archive, uri, key)
        outputs = [Folder(host.root, "output", "data") for host in self.hosts]
        if any(True for folder in outputs for _ in folder.files()):
            archive = self.job.directory / "output.tar.gz"
            transfer.pack(outputs, archive)
            transfer.upload_file(self.s3, archive, uri.replace("model.tar.gz", "output.tar.gz"), key)

    def _times(self) -> dict[str, Any]:
        seconds = max(1, round(self.used))
        spot = self.description.get("EnableManagedSpotTraining", False)
        return {
            "TrainingTimeInSeconds": seconds,
            "BillableTimeInSeconds": max(1, round(seconds * SPOT_PRICE_SHARE)) if spot else seconds,
        }


def artifact_uri(request: dict[str, Any]) -> str:
    """Where the model goes; known from the request on."""
    return f"{request['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{request['TrainingJobName']}/output/model.tar.gz"


def _notes(description: Document) -> list[str]:
    """Lines for the log."""
    mode = description["AlgorithmSpecification"]["TrainingInputMode"]
    channels = description.get("InputDataConfig", [])
    fast = [channel["ChannelName"] for channel in channels if channel.get("InputMode", mode) == "FastFile"]
    return [f"FastFile: {', '.join(fast)}: here all files are downloaded first, to the same paths"] if fast else []


def _channel(channel: dict[str, Any], mode: str) -> dict[str, str]:
    source = channel["DataSource"]["S3DataSource"]
    return {
        "TrainingInputMode": channel.get("InputMode", mode),
        "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
        "RecordWrapperType": channel.get("RecordWrapperType", "None"),
        **({"ContentType": channel["ContentType"]} if "ContentType" in channel else {}),
    }


def _move(job: Job, secondary: SecondaryStatus, **more: Any) -> Document:
    """Enters a secondary status: the record first, then the event."""
    now = time.time()
    transitions: list[dict[str, Any]] = job.describe()["SecondaryStatusTransitions"]
    if transitions[-1]["Status"] != secondary:
        transitions[-1].setdefault("EndTime", now)
        transitions.append({"Status": secondary, "StartTime": now, "StatusMessage": _MESSAGES[secondary]})
    description = job.update(
        SecondaryStatus=secondary, SecondaryStatusTransitions=transitions, LastModifiedTime=now, **more
    )
    publish(job.context, job.scope, "Training", description)
    return description


def _conclude(job: Job, status: JobStatus, secondary: SecondaryStatus, **more: Any) -> None:
    _move(job, secondary, TrainingJobStatus=status, TrainingEndTime=time.time(), **more)
