"""environments.toml with a mistake in it: said before anything is synthesized, by the CDK app itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from bad_input_table import ROOT
from suite import PROJECT

from environments.projects import load_project_settings
from environments.settings import load_settings
from environments.typed_table import SettingsError

SECTION = "Configuration"
SEEN = "command output of `cdk` (synth, deploy, …)"
ACCOUNT, REGION = 'account = "123456789012"\n', 'region = "eu-central-1"\n'
PLACE = ACCOUNT + REGION
IN_VPC = 'network_access = "vpc"\n'

Row = Callable[..., None]


def pipeline(settings: str) -> str:
    return f"{PLACE}[dev.pipeline]\n{settings}\n"


def variants(settings: str, *tables: str) -> str:
    return pipeline(settings) + "".join(f"[[dev.pipeline.variants]]\n{table}\n" for table in tables)


SPOT = 'capacity = "spot"'


def line(name: str, data_sets: str, *, place: str = PLACE) -> str:
    return f'{place}[dev.lines.{name}]\ndata_sets = ["{data_sets}"]\n'


# What was given, and the table [dev] without its head.
MISTAKES = [
    ("a key that there is not: `regoin`", f'{ACCOUNT}regoin = "eu-central-1"\n'),
    ("a key of the pipeline that there is not: `epoch`", pipeline("epoch = 3")),
    ("no region", ACCOUNT),
    ("an account number without quotes", f"account = 123456789012\n{REGION}"),
    ("an account number of 4 digits", f'account = "1234"\n{REGION}'),
    ("a region that is not a region code", f'{ACCOUNT}region = "frankfurt"\n'),
    ("`removal` with a word that it does not know", f'{PLACE}removal = "keep"\n'),
    ("`quiet_seconds` longer than SQS delays a message", f"{PLACE}quiet_seconds = 901\n"),
    ("`log_retention_days` that are not offered", f"{PLACE}log_retention_days = 8\n"),
    ("an e-mail address that is none", f'{PLACE}notice_emails = ["nobody@home"]\n'),
    ("a tag that is AWS's own", f'{PLACE}tags = {{ "aws:owner" = "me" }}\n'),
    ("an image without a tag", f'{PLACE}training_image = "pytorch"\n'),
    ("no instance for the endpoint", f"{PLACE}endpoint_instance_count = 0\n"),
    ("an endpoint on a type for which no model is registered",
     f'{PLACE}endpoint_instance_type = "ml.p3.2xlarge"\n'),
    ("a monthly budget below 0", f"{PLACE}monthly_budget = -5\n"),
    ("no run in a day", f"{PLACE}max_runs_per_day = 0\n"),
    ("more runs at once than can be counted", f"{PLACE}max_concurrent_runs = 5000\n"),
    ("a network access that there is not", f'{PLACE}network_access = "private"\n'),
    ("the former name of `network_access`", f'{PLACE}network = "vpc"\n'),
    ("a VPC in one zone", f'{PLACE}{IN_VPC}availability_zones = ["eu-central-1a"]\n'),
    ("a VPC in the zones of another region",
     f'{PLACE}{IN_VPC}availability_zones = ["eu-west-1a", "eu-west-1b"]\n'),
    ("zones without a VPC", f'{PLACE}availability_zones = ["eu-central-1a", "eu-central-1b"]\n'),
    ("a key of another region", f'{PLACE}data_key = "arn:aws:kms:us-east-1:123456789012:key/1"\n'),
    ("an accuracy above 1", pipeline("accuracy_threshold = 1.5")),
    ("no instance for the training", pipeline("train_instance_count = 0")),
    ("an instance type that runs endpoints and no batch transforms",
     pipeline('inference_instance_types = ["ml.c5.large"]')),
    ("spot capacity that may not be waited for", pipeline('capacity = "spot"\nspot_wait_seconds = 0')),
    ("an input mode that training does not have", pipeline('input_mode = "Pipe"')),
    ("a warm pool for longer than SageMaker keeps one", pipeline("keep_alive_seconds = 7200")),
    ("a warm pool of spot capacity", pipeline('capacity = "spot"\nkeep_alive_seconds = 600')),
    ("approval by a word that SageMaker does not know", pipeline('model_approval_status = "automatic"')),
    ("variants on both kinds of capacity", variants("", 'name = "a"')),
    ("variants and a search for the learning rate", variants('capacity = "spot"\ntuning_jobs = 4', 'name = "a"')),
    ("two variants that are the same", variants(SPOT, 'name = "a"\nepochs = 5', 'name = "b"\nepochs = 5')),
    ("more variants than Evaluate has inputs", variants(SPOT, *(f'name = "v{n}"\nseed = {n}' for n in range(7)))),
    ("a variant without a name", variants(SPOT, "epochs = 5")),
    ("a variant with the name of another input of Evaluate", variants(SPOT, 'name = "champion"')),
    ("two variants whose names make the same step", variants(SPOT, 'name = "a1"', 'name = "a-1"\nseed = 1')),
    ("a variant with a number that no training has", variants(SPOT, 'name = "a"\nlearning_rate = 0')),
    ("a variant with a key that there is not", variants(SPOT, 'name = "a"\nepoch = 5')),
    ("a variant that is not a table", pipeline('capacity = "spot"\nvariants = ["a"]')),
    ("a model line without data sets", f"{PLACE}[dev.lines.pets]\n"),
    ("a model line that takes a path for a data set", line("pets", "datasets/pets")),
    ("two model lines that take the same data sets", line("pets", "pets*") + line("birds", "*-birds", place="")),
    ("a model line called like a version", line("v2", "pets*")),
    ("a model line called like an environment", line("pets", "pets*") + f"[dev-pets]\n{PLACE}"),
    ("more model lines than roles have room for",
     line("a0", "a0") + "".join(line(f"a{number}", f"a{number}", place="") for number in range(1, 6))),
]  # fmt: skip


@pytest.mark.parametrize(("given", "table"), MISTAKES, ids=[given for given, _ in MISTAKES])
def test_a_mistake_in_a_table(row: Row, tmp_path: Path, given: str, table: str) -> None:
    path = tmp_path / "environments.toml"
    path.write_text(f"[dev]\n{table}")
    with pytest.raises(SettingsError) as caught:
        load_settings(path, "dev")
    row(given, SEEN, f"error: {caught.value}")  # as app.py says it, of which the tests below are the proof


@pytest.mark.parametrize(("given", "name", "dev", "live"), [
    ("a VPC for an environment that promotes", "live", "", IN_VPC),
    ("a custom KMS key in an environment that another one promotes from", "dev",
     'data_key = "arn:aws:kms:eu-central-1:123456789012:key/1"\n', ""),
])  # fmt: skip
def test_a_mistake_about_promotion(row: Row, tmp_path: Path, given: str, name: str, dev: str, live: str) -> None:
    path = tmp_path / "environments.toml"
    consumer = f'[live]\naccount = "210987654321"\n{REGION}promotes_from = "dev"\n{live}'
    path.write_text(f"[dev]\n{PLACE}{dev}{consumer}")
    with pytest.raises(SettingsError) as caught:
        load_settings(path, name)
    row(given, SEEN, f"error: {caught.value}")


def test_a_setting_that_a_project_cannot_have(row: Row, tmp_path: Path) -> None:
    path = tmp_path / "environments.toml"
    path.write_text(f"[projects]\n{IN_VPC}")
    with pytest.raises(SettingsError) as caught:
        load_project_settings(path)
    row("a VPC for the projects that are started from the template", SEEN, f"error: {caught.value}")


@pytest.mark.parametrize(("name", "settings", "given"), [
    ("Bad_Name", "", "a table whose name cannot be an environment's: `[Bad_Name]`"),
    ("machine-learning-team", "", "an environment's name that leaves no room in the names made of it"),
    ("dear", 'max_run_cost = 10\n[dear.pipeline]\ntrain_instance_type = "ml.p5.48xlarge"\n',
     "`max_run_cost` and an instance type that prices.toml does not have"),
    ("mistyped", 'region = "eu-centrl-1"\nmax_run_cost = 10\n', "`max_run_cost` and a region that is misspelt"),
    ("fine", "[project]\nquiet_seconds = 9\n", "a table that nothing would read: `[project]` for `[projects]`"),
    ("far", 'region = "eu-nowhere-7"\n', "a region in which AWS has no deep-learning images"),
    ("closed", IN_VPC, "a VPC without the wheels that its jobs need"),
    ("torn", "removal =", "a file that is not valid TOML"),
    ("own", '[own.pipeline]\nnetwork = "resnet18"\n', "a network that training/model.py does not know"),
    ("timm", '[timm.pipeline]\nnetwork = "timm:resnet18"\n', "a network of timm, which requirements.txt does not name"),
])  # fmt: skip
def test_synthesis_of_bad_settings(row: Row, tmp_path: Path, name: str, settings: str, given: str) -> None:
    """By app.py, as the CDK starts it."""
    shutil.copy(ROOT / "app.py", tmp_path)
    packages = (
        "data_sets",
        "environments",
        "infra",
        "lambda",
        "pipeline_definition",
        "run_costs",
        "source_code",
        "training",
    )
    for entry in (*packages, "prices.toml"):
        (tmp_path / entry).symlink_to(PROJECT / entry)
    place = ACCOUNT + ("" if "region =" in settings else REGION)
    (tmp_path / "environments.toml").write_text(f"[{name}]\n{place}{settings}")
    done = subprocess.run(
        [sys.executable, "-B", "app.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60,
        env=os.environ | {"CDK_CONTEXT_JSON": json.dumps({"env": name})},
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    row(given, SEEN, done.stderr[done.stderr.index("error:") :])


def test_synthesis_of_an_unknown_environment(row: Row, tmp_path: Path) -> None:
    """By the CDK's own command."""
    command = ["npx", "--no-install", "cdk", "synth", "-c", "env=nope", "--output", str(tmp_path / "cdk.out")]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command, cwd=PROJECT, capture_output=True, text=True, env=os.environ | {"PATH": path, "CI": "true"}, timeout=60
    )
    assert done.returncode != 0
    said = done.stderr[done.stderr.index("error:") :]  # jsii may warn of the version of Node before
    said = "\n".join(line for line in said.splitlines() if "Subprocess exited" not in line)
    row("an environment that there is not: `cdk synth -c env=nope`", SEEN, said)
