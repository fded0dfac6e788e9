"""`make demo`: from images to a served model, on this machine: no AWS account, no Docker.

    python -m headrace.demo [--data FOLDER_OR_ARCHIVE]

Every part is the real one: `cdk deploy` of the app, its Lambdas, its pipeline definition, its training scripts, its
IAM policies. Each phase prints how long it took; a failure anywhere ends it with a non-zero status and says where.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from data_sets.archives import SUFFIXES, is_archive, unpack
from data_sets.errors import ArchiveError
from headrace.client import endpoint, lines
from headrace.client.environment import Environment, open_environment
from headrace.client.executions import list_executions, list_steps
from headrace.client.image_types import is_image
from headrace.client.model_packages import APPROVED, Model, list_models
from headrace.client.runs import Run
from headrace.commands import cdk, decision, runs, upload, watch
from headrace.demo.digits import write_digits
from headrace.errors import HeadraceError, Interrupted, RunFailed, UsageError, from_disk
from headrace.formats import counted, money, share
from headrace.project.folder import LOCAL, state_folder
from headrace.project.local_cloud import LocalCloud, ProcessCloud
from headrace.terminal.output import Output

# Of the held-out images, where they are truly held out. The pipeline's thresholds have judged the model; 30 images show
# whether the endpoint serves it, and not how good it is. The network that Headrace ships gets all of the digits right.
LEAST_RIGHT = 0.5
_INTERVAL = 0.5


@dataclass(frozen=True, slots=True)
class Data:
    path: Path  # what is uploaded
    name: str | None
    asked: list[Path]  # images to predict, in folders named after their class
    held_out: bool


class Phases:
    """Names what is going on, times it, and lists the times at the end."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._times: list[tuple[str, float]] = []

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        self._output.note(f"\n== {name}")
        began = time.monotonic()
        try:
            yield
        except HeadraceError as error:
            raise type(error)(f"{name}: {error}", hint=error.hint) from error
        self._times.append((name, time.monotonic() - began))

    def show(self) -> None:
        total = sum(seconds for _, seconds in self._times)
        self._output.note("")
        for name, seconds in [*self._times, ("total", total)]:
            self._output.note(f"{seconds:7.1f} s  {name}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="headrace.demo", description="From images to a served model, here.")
    parser.add_argument("--data", type=Path, help="a folder of class folders, or an archive of one; default: digits")
    options = parser.parse_args()
    output = Output()
    try:
        with tempfile.TemporaryDirectory(prefix="headrace-demo-") as scratch:
            demo(output, ProcessCloud(), options.data, Path(scratch))
    except HeadraceError as error:
        output.error(error)
        return error.exit_status
    except OSError as error:
        output.error(from_disk(error))
        return 1
    except KeyboardInterrupt:
        output.error(Interrupted("the demo was interrupted; the local cloud goes on", hint="make down"))
        return Interrupted.exit_status
    return 0


def demo(output: Output, cloud: LocalCloud, source: Path | None, scratch: Path) -> None:
    output.note("Headrace demo: images in, an approved and served model out. No AWS account and no Docker are needed.")
    phases = Phases(output)
    with phases.phase("images"):
        data = _digits(scratch) if source is None else _own_data(source, scratch)
        output.note(f"{data.path}; {counted(len(data.asked), 'image')} kept to ask the model about")
    with phases.phase("local cloud"):
        running = cloud.start(state_folder())
        environment = open_environment(LOCAL, cloud)
        output.note(f"{running.endpoint}: TLS, IAM enforced, loopback only")
    with phases.phase("cdk deploy"):
        cdk.deploy(environment, output)
    began = datetime.now(UTC)
    with phases.phase("upload"):
        summary = upload.upload(environment, Output(stdout=sys.stderr), path=data.path, name=data.name, delete=False)
        if summary.sent == 0:
            output.note("the same content is there already, so nothing starts by itself; asking for a run")
            runs.run_again(environment, output, data_set=summary.uri.rstrip("/").rsplit("/", 1)[-1], again=True)
    environment = lines.of_data_set(environment, summary.uri.rstrip("/").rsplit("/", 1)[-1])
    with phases.phase("pipeline"), one_interruption(environment, cloud, output, after=began):
        run = watch.watch(
            environment, Output(stdout=sys.stderr), name=None, after=began, wait_for_start=60, interval=_INTERVAL
        )
    with phases.phase("approval"):
        model = _registered(environment, run)
        _show_evaluation(output, run)
        decision.decide(environment, output, version=str(model.version), approval=APPROVED, note="make demo")
    with phases.phase("endpoint"):
        served = endpoint.wait_for_endpoint(environment, seconds=120, interval=_INTERVAL)
        output.note(f"{served.name} is {served.status} and serves version {served.version}")
    with phases.phase("predictions"):
        _predict(environment, output, data)
    phases.show()
    output.next("headrace models", "what is registered; then change an image, upload again, and see what happens")


@contextmanager
def one_interruption(environment: Environment, cloud: LocalCloud, output: Output, *, after: datetime) -> Iterator[None]:
    """Takes the spot lane's capacity away once while it trains, so that the resume and its price can be seen."""
    over = threading.Event()

    def watch_for_it() -> None:
        while not over.wait(_INTERVAL):
            job = _spot_job_in_training(environment, after)
            if job is not None:
                over.wait(2)  # long enough for a checkpoint
                cloud.interrupt(state_folder(), job)
                output.note(f"spot capacity of {job} is taken away: SIGTERM, then a new instance from its checkpoint")
                return

    thread = threading.Thread(target=watch_for_it, name="spot interruption", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _spot_job_in_training(environment: Environment, after: datetime) -> str | None:
    execution = next(list_executions(environment), None)
    if execution is None or execution.started < after:
        return None
    for step in list_steps(environment, execution):
        if step.job_kind == "TrainingJob" and step.job is not None and step.ended is None:
            job = environment.client("sagemaker").describe_training_job(TrainingJobName=step.job)
            if job.get("EnableManagedSpotTraining") and job["SecondaryStatus"] == "Training":
                return step.job
    return None


def _registered(environment: Environment, run: Run) -> Model:
    """The version that this run registered."""
    for model in list_models(environment):
        if model.run == run.execution.id:
            return model
    raise RunFailed(f"the run {run.execution.name} registered no model", hint=environment.command("models"))


def _show_evaluation(output: Output, run: Run) -> None:
    """Each candidate with figures and costs."""
    evaluation = run.evaluation
    if evaluation is None or evaluation.accuracy is None:
        raise RunFailed("the run left no evaluation", hint="headrace logs")
    trained = [cost for cost in run.costs if cost.kind == "TrainingJob"]
    costs = {("spot" if cost.spot else "on-demand"): cost for cost in trained}
    for name, accuracy in evaluation.candidates.items():
        won = "  <- winner" if name == evaluation.winner else ""
        output.note(f"candidate {name:<10} test accuracy {share(accuracy)}  {costs.get(name, 'from the cache')}{won}")
    output.note(f"on AWS these seconds would have cost {money(run.cost)}; spot capacity saved {money(run.saved)}")


def _predict(environment: Environment, output: Output, data: Data) -> None:
    answers = endpoint.ask(environment, data.asked)
    right = [answer for answer in answers if answer.label == answer.file.parent.name]
    for answer in answers:
        mark = "right" if answer in right else "WRONG"
        name = f"{answer.file.parent.name}/{answer.file.name}"
        output.line(f"{name}  {answer.label or answer.error}  {share(answer.probability)}  {mark}")
    kind = "held-out images, which no training saw" if data.held_out else "images of the archive"
    output.note(f"{len(right)} of {len(answers)} {kind}, predicted right")
    if data.held_out and len(right) < LEAST_RIGHT * len(answers):
        raise RunFailed(f"only {len(right)} of {len(answers)} predicted right", hint="headrace models")


def _digits(scratch: Path) -> Data:
    seen, unseen = write_digits(scratch)
    return Data(seen, None, sorted(unseen.rglob("*.jpg")), held_out=True)


def _own_data(source: Path, scratch: Path) -> Data:
    """A folder is copied without every tenth image (at most 30), which are held out; an archive goes as it is."""
    source = source.expanduser().resolve()
    if source.is_dir():
        images = sorted(path for path in source.rglob("*") if is_image(path))
        stride = max(10, len(images) // 30)
        held_out = set(images[::stride][:30])
        copy = scratch / source.name
        shutil.copytree(source, copy, ignore=lambda folder, names: [n for n in names if Path(folder, n) in held_out])
        return Data(copy, source.name, sorted(held_out), held_out=True)
    if not source.is_file():
        raise UsageError(f"{source} is neither a folder nor a file", hint="make demo DATA=<folder or archive>")
    unpacked = scratch / "unpacked"
    if not is_archive(source.name):
        raise UsageError(f"{source} is not an archive", hint=f"these are: {', '.join(SUFFIXES)}")
    try:
        unpack(source, unpacked)
    except ArchiveError as error:
        raise UsageError(error.message, hint=error.hint) from error
    except OSError as error:
        raise UsageError(
            f"{source} cannot be unpacked: {error}", hint="df -h shows whether the disk is full"
        ) from error
    images = sorted(path for path in unpacked.rglob("*") if is_image(path))
    return Data(source, None, images[:: max(1, len(images) // 30)][:30], held_out=False)


if __name__ == "__main__":
    sys.exit(main())
