"""A copy of the project with what a team changes in it: `make check` takes it, and the suite does not notice.

The tests of tests/end_to_end take too long here and are left out: run `make test` in such a copy to see them pass.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from suite import ROOT

NETWORK = '''class TinyNet(nn.Module):
    """One convolution."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        parts = [nn.Conv2d(3, 16, 3, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten()]
        self.layers = nn.Sequential(*parts, nn.Linear(256, len(config.classes)))

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images.float() / 255)


NETWORKS: dict'''
MORE = """
[qa]
account = "135791357916"
region = "us-east-1"
max_run_cost = 30.0

[qa.pipeline]
capacity = "both"
epochs = 3

[live]
account = "135791357917"
region = "us-east-1"
promotes_from = "dev"

[dev.delivery]
repository = "birds/headrace"
owner_id = 4
repository_id = 5
approve = false
"""
REQUIREMENT = "packaging"  # one that is installed; its hashes are those of locks/project.lock


def replace(path: Path, *changes: tuple[str, str]) -> None:
    text = path.read_text("utf-8")
    for old, new in changes:
        assert old in text, f"{path.name} has no {old!r}"
        text = text.replace(old, new, 1)
    path.write_text(text, "utf-8")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another account and region, two more environments, spot capacity, own epochs, a network and a requirement."""
    folder = tmp_path_factory.mktemp("adopted")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True)
    for name in listed.stdout.splitlines():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    for name in (".venv", "node_modules"):
        (folder / name).symlink_to(ROOT / name)
    replace(
        folder / "environments.toml",
        ('[dev]\naccount = "111111111111"', '[dev]\naccount = "135791357913"'),
        ('region = "eu-central-1"', 'region = "us-east-1"'),
        ('capacity = "both"', 'capacity = "spot"\nnetwork = "tiny-net"'),
        ("epochs = 12", "epochs = 20"),
        ('[dev.pipeline]\ncapacity = "spot"', '[dev.pipeline]\ncapacity = "spot"\nepochs = 40\nnetwork = "tiny-net"'),
        ("notice_emails = []", 'notice_emails = ["ml@example.com"]'),
    )
    with (folder / "environments.toml").open("a") as file:
        file.write(MORE)
    replace(folder / "prices.toml", ('"ml.m5.xlarge" = 0.23 ', '"ml.m5.xlarge" = 0.2 '))
    replace(
        folder / "training/model.py",
        ("NETWORKS: dict", NETWORK),
        ('    "small-cnn": SmallCNN,\n', '    "small-cnn": SmallCNN,\n    "tiny-net": TinyNet,\n'),
    )
    lock = (ROOT / "locks/project.lock").read_text()
    found = re.search(rf"^({REQUIREMENT}==\S+) \\\n((?:    --hash=\S+(?: \\)?\n)+)", lock, re.MULTILINE)
    assert found
    for name, text in (("requirements.in", f"{found[1]}\n"), ("requirements.txt", found[0])):
        with (folder / "training" / name).open("a") as file:
            file.write(text)
    for command in (["init", "--quiet"], ["add", "--all"]):  # tests ask Git which files there are
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def pytest_in(project: Path, *words: str, passes: bool = True) -> str:
    variables = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", *words]
    done = subprocess.run(command, cwd=project, env=variables, capture_output=True, text=True)
    assert (done.returncode == 0) == passes, done.stdout[-6000:]
    return done.stdout


@pytest.mark.timeout(600)
def test_make_check_takes_what_the_team_has_changed(project: Path) -> None:
    pytest_in(project, "tests/check")


@pytest.mark.timeout(3600)
def test_the_suite_does_not_notice(project: Path) -> None:
    said = pytest_in(project, "--ignore", "tests/end_to_end", "--dist", "loadfile")
    assert "training/ differs in model.py, requirements.in, requirements.txt" in said


FAULTS = [
    ("environments.toml", "[qa.pipeline]\n", "[qa.pipeline]\nepoch = 3\n", "environments.toml [qa.pipeline]: "),
    ("prices.toml", '"ml.m5.large" = 0.115', '"ml.m5.large" = "0.115"', "prices.toml [us-east-1"),
    (
        "training/train.py",
        "    interrupted = fit(",
        "    raise OSError('nothing here')\n    fit(",
        "OSError: nothing here",
    ),
    ("training/evaluate.py", '"improvement", "gate",', '"improvement",', "decision.json lacks gate."),
    ("training/requirements.txt", "safetensors==", "safetensors==9", "requirements.in names\n\nhint: make lock"),
]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("file", "old", "new", "said"), FAULTS, ids=[fault[0] for fault in FAULTS])
def test_make_check_names_what_is_wrong(project: Path, file: str, old: str, new: str, said: str) -> None:
    before = (project / file).read_text()
    replace(project / file, (old, new))
    try:
        printed = pytest_in(project, "tests/check", passes=False)
    finally:
        (project / file).write_text(before)
    assert said in printed
    assert "During handling of the above exception" not in printed
