"""python train.py --train DIR --validation DIR --model-dir DIR [--checkpoint-dir DIR]

Train an image classifier on what preprocess.py wrote, on a GPU or on a CPU.

Killed at any instant and started again with the same command, it goes on from its last checkpoint; on a CPU with the
same number of threads (OMP_NUM_THREADS) the weights come out bit for bit as if it had never stopped. A SIGTERM makes it
write a checkpoint after the step in hand and exit with status 143.

The model that is kept is the last one. The learning rate ends at zero, so the last epochs differ by noise, and to
choose the best of them would fit the noise of the validation images.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import checkpoint
from dataset import DataSet, read_split
from errors import DataSetError, DivergenceError, TrainingError
from model import NETWORKS, ModelConfig, build

CODE = Path(__file__).resolve().parent
SERVED_FILES = ("inference.py", "model.py", "images.py", "requirements.txt")
INTERRUPTED = 128 + signal.SIGTERM


def main(argv: Sequence[str] | None = None) -> int:
    # Arguments
    arguments = parse_arguments(argv)
    refuse_several_hosts()
    signals: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: signals.append(number))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(arguments.seed)
    torch.backends.cudnn.benchmark = True
    # Where bf16 is only emulated (T4, V100), fp32 it is.
    bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)

    # Data
    train, validation = read_split(arguments.train), read_split(arguments.validation)
    refuse_unlike(train, validation)
    images, labels = on_device(train, device)
    validation_images, validation_labels = on_device(validation, device)
    # Equal batches, give or take one image: a last batch of a few would upset BatchNorm.
    steps_per_epoch = math.ceil(len(train) / arguments.batch_size)
    steps = steps_per_epoch * arguments.epochs

    # Model
    config = ModelConfig(arguments.network, train.classes, train.image_size, train.mean, train.std)
    model = build(config).to(device)
    optimizer = make_optimizer(model, arguments)
    # The only other source of randomness, torch's own generators, is for networks with dropout.
    random = torch.Generator(images.device)

    # Resume
    configuration = describe(arguments, train, validation)
    epoch, step, loss_sum = 0, 0, torch.zeros((), device=device)
    resumed_random: Tensor | None = None
    if arguments.checkpoint_dir:
        arguments.checkpoint_dir.mkdir(parents=True, exist_ok=True)
        state = checkpoint.load(arguments.checkpoint_dir, configuration)
        if state is not None:
            model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
            torch.set_rng_state(state["torch_random"])
            if device.type == "cuda":
                torch.cuda.set_rng_state(state["cuda_random"])
            epoch, step, loss_sum = state["epoch"], state["step"], state["loss_sum"].to(device)
            resumed_random = state["random"] if step > 0 else None
            print(f"resuming after {epoch} epochs and {step} steps", flush=True)
    saved_at = time.monotonic()

    def save_checkpoint() -> None:
        nonlocal saved_at
        if not arguments.checkpoint_dir:
            return
        refuse_divergence(loss_sum, epoch, arguments)
        state = {
            "configuration": configuration,
            "epoch": epoch,
            "step": step,
            "loss_sum": loss_sum,
            "random": random.get_state(),
            "torch_random": torch.get_rng_state(),
            "cuda_random": torch.cuda.get_rng_state() if device.type == "cuda" else None,
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
        }
        checkpoint.save(arguments.checkpoint_dir, epoch * steps_per_epoch + step, state)
        saved_at = time.monotonic()

    # Loop
    print(f"training on {len(train)} images, {describe_device(device)}, {steps} steps", flush=True)
    while epoch < arguments.epochs:
        random.manual_seed(arguments.seed * 100_003 + epoch)
        order = torch.randperm(len(train), generator=random, device=images.device)
        if resumed_random is not None:
            random.set_state(resumed_random)
            resumed_random = None
        started, first_step = time.monotonic(), step
        model.train()
        for rows in order.tensor_split(steps_per_epoch)[first_step:]:
            if signals:
                save_checkpoint()
                print(f"interrupted after {epoch} epochs and {step} steps", flush=True)
                return INTERRUPTED
            for group in optimizer.param_groups:
                rate = learning_rate(epoch * steps_per_epoch + step, steps, arguments.warmup_share)
                group["lr"] = arguments.learning_rate * rate
            batch = draw(images, rows, arguments.shift, arguments.flip_probability, random)
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                logits = model(batch.to(device).permute(0, 3, 1, 2))
            targets = labels[rows.to(device)]
            loss = F.cross_entropy(logits.float(), targets, label_smoothing=arguments.label_smoothing)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            loss_sum += loss.detach() * len(rows)  # stays on the device: reading it would make the GPU wait each step
            step += 1
            if time.monotonic() - saved_at > arguments.checkpoint_seconds:
                save_checkpoint()

        refuse_divergence(loss_sum, epoch, arguments)
        share = 1 - first_step / steps_per_epoch
        train_loss = loss_sum.item() / len(train)
        speed = share * len(train) / (time.monotonic() - started)
        validation_loss, accuracy = validate(model, validation_images, validation_labels, device)
        epoch, step = epoch + 1, 0
        print(
            f"epoch={epoch} train:loss={train_loss:.4f} validation:loss={validation_loss:.4f} "
            f"validation:accuracy={accuracy:.4f} images/s={speed:.0f}",
            flush=True,
        )
        loss_sum.zero_()
        save_checkpoint()

    # Result
    write_model(arguments.model_dir, model, config, {"data_set": train.name, "fingerprint": train.fingerprint})
    return 0


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument

    def add_folder(flag: str, variable: str, text: str, *, required: bool = True) -> None:
        default = os.environ.get(variable)
        add(flag, type=Path, default=default, required=required and not default, help=f"{text} (${variable})")

    add_folder("--train", "SM_CHANNEL_TRAIN", "folder with the arrays to train on")
    add_folder("--validation", "SM_CHANNEL_VALIDATION", "folder with the arrays to validate on")
    add_folder("--model-dir", "SM_MODEL_DIR", "folder to write the model to")
    add_folder("--checkpoint-dir", "SM_CHECKPOINT_DIR", "folder of the checkpoints", required=False)
    add("--network", choices=sorted(NETWORKS), default="small-cnn", help="network to train (%(default)s)")
    add("--epochs", type=int, default=12, help="times to see every image (%(default)s)")
    add("--batch-size", type=int, default=64, help="images a step, at most (%(default)s)")
    add("--learning-rate", type=float, default=0.003, help="highest learning rate, of AdamW (%(default)s)")
    add("--warmup-share", type=float, default=0.15, help="share of the steps until the highest rate (%(default)s)")
    add("--weight-decay", type=float, default=0.05, help="decay of weights, not of biases and norms (%(default)s)")
    add("--label-smoothing", type=float, default=0.1, help="share of a label given to all classes (%(default)s)")
    add("--shift", type=float, default=0.08, help="move images by up to this share of their size (%(default)s)")
    add("--flip-probability", type=float, default=0.0, help="share of the images to mirror left to right; 0.5 suits "
        "photographs, 0 digits and writing (%(default)s)")  # fmt: skip
    add("--checkpoint-seconds", type=float, default=60.0, help="seconds between checkpoints inside an epoch; one is "
        "written after each epoch too (%(default)s)")  # fmt: skip
    add("--seed", type=int, default=0, help="of weights, order and augmentation (%(default)s)")
    arguments = parser.parse_args(argv)
    if min(arguments.epochs, arguments.batch_size) < 1:
        parser.error("--epochs and --batch-size must be 1 or more")
    return arguments


def refuse_several_hosts() -> None:
    hosts = json.loads(os.environ.get("SM_HOSTS", "[]"))
    if len(hosts) > 1:
        raise TrainingError(
            f"the job has {len(hosts)} instances, and this script trains on one",
            hint="set the instance count to 1; a larger instance type is the way to more speed",
        )


def refuse_unlike(train: DataSet, validation: DataSet) -> None:
    if (train.classes, train.image_size) != (validation.classes, validation.image_size):
        raise DataSetError(
            f"train has {len(train.classes)} classes of {train.image_size} pixels and validation "
            f"{len(validation.classes)} of {validation.image_size}, or other names",
            hint="give both folders of the same run of preprocess.py",
        )


def refuse_divergence(loss_sum: Tensor, epoch: int, arguments: argparse.Namespace) -> None:
    if not math.isfinite(loss_sum.item()):
        raise DivergenceError(
            f"the loss became {loss_sum.item()} in epoch {epoch + 1}",
            hint=f"lower --learning-rate (it is {arguments.learning_rate:g})",
        )


def on_device(data: DataSet, device: torch.device) -> tuple[Tensor, Tensor]:
    """The images, uint8 and on the device if they take up no more than half of what is free there; the labels."""
    images = torch.from_numpy(data.images)
    if device.type == "cpu" or data.images.nbytes < torch.cuda.mem_get_info(device)[0] / 2:
        images = images.to(device)
    return images, torch.from_numpy(data.labels).to(device)


def make_optimizer(model: nn.Module, arguments: argparse.Namespace) -> torch.optim.Optimizer:
    matrices = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim <= 1]  # biases, scales of norms
    groups = [{"params": matrices, "weight_decay": arguments.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=arguments.learning_rate, fused=True)


def learning_rate(step: int, steps: int, warmup_share: float) -> float:
    """The share of the highest rate: a line up, then half a cosine down to zero."""
    warmup = max(1, round(steps * warmup_share))
    if step < warmup:
        return (step + 1) / warmup
    return (1 + math.cos(math.pi * (step - warmup + 1) / (steps - warmup + 1))) / 2


def draw(images: Tensor, rows: Tensor, shift: float, flip_probability: float, random: torch.Generator) -> Tensor:
    """Pick images (n, size, size, 3), each moved a little, and mirrored perhaps; the border repeats the last pixels.

    It is all in the indexes: the images are read once and never copied before.
    """
    count, size, device = len(rows), images.shape[1], images.device
    reach = round(size * shift)
    pixels = torch.arange(size, device=device)
    moves = torch.randint(-reach, reach + 1, (2, count, 1), generator=random, device=device)
    down, right = (pixels + moves).clamp(0, size - 1)
    flipped = torch.rand(count, 1, generator=random, device=device) < flip_probability
    right = torch.where(flipped, right.flip(1), right)
    return images[rows[:, None, None], down[:, :, None], right[:, None, :]]


@torch.inference_mode()
def validate(model: nn.Module, images: Tensor, labels: Tensor, device: torch.device) -> tuple[float, float]:
    """Mean cross-entropy and accuracy, in fp32 as when serving."""
    model.eval()
    loss, correct = torch.zeros((), device=device), torch.zeros((), device=device)
    for batch, targets in zip(torch.split(images, 512), torch.split(labels, 512), strict=True):
        logits = model(batch.to(device).permute(0, 3, 1, 2))
        loss += F.cross_entropy(logits, targets, reduction="sum")
        correct += (logits.argmax(1) == targets).sum()
    return loss.item() / len(labels), correct.item() / len(labels)


def describe(arguments: argparse.Namespace, train: DataSet, validation: DataSet) -> dict[str, str]:
    """All that the weights depend on; a checkpoint is resumed under the very same only."""
    elsewhere = {"train", "validation", "model_dir", "checkpoint_dir", "checkpoint_seconds"}
    options = {name.replace("_", "-"): str(value) for name, value in vars(arguments).items() if name not in elsewhere}
    code = hashlib.sha256(b"".join((CODE / name).read_bytes() for name in ("train.py", "model.py")))
    return {**options, "train": train.digest[:16], "validation": validation.digest[:16], "code": code.hexdigest()[:16]}


def describe_device(device: torch.device) -> str:
    if device.type == "cpu":
        return f"{torch.get_num_threads()} CPU threads"
    return f"one of {torch.cuda.device_count()} {torch.cuda.get_device_name(device)}"


def write_model(folder: Path, model: nn.Module, config: ModelConfig, facts: dict[str, Any]) -> None:
    """The artifact: weights, the document that they are rebuilt from, and the code that serves them."""
    (folder / "code").mkdir(parents=True, exist_ok=True)
    torch.save({name: value.cpu().contiguous() for name, value in model.state_dict().items()}, folder / "model.pt")
    (folder / "model.json").write_text(config.to_json(**facts), "utf-8")
    for name in SERVED_FILES:
        shutil.copyfile(CODE / name, folder / "code" / name)


if __name__ == "__main__":
    sys.exit(main())
