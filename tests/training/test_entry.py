"""The one entry point of every job, as a process in a folder that stands for /opt/ml."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from image_samples import TRAINING

pytestmark = pytest.mark.process

# Records its arguments, and fails if the test asks for it.
FAKE_PIP = """
import json, os, sys
json.dump(sys.argv[1:], open(os.environ["PIP_CALL"], "w"))
print("downloading a lot")
if "PIP_FAILS" in os.environ:
    sys.exit(os.environ["PIP_FAILS"])
"""
PRINT_ALL = "import json, os, sys; print(json.dumps({'arguments': sys.argv[1:], 'environment': dict(os.environ)}))"


class Job:
    """The folder of a job, with a script in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "code").mkdir(parents=True)
        (root / "fake/pip").mkdir(parents=True)
        (root / "fake/pip/__init__.py").touch()
        (root / "fake/pip/__main__.py").write_text(FAKE_PIP)
        for name in ("entry.py", "errors.py", "toolkit.py"):
            shutil.copy(TRAINING / name, root / "code")

    def configure(self, **documents: object) -> None:
        """Make it a training job."""
        (self.root / "input/config").mkdir(parents=True)
        for name, document in documents.items():
            (self.root / f"input/config/{name}.json").write_text(json.dumps(document))

    def start(self, script: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        (self.root / "code/script.py").write_text(script)
        paths = {"PYTHONPATH": str(self.root / "fake"), "PIP_CALL": str(self.root / "pip-call.json")}
        return subprocess.Popen(
            [sys.executable, "-B", str(self.root / "code/entry.py"), "script.py", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **paths, **environment},
        )

    def run(self, script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        process = self.start(script, *arguments, **environment)
        output, errors = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def reason(self) -> str | None:
        """The failure reason, which must be where SageMaker looks for this kind of job."""
        training = (self.root / "input/config").exists()
        path = self.root / "output" / ("failure" if training else "message")
        return path.read_text("utf-8") if path.exists() else None


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path / "ml")


def test_hyperparameters_become_flags_before_the_arguments(job: Job) -> None:
    own = {"sagemaker_program": "x", "_tuning_objective_metric": "y"}
    job.configure(hyperparameters={"epochs": "5", "learning-rate": "1e-3", **own})
    shown = json.loads(job.run(PRINT_ALL, "--seed", "1").stdout)
    assert shown["arguments"] == ["--epochs", "5", "--learning-rate", "0.001", "--seed", "1"]


def test_the_variables_of_the_training_toolkit_are_set_below_the_jobs_own_root(job: Job) -> None:
    job.configure(
        inputdataconfig={"train": {}, "validation": {}},
        resourceconfig={"current_host": "algo-2", "hosts": ["algo-1", "algo-2"], "network_interface_name": "eth1"},
    )
    # As one of torchrun's processes: a first one would start torchrun for the two hosts.
    environment = json.loads(job.run(PRINT_ALL, SM_OUTPUT_DATA_DIR="/elsewhere", TORCHELASTIC_RUN_ID="1").stdout)[
        "environment"
    ]
    expected = {
        "SM_MODEL_DIR": f"{job.root}/model",
        "SM_CHECKPOINT_DIR": f"{job.root}/checkpoints",
        "SM_OUTPUT_DATA_DIR": "/elsewhere",
        "SM_CHANNELS": '["train","validation"]',
        "SM_CHANNEL_TRAIN": f"{job.root}/input/data/train",
        "SM_CHANNEL_VALIDATION": f"{job.root}/input/data/validation",
        "SM_HOSTS": '["algo-1","algo-2"]',
        "SM_CURRENT_HOST": "algo-2",
    }
    assert {name: environment[name] for name in expected} == expected
    assert environment["SM_NUM_GPUS"].isdigit()


def test_a_processing_job_gets_its_arguments_alone(job: Job) -> None:
    shown = json.loads(job.run(PRINT_ALL, "--data", "a b").stdout)
    assert shown["arguments"] == ["--data", "a b"]
    assert not [name for name in shown["environment"] if name.startswith("SM_CHANNEL")]


def test_requirements_are_installed_and_pip_is_silent_when_all_is_well(job: Job) -> None:
    (job.root / "code/requirements.txt").write_text("pillow==13.0.0\n")
    result = job.run("print('ran')")
    call = json.loads((job.root / "pip-call.json").read_text())
    assert call[0] == "install"
    assert call[-2:] == ["-r", str(job.root / "code/requirements.txt")]
    assert "--no-index" not in call
    assert (result.stdout, result.stderr) == ("ran\n", "")


def test_wheels_in_the_archive_are_the_only_source_of_packages(job: Job) -> None:
    (job.root / "code/requirements.txt").write_text("pillow==13.0.0\n")
    (job.root / "code/wheels").mkdir()
    job.run("")
    call = json.loads((job.root / "pip-call.json").read_text())
    place = call.index("--no-index")
    assert call[place : place + 3] == ["--no-index", "--find-links", str(job.root / "code/wheels")]


def test_a_failed_installation_is_the_reason_and_pips_words_are_in_the_log(job: Job) -> None:
    (job.root / "code/requirements.txt").write_text("pillow==99\n")
    result = job.run("print('ran')", PIP_FAILS="ERROR: No matching distribution found for pillow==99")
    assert result.returncode == 1
    assert "ran" not in result.stdout
    assert "downloading a lot" in result.stderr
    reason = job.reason()
    assert reason is not None
    assert reason.startswith("requirements.txt could not be installed: ERROR: No matching distribution found")
    assert "\nhint: " in reason


@pytest.mark.parametrize(
    "said",
    [
        "ERROR: Hashes are required in --require-hashes mode, but they are missing from some "
        "requirements:\n    timm==1",
        "ERROR: In --require-hashes mode, all requirements must have their versions pinned with ==. These do "
        "not:\n    timm==1 (from pip)",
    ],
)
def test_a_requirement_without_a_hash_is_named_with_what_finds_it(job: Job, said: str) -> None:
    """pip names what is missing in the lines below its message."""
    (job.root / "code/requirements.txt").write_text("pillow==13.0.0 --hash=sha256:00\ntimm==1\n")
    job.run("", PIP_FAILS=f"WARNING: old\n{said}\n")
    reason = job.reason()
    assert reason is not None
    assert " ".join(said.split()) in reason
    assert "\nhint: write what is missing into training/requirements.in and run `make lock`" in reason


@pytest.mark.parametrize("training", [True, False], ids=["training", "processing"])
def test_our_errors_are_given_as_message_and_hint_with_the_traceback_in_the_log(job: Job, training: bool) -> None:
    if training:
        job.configure()
    script = "from errors import DataSetError\nraise DataSetError('one class only', hint='add another')"
    result = job.run(script)
    assert result.returncode == 1
    assert job.reason() == "one class only\nhint: add another"
    assert "Traceback" in result.stderr
    assert "script.py" in result.stderr


def test_any_other_exception_is_given_with_its_class(job: Job) -> None:
    assert job.run("{}['absent']").returncode == 1
    assert job.reason() == "KeyError: 'absent'"


def test_a_long_reason_is_cut_between_characters(job: Job) -> None:
    job.run("raise ValueError('é' * 2000)")
    content = (job.root / "output/message").read_bytes()
    assert len(content) in (1023, 1024)
    assert content.decode().startswith("ValueError: éé")


@pytest.mark.parametrize(
    ("script", "status", "reason"),
    [
        ("import sys; sys.exit()", 0, None),
        ("import sys; sys.exit(0)", 0, None),
        ("import sys; sys.exit(143)", 143, None),
        ("import sys; sys.exit('no luck')", 1, "no luck"),
        ("import sys; sys.exit(7)", 7, "exit status 7 from: "),
        ("import argparse; argparse.ArgumentParser().parse_args()", 2, "exit status 2 from: "),
    ],
)
def test_the_scripts_exit_status_is_the_jobs(job: Job, script: str, status: int, reason: str | None) -> None:
    assert job.run(script, "--unknown", "1").returncode == status
    assert (job.reason() or "").startswith(reason or "")
    assert (job.reason() is None) == (reason is None)


def test_a_sigterm_reaches_the_script_and_its_answer_is_the_exit_status(job: Job) -> None:
    script = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit("saved and stopped"))
print("ready", flush=True)
time.sleep(60)
"""
    process = job.start(script)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert (process.returncode, job.reason()) == (1, "saved and stopped")


def test_a_sigterm_ends_a_script_that_does_not_care_with_143_and_without_a_failure(job: Job) -> None:
    process = job.start("import time; print('ready', flush=True); time.sleep(60)")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert (process.returncode, job.reason()) == (143, None)


def test_a_script_that_is_not_there_is_an_error(job: Job) -> None:
    process = job.start("")
    process.communicate(timeout=30)
    (job.root / "code/script.py").unlink()
    command = [sys.executable, "-B", str(job.root / "code/entry.py"), "script.py"]
    assert subprocess.run(command, capture_output=True).returncode == 1
    assert "there is no script script.py" in (job.reason() or "")


WRITE_MODEL = (
    "import os, pathlib; pathlib.Path(os.environ['SM_MODEL_DIR'], 'model.safetensors').write_bytes(b'weights')"
)


def test_a_training_that_wrote_no_model_fails_with_the_reason(job: Job) -> None:
    """SageMaker itself completes such a job, with an empty model.tar.gz."""
    job.configure()
    (job.root / "model/code").mkdir(parents=True)  # a folder alone is not a model
    result = job.run("print('done')")
    assert result.returncode == 1
    reason = job.reason() or ""
    assert reason.startswith(f"the script ended without an error and wrote no model to {job.root}/model\nhint: ")
    assert reason in result.stderr


@pytest.mark.parametrize("end", ["", "; raise SystemExit(0)"])
def test_a_training_that_wrote_its_model_succeeds(job: Job, end: str) -> None:
    job.configure()
    (job.root / "model").mkdir()
    assert job.run(WRITE_MODEL + end).returncode == 0
    assert job.reason() is None


@pytest.mark.parametrize(("end", "kept"), [("", 0), ("; raise SystemExit(143)", 2), ("; raise OSError", 2)])
def test_checkpoints_are_deleted_once_the_training_has_its_model(job: Job, end: str, kept: int) -> None:
    """SageMaker deletes them in S3 as well; there one of each run would stay for 60 days."""
    job.configure()
    (job.root / "model").mkdir()
    (job.root / "checkpoints/more").mkdir(parents=True)
    (job.root / "checkpoints/checkpoint-00000002.safetensors").write_bytes(b"state")
    job.run(WRITE_MODEL + end)
    assert len(list((job.root / "checkpoints").iterdir())) == kept


def test_an_interrupted_training_and_a_processing_job_need_no_model(job: Job) -> None:
    assert job.run("print('done')").returncode == 0
    job.configure()
    assert job.run("raise SystemExit(143)").returncode == 143
    assert job.reason() is None


def test_of_several_hosts_the_first_one_has_the_model(job: Job) -> None:
    for host, status in (("algo-1", 1), ("algo-2", 0)):
        shutil.rmtree(job.root / "input", ignore_errors=True)
        job.configure(resourceconfig={"current_host": host, "hosts": ["algo-1", "algo-2"]})
        # torchrun without its processes: the entry point asks the fake for the status.
        fake = job.root / "fake/torch/distributed"
        fake.mkdir(parents=True, exist_ok=True)
        for name in ("torch/__init__.py", "torch/distributed/__init__.py", "torch/distributed/run.py"):
            (job.root / "fake" / name).touch()
        assert job.run("").returncode == status
