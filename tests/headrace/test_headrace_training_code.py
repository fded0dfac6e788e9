"""`headrace deploy` imports the training code and compares its requirements before anything is deployed."""

from __future__ import annotations

import shutil
import sys
from importlib import metadata
from pathlib import Path

import pytest
from suite import PROJECT

from headrace.errors import SetupError
from headrace.project import training_code
from headrace.project.folder import _networks

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "training").mkdir()
    return tmp_path


def refusal(project: Path, *networks: str) -> tuple[str, str]:
    with pytest.raises(SetupError) as caught:
        training_code.check(project, list(networks))
    return str(caught.value), caught.value.hint or ""


def write(project: Path, name: str, text: str) -> None:
    (project / "training" / name).write_text(text)


def test_the_projects_own_code_is_imported_without_running_it() -> None:
    training_code.check(PROJECT, ["small-cnn"])


def test_a_project_without_training_code_is_not_checked(tmp_path: Path) -> None:
    training_code.check(tmp_path, [])


GUARD = '\nif __name__ == "__main__":\n    raise SystemExit("it ran")\n'


def test_a_script_that_cannot_be_imported_is_named_with_the_line_in_our_code(project: Path) -> None:
    write(project, "layers.py", "x = 1\n\nx.shape\n")
    write(project, "train.py", f"import layers\n{GUARD}")
    what, hint = refusal(project)
    assert what == "training/layers.py, line 3: AttributeError: 'int' object has no attribute 'shape'"
    assert hint.startswith("correct it; ")


def test_a_missing_package_is_reported_with_the_command_that_installs_it(project: Path) -> None:
    write(project, "train.py", f"import nothing_of_the_kind.deep\n{GUARD}")
    what, hint = refusal(project)
    assert what == "training/train.py, line 1: ModuleNotFoundError: No module named 'nothing_of_the_kind'"
    assert "in training/requirements.txt, then: " in hint
    assert hint.endswith(" -m pip install -r training/requirements.txt")


def test_where_requirements_have_hashes_a_missing_package_is_added_with_make_lock(project: Path) -> None:
    write(project, "requirements.txt", f"numpy=={metadata.version('numpy')} \\\n    --hash=sha256:{'0' * 64}\n")
    write(project, "train.py", f"import nothing_of_the_kind\n{GUARD}")
    _, hint = refusal(project)
    assert "in training/requirements.in, then: make lock; " in hint
    assert hint.endswith(" -m pip install -r training/requirements.txt")


@pytest.mark.parametrize("end", ["import os; os._exit(3)", "import sys; sys.exit(3)"])
def test_a_module_that_ends_python_is_reported(project: Path, end: str) -> None:
    write(project, "train.py", f"print('hello')\n{end}\n{GUARD}")
    what, _ = refusal(project)
    assert what.startswith("training/train.py")
    assert "3" in what


def test_a_script_without_a_guard_is_not_run_by_a_deployment(project: Path) -> None:
    write(project, "train.py", "raise SystemExit('it ran')\n")
    training_code.check(project, [])


def test_what_a_script_prints_is_not_taken_for_the_answer(project: Path) -> None:
    write(project, "train.py", f"print('{{}}')\n{GUARD}")
    training_code.check(project, [])


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("nothing-of-the-kind==1.0", "line 2 asks for nothing-of-the-kind==1.0, and it is not installed"),
        ("numpy==0.1", f"line 2 asks for numpy==0.1, and {metadata.version('numpy')} is installed"),
        ("absent==1.0 \\\n    --hash=sha256:00", "line 2 asks for absent==1.0, and it is not installed"),
        ("numpy>=99", f"line 2 asks for numpy>=99, and {metadata.version('numpy')} is installed"),
    ],
)
def test_a_requirement_that_is_not_met_here_is_reported_with_the_command_that_installs_it(
    project: Path, line: str, found: str
) -> None:
    write(project, "requirements.txt", f"# of the jobs\n{line}  # why\n")
    what, hint = refusal(project)
    assert what.startswith(f"training/requirements.txt: {found}")
    line = line.partition(" \\")[0]
    assert hint.endswith(f"-m pip install {line if '>' not in line else repr(line)}")
    assert hint.split()[0].strip("'").endswith(Path(sys.executable).name)


def test_a_requirement_that_is_met_or_not_meant_for_here_is_accepted(project: Path) -> None:
    write(project, "requirements.txt", f"numpy=={metadata.version('numpy')}\nabsent; python_version < '3'\n--pre\n")
    training_code.check(project, [])


@pytest.mark.parametrize(("tag", "fits"), [("py3-none-any", True), ("cp27-cp27m-win32", False)])
def test_a_wheel_of_the_code_that_fits_is_enough(project: Path, tag: str, fits: bool) -> None:
    write(project, "requirements.txt", "absent==1.0\n")
    (project / "training/wheels").mkdir()
    write(project, f"wheels/absent-1.0-{tag}.whl", "")
    if fits:
        training_code.check(project, [])
    else:
        what, hint = refusal(project)
        assert "training/wheels/ has none for Python 3." in what
        assert hint.endswith("-m pip download --dest training/wheels --only-binary :all: absent==1.0")


def test_a_network_that_the_model_refuses_is_reported_in_its_words(project: Path) -> None:
    shutil.copy(PROJECT / "training/model.py", project / "training")
    shutil.copy(PROJECT / "training/backbone.py", project / "training")
    what, hint = refusal(project, "resnet18")
    assert what == "training/model.py: there is no network 'resnet18'"
    assert hint.startswith("use one of small-cnn, small-cnn-groupnorm or timm:NAME")


def test_the_networks_of_all_lines_and_variants_are_checked() -> None:
    table = {
        "network": "public",
        "pipeline": {"network": "a", "variants": [{"name": "x", "network": "b"}, {"name": "y"}, 3]},
        "lines": {"pets": {"pipeline": {"network": "c"}}, "bad": 1, "worse": {"pipeline": []}},
    }
    assert _networks(table) == ("a", "b", "c")
