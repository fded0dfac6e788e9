"""Images that the user maps to a lock file, an interpreter or a command, in a real local cloud without a network."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pipeline_runs import BUCKET, client, free_port, make_role
from script_jobs import REGISTRY, Jobs
from started_processes import starts_process

from local_cloud import process
from local_cloud.process import Running

WORD = "never-in-a-log"


@dataclass(frozen=True)
class Mapped:
    jobs: Jobs
    cloud: Running
    folder: Path

    def run(self, image: str, *words: str, arguments: tuple[str, ...] = ()) -> tuple[dict[str, Any], list[str]]:
        """A training with this entry point, or the image's own: its description and its log."""
        request = self.jobs.request(f"{REGISTRY}/{image}", {"train.py": ""})
        del request["HyperParameters"]
        algorithm = request["AlgorithmSpecification"]
        algorithm |= {"ContainerEntrypoint": [*words]} if words else {}
        algorithm |= {"ContainerArguments": [*arguments]} if arguments else {}
        job = self.jobs.train(request)
        return job, self.jobs.log(request["TrainingJobName"])


def wheel(folder: Path) -> str:
    """One with a console script; returns its hash."""
    path = folder / "owl-1.0-py3-none-any.whl"
    files = {
        "owl.py": "import sys\ndef hoot():\n    print('hoot', sys.argv[1:])\n",
        "owl-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: owl\nVersion: 1.0\n",
        "owl-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: by hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "owl-1.0.dist-info/entry_points.txt": "[console_scripts]\nhoot = owl:hoot\n",
        "owl-1.0.dist-info/RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
@starts_process
def mapped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapped]:
    folder = tmp_path_factory.mktemp("mapped")
    (folder / "wheels").mkdir()
    digest = wheel(folder / "wheels")
    (folder / "locked.txt").write_text(f"# by uv\nowl==1.0 \\\n    --hash=sha256:{digest}  # via nobody\nnumpy==2.4.6 "
                                       f"--hash=sha256:{digest}\n")  # fmt: skip
    (folder / "other.txt").write_text(f"owl==1.0 --hash=sha256:{'0' * 64}\n")
    (folder / "loose.txt").write_text("owl>=1.0\n")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "env"], check=True)
    (packages,) = (folder / "env/lib").glob("python3*/site-packages")
    (packages / "nest.py").write_text("EGGS = 4\n")
    (folder / "report.sh").write_text('#!/bin/sh\necho "report: $*"\nls /opt/ml\n')
    (folder / "report.sh").chmod(0o755)
    images: dict[str, dict[str, Any]] = {
        "owls:1": {"requirements": str(folder / "locked.txt")},
        "owls:2": {"requirements": str(folder / "other.txt")},
        "owls:3": {"requirements": str(folder / "loose.txt")},
        "nests": {"python": str(folder / "env/bin/python")},
        "reports*": {"command": [str(folder / "report.sh"), 'a "word"']},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_NO_INDEX", "1")
        patch.setenv("PIP_FIND_LINKS", str(folder / "wheels"))
        patch.setenv("PIP_EXTRA_INDEX_URL", f"https://me:{WORD}@localhost/simple")
        running = process.start(folder / "state", port=free_port(), images=images)

    def connect(service: str) -> Any:
        return client(running, service)

    connect("s3").create_bucket(Bucket=BUCKET)
    role = make_role(connect("iam"), "jobs", ["s3:*", "logs:*", "cloudwatch:*"], ["*"])
    yield Mapped(Jobs(connect, role), running, folder)
    process.stop(folder / "state")


def test_a_lock_file_becomes_an_environment_once_however_many_jobs_need_it(mapped: Mapped) -> None:
    jobs, names = mapped.jobs, []
    for _ in range(3):
        request = jobs.request(f"{REGISTRY}/owls:1", {"train.py": ""})
        command = "hoot --loud && python3 -c 'import owl, numpy; print(numpy.__version__)' && env"
        request["AlgorithmSpecification"]["ContainerEntrypoint"] = ["/bin/sh", "-c", command]
        jobs.connect("sagemaker").create_training_job(**request)
        names.append(request["TrainingJobName"])
    logs = []
    for name in names:
        job = jobs.trained(name)
        assert job["TrainingJobStatus"] == "Completed", (job.get("FailureReason"), jobs.log(name))
        logs.append(jobs.log(name))
    for log in logs:
        assert "hoot ['--loud']" in log
        assert "2.4.6" in log
        assert any(
            line.startswith(f"{REGISTRY}/owls:1: runs here with Python 3.") and "owl 1.0" in line for line in log
        )
        assert not [line for line in log if WORD in line or line.startswith("PIP_INDEX")]
    assert sum(any("pip: Successfully installed owl-1.0" in line for line in log) for log in logs) == 1
    made = [*(mapped.folder / "state/sagemaker/images").glob("locked-*")]
    assert len(made) == 1
    kept = [path for path in made[0].rglob("*") if path.is_file() and not path.is_symlink()]
    assert len(kept) > 5
    assert not [path for path in kept if WORD.encode() in path.read_bytes()]


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        ("owls:2", "ClientError: pip could not install owl==1.0: ERROR: THESE PACKAGES DO NOT MATCH THE HASHES"),
        ("owls:3", "ClientError: 'owl>=1.0' is not a package as name==version with its hashes.\nhint: uv pip compile"),
    ],
)
def test_what_a_lock_file_does_not_pin_is_not_installed(mapped: Mapped, image: str, reason: str) -> None:
    job, _ = mapped.run(image, "true")
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith(reason)
    assert not [*(mapped.folder / "state/sagemaker/images").glob("other-*")]


def test_an_interpreter_brings_what_is_installed_beside_it(mapped: Mapped) -> None:
    job, log = mapped.run("nests:latest", "python", "-c", "import nest, sys; print(nest.EGGS, sys.prefix)")
    assert job["TrainingJobStatus"] == "Completed", (job.get("FailureReason"), log)
    assert f"4 {mapped.folder}/env" in log
    assert log[0].endswith(f", {mapped.folder}/env/bin/python, whatever its tag says")


def test_a_command_stands_for_the_entry_point_of_the_image(mapped: Mapped) -> None:
    job, log = mapped.run("reports-weekly:7")
    assert job["TrainingJobStatus"] == "Completed", (job.get("FailureReason"), log)
    assert 'report: a "word" train' in log
    assert "input" in log
    _, log = mapped.run("reports-weekly:7", arguments=("--of", "owls"))
    assert 'report: a "word" --of owls' in log
    _, log = mapped.run("reports-weekly:7", "echo", "the job's own")
    assert log[-1] == "the job's own"


def test_a_script_runs_in_a_mapped_environment_by_the_toolkit(mapped: Mapped) -> None:
    request = mapped.jobs.request(f"{REGISTRY}/owls:1", {"train.py": "import owl; owl.hoot()"}, {"epochs": 2})
    job = mapped.jobs.train(request)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert "hoot ['--epochs', '2']" in mapped.jobs.log(request["TrainingJobName"])


def test_other_mappings_hold_at_once_for_a_local_cloud_that_runs(mapped: Mapped) -> None:
    with pytest.raises(mapped.jobs.connect("sagemaker").exceptions.ClientError, match="has no local counterpart"):
        mapped.run("later:1", "true")
    file = mapped.folder / "state/sagemaker/images.toml"
    before = file.read_text()
    again = process.start(
        mapped.cloud.state, images={"later": {"command": [str(mapped.folder / "report.sh")]}}
    )  # fmt: skip
    assert again.pid == mapped.cloud.pid
    job, log = mapped.run("later:1")
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert "report: train" in log
    process.start(mapped.cloud.state)
    assert file.read_text() != before, "without mappings the last ones stay"


def test_a_function_does_not_see_the_settings_of_pip(mapped: Mapped) -> None:
    """They may hold the password of an index, and functions inherit the variables of the local cloud."""
    connect = mapped.jobs.connect
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        files.writestr("look.py", "import os\ndef handle(event, context): return sorted(os.environ)\n")
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = connect("iam").create_role(RoleName="looking", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    connect("lambda").create_function(
        FunctionName="look",
        Runtime="python3.12",
        Role=role,
        Handler="look.handle",
        Code={"ZipFile": archive.getvalue()},
    )
    connect("lambda").get_waiter("function_active_v2").wait(FunctionName="look")
    seen = json.loads(connect("lambda").invoke(FunctionName="look")["Payload"].read())
    assert "AWS_REGION" in seen
    assert not [name for name in seen if name.startswith("PIP_")]
