"""Each step is given what its script needs of the code, at an address that changes with that alone."""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any

import pytest
from worlds import BUCKET, DEFINITION, NAME, UploadWorld

KEY = "code/source.tar.gz"
REFUSAL = f"pipelines/{NAME}.error.json"
SCRIPTS = ("preprocess.py", "train.py")
CODE = {
    "entry.py": "import errors\n",
    "errors.py": "",
    "images.py": "SIZE = 32\n",
    "preprocess.py": "import images\n",
    "train.py": "import images\nimport model\nRATE = 1\n",
    "model.py": "",
    "requirements.txt": "pillow\n",
}


@pytest.fixture
def world() -> UploadWorld:
    """Its definition names the code of two scripts."""
    return asking(*SCRIPTS)


def asking(*scripts: str) -> UploadWorld:
    world = UploadWorld()
    ask(world, *scripts)
    return world


def ask(world: UploadWorld, *scripts: str) -> None:
    definition = json.loads(DEFINITION)
    definition["Steps"][0]["Arguments"]["Environment"] = {
        f"{kind} {script}": f"${{headrace:{kind}/{script}}}" for script in scripts for kind in ("CodeUri", "CodeHash")
    }
    world.cloud.put(BUCKET, f"pipelines/{NAME}.json", json.dumps(definition).encode())


def put(world: UploadWorld, code: dict[str, str]) -> dict[str, str]:
    """Put the code; what the definition's names stand for once it is published."""
    put_archive(world, code)
    return bound(world)


def put_archive(world: UploadWorld, code: dict[str, str]) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as target:
        for name, text in code.items():
            entry = tarfile.TarInfo(f"./{name}")
            entry.size = len(text)
            target.addfile(entry, io.BytesIO(text.encode()))
    world.cloud.put(BUCKET, KEY, buffer.getvalue())
    world._notify("s3_object_created", KEY)
    world.settle()


def bound(world: UploadWorld) -> dict[str, str]:
    definition = json.loads(world.cloud.pipelines[NAME]["PipelineDefinition"])
    environment: dict[str, str] = definition["Steps"][0]["Arguments"]["Environment"]
    return environment


def names_at(world: UploadWorld, uri: str) -> list[str]:
    content = world.cloud.text(BUCKET, uri.removeprefix(f"s3://{BUCKET}/"))
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return archive.getnames()


def test_a_step_is_given_what_its_script_needs_by_an_address(world: UploadWorld) -> None:
    found = put(world, CODE)
    assert names_at(world, found["CodeUri preprocess.py"]) == [
        "entry.py", "errors.py", "images.py", "preprocess.py", "requirements.txt",
    ]  # fmt: skip
    assert names_at(world, found["CodeUri train.py"]) == [
        "entry.py", "errors.py", "images.py", "model.py", "requirements.txt", "train.py",
    ]  # fmt: skip
    for script in SCRIPTS:
        assert found[f"CodeUri {script}"] == f"s3://{BUCKET}/code/{found[f'CodeHash {script}']}/source.tar.gz"


@pytest.mark.parametrize(
    ("changed", "moved"),
    [
        ({"train.py": CODE["train.py"] + "RATE = 2\n"}, {"train.py"}),
        ({"model.py": "WIDTH = 3\n"}, {"train.py"}),
        ({"preprocess.py": "import images, errors\n"}, {"preprocess.py"}),
        ({"images.py": "SIZE = 64\n"}, {"preprocess.py", "train.py"}),
        ({"requirements.txt": "pillow==13\n"}, {"preprocess.py", "train.py"}),
        ({"unused.py": "x = 1\n"}, set()),
        ({"train.py": "# why\n" + CODE["train.py"].replace("\n", "  # because\n")}, set()),
    ],
)
def test_only_the_steps_that_need_what_changed_get_another_address(
    world: UploadWorld, changed: dict[str, str], moved: set[str]
) -> None:
    before = put(world, CODE)
    after = put(world, CODE | changed)
    assert {script for script in SCRIPTS if before[f"CodeUri {script}"] != after[f"CodeUri {script}"]} == moved


def test_what_lies_at_an_address_is_what_was_stored_there_first(world: UploadWorld) -> None:
    """Executions under way read it; another comment is another archive as a whole, with a separate hash."""
    found = put(world, CODE)
    key = found["CodeUri train.py"].removeprefix(f"s3://{BUCKET}/")
    first = world.cloud.text(BUCKET, key)
    again = put(world, CODE | {"train.py": "# a comment\n" + CODE["train.py"]})
    assert again["CodeUri train.py"] == found["CodeUri train.py"]
    assert world.cloud.text(BUCKET, key) == first
    assert len([name for name in world.cloud.keys(BUCKET) if name.startswith("code/")]) == 1 + 2 + 2


def test_a_script_that_another_definition_asks_for_is_found_in_the_same_archive(world: UploadWorld) -> None:
    before = put(world, CODE)
    ask(world, *SCRIPTS, "images.py")
    world._notify("s3_object_created", f"pipelines/{NAME}.json")
    world.settle()
    after = bound(world)
    assert {name: after[name] for name in before} == before
    assert names_at(world, after["CodeUri images.py"]) == ["entry.py", "errors.py", "images.py", "requirements.txt"]


def test_the_archive_is_read_once_for_each_version(world: UploadWorld) -> None:
    put(world, CODE)
    reads: list[str] = []

    def watch(when: str, name: str, parameters: dict[str, Any]) -> None:
        if (when, name) == ("before", "GetObject"):
            reads.append(parameters["Key"])

    world.cloud.interrupt = watch
    world.send({"headrace": "publish"})
    world.settle()
    assert KEY not in reads


def test_a_script_that_the_code_does_not_have_is_refused() -> None:
    world = asking("train.py", "missing.py")
    world.cloud.pipelines.clear()
    with pytest.raises(KeyError):
        put(world, CODE)
    refusal = world.document(REFUSAL)
    assert "there is no file missing.py in the code" in refusal["error"]
    assert "entry.py, errors.py" in refusal["hint"]


def test_without_an_archive_each_script_has_the_whole_code_that_was_deployed() -> None:
    world = UploadWorld()
    definition = json.loads(DEFINITION)
    definition["Steps"][0]["Arguments"]["Environment"] = {"CODE": "${headrace:CodeUri/train.py}"}
    world.cloud.put(BUCKET, f"pipelines/{NAME}.json", json.dumps(definition).encode())
    world.send({"headrace": "publish"})
    world.settle()
    assert bound(world) == {"CODE": f"s3://{BUCKET}/code/aaa/source.tar.gz"}


def test_a_slash_that_json_escapes_is_a_slash() -> None:
    world = UploadWorld()
    definition = json.loads(DEFINITION)
    definition["Steps"][0]["Arguments"]["Environment"] = {"CODE": "${headrace:CodeUri/train.py}"}
    text = json.dumps(definition).replace("CodeUri/train.py", "CodeUri\\/train.py")
    world.cloud.put(BUCKET, f"pipelines/{NAME}.json", text.encode())
    found = put(world, CODE)
    assert "train.py" in names_at(world, found["CODE"])


@pytest.mark.parametrize(
    ("network", "known"),
    [("small", True), ('"small"', True), ("timm:resnet18", True), ("resnet18", False), ("large", False)],
)
def test_code_without_the_network_that_the_definition_trains_is_refused(network: str, known: bool) -> None:
    """Known are the names that model.py lists, and any of timm where there is a prefix for it."""
    world = UploadWorld()
    definition = json.loads(DEFINITION)
    training = next(step for step in definition["Steps"] if step["Type"] == "Training")
    training["Arguments"]["HyperParameters"] = {"network": network}
    world.cloud.put(BUCKET, f"pipelines/{NAME}.json", json.dumps(definition).encode())
    code = CODE | {"model.py": "NETWORKS = {'small': 1, 'wide': 2}\n", "backbone.py": "PREFIX = 'timm:'\n"}
    if known:
        put_archive(world, code)
        assert NAME in world.cloud.pipelines
        return
    put_archive(world, code)
    assert NAME not in world.cloud.pipelines
    refusal = world.document(REFUSAL)
    assert f"model.py of the code does not know its network '{network}'" in refusal["error"]
    assert "use one of small, wide, timm:<name>" in refusal["hint"]


def test_code_whose_networks_cannot_be_read_is_taken(world: UploadWorld) -> None:
    assert put(world, CODE | {"model.py": "NETWORKS = dict(small=1)\n"})
