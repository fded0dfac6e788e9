"""Write the lock files beside this script: `make lock` (uv has to be on PATH).

A lock file names every package of one environment with its version and the SHA-256 of each wheel. pip installs from it
with --require-hashes and --only-binary, so an installation runs no foreign build script and gets no other bytes.

    pip.lock       pip itself, which installs the others
    project.lock   the project with its development tools, and setuptools, which builds it
    torch-cpu.lock torch without CUDA, for Linux: installed first where an index has it (locks/install.py)
    cuda.lock      what torch's CUDA build needs besides: constraints, so the CPU build installs none of it
    awscli.lock    the AWS CLI, a client in the tests
    sdk.lock       the SageMaker SDK, a client in the tests
    audit.lock     the audit's tools
    workflows.lock what .github/workflows/audit.yml runs

The environments that stand for images in the local cloud have theirs in local_cloud/sagemaker/containers/images/locks,
with the project's versions where both have a package.

And training/requirements.txt, which jobs and endpoints install, from training/requirements.in: without what the images
have, since pip leaves alone what is installed and fits.

With `--check` nothing is written; the exit status is 1 if a lock file does not hold what its source names.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

LOCKS = Path(__file__).resolve().parent
ROOT = LOCKS.parent
PIP = "pip==26.3"
AWSCLI = "awscli==1.46.2"
IMAGE_LOCKS = ROOT / "local_cloud/sagemaker/containers/images/locks"
# What the images of a framework have; torch comes from the project's environment (families.py).
IMAGES = {
    "scikit-learn": ("scikit-learn", "pandas"),
    "xgboost": ("xgboost-cpu; sys_platform == 'linux'", "xgboost; sys_platform != 'linux'", "scikit-learn", "pandas"),
    "hugging-face": ("torch", "transformers", "accelerate", "datasets"),
}
WORKFLOW_TOOLS = ("pip-audit==2.10.1", "cyclonedx-bom==7.5.0")
IN_EVERY_IMAGE = frozenset({"numpy", "torch"})
TRAINING = """\
# Written by locks/compile.py: change training/requirements.in, then `make lock`. The hashes are those of all wheels, so
# one of them is that of the image's platform and Python. What the image has, numpy, needs none: pip leaves it alone.
--require-hashes
--only-binary :all:
"""
PYTHON = "3.11"  # the oldest that the project supports; the locks hold for newer ones as well

# PyTorch publishes builds without CUDA on a separate index, https://download.pytorch.org/whl/cpu, which uv does not
# ask here. These are that index's wheels for Linux (glibc 2.28 or newer) on x86-64 and on aarch64, for Python 3.11 to
# 3.14, read in November 2026 from the published locks of several projects, which agree. The first was computed here.
CPU_TORCH = "torch==2.13.0"
CPU_WHEELS = """\
6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b cp311 x86_64
84453b69508ec79902f899c5ed9495acb9e2bbe9fda5f1d5d6f19e3c3842e1a7 cp311 aarch64
4ca4a9394b0c771238a4f73590fdbbc4debad85ed0fa63d026ae1b085da7d6e2 cp312 x86_64
6f307c2c32d764ffc6ff6893b801fad6d4752f3e67966cb8abf1843427c02604 cp312 aarch64
3fbf9c9d1f3c10c2d59d04aca426dee9ccc6ceb32d255c61e93acc3b4f75fae6 cp313 x86_64
0b8f7d0423027ae8b90c7977c627f3379f325363a08224dffad9b4b2d684a83d cp313 aarch64
d20fa53ee744502fa4c69818a720b05ca0d37abd055d4f6e66cae155114bc691 cp314 x86_64
ca021f9eb2f8345c83fa03e3a04587308afb8df71bd472670b3ece00df58621c cp314 aarch64
"""

Entry = tuple[str, str]
"""A package's name, and its lines of the lock file."""


def main(check: bool) -> int:
    if shutil.which("uv") is None:
        print("error: uv is not on PATH\n\nhint: python3 -m pip install uv", file=sys.stderr)
        return 1
    project, cuda = split_cuda(entries(compiled(project_requirements(), "--universal")))
    locks = {
        "pip.lock": entries(compiled(f"{PIP}\n")),
        "project.lock": project,
        "torch-cpu.lock": [cpu_torch(project)],
        "cuda.lock": cuda,
        "awscli.lock": entries(compiled(f"{AWSCLI}\n", "--universal")),
        "sdk.lock": entries(compiled((ROOT / "tests/sdk/requirements.txt").read_text("utf-8"), "--no-deps")),
        "audit.lock": entries(compiled((ROOT / "tests/infra/audit/requirements.txt").read_text("utf-8"), "--no-deps")),
        "workflows.lock": entries(compiled("\n".join(WORKFLOW_TOOLS), "--universal")),
    }
    heading = "# Written by locks/compile.py: change the source, then `make lock`.\n"
    texts = {LOCKS / name: heading + "".join(lines for _, lines in found) for name, found in locks.items()}
    texts |= {
        IMAGE_LOCKS / f"{name}.lock": heading + image_lock(*named, project=project) for name, named in IMAGES.items()
    }
    texts[ROOT / "training/requirements.txt"] = TRAINING + training_requirements()
    stale = []
    for path, text in texts.items():
        if check and (not path.is_file() or path.read_text("utf-8") != text):
            stale.append(path.name)
        elif not check:
            path.write_text(text, "utf-8")
    if stale:
        print(f"error: {', '.join(stale)} differ from what their sources give\n\nhint: make lock", file=sys.stderr)
    return 1 if stale else 0


def project_requirements() -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    named = [*project["project"]["dependencies"], *project["project"]["optional-dependencies"]["dev"]]
    return "\n".join([*named, *project["build-system"]["requires"]]) + "\n"


def training_requirements() -> str:
    """Without the comments, which would make another archive of code when only the reason for a package changes."""
    source = (ROOT / "training/requirements.in").read_text("utf-8")
    named = {name.lower().replace("_", "-") for name in re.findall(r"^[\w.-]+", source, re.MULTILINE)}
    found = without_brought(entries(compiled(source, "--universal")), named, IN_EVERY_IMAGE)
    return "".join(re.sub(r"^ *#.*\n", "", lines, flags=re.MULTILINE) for _, lines in found)


def image_lock(*named: str, project: list[Entry]) -> str:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
        constraints.write("".join(lines for _, lines in project))
        constraints.flush()
        lock = compiled("\n".join(named) + "\n", "--universal", "--constraint", constraints.name)
    found = entries(re.sub(r"^    # .*-c /.*\n", "", lock, flags=re.MULTILINE))
    kept = {re.split("[; ]", each)[0] for each in named} - {"torch"}
    lines = "".join(lines for _, lines in without_brought(found, kept, frozenset({"torch"})))
    return re.sub(r"^ *#.*\n", "", lines, flags=re.MULTILINE)  # the comments name the temporary file


def without_brought(found: list[Entry], named: set[str], brought: frozenset[str]) -> list[Entry]:
    """Without what the image brings, also if its version is named, and what only that asks for."""
    asked_by = {name: set[str]() for name, _ in found}
    for name, lines in found:
        asked_by[name] |= set(re.findall(r"^    # (?:via |  )(\S.*)$", lines, re.MULTILINE))
    gone = set(brought)
    while more := {name for name, askers in asked_by.items() if name not in gone | named and askers <= gone}:
        gone |= more
    return [entry for entry in found if entry[0] not in gone]


def compiled(requirements: str, *options: str) -> str:
    """Resolve for every platform; keep the versions that the lock files have where they still fit."""
    command = ["uv", "pip", "compile", "-", "--generate-hashes", "--python-version", PYTHON, "--no-build", "--quiet"]
    command += ["--no-header", "--no-emit-index-url", "--no-config"]
    done = subprocess.run([*command, *options], input=requirements, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"error: uv found no solution: {done.stderr}\nhint: check the versions that you changed")
    return done.stdout


def entries(lock: str) -> list[Entry]:
    """One entry a package: its requirement, its hashes, and the comment that says what asks for it."""
    found: list[Entry] = []
    for line in lock.splitlines(keepends=True):
        if re.match(r"[A-Za-z0-9]", line):
            found.append((re.split(r"[=\[ ]", line)[0], line))
        elif found:
            name, lines = found[-1]
            found[-1] = name, lines + line
    return found


def split_cuda(found: list[Entry]) -> tuple[list[Entry], list[Entry]]:
    """Apart: what only torch asks for and only on Linux, directly or by another package of that kind."""
    asked_by = {name: set(re.findall(r"^    # (?:via |  )([\w.-]+)$", lines, re.MULTILINE)) for name, lines in found}
    cuda = {name for name, lines in found if "sys_platform == 'linux'" in lines.splitlines()[0]}
    while wanted_elsewhere := {name for name in cuda if not asked_by[name] <= {"torch"} | cuda}:
        cuda -= wanted_elsewhere
    return [entry for entry in found if entry[0] not in cuda], [entry for entry in found if entry[0] in cuda]


def cpu_torch(project: list[Entry]) -> Entry:
    """torch's build for CPUs, of the version that the project is locked at."""
    locked = next(lines.split(" ")[0] for name, lines in project if name == "torch")
    if locked != CPU_TORCH:
        raise SystemExit(
            f"error: {locked} has no build for CPUs here\nhint: write its version and wheels into {__file__}"
        )
    hashes = [f"    --hash=sha256:{line.split()[0]}" for line in CPU_WHEELS.splitlines()]
    return "torch", " \\\n".join([f"{CPU_TORCH}+cpu", *hashes]) + "\n"


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv[1:]))
