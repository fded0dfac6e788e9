"""The training code is checked before anything is synthesized with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from suite import PROJECT

import backbone
import model
from environments.settings import LOCAL, Settings
from environments.typed_table import SettingsError
from infra.training.code_archive import code_files
from infra.training.training_code import check_training_code
from infra.training.wheels import image_python
from pipeline_definition import PipelineSettings
from pipeline_definition.variants import Variant
from source_code.archive import File
from source_code.networks import networks

ROOT = Path(__file__).parents[2]
HASH = "sha256:" + "0" * 64
CODE = code_files(PROJECT / "training", ROOT / "data_sets")


def settings(**pipeline: Any) -> Settings:
    return Settings(
        environment="dev", account="123456789012", region="eu-central-1", pipeline=PipelineSettings(**pipeline)
    )


def check(found: Settings, code: Mapping[str, File]) -> None:
    """As the stack of these settings checks it."""
    check_training_code(code, found.pipeline_tables, found.training_image, local=found.environment == LOCAL)


def refusal(found: Settings, **changed: str) -> str:
    code = CODE | {name.replace("_", ".", 1): File(text.encode()) for name, text in changed.items()}
    with pytest.raises(SettingsError) as caught:
        check(found, code)
    return str(caught.value)


def test_the_projects_own_code_is_taken() -> None:
    check(settings(), CODE)
    check(settings(network="small-cnn-groupnorm"), CODE)


def test_the_networks_are_read_from_the_text_as_python_has_them() -> None:
    found = networks(CODE)
    assert found is not None
    assert (found.names, found.prefix) == (tuple(model.NETWORKS), backbone.PREFIX)


def test_a_network_that_the_code_does_not_know_is_refused_with_the_known_ones() -> None:
    said = refusal(settings(network="resnet18"))
    assert said == (
        "environments.toml [dev.pipeline]: network is 'resnet18', which training/model.py does not know\n"
        "hint: use one of small-cnn, small-cnn-groupnorm, timm:<name>; a network of timm is written timm:resnet18; "
        "or add your own to NETWORKS in training/model.py"
    )


def test_the_network_of_a_variant_is_also_checked() -> None:
    found = settings(capacity="spot", variants=(Variant(name="a"), Variant(name="b", network="vgg")))
    assert "network is 'vgg'" in refusal(found)


def test_a_network_of_timm_needs_timm_in_the_requirements() -> None:
    found = settings(network="timm:resnet18")
    assert "does not name timm" in refusal(found)
    requirements = CODE["requirements.txt"].content + f"timm==1.0.20 --hash={HASH}\n".encode()
    check(found, CODE | {"requirements.txt": File(requirements)})
    own = replace(found, training_image="123456789012.dkr.ecr.eu-central-1.amazonaws.com/mine:1")
    check(own, CODE)  # the packages of a custom image are unknown


def test_networks_that_are_not_written_out_are_left_to_the_job() -> None:
    code = CODE | {"model.py": File(b"NETWORKS = {name: 1 for name in 'abc'}\n")}
    assert networks(code) is None
    check(settings(network="anything"), code)


def test_a_file_that_does_not_compile_is_named_with_its_line_and_the_images_python() -> None:
    said = refusal(settings(), optimizing_py="def f(:\n")
    assert said.startswith("training: optimizing.py, line 1 does not compile with Python 3.")
    assert "(the image pytorch:2.13-cu133-amzn2023-sagemaker has Python 3.12)" in said


def test_a_script_that_the_definition_runs_has_to_be_there() -> None:
    with pytest.raises(SettingsError, match=r"there is no file evaluate\.py in the code"):
        check(settings(), {name: file for name, file in CODE.items() if name != "evaluate.py"})


@pytest.mark.parametrize("line", ["pillow = 13", "pillow==", "!!"])
def test_a_requirement_that_pip_could_not_read_is_named_with_its_line(line: str) -> None:
    said = refusal(settings(), requirements_txt=f"# first\n{line}\n")
    assert said.startswith(f"training/requirements.txt: line 2, {line!r}, is not a requirement: ")


@pytest.mark.parametrize("text", [f"pillow==13.0.0 --hash={HASH}\ntimm==1.0.20\n", "--require-hashes\ntimm==1.0.20\n"])
def test_a_requirement_without_a_hash_beside_some_with_one_is_named(text: str) -> None:
    """pip would refuse it in the job, and at the endpoint."""
    said = refusal(settings(), requirements_txt=text)
    assert said.startswith("training/requirements.txt: line 2, 'timm==1.0.20', has no hash, and pip takes nothing ")
    assert "hint: write it into training/requirements.in, then `make lock`, which finds the hashes" in said


def test_a_line_that_is_added_to_what_is_shipped_needs_a_hash() -> None:
    shipped = CODE["requirements.txt"].content
    with pytest.raises(SettingsError, match=r"line \d+, 'timm==1\.0\.20', has no hash"):
        check(settings(), CODE | {"requirements.txt": File(shipped + b"timm==1.0.20\n")})


def test_a_file_without_any_hash_is_taken() -> None:
    check(settings(), CODE | {"requirements.txt": File(b"pillow==13.0.0\nsimplejpeg\n")})


def test_what_the_requirements_are_made_from_is_not_part_of_the_code() -> None:
    assert "requirements.txt" in CODE
    assert "requirements.in" not in CODE


def test_options_comments_and_markers_are_accepted_in_requirements() -> None:
    text = b"--extra-index-url https://example.com  # ours\n\npillow==13.0.0  # images\ntimm; python_version > '3'\n"
    check(settings(), CODE | {"requirements.txt": File(text)})


@pytest.mark.parametrize(
    ("image", "minor"),
    [
        ("pytorch:2.13-cu133-amzn2023-sagemaker", 12),
        ("pytorch-inference:2.6.0-cpu-py312-ubuntu22.04-sagemaker", 12),
        ("pytorch-training:2.5.1-gpu-py311-cu124", 11),
        ("123456789012.dkr.ecr.eu-central-1.amazonaws.com/mine:1", None),
    ],
)
def test_the_python_of_an_image_is_known_from_its_name(image: str, minor: int | None) -> None:
    assert image_python(image) == minor
