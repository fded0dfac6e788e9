"""One running job: its documents, its files, and the containers that it runs on its hosts as its role."""

import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from local_cloud.sagemaker.containers import images, vpc
from local_cloud.sagemaker.containers.hosts import (
    Ending,
    ExitReason,
    Host,
    ShuttingDown,
    make_hosts,
    rendezvous_port,
    run_to_end,
)
from local_cloud.sagemaker.containers.launcher import Container, Launcher, Process
from local_cloud.sagemaker.containers.log_stream import LogStream
from local_cloud.sagemaker.core import events, tags
from local_cloud.sagemaker.core.cloud import Credentials
from local_cloud.sagemaker.core.context import Context
from local_cloud.sagemaker.core.documents import DocumentKind
from local_cloud.sagemaker.core.store import Document, Scope


class JobType(Protocol):
    """Training or processing: which documents it has, and how one runs."""

    name: str  # Training or Processing, as in the names of the API
    document: DocumentKind
    log_group: str

    def run(self, job: "Job") -> None:
        """Runs the job to its end and records it."""

    def fail(self, job: "Job", reason: str) -> None:
        """Records the end of a job that could not be run."""


@dataclass(slots=True)
class Job:
    """One running job."""

    context: Context
    launcher: Launcher
    type: JobType
    scope: Scope
    name: str
    ended: threading.Event = field(default_factory=threading.Event)
    stop_requested: threading.Event = field(default_factory=threading.Event)
    abandoned: threading.Event = field(default_factory=threading.Event)

    @property
    def directory(self) -> Path:
        """Its own: names are unique in one account and region, and for one type of job."""
        scope = f"{self.scope.account}-{self.scope.region}"
        return self.context.directory / "jobs" / scope / f"{self.type.document}-{self.name}"

    @property
    def root(self) -> Path:
        """What the first host of the job, and the only one of most, sees as ``/opt/ml``."""
        return self.hosts(1)[0].root

    def hosts(self, count: int) -> tuple[Host, ...]:
        return make_hosts(self.directory, count)

    def describe(self) -> Document:
        document = self.context.store.get(self.scope, self.type.document, self.name)
        assert document is not None
        return document

    def update(self, **changes: Any) -> Document:
        return self.context.store.update(self.scope, self.type.document, self.name, **changes)

    @property
    def owner(self) -> str:
        """Of the network interface."""
        return f"{self.type.document}/{self.name}"

    def attach(self) -> None:
        """Gives the job its place in the VPC that it asks for. Raises AccessDenied."""
        job = self.describe()
        vpc.attach(self.context, self.scope, self.owner, job, job["RoleArn"], job[f"{self.type.name}JobArn"])

    def client(self, service: str) -> Any:
        """A boto3 client that acts as the job's role."""
        description = self.describe()
        source = description[f"{self.type.name}JobArn"]
        return self.context.clients.get(service, self.scope, description["RoleArn"], source)

    def run_containers(
        self,
        hosts: Sequence[Host],
        *,
        image_uri: str,
        command: tuple[str, ...],
        environment: dict[str, str],
        seconds: float,
        on_line: Callable[[str], None] = lambda line: None,
        tick: Callable[[], None] = lambda: None,
        notes: Iterable[str] = (),
    ) -> Ending:
        """Runs the command on every host; ``on_line`` gets what they print, from one thread for each host.

        ``tick`` is called about every second while they run. The log begins with the ``notes``, and with what stands
        for the image. Raises ShuttingDown when the local cloud is ending.
        """
        started = int(time.time())
        logs = self.client("logs")
        streams = [LogStream(logs, self.type.log_group, f"{self.name}/{host.name}-{started}") for host in hosts]
        for note in notes:
            streams[0].write(note)
        made = self._make(image_uri, streams[0])
        credentials = self._credentials()
        variables = self._environment(len(hosts), credentials) | environment
        processes: list[Process] = []
        outputs: list[tuple[threading.Thread, LogStream]] = []

        def every_second() -> None:
            for _, stream in outputs:
                stream.flush()
            if credentials is not None:
                self.context.cloud.prolong(credentials)
            tick()

        try:
            for host, stream in zip(hosts, streams, strict=True):
                container = Container(
                    name=self.name,
                    command=command,
                    root=host.root,
                    image=made.root,
                    reads=made.reads,
                    environment=variables,
                    extra_hosts={host.name: host.address for host in hosts},
                    # Several hosts reach each other by the machine's loopback, not by a private one.
                    isolated=len(hosts) == 1 and vpc.is_isolated(self.describe()),
                )
                processes.append(self.launcher.launch(container))
                reader = threading.Thread(target=_pump, args=(processes[-1], stream, on_line), daemon=True)
                reader.start()
                outputs.append((reader, stream))
            return run_to_end(
                processes,
                reason_to_end=lambda running: self._reason_to_end(running > seconds),
                is_abandoned=self.abandoned.is_set,
                tick=every_second,
            )
        except BaseException:
            for process in processes:
                process.kill()
            raise
        finally:
            for reader, stream in outputs:
                reader.join(timeout=10)
                stream.flush()
            if credentials is not None:
                self.context.cloud.end(credentials)

    def _make(self, image_uri: str, stream: LogStream) -> images.Environment:
        """The environment that stands for the image. Raises ImageError, or ShuttingDown while one is being made."""

        def say(line: str) -> None:
            stream.write(line)
            if self.abandoned.is_set():
                raise ShuttingDown

        try:
            counterpart = images.find(image_uri, self.context.images.read())
            return counterpart.make(self.context.directory / "images", self.context.pip, say)
        finally:
            stream.flush()

    def _reason_to_end(self, overdue: bool) -> ExitReason | None:
        if self.stop_requested.is_set():
            return ExitReason.STOPPED
        sign = self.context.directory / "interruptions" / self.name
        if sign.exists():
            # Asked for by `local_cloud.process.interrupt`; the file holds the signal's name.
            why = ExitReason.KILLED if sign.read_text() == "SIGKILL" else ExitReason.INTERRUPTED
            sign.unlink()
            if self.describe().get("EnableManagedSpotTraining"):
                return why
        return ExitReason.MAX_RUNTIME if overdue else None

    def _credentials(self) -> Credentials | None:
        """Credentials of the job's role for this job alone, valid while it runs.

        An isolated job has none (SageMaker's guide).
        """
        description = self.describe()
        if vpc.is_isolated(description):
            return None
        return self.context.cloud.assume(description["RoleArn"], description[f"{self.type.name}JobArn"])

    def _environment(self, hosts: int, credentials: Credentials | None) -> dict[str, str]:
        """Region and credentials of the job's role, as a container finds them, and a host's share of the machine.

        An isolated one, which has no credentials, has no index of packages either.
        """
        region = {"AWS_REGION": self.scope.region, "AWS_DEFAULT_REGION": self.scope.region}
        meeting = {"MASTER_PORT": str(rendezvous_port())} if hosts > 1 else {}
        # Two lanes train side by side.
        common = region | meeting | {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // (2 * hosts)))}
        if credentials is None:
            return common | {"PIP_NO_INDEX": "1"}
        gateway = self.context.cloud.gateway
        return common | {
            "AWS_ACCESS_KEY_ID": credentials.access_key_id,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
            "AWS_SESSION_TOKEN": credentials.session_token,
            "AWS_ENDPOINT_URL": gateway.endpoint,
            "AWS_CA_BUNDLE": gateway.certificate,
        }


def _pump(process: Process, stream: LogStream, on_line: Callable[[str], None]) -> None:
    for line in process.output:
        stream.write(line)
        on_line(line)


def publish(context: Context, scope: Scope, type_name: str, description: Document) -> None:
    """Send the event of a job's new state."""
    job_tags = tags.get(context.store, scope, description[f"{type_name}JobArn"])
    events.job_changed(context.cloud, scope, type_name, description, job_tags)
