"""Lambda functions: the environment they run in, and the end of their processes."""

import queue
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ministack.core import lambda_runtime, responses
from ministack.services import lambda_svc
from ministack.services.cloudformation import provisioners

from local_cloud.sagemaker.containers.images import image

_in_their_last_invocation: set[Any] = set()  # workers of what was deleted or changed meanwhile, in no pool any more
_END = "\x1eend of invocation"  # a line that no function prints
_MAX_WAIT = 5.0  # seconds for that line, which is written before the answer


def install(images: Path) -> None:
    lambda_runtime._detect_runtime_binary = _isolated(lambda_runtime._detect_runtime_binary, images)
    lambda_runtime._PYTHON_WORKER_SCRIPT = _with_end(lambda_runtime._PYTHON_WORKER_SCRIPT)
    worker = lambda_runtime.Worker
    worker._drain_stderr_bounded = _up_to_the_end(worker._drain_stderr_bounded)
    lambda_svc.invalidate_worker = _end_workers
    lambda_svc.release_worker = _ended_if_outdated(lambda_svc.release_worker)
    for kind in ("AWS::Lambda::Function", "AWS::Lambda::Version"):
        handlers = provisioners._RESOURCE_HANDLERS[kind]
        handlers["delete"] = _with_workers(handlers["delete"])


def _isolated(original: Callable[[str], tuple[str, str]], images: Path) -> Callable[[str], tuple[str, str]]:
    """Python functions get an interpreter that has boto3 and the standard library, and nothing else of this machine."""

    def detect(runtime: str) -> tuple[str, str]:
        binary, worker = original(runtime)
        if runtime.startswith("python"):
            binary = str(image("lambda-python", images) / "bin" / "python")
        return binary, worker

    return detect


def _with_end(script: str) -> str:
    """Marks the end of each invocation in what a Python function prints.

    ministack takes what has come 5 to 50 ms after the answer for the invocation's log; what came later, on a busy
    machine, was taken for the next invocation's, which may be another run's.
    """
    place = "        _real_stdout.flush()\n\nrun()"
    assert place in script, "ministack's worker for Python functions has changed"
    mark = f"        sys.stderr.write({_END!r} + chr(10))\n        sys.stderr.flush()\n"
    return script.replace(place, f"{mark}{place}")


def _up_to_the_end(original: Callable[..., str]) -> Callable[..., str]:
    def drain(worker: Any, *arguments: Any, **named: Any) -> str:
        if not worker.config.get("Runtime", "").startswith("python"):
            return original(worker, *arguments, **named)
        lines: list[str] = []
        deadline = time.monotonic() + _MAX_WAIT
        while time.monotonic() < deadline:
            ended = not worker._stderr_thread.is_alive()  # the process has died, and left no mark
            try:
                line = worker._stderr_queue.get(timeout=0 if ended else 0.05)
            except queue.Empty:
                if ended:
                    break
                continue
            if line.endswith(_END):
                lines += filter(None, [line.removesuffix(_END)])  # what was printed without a line end
                break
            lines.append(line)
        return "\n".join(lines)

    return drain


def _with_workers(original: Callable[..., None]) -> Callable[..., None]:
    """ministack's CloudFormation leaves the workers of what it deletes, some 60 MB each, until the local cloud ends."""

    def delete(physical_id: str, properties: dict[str, Any]) -> None:
        original(physical_id, properties)
        # A function's is its name, a version's is its ARN, which ends in the function's name and the version.
        name, _, version = physical_id.rpartition(":function:")[2].partition(":")
        _end_workers(name, version or None, responses.get_account_id(), responses.get_region())

    return delete


def _end_workers(
    name: str, qualifier: str | None = None, account: str | None = None, region: str | None = None
) -> None:
    """Ends the workers of a function that was deleted or changed; one in an invocation only when that is over.

    In the place of ministack's, which cuts invocations off: their callers got "Worker process died".
    """
    wanted = (account, region, name, qualifier)
    with lambda_runtime._lock:
        pools = lambda_runtime._workers
        keys = [key for key in pools if all(a in (None, b) for a, b in zip(wanted, key.split(":"), strict=True))]
        workers = {worker for key in keys for worker in pools.pop(key)}
        idle = {worker for worker in workers if worker._lock.acquire(blocking=False)}  # an invocation holds it
        _in_their_last_invocation.update(workers - idle)
    lambda_runtime.kill_workers(idle)
    for worker in idle:
        worker._lock.release()


def _ended_if_outdated(original: Callable[[Any], None]) -> Callable[[Any], None]:
    """`_end_workers` leaves workers that are in an invocation, and does not see those that start later."""

    def release(worker: Any) -> None:
        if worker is not None and not _stays(worker):
            lambda_runtime.kill_workers([worker])
            _in_their_last_invocation.discard(worker)
        original(worker)

    return release


def _stays(worker: Any) -> bool:
    """Whether the worker is in its pool, and of the function as it is now; else it is in no pool any more."""
    version = worker.config["Version"]
    key = lambda_runtime._worker_key(worker.func_name, worker.config, version)
    account, region, name, _ = key.split(":")
    function = lambda_svc._functions.get_scoped(account, region, name)
    record, config = lambda_svc._effective_func_record_for_qualifier(function, version)
    # An invocation that waited, such as a second attempt, brings code and configuration of when it was asked for.
    current = (
        record is not None
        and record["code_zip"] == worker.code_zip
        and config["RevisionId"] == worker.config["RevisionId"]
    )
    with lambda_runtime._lock:
        pool = lambda_runtime._workers.get(key, [])
        if worker in pool and not current:
            pool.remove(worker)
        return worker in pool


def end_functions() -> None:
    """Ends the processes of Lambda functions, which are kept warm between calls."""
    lambda_runtime.reset()
    lambda_runtime.kill_workers(list(_in_their_last_invocation))
