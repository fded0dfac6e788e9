"""Training code that cannot be used: found before anything is deployed, when it is put into the bucket, or in a job."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bad_input_table import ROOT
from pipeline_runs import BUCKET, definition, run, training_step
from suite import PROJECT

from environments.settings import Settings
from environments.typed_table import SettingsError
from headrace.errors import SetupError
from headrace.project import training_code
from infra.training.code_archive import code_files
from infra.training.training_code import check_training_code
from pipeline_definition.job import entrypoint
from source_code.archive import File, pack

SECTION = "Training code"
SYNTHESIS = "command output of `cdk` (synth, deploy, …)"
DEPLOYMENT = "output of `headrace deploy`"
REASON = "FailureReason of the step"
GUARD = '\nif __name__ == "__main__":\n    pass\n'
DEV = Settings(environment="dev", account="123456789012", region="eu-central-1")

Connect = Callable[[str], Any]
Row = Callable[..., None]


@pytest.mark.parametrize(("name", "text", "given"), [
    ("optimizing.py", "def step(:\n", "a file of the training code that does not compile"),
    ("model.py", "# headrace: imports networks/*.py\nNETWORKS = {}\n", "a declared import of no file"),
    ("requirements.txt", "pillow==13.0.0\nsimplejpeg = 1.9\n", "a line of requirements.txt that pip could not read"),
    ("requirements.txt", f"pillow==13.0.0 --hash=sha256:{'0' * 64}\ntimm==1.0.20\n",
     "a requirement without a hash beside one that has it"),
])  # fmt: skip
def test_synthesis_with_bad_code(row: Row, name: str, text: str, given: str) -> None:
    code = code_files(PROJECT / "training", ROOT / "data_sets") | {name: File(text.encode())}
    with pytest.raises(SettingsError) as caught:
        check_training_code(code, DEV.pipeline_tables, DEV.training_image, local=False)
    version = f"Python {sys.version_info.major}.{sys.version_info.minor}"
    said = str(caught.value).replace(f"with {version}", "with <Python here>")  # the image may have the same one
    row(given, SYNTHESIS, f"error: {said}")


@pytest.mark.parametrize(("name", "text", "given"), [
    ("train.py", f"import nothing_of_the_kind\n{GUARD}", "training code that imports a package that is not installed"),
    ("train.py", f"x = 1\nx.shape\n{GUARD}", "training code that fails when it is imported"),
    ("requirements.txt", "nothing-of-the-kind==1.0\n", "a requirement that is not installed here"),
])  # fmt: skip
def test_deployment_of_code_that_cannot_run_here(
    row: Row, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, given: str
) -> None:
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SetupError) as caught:
        training_code.check(tmp_path, [])
    row(
        given,
        "output of `headrace deploy`",
        f"error: {caught.value}\n\nhint: {caught.value.hint}",
        python=sys.executable,
    )


@pytest.mark.parametrize(("script", "given"), [
    ("print('trained')\n", "a training script that ends without an error and wrote no model"),
    ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n",
     "a training script that is killed, as the kernel does for memory"),
    ("raise SystemExit('the labels are all the same')\n", "a training script that ends with its own message"),
])  # fmt: skip
def test_a_training_that_leaves_nothing(
    row: Row, connect: Connect, bucket: str, role: str, script: str, given: str
) -> None:
    code = code_files(PROJECT / "training")
    names = ("entry.py", "errors.py", "toolkit.py")
    archive = pack({**{name: code[name] for name in names}, "train.py": File(script.encode())})
    connect("s3").put_object(Bucket=bucket, Key="jobs/bad-code/source.tar.gz", Body=archive)
    channel = {
        "ChannelName": "code",
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/jobs/bad-code/"}},
    }
    step = training_step(role, "", InputDataConfig=[channel])
    step["Arguments"]["AlgorithmSpecification"] |= {
        "ContainerEntrypoint": entrypoint("/opt/ml/input/data/code"), "ContainerArguments": ["train.py"],
    }  # fmt: skip
    _, steps = run(connect("sagemaker"), "bad-code", definition(step), role)
    row(given, REASON, steps["Train"]["FailureReason"])
