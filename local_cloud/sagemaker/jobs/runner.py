"""Runs jobs, one thread each; others can wait for a job or stop it."""

import errno
import logging
import shutil
import threading
from collections.abc import Iterable
from contextlib import suppress

from local_cloud.errors import ImageError
from local_cloud.sagemaker.containers import vpc
from local_cloud.sagemaker.containers.hosts import ShuttingDown
from local_cloud.sagemaker.containers.launcher import Launcher
from local_cloud.sagemaker.core.context import Context
from local_cloud.sagemaker.core.errors import AccessDenied, DiskFull
from local_cloud.sagemaker.core.statuses import JobStatus
from local_cloud.sagemaker.core.store import Scope, retry_while_disk_full
from local_cloud.sagemaker.jobs.job import Job, JobType

log = logging.getLogger(__name__)


class JobRunner:
    """The jobs that run now."""

    def __init__(self, context: Context, launcher: Launcher, types: Iterable[JobType]) -> None:
        self._context, self._launcher = context, launcher
        self._types = {type.name: type for type in types}
        self._jobs: dict[tuple[str, Scope, str], Job] = {}
        self._lock = threading.Lock()

    def submit(self, type_name: str, scope: Scope, name: str) -> None:
        job = Job(self._context, self._launcher, self._types[type_name], scope, name)
        with self._lock:
            self._jobs[type_name, scope, name] = job
        threading.Thread(target=self._run, args=(job,), name=f"job {name}", daemon=True).start()

    def wait(self, type_name: str, scope: Scope, name: str) -> None:
        """Returns when the job has ended (at once when it has, or is unknown)."""
        job = self._find(type_name, scope, name)
        if job is not None:
            job.ended.wait()

    def request_stop(self, type_name: str, scope: Scope, name: str) -> None:
        job = self._find(type_name, scope, name)
        if job is not None:
            job.stop_requested.set()

    def resume(self) -> None:
        """Runs the jobs again that were running when the previous process ended."""
        for type in self._types.values():
            for scope, document in self._context.store.scan(type.document):
                if document[f"{type.name}JobStatus"] in (JobStatus.IN_PROGRESS, JobStatus.STOPPING):
                    self.submit(type.name, scope, document[f"{type.name}JobName"])

    def stop(self) -> None:
        with self._lock:
            jobs = list(self._jobs.values())
        for job in jobs:
            job.abandoned.set()
        for job in jobs:
            job.ended.wait(10)

    def _find(self, type_name: str, scope: Scope, name: str) -> Job | None:
        with self._lock:
            return self._jobs.get((type_name, scope, name))

    def _run(self, job: Job) -> None:
        try:
            shutil.rmtree(job.directory, ignore_errors=True)
            job.attach()
            job.type.run(job)
        except ShuttingDown:
            pass
        except (ImageError, AccessDenied) as error:
            self._fail(job, f"ClientError: {error}")
        except Exception as error:  # the boundary of the job: it must end in a true state
            if _says_disk_full(error):
                log.warning("job %s: %s", job.name, error)
                self._fail(job, f"ClientError: No space left on the disk that the job ran on: {error}")
            else:
                log.exception("job %s", job.name)
                self._fail(job, f"InternalServerError: {error}")
        finally:
            shutil.rmtree(job.directory, ignore_errors=True)
            if not job.abandoned.is_set():  # the local cloud is ending: the next start takes it over
                vpc.detach(self._context, job.scope, job.owner)
            with self._lock:
                del self._jobs[job.type.name, job.scope, job.name]
            job.ended.set()

    def _fail(self, job: Job, reason: str) -> None:
        """Records the end once there is room for it; the job's own files, which may fill the disk, go before."""
        shutil.rmtree(job.directory, ignore_errors=True)
        with suppress(DiskFull):  # the local cloud is ending: the next start runs the job again
            retry_while_disk_full(lambda: job.type.fail(job, reason[:1024]), job.abandoned)


def _says_disk_full(error: Exception) -> bool:
    full = (errno.ENOSPC, errno.EDQUOT)
    return isinstance(error, DiskFull) or (isinstance(error, OSError) and error.errno in full)
