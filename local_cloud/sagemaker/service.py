"""The service's parts, as one object that every operation is given."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local_cloud.sagemaker.account import Account
from local_cloud.sagemaker.clock import Clock
from local_cloud.sagemaker.cloud import Call, Clients, Cloud
from local_cloud.sagemaker.faults import Faults
from local_cloud.sagemaker.store import Store
from local_cloud.sagemaker.watched_file import WatchedFile

if TYPE_CHECKING:  # the parts hold the service, and the service its parts
    from local_cloud.sagemaker.engine.run import ExecutionRunner
    from local_cloud.sagemaker.hosting import Hosting
    from local_cloud.sagemaker.jobs.runner import JobRunner
    from local_cloud.sagemaker.provisioning import Provisioning


@dataclass(slots=True)
class SageMaker:
    """Made by `local_cloud.sagemaker.api.assemble`, which fills in the parts."""

    cloud: Cloud
    store: Store
    directory: Path
    clients: Clients
    faults: Faults
    account: WatchedFile[Account]
    clock: Clock = field(default_factory=Clock)
    jobs: "JobRunner" = field(init=False)
    executions: "ExecutionRunner" = field(init=False)
    hosting: "Hosting" = field(init=False)
    provisioning: "Provisioning" = field(init=False)

    def start(self) -> None:
        """Makes true again what a previous process had promised."""
        self.hosting.resume()
        self.jobs.resume()
        self.executions.resume()
        self.provisioning.resume()

    def stop(self) -> None:
        """Ends every process; the records stay, and `start` of the next process goes on from them."""
        self.provisioning.stop()
        self.executions.stop()
        self.jobs.stop()
        self.hosting.stop()
        self.store.close()


Operation = Callable[[SageMaker, Call, dict[str, Any]], dict[str, Any]]
