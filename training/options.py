"""The options of train.py; hyperparameters of the training job become these flags."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from model import NETWORKS, is_known
from whole import whole


def parse_arguments(description: str | None, argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument

    def add_switch(flag: str, text: str) -> None:
        # A hyperparameter always has a value.
        add(flag, type=truth, nargs="?", const=True, default=False, metavar="true|false", help=text)

    def add_folder(flag: str, variable: str, text: str, *, required: bool = True) -> None:
        default = os.environ.get(variable)
        add(flag, type=Path, default=default, required=required and not default, help=f"{text} (${variable})")

    add_folder("--train", "SM_CHANNEL_TRAIN", "folder with the arrays to train on, or with class folders of images")
    add_folder("--validation", "SM_CHANNEL_VALIDATION", "the like to validate on")
    add_folder("--model-dir", "SM_MODEL_DIR", "folder to write the model to")
    add_folder("--checkpoint-dir", "SM_CHECKPOINT_DIR", "folder of the checkpoints", required=False)
    add_folder("--output-dir", "SM_OUTPUT_DATA_DIR", "folder to write report.json to", required=False)
    add_folder("--pretrained", "SM_CHANNEL_PRETRAINED", "folder with weights to start from", required=False)
    add("--network", default="small-cnn", help=f"{', '.join(NETWORKS)}, or timm:NAME (%(default)s)")
    add_switch("--freeze", "keep the pretrained weights and fit the last layer alone")
    add("--epochs", type=whole, default=12, help="times to see every image (%(default)s)")
    add("--batch-size", type=whole, default=64, help="images a step, of all processes together (%(default)s)")
    add("--accumulate", type=whole, default=1, help="parts that each process takes its share of a step in, when memory "
        "does not hold it whole (%(default)s)")  # fmt: skip
    add("--learning-rate", type=float, default=0.003, help="highest learning rate, of AdamW (%(default)s)")
    add("--warmup-share", type=float, default=0.15, help="share of the steps until the highest rate (%(default)s)")
    add("--weight-decay", type=float, default=0.05, help="decay of weights, not of biases and norms (%(default)s)")
    add("--label-smoothing", type=float, default=0.1, help="share of a label given to all classes (%(default)s)")
    add("--ema-decay", type=float, default=0.0, help="train on, but validate and keep the exponential mean of the "
        "weights; 0.999 suits long runs, 0 is none (%(default)s)")  # fmt: skip
    add("--image-size", type=whole, default=224, help="pixels of a side; of original images alone, for arrays have "
        "theirs (%(default)s)")  # fmt: skip
    add("--crop", type=float, default=1.0, help="side of the window that is trained on, as a share of the image's; "
        "the whole image is validated and served (%(default)s)")  # fmt: skip
    add("--zoom", type=float, default=1.0, help="enlarge a part of the window, at least this share of its side "
        "(%(default)s)")  # fmt: skip
    add("--shift", type=float, default=0.08, help="move images by up to this share of their side beyond their border "
        "(%(default)s)")  # fmt: skip
    add("--flip-probability", type=float, default=0.0, help="share of the images to mirror left to right; 0.5 suits "
        "photographs, 0 digits and writing (%(default)s)")  # fmt: skip
    add("--smallest", type=float, default=1.0, help="progressive resizing: share of the window's side to begin with, "
        "which grows to 1 at two thirds of the epochs (%(default)s)")  # fmt: skip
    add("--compile", choices=("auto", "on", "off"), default="auto", help="torch.compile; auto: on a GPU, once it is "
        "known that the steps to come repay it (%(default)s)")  # fmt: skip
    add("--checkpoint-seconds", type=float, default=30.0, help="seconds of work that are lost at most when it is "
        "killed: how often a checkpoint is written (%(default)s)")  # fmt: skip
    add("--ceiling-seconds", type=float, default=None, help="how long to measure, after the training, what the device "
        "does without data (a hundredth of the training, if that is half a second)")  # fmt: skip
    add_switch(
        "--deterministic",
        "on a GPU: the same weights from the same steps, to the bit, and slower; a CPU gives them anyway",
    )
    add_switch("--synthetic", "train on one batch over and over and write no model: the ceiling")
    add("--seed", type=whole, default=0, help="of weights, order and augmentation (%(default)s)")
    add("--_tuning_objective_metric", help=argparse.SUPPRESS)  # SageMaker's tuner gives it to every job
    arguments = parser.parse_args(argv)
    del arguments._tuning_objective_metric
    if min(arguments.epochs, arguments.batch_size, arguments.accumulate) < 1:
        parser.error("--epochs, --batch-size and --accumulate must be 1 or more")
    if not is_known(arguments.network):
        parser.error(f"--network {arguments.network} is none of {', '.join(NETWORKS)} and no timm:NAME")
    if not all(0 < share <= 1 for share in (arguments.crop, arguments.zoom, arguments.smallest)):
        parser.error("--crop, --zoom and --smallest are shares: above 0, and at most 1")
    if arguments.freeze and not arguments.pretrained:
        parser.error("--freeze needs --pretrained: what is frozen must have been learned")
    return arguments


def truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return text.lower() == "true"
