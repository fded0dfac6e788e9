"""python3 /opt/ml/code/entry.py SCRIPT.py [ARGUMENT ...]

The one entry point of every job: install requirements.txt, prepare what SageMaker's training toolkit would, run SCRIPT.

The script runs in this process, so a SIGTERM reaches it and its exit status is the job's. An exception becomes the
job's failure reason; the traceback goes to the log. Needs the standard library only, because it runs before anything
is installed. The job's root is the folder above this file: /opt/ml in a container.

A training job with several GPUs or instances runs this file once more in each of torchrun's processes, one a GPU, which
join over the hosts that SageMaker names; without GPUs there is one process a host.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import shlex
import shutil
import signal
import site
import subprocess
import sys
import tempfile
import traceback
from itertools import takewhile
from pathlib import Path
from types import FrameType
from typing import NoReturn

import toolkit
from errors import DiskFullError, MissingModelError, RequirementsError, TrainingError, full_disk

CODE = Path(__file__).resolve().parent
ROOT = CODE.parent
INTERRUPTED = 128 + signal.SIGTERM
# SageMaker reads no more of a failure file than 1,024 characters, and of a processing job's exit message no more than
# 1 KiB, which must be whole UTF-8.
REASON_BYTES = 1024
REFUSAL_CHARACTERS = 400
STOPPED = "HEADRACE_STOPPED"  # the variable that names the folder in which workers note that they were interrupted
GRACE_SECONDS = 110  # torchrun's for its workers after a SIGTERM: of SageMaker's 120, what lets the rest end as well
MASTER_PORT = "7777"  # where the processes of several instances meet, unless the variable of this name says otherwise


def main(arguments: list[str]) -> int:
    """Run the job; return its exit status."""
    # In a container this is process 1, for which the kernel drops a SIGTERM that nobody handles.
    signal.signal(signal.SIGTERM, exit_interrupted)
    training = (ROOT / "input/config").is_dir()
    try:
        if not arguments:
            raise TrainingError("no script was named", hint="give one: entry.py train.py [ARGUMENT ...]")
        script = CODE / arguments[0]
        if not script.is_file():
            raise TrainingError(f"there is no script {arguments[0]} in {CODE}", hint="name a file of the code archive")
        if not is_worker():
            reason_path(training).unlink(missing_ok=True)  # of a start before this one
            install_requirements()
        flags = arguments[1:]
        if training:
            os.environ.update({**toolkit.variables(ROOT, arguments[0], os.environ), **os.environ})
            command = torchrun(arguments)
            if command and not is_worker():
                return judge(launch(command, training), training)
            hyperparameters, _ = toolkit.split(toolkit.decode(toolkit.read_config(ROOT, "hyperparameters.json")))
            flags = [*toolkit.flags_of(hyperparameters), *flags]
        sys.argv = [str(script), *flags]
        # headrace: imports nothing more
        runpy.run_path(str(script), run_name="__main__")
    except SystemExit as stop:
        status = status_of(stop, training)
        if status == INTERRUPTED and is_worker():
            Path(os.environ[STOPPED], os.environ["LOCAL_RANK"]).touch()
        return judge(status, training)
    except Exception as error:
        traceback.print_exc()
        write_reason(reason_of(error), training)
        return 1
    return judge(0, training)


def judge(status: int, training: bool) -> int:
    """The status of the job whose script, or torchrun, has ended with `status`.

    SageMaker completes a training job that left /opt/ml/model empty, and whatever needs the model fails afterwards. Of
    several hosts the first is asked: torchrun's rank 0 is there, which writes the model.
    """
    if status != 0 or not training or is_worker():
        return status
    if os.environ["SM_CURRENT_HOST"] != json.loads(os.environ["SM_HOSTS"])[0]:
        return status
    folder = ROOT / "model"  # SageMaker uploads this one, whatever SM_MODEL_DIR says
    if any(path.is_file() for path in folder.rglob("*")):
        delete_checkpoints()
        return status
    missing = MissingModelError(
        f"the script ended without an error and wrote no model to {folder}",
        hint="write the model's files to the folder that SM_MODEL_DIR names before the script ends; of several "
        "processes, the one with RANK 0 does",
    )
    print(f"error: {missing}", file=sys.stderr)
    write_reason(str(missing), training)
    return 1


def delete_checkpoints() -> None:
    """Delete the checkpoints of a training that has its model: nothing resumes from them, and S3 would keep them."""
    for path in (ROOT / "checkpoints").glob("*"):
        try:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        except OSError as error:
            print(f"warning: {path} cannot be deleted: {error.strerror}", file=sys.stderr)


def exit_interrupted(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(INTERRUPTED)


def install_requirements() -> None:
    """Install what requirements.txt names; from wheels/ alone if that folder was shipped, for isolated networks."""
    requirements, wheels = CODE / "requirements.txt", CODE / "wheels"
    if not requirements.is_file():
        return
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    if wheels.is_dir():
        command += ["--no-index", "--find-links", str(wheels)]
    result = subprocess.run([*command, "-r", str(requirements)], capture_output=True, text=True, errors="replace")
    if result.returncode != 0:
        print(result.stdout, result.stderr, sep="\n", file=sys.stderr)
        said = refusal_of(result.stderr)
        raise RequirementsError(
            f"requirements.txt could not be installed: {said}",
            hint="write what is missing into training/requirements.in and run `make lock`, which finds the hashes; "
            "where one differs, find out why before you take the new one"
            if "hash" in said.lower()
            else "pin versions that exist for this Python; without a network, ship them as files in training/wheels/",
        )
    # pip writes to the user's folder where the image's is read-only; Python looked for that folder when it started.
    if site.ENABLE_USER_SITE:
        site.addsitedir(site.getusersitepackages())
    importlib.invalidate_caches()


def refusal_of(said: str) -> str:
    """pip's last error, with the lines that belong to it."""
    lines = said.strip().splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("ERROR")]
    first = starts[-1] if starts else max(0, len(lines) - 1)
    more = takewhile(lambda line: line[:1].isspace(), lines[first + 1 :])
    text = " ".join(" ".join([*lines[first : first + 1], *more]).split())
    return text if len(text) <= REFUSAL_CHARACTERS else f"{text[:REFUSAL_CHARACTERS]}…"


def is_worker() -> bool:
    """Whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def torchrun(arguments: list[str]) -> list[str]:
    """The command that runs the job in several processes; nothing if one is enough."""
    hosts, gpus = json.loads(os.environ["SM_HOSTS"]), int(os.environ["SM_NUM_GPUS"])
    each = max(1, gpus)
    if len(hosts) * each == 1:
        return []
    rank = hosts.index(os.environ["SM_CURRENT_HOST"])
    # Static: the first host waits for the others, and a process that fails ends the job, which SageMaker may repeat.
    meeting = [
        "--rdzv-backend",
        "static",
        "--master-addr",
        hosts[0],
        "--master-port",
        os.environ.get("MASTER_PORT", MASTER_PORT),
    ]
    places = ["--nnodes", str(len(hosts)), "--node-rank", str(rank), "--nproc-per-node", str(each)]
    return [sys.executable, "-m", "torch.distributed.run", *meeting, *places, str(Path(__file__).resolve()), *arguments]


def launch(command: list[str], training: bool) -> int:
    """Run torchrun, which passes a SIGTERM on to the processes; the status is then 143, as without it.

    It is so too where the SIGTERM is still to come: the processes of all hosts stop together. Where one fails, torchrun
    interrupts the others, and the job has failed.
    """
    print(shlex.join(command), flush=True)
    # Each process would take all cores otherwise, or, as torchrun has it, one.
    workers = max(1, int(os.environ["SM_NUM_GPUS"]))
    threads = max(1, (os.cpu_count() or 1) // workers)
    defaults = {"OMP_NUM_THREADS": str(threads), "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": str(GRACE_SECONDS), **interfaces()}
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(command, env={**defaults, **os.environ, STOPPED: folder})
        try:
            status = process.wait()
        except SystemExit:
            process.terminate()
            process.wait()
            return INTERRUPTED
        if len(os.listdir(folder)) == workers:
            return INTERRUPTED
    if status != 0 and not reason_path(training).exists():
        write_reason(f"exit status {status} from: {shlex.join(command)}\nhint: the log says why", training)
    return status


def interfaces() -> dict[str, str]:
    """Over which network the hosts talk to each other: SageMaker names it, and NCCL and Gloo would have to guess."""
    name = toolkit.read_config(ROOT, "resourceconfig.json").get("network_interface_name")
    return {"NCCL_SOCKET_IFNAME": name, "GLOO_SOCKET_IFNAME": name} if name else {}


def status_of(stop: SystemExit, training: bool) -> int:
    """The exit status that a script asked for. An interruption is not a failure: the job may resume."""
    status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    if isinstance(stop.code, str):
        print(stop.code, file=sys.stderr)
        write_reason(stop.code, training)
    elif status not in (0, INTERRUPTED):
        hint = "the log says why" if status != 2 else "the log names the argument and lists the accepted ones"
        write_reason(f"exit status {status} from: {shlex.join(sys.argv)}\nhint: {hint}", training)
    return status


def reason_of(error: Exception) -> str:
    """The text that a user reads: our errors as they are, others with their class, and a hint where one is known."""
    if isinstance(error, TrainingError):
        return str(error)
    refusal = full_disk(error)
    if refusal is not None:
        return str(DiskFullError(refusal))
    reason = f"{type(error).__name__}: {error}"
    if isinstance(error, ModuleNotFoundError):
        reason += (
            "\nhint: the job's image does not have it: name it, with its version, in training/requirements.in; "
            "then `make lock`"
        )
    return reason


def reason_path(training: bool) -> Path:
    """Where SageMaker looks."""
    return ROOT / "output" / ("failure" if training else "message")


def write_reason(reason: str, training: bool) -> None:
    path = reason_path(training)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if is_worker() and path.exists():  # of several processes, the first to fail knows why
            return
        path.write_bytes(reason.encode("utf-8", "replace")[:REASON_BYTES].decode("utf-8", "ignore").encode())
    except OSError as error:  # the disk may be so full that even this does not fit: then the log alone has it
        print(f"{reason}\n(and {path} cannot be written: {error.strerror})", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
