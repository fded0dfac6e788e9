"""Several processes that train as one: the same steps, one writer, and an end when one of them fails."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from image_samples import TRAINING, copy_code, finish, prepare, start, write_digits
from safetensors.torch import load_file

import processes
from dataset import read_split
from inference import model_fn, predict

pytestmark = pytest.mark.process

DOUBLE = """
import sys, torch
torch.cuda.is_bf16_supported = lambda **options: False  # autocast would round to it on a GPU
torch.set_default_dtype(torch.float64)
import train
sys.exit(train.main())
"""
SLOW = """
import sys, time, train
augment = train.augment
train.augment = lambda *arguments: (time.sleep(0.05), augment(*arguments))[1]
sys.exit(train.main())
"""

SHARED = """
import sys, train, validating
validating.TOGETHER = 4  # so that each process has its share of the few validation images
sys.exit(train.main())
"""
THREADS = """
import glob, train
status = train.main()
names = [open(name).read().strip() for name in glob.glob("/proc/self/task/*/comm")]
print("threads of the group:", sorted(name for name in names if "gloo" in name))
raise SystemExit(status)
"""


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every fifth of the digits: as many steps with batches of 20 as all of them are with batches of 100."""
    folder = write_digits(tmp_path_factory.mktemp("digits"))
    for image in folder.rglob("*.jpg"):
        if int(image.stem) % 5:
            image.unlink()
    return prepare(folder, tmp_path_factory.mktemp("prepared"))


def free_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


def together(count: int, script: object, *words: object) -> subprocess.Popen[str]:
    meeting = ("--master-addr", "127.0.0.1", "--master-port", free_port(), "--nproc-per-node", count)
    return start("-m", "torch.distributed.run", *meeting, script, *words)


def options(digits: Path, out: Path, network: str = "small-cnn-groupnorm", *more: str) -> list[str]:
    folders = ("--train", digits / "train", "--validation", digits / "validation", "--model-dir", out)
    return [*map(str, folders), "--network", network, "--batch-size", "20", "--epochs", "5", "--deterministic", *more]


def losses(output: str) -> list[float]:
    return [float(loss) for loss in re.findall(r"train:loss=(\S+)", output)]


@pytest.mark.parametrize("network", ["small-cnn", "small-cnn-groupnorm"])
def test_two_processes_take_the_steps_of_one_that_takes_them_in_two_parts(
    digits: Path, tmp_path: Path, network: str
) -> None:
    """In fp32, 60 steps, 12 an epoch, to the bit; but for BatchNorm's means, of which the first process has its own."""
    alone = finish(start(TRAINING / "train.py", *options(digits, tmp_path / "one", network, "--accumulate", "2")))
    shared = finish(together(2, TRAINING / "train.py", *options(digits, tmp_path / "two", network)))
    assert losses(shared) == losses(alone)
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    assert one.keys() == two.keys()
    for name, weights in one.items():
        if not name.endswith(("running_mean", "running_var", "num_batches_tracked")):
            assert torch.equal(weights, two[name]), name


def test_two_processes_take_the_steps_of_one(digits: Path, tmp_path: Path) -> None:
    """Of a network without batch statistics: with BatchNorm each process would use those of its half.

    In double precision: AdamW makes of a rounding error in fp32 a difference of 1e-4 to 1e-2 after as many steps.
    """
    (tmp_path / "double.py").write_text(DOUBLE)
    alone = finish(start(tmp_path / "double.py", *options(digits, tmp_path / "one")))
    shared = finish(together(2, tmp_path / "double.py", *options(digits, tmp_path / "two")))
    assert shared.count("epoch=5 ") == 1  # the first process alone writes
    assert losses(shared) == pytest.approx(losses(alone), rel=1e-4)
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    for name, weights in one.items():
        assert torch.allclose(weights, two[name], atol=1e-3), name


def test_two_processes_go_on_after_a_sigterm(digits: Path, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    words = [*options(digits, tmp_path / "model"), "--checkpoint-dir", str(tmp_path / "checkpoints")]
    process = together(2, tmp_path / "slow.py", *words)
    assert process.stdout is not None
    said = ""
    while "epoch=1 " not in said:
        said += process.stdout.readline()
        assert process.poll() is None, said
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=120)
    found = re.search(r"interrupted (after \d epochs and \d+ steps)", output)
    assert found, output
    resumed = finish(together(2, TRAINING / "train.py", *words))
    assert f"resuming {found[1]}" in resumed
    whole = finish(together(2, TRAINING / "train.py", *options(digits, tmp_path / "whole")))
    assert losses(said + output) + losses(resumed) == losses(whole)
    assert (tmp_path / "model/model.safetensors").read_bytes() == (tmp_path / "whole/model.safetensors").read_bytes()

    alone = start(TRAINING / "train.py", *words)
    refused, _ = alone.communicate(timeout=120)
    assert "processes was 2 and is 1" in refused


def test_what_is_validated_is_the_model_that_is_kept(digits: Path, tmp_path: Path) -> None:
    """With the first process's statistics of BatchNorm in all of them: each has those of its own images."""
    (tmp_path / "shared.py").write_text(SHARED)
    output = finish(together(4, tmp_path / "shared.py", *options(digits, tmp_path, "small-cnn"), "--epochs", "1"))
    (said,) = re.findall(r"validation:accuracy=(\S+)", output)
    validation = read_split(digits / "validation")
    predicted = predict(validation.images, model_fn(str(tmp_path))).probabilities.argmax(1)
    assert f"{(predicted == validation.labels).mean():.4f}" == said


def test_no_thread_of_the_group_is_left_to_abort_the_process_at_its_end(digits: Path, tmp_path: Path) -> None:
    """One that was slow to drop its last tensor did, in one of sixty runs: "terminate called", and exit status -6."""
    (tmp_path / "threads.py").write_text(THREADS)
    output = finish(together(2, tmp_path / "threads.py", *options(digits, tmp_path), "--epochs", "1"))
    assert re.findall(r"threads of the group: (.*)", output) == ["[]", "[]"]


def test_a_batch_that_cannot_be_shared_equally_is_refused(digits: Path, tmp_path: Path) -> None:
    process = together(2, TRAINING / "train.py", *options(digits, tmp_path), "--batch-size", "33")
    output, _ = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "33 images a step cannot be shared equally by 2 processes" in output


def host(root: Path, name: str, hyperparameters: dict[str, str], channels: Path, interface: str) -> Path:
    """The folder of one instance of a job; the instances are two names of this machine."""
    copy_code(root / "code")
    (root / "fake/pip").mkdir(parents=True)  # all that is required is here
    (root / "fake/pip/__main__.py").touch()
    (root / "input/config").mkdir(parents=True)
    (root / "input/data").mkdir()
    for channel in ("train", "validation"):
        (root / "input/data" / channel).symlink_to(channels / channel)
    documents = {
        "hyperparameters": hyperparameters,
        "inputdataconfig": {"train": {}, "validation": {}},
        "resourceconfig": {
            "current_host": name,
            "hosts": ["127.0.0.1", "localhost"],
            "network_interface_name": interface,
        },
    }
    for document, content in documents.items():
        (root / f"input/config/{document}.json").write_text(json.dumps(content))
    return root


def start_hosts(roots: list[Path], **variables: str) -> list[subprocess.Popen[str]]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SM_")}
    # On CPUs: two hosts that are names of one machine would have one GPU between them, which NCCL refuses.
    environment |= {"MASTER_PORT": free_port(), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return [
        subprocess.Popen(
            [sys.executable, "-B", str(root / "code/entry.py"), "train.py"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**environment, "PYTHONPATH": str(root / "fake"), **variables},
        )
        for root in roots
    ]  # fmt: skip


def run_hosts(roots: list[Path]) -> list[tuple[int, str]]:
    return finish_hosts(start_hosts(roots))


def finish_hosts(processes: list[subprocess.Popen[str]]) -> list[tuple[int, str]]:
    try:
        outputs = [process.communicate(timeout=180)[0] for process in processes]
    finally:  # do not leave a host running if the other one hangs
        for process in processes:
            process.kill()
    return [(process.returncode, output) for process, output in zip(processes, outputs, strict=True)]


def two_hosts(tmp_path: Path, data: Path, interface: str = "lo", **hyperparameters: str) -> list[Path]:
    names = ("127.0.0.1", "localhost")
    return [host(tmp_path / f"ml-{n}", name, hyperparameters, data, interface) for n, name in enumerate(names)]


def test_the_entry_point_joins_the_instances_of_a_job_and_the_first_writes_the_model(
    digits: Path, tmp_path: Path
) -> None:
    roots = two_hosts(tmp_path, digits, epochs="2", **{"batch-size": "20", "network": "small-cnn-groupnorm"})
    (first, said), (second, echoed) = run_hosts(roots)
    assert (first, second) == (0, 0), said + echoed
    assert "in each of 2 processes" in said
    assert "epoch=2 " not in echoed
    assert (roots[0] / "model/model.safetensors").exists()
    assert not (roots[1] / "model/model.safetensors").exists()
    report = json.loads((roots[0] / "output/data/report.json").read_text())
    assert report["instances"] == 2
    assert report["billable_seconds"] > 2 * report["seconds"]


def test_the_hosts_talk_over_the_network_that_sagemaker_names(digits: Path, tmp_path: Path) -> None:
    roots = two_hosts(tmp_path, digits, interface="nowhere0")
    for status, output in run_hosts(roots):
        assert status != 0
        assert "nowhere0" in output


def test_the_reason_of_several_processes_is_that_of_the_one_that_failed(digits: Path, tmp_path: Path) -> None:
    roots = two_hosts(tmp_path, digits, **{"batch-size": "33"})
    assert all(status != 0 for status, _ in run_hosts(roots))
    for root in roots:
        assert (root / "output/failure").read_text().startswith("33 images a step cannot be shared equally by 2")


def test_a_sigterm_to_one_instance_stops_all_at_the_same_step_and_none_has_failed(digits: Path, tmp_path: Path) -> None:
    """The instances of a job are interrupted one after the other; the reason of an earlier failure is removed."""
    roots = two_hosts(tmp_path, digits, epochs="500", **{"batch-size": "20"})
    for root in roots:
        (root / "output").mkdir()
        (root / "output/failure").write_text("of an earlier start")
    processes = start_hosts(roots)
    first, second = processes
    assert first.stdout is not None
    while "epoch=1 " not in (line := first.stdout.readline()):
        assert line, finish_hosts(processes)
    second.send_signal(signal.SIGTERM)
    (status, said), (other, echoed) = finish_hosts(processes)
    assert (status, other) == (143, 143), said + echoed
    assert "interrupted after" in said
    assert len(list((roots[0] / "checkpoints").iterdir())) >= 1
    assert not any((root / "output/failure").exists() for root in roots)


def test_instances_that_hold_different_data_are_refused(digits: Path, tmp_path: Path) -> None:
    shutil.copytree(digits / "train", tmp_path / "train")
    facts = json.loads((tmp_path / "train/dataset.json").read_text())
    (tmp_path / "train/dataset.json").write_text(json.dumps(facts | {"digest": "f" * 64}))
    roots = two_hosts(tmp_path, digits, **{"batch-size": "20"})
    (roots[1] / "input/data/train").unlink()
    (roots[1] / "input/data/train").symlink_to(tmp_path / "train")
    assert all(status == 1 for status, _ in run_hosts(roots))
    reason = (roots[0] / "output/failure").read_text()
    assert reason.startswith("processes 0 and 1 of one training differ in: train\nhint: give every instance all")


def test_the_processes_have_nearly_all_of_sagemakers_grace_to_save(digits: Path, tmp_path: Path) -> None:
    roots = two_hosts(tmp_path, digits)
    for root in roots:
        script = "import os; print('grace', os.environ['TORCH_ELASTIC_SHUTDOWN_TIMEOUT'])"
        (root / "code/train.py").write_text(script)
    assert ["grace 110" in output for _, output in run_hosts(roots)] == [True, True]


def test_a_process_that_is_killed_is_a_failure_though_the_others_are_interrupted(digits: Path, tmp_path: Path) -> None:
    """As when memory runs out: torchrun then sends the others a SIGTERM."""
    root = host(tmp_path / "ml", "algo-1", {}, digits, "lo")
    (root / "input/config/resourceconfig.json").write_text('{"current_host": "localhost", "hosts": ["localhost"]}')
    kill = "import os, time; os.kill(os.getpid(), 9) if os.environ['RANK'] == '0' else time.sleep(60)"
    (root / "code/train.py").write_text(kill)
    (process,) = start_hosts([root], SM_NUM_GPUS="2")
    ((status, output),) = finish_hosts([process])
    assert status == 1, output
    assert (root / "output/failure").read_text().startswith("exit status 1 from: ")


@pytest.mark.parametrize(
    ("count", "gpus", "backend", "index"), [(2, 1, "gloo", 0), (2, 2, "nccl", 1), (2, 0, "gloo", 0)]
)
def test_processes_that_share_a_gpu_speak_over_gloo_since_nccl_refuses_it(
    count: int, gpus: int, backend: str, index: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the second of them does; CUDA is played, because there is none here."""
    chosen: dict[str, object] = {}
    for name, value in {"RANK": 1, "LOCAL_RANK": 1, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a card")
    monkeypatch.setattr(
        processes.dist, "init_process_group", lambda name, device_id: chosen.update(name=name, device=device_id)
    )
    joined = processes.join_processes()
    assert joined.device == (torch.device("cuda", index) if gpus else torch.device("cpu"))
    assert chosen == {"name": backend, "device": joined.device if backend == "nccl" else None}
    assert joined.describe().startswith(
        {0: f"{torch.get_num_threads()} CPU threads", 1: "2 processes that share a card, over gloo", 2: "2 x a card"}[
            gpus
        ]
    )
