"""What AWS's training toolkit does in its framework images: prepares the user's script, and runs it.

Run as ``python3 toolkit.py /opt/ml [ARCHIVE]`` in a container without an entry point; ARCHIVE is the tar.gz that
`sagemaker_submit_directory` names in S3. Standard library only.

The hyperparameters `sagemaker_program` and `sagemaker_submit_directory` say what is run. The others are the script's
command-line arguments, and all that a job knows is in SM_* variables: the list is that of the toolkit's documentation
(aws/sagemaker-training-toolkit, ENVIRONMENT_VARIABLES.md). The job's exit code is the script's. When that is not 0, the
command and the script's last error go to ``/opt/ml/output/failure``.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import threading
from pathlib import Path
from typing import Any

_PREFIX = "sagemaker_"  # of hyperparameters that are not the script's
_NOT_THE_SCRIPTS = ("_tuning_objective_metric", "default_user_module_name", "mp_parameters")
_LAST_ERROR = 16 * 1024  # bytes of the script's standard error


class ScriptError(Exception):
    """The script could not be run, or has failed; the message goes to the failure file."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


def main(base: str, archive: str = "") -> int:
    root = Path(base)
    try:
        job = Job(root)
        job.prepare(archive)
        run("ExecuteUserScriptError", job.command(), job.code, os.environ | job.variables())
    except ScriptError as error:
        (root / "output").mkdir(exist_ok=True)
        (root / "output/failure").write_text(str(error))
        print(error, file=sys.stderr, flush=True)
        return error.code
    print("Reporting training SUCCESS", flush=True)
    return 0


class Job:
    """What the files under ``/opt/ml/input/config`` say."""

    def __init__(self, root: Path) -> None:
        self.root, self.code = root, root / "code"
        config = root / "input/config"
        given = {
            name: _decoded(text) for name, text in json.loads((config / "hyperparameters.json").read_text()).items()
        }
        self.platform = {name: value for name, value in given.items() if _is_platforms(name)}
        self.hyperparameters = {name: value for name, value in given.items() if not _is_platforms(name)}
        self.resources: dict[str, Any] = json.loads((config / "resourceconfig.json").read_text())
        self.channels: dict[str, Any] = json.loads((config / "inputdataconfig.json").read_text())
        self.is_distributed = bool(self.platform.get("sagemaker_torch_distributed_enabled"))
        self.program = str(os.environ.get("SAGEMAKER_PROGRAM") or self.platform.get("sagemaker_program", ""))
        self.source = str(
            self.platform.get("sagemaker_submit_directory") or os.environ.get("SAGEMAKER_SUBMIT_DIRECTORY", "")
        )

    def prepare(self, archive: str) -> None:
        """Puts the code into ``/opt/ml/code``, and installs its requirements."""
        self.code.mkdir(exist_ok=True)
        source = Path(archive or self.source)
        try:
            if source.is_dir():
                if source.resolve() != self.code.resolve():
                    shutil.copytree(source, self.code, dirs_exist_ok=True)
            else:
                with tarfile.open(source) as tar:
                    # Pythons of the years before 2023 have no filters.
                    tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
                    tar.extractall(self.code)
        except (OSError, tarfile.TarError) as error:
            raise ScriptError(
                f"the code of sagemaker_submit_directory, {self.source}, cannot be read: {error}"
            ) from None
        if not (self.code / self.program).is_file():
            found = ", ".join(sorted(path.name for path in self.code.iterdir())) or "nothing"
            raise ScriptError(f"the script {self.program} is not in {self.source}, which has {found}")
        if (self.code / "requirements.txt").exists():
            command = [sys.executable, "-m", "pip", "install", "-r", "requirements.txt"]
            run("InstallRequirementsError", command, self.code, dict(os.environ))

    def command(self) -> list[str]:
        if self.is_distributed:
            hosts = self.resources["hosts"]
            port = os.environ.get("MASTER_PORT") or _free_port()  # on AWS 7777; here jobs share the machine's ports
            return [
                "torchrun", "--nnodes", str(len(hosts)), "--nproc_per_node", str(max(1, gpus())),
                "--master_addr", hosts[0] if len(hosts) > 1 else "127.0.0.1", "--master_port", port,
                "--node_rank", str(hosts.index(self.resources["current_host"])), self.program, *self.arguments(),
            ]  # fmt: skip
        if (self.code / "setup.py").is_file() and self.program.endswith(".py"):
            return [sys.executable, "-m", self.program[:-3].replace("/", "."), *self.arguments()]
        if self.program.endswith(".py"):
            return [sys.executable, self.program, *self.arguments()]
        (self.code / self.program).chmod(0o755)
        return ["/bin/sh", "-c", " ".join([f"./{self.program}", *self.arguments()])]

    def arguments(self) -> list[str]:
        words = []
        for name in sorted(self.hyperparameters):
            value = self.hyperparameters[name]
            if isinstance(value, dict):
                value = ",".join(f"{key}={value[key]}" for key in sorted(value))
            words += [f"--{name}" if len(name) > 1 else f"-{name}", "" if value is None else str(value)]
        return words

    def variables(self) -> dict[str, str]:
        """SM_*, and PYTHONPATH with the code."""
        data, hosts = self.root / "input/data", self.resources["hosts"]
        group = self.resources.get("current_group_name", "homogeneousCluster")
        groups = {each["instance_group_name"]: each for each in self.resources.get("instance_groups", [])}
        known = {
            "channel_input_dirs": {name: str(data / name) for name in self.channels},
            "current_host": self.resources["current_host"],
            "current_instance_group": group,
            "current_instance_group_hosts": groups.get(group, {}).get("hosts", hosts),
            "current_instance_type": self.resources.get("current_instance_type", ""),
            "distribution_hosts": hosts,
            "distribution_instance_groups": [group] if self.is_distributed else [],
            "framework_module": os.environ.get("SAGEMAKER_TRAINING_MODULE"),
            "hosts": hosts,
            "hyperparameters": self.hyperparameters,
            "input_config_dir": str(self.root / "input/config"),
            "input_data_config": self.channels,
            "input_dir": str(self.root / "input"),
            "instance_groups": list(groups),
            "instance_groups_dict": groups,
            "is_hetero": len(groups) > 1,
            "is_master": self.resources["current_host"] == hosts[0],
            "job_name": os.environ.get("TRAINING_JOB_NAME", ""),
            "log_level": self.platform.get("sagemaker_container_log_level", 20),
            "master_hostname": hosts[0],
            "model_dir": str(self.root / "model"),
            "module_dir": self.source,
            "module_name": self.program[:-3] if self.program.endswith(".py") else self.program,
            "network_interface_name": self.resources.get("network_interface_name", "eth0"),
            "num_cpus": os.cpu_count() or 1,
            "num_gpus": gpus(),
            "output_data_dir": str(self.root / "output/data"),
            "output_dir": str(self.root / "output"),
            "output_intermediate_dir": str(self.root / "output/intermediate"),
            "resource_config": self.resources,
            "user_entry_point": self.program,
        }
        only_together = ("channel_input_dirs", "distribution_hosts", "hyperparameters", "is_master", "job_name",
                         "master_hostname")  # fmt: skip
        found = {name: value for name, value in known.items() if name not in only_together}
        found |= {
            "hps": self.hyperparameters,
            "channels": sorted(self.channels),
            "framework_params": {key: value for key, value in self.platform.items() if key.startswith(_PREFIX)},
            "training_env": known,
            "user_args": self.arguments(),
            **{f"channel_{name}": str(data / name) for name in self.channels},
            **{f"hp_{name}": value for name, value in self.hyperparameters.items()},
        }
        paths = [str(self.code), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {f"SM_{name.upper()}": _text(value) for name, value in found.items()} | {
            "PYTHONPATH": os.pathsep.join(paths),
            "CURRENT_HOST": self.resources["current_host"],
        }


def run(error: str, command: list[str], folder: Path, environment: dict[str, str]) -> None:
    """Raises ScriptError. Signals are passed on, so that a script can save a checkpoint."""
    print(f"Invoking script with the following command:\n\n{' '.join(command)}\n", flush=True)
    process = subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: process.send_signal(number))
    tail = bytearray()

    def copy() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            sys.stderr.buffer.write(line)
            sys.stderr.buffer.flush()
            tail.extend(line)
            del tail[:-_LAST_ERROR]

    reader = threading.Thread(target=copy, daemon=True)
    reader.start()
    status = process.wait()
    reader.join(timeout=5)  # what the script has started may hold the pipe open
    if status != 0:
        code = status if status > 0 else 128 - status
        said = last_error(tail.decode(errors="replace"))
        raise ScriptError(f'{error}:\nExitCode {code}\nErrorMessage "{said}"\nCommand "{" ".join(command)}"', code)


def last_error(text: str) -> str:
    """The exception of the last traceback without its frames, or else the last line."""
    frames = text.rpartition("Traceback (most recent call last):\n")[2] if "Traceback (most" in text else ""
    lines = frames.splitlines()
    begin = next((number for number, line in enumerate(lines) if line and not line.startswith(" ")), None)
    found = lines[begin:] if begin is not None else text.strip().splitlines()[-1:]
    return "\n".join(found)[:600]


def gpus() -> int:
    try:
        done = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return 0
    return sum(line.startswith("GPU ") for line in done.stdout.splitlines())


def _free_port() -> str:
    """Not one that Linux gives to connections, which could get it before torchrun listens."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return str(port)


def _is_platforms(name: str) -> bool:
    return name.startswith(_PREFIX) or name in _NOT_THE_SCRIPTS


def _decoded(text: str) -> Any:
    """The SDK sends each hyperparameter as JSON; other clients send plain text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _text(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
