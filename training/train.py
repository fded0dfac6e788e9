"""python train.py --train DIR --validation DIR --model-dir DIR [--checkpoint-dir DIR]

Train an image classifier on what preprocess.py wrote, or on class folders of images, on GPUs or on a CPU. Several
processes, which torchrun starts, train as one.

Killed at any instant and started again with the same command, it goes on from its last checkpoint; on a CPU with the
same number of threads (OMP_NUM_THREADS) the weights come out bit for bit as if it had never stopped. A SIGTERM makes it
write a checkpoint after the step in hand and exit with status 143.

The model that is kept is the last one. The learning rate ends at zero, so the last epochs differ by noise, and to
choose the best of them would fit the noise of the validation images.

The code for GPUs has not run on one yet.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import signal
import sys
import time
from collections.abc import Sequence

import torch
from torch import Tensor

import checkpoint
from artifact import CODE, refuse_unwritable, write_model
from errors import DataSetError, DivergenceError, TrainingError
from host_memory import reuse_freed_memory
from loading import Source, batches, open_source
from model import ModelConfig, build
from optimizing import Averaged, learning_rate, make_optimizer, take_step
from options import parse_arguments
from pretrained import load_pretrained
from probe import probe
from processes import Processes, join_processes
from reporting import Report, measure_ceiling
from sampling import Sampler, augment
from validating import validate

INTERRUPTED = 128 + signal.SIGTERM
# What the weights follow from, beside the options and the data.
DECISIVE = (
    "train.py",
    "model.py",
    "backbone.py",
    "loading.py",
    "optimizing.py",
    "sampling.py",
    "images.py",
    "probe.py",
)
# torch.compile takes about a minute for a network of ResNet-50's size and saves about an eighth of a step: it is worth
# while when that share of the steps to come exceeds the minute. The first epoch tells how long a step takes.
COMPILE_SECONDS, COMPILE_SAVES = 60.0, 0.125


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parse_arguments(__doc__, argv)
    signals: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: signals.append(number))
    processes = join_processes()
    if fit(arguments, processes, signals):
        return INTERRUPTED
    processes.end()
    return 0


def fit(arguments: argparse.Namespace, processes: Processes, signals: list[int]) -> bool:
    """Train, and write the model; whether a signal, which is found in `signals`, ended it before."""
    device, say = processes.device, processes.say
    torch.manual_seed(arguments.seed)
    reuse_freed_memory()
    torch.backends.cudnn.benchmark = arguments.smallest == 1  # sizes that change would be timed anew each time
    # Where bf16 is only emulated (T4, V100), fp32 it is.
    bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)

    refuse_unwritable(arguments.model_dir)

    # Data
    train = open_source(arguments.train, device, arguments.image_size)
    validation = open_source(arguments.validation, device, arguments.image_size)
    refuse_unlike(train, validation)
    sampler = make_sampler(arguments, train, processes)
    per_epoch, steps = sampler.steps_per_epoch, sampler.steps_per_epoch * arguments.epochs
    say(f"training on {train.describe()}")

    # Model
    data = train.data
    config = ModelConfig(arguments.network, data.classes, data.image_size, data.mean, data.std)
    facts = {"data_set": data.name, "fingerprint": data.fingerprint}
    model = build(config).to(device)
    if arguments.pretrained:
        say(f"starting from {load_pretrained(model, arguments.pretrained)}")
    if arguments.freeze:
        probe(model, train, validation, arguments.weight_decay, arguments.label_smoothing, bf16, processes)
        if processes.first:
            write_model(arguments.model_dir, model, config, facts)
        return False
    optimizer = make_optimizer(model, arguments.learning_rate, arguments.weight_decay)
    averaged = Averaged(model, arguments.ema_decay) if arguments.ema_decay else None
    kept = averaged.model if averaged else model

    # Resume
    configuration = describe(arguments, train, validation)
    report = Report(train.images.tier, describe_device(processes), processes.hosts, len(train), sampler.batch, steps)
    epoch, step, loss_sum = 0, 0, torch.zeros((), device=device)
    writer = None
    if arguments.checkpoint_dir and not arguments.synthetic:
        if processes.first:
            writer = checkpoint.Writer(arguments.checkpoint_dir, arguments.checkpoint_seconds)
        state = processes.from_first(checkpoint.load(arguments.checkpoint_dir, configuration) if writer else None)
        if state is not None:
            model.load_state_dict(state["model"])
            kept.load_state_dict(state["kept"])
            optimizer.load_state_dict(state["optimizer"])
            epoch, step, loss_sum = state["epoch"], state["step"], state["loss_sum"].to(device)
            report.restore(state["report"])
            say(f"resuming after {epoch} epochs and {step - epoch * per_epoch} steps")
    report.starts += 1
    saved_at = time.monotonic()

    def save_checkpoint() -> None:
        nonlocal saved_at
        if writer is None:
            return
        started = time.monotonic()
        refuse_divergence(loss_sum, epoch, arguments)
        state = {
            "configuration": configuration,
            "epoch": epoch,  # finished and validated
            "step": step,  # counted over all epochs; order, augmentation and learning rate follow from it
            "loss_sum": loss_sum,
            "model": model.state_dict(),
            "kept": kept.state_dict(),
            "optimizer": optimizer.state_dict(),
            "report": report.state(),
        }
        writer.save(step, state)
        saved_at = time.monotonic()
        report.checkpoint_seconds += saved_at - started

    # Loop
    say(f"training {sum(p.numel() for p in model.parameters()):,} weights on {report.device}, {steps} steps")
    wrapped = processes.wrap(model)
    feed = batches(train, sampler, range(step, steps), processes.part(sampler.batch))
    if arguments.compile == "on":
        model.compile()  # in place: the names of the weights stay
    compiling = arguments.compile == "auto" and device.type == "cuda"
    how = (arguments.label_smoothing, bf16, arguments.accumulate)
    images: Tensor | None = None
    while epoch < arguments.epochs:
        began, waited, seen, stood = time.monotonic(), 0.0, 0, report.checkpoint_seconds
        size = window_size(sampler, epoch, arguments)
        model.train()
        while step < (epoch + 1) * per_epoch:
            if signals and processes.first:  # the others go on until it is gone, for it needs their part of the step
                save_checkpoint()
                if writer is not None:
                    writer.wait()
                say(f"interrupted after {epoch} epochs and {step - epoch * per_epoch} steps")
                return True
            for group in optimizer.param_groups:
                group["lr"] = arguments.learning_rate * learning_rate(step, steps, arguments.warmup_share)
            asked = time.monotonic()
            if images is None or not arguments.synthetic:
                batch = next(feed)
                images = augment(batch.images, batch.places, batch.plan, sampler, size)
            waited += time.monotonic() - asked
            torch.manual_seed((arguments.seed * 1_000_003 + step) * processes.count + processes.rank)  # for dropout
            loss = take_step(wrapped, optimizer, images, batch.targets, *how)
            step += 1
            if averaged:
                averaged.update(step)
            loss_sum += loss * len(images)
            seen += sampler.batch
            now = time.monotonic()
            if writer is not None and now - saved_at + (now - asked) + writer.ahead > arguments.checkpoint_seconds:
                save_checkpoint()

        loss_sum = processes.total(loss_sum)
        refuse_divergence(loss_sum, epoch, arguments)  # reads it, and so waits for the device
        now = time.monotonic()
        seconds = now - began - (report.checkpoint_seconds - stood)
        report.step_seconds += seconds
        report.data_wait_seconds += waited
        validation_loss, accuracy = validate(kept, validation, processes)
        report.validation_seconds += time.monotonic() - now
        report.epoch_over(seen, seconds, accuracy)
        epoch += 1
        say(
            f"epoch={epoch} train:loss={loss_sum.item() / (per_epoch * sampler.batch):.4f} "
            f"validation:loss={validation_loss:.4f} validation:accuracy={accuracy:.4f} images/s={seen / seconds:.0f}"
        )
        loss_sum = torch.zeros_like(loss_sum)
        if compiling:
            compiling = False
            saved = COMPILE_SAVES * seconds / seen * sampler.batch * (steps - step)
            say(f"torch.compile may save {saved:.0f} s: {'compiling' if saved > COMPILE_SECONDS else 'not compiled'}")
            if saved > COMPILE_SECONDS:
                model.compile()

    # Result
    if processes.first:
        if not arguments.synthetic:
            write_model(arguments.model_dir, kept, config, facts)
        if writer is not None:
            writer.wait()
        seconds = ceiling_seconds(arguments, report, processes)
        if images is not None and seconds:
            report.add_ceiling(measure_ceiling(model, images, batch.targets, *how, seconds))
        say(report.line())
        if arguments.output_dir:
            report.write(arguments.output_dir)
    return False


def make_sampler(arguments: argparse.Namespace, train: Source, processes: Processes) -> Sampler:
    batch = min(arguments.batch_size, len(train))
    shares = processes.count * arguments.accumulate
    if batch % shares:
        raise TrainingError(
            f"{batch} images a step cannot be shared equally by {processes.count} processes"
            + f", each in {arguments.accumulate} parts" * (arguments.accumulate > 1),
            hint=f"choose a batch size that is a multiple of {shares}",
        )
    return Sampler(
        images=len(train),
        image_size=train.data.image_size,
        batch=batch,
        seed=arguments.seed,
        crop=arguments.crop,
        shift=arguments.shift if arguments.crop == 1 else 0.0,
        flip_probability=arguments.flip_probability,
        zoom=arguments.zoom,
    )


def window_size(sampler: Sampler, epoch: int, arguments: argparse.Namespace) -> int:
    """Pixels of a side in this epoch: multiples of 16 that grow in a line, whole from two thirds of the epochs on."""
    grown = min(1.0, 1.5 * epoch / arguments.epochs)
    size = sampler.window * (arguments.smallest + (1 - arguments.smallest) * grown)
    return sampler.window if size >= sampler.window else max(16, round(size / 16) * 16)


def refuse_unlike(train: Source, validation: Source) -> None:
    a, b = train.data, validation.data
    if (a.classes, a.image_size) != (b.classes, b.image_size):
        raise DataSetError(
            f"train has {len(a.classes)} classes of {a.image_size} pixels and validation "
            f"{len(b.classes)} of {b.image_size}, or other names",
            hint="give both folders of the same run of preprocess.py",
        )


def refuse_divergence(loss_sum: Tensor, epoch: int, arguments: argparse.Namespace) -> None:
    if not math.isfinite(loss_sum.item()):
        raise DivergenceError(
            f"the loss became {loss_sum.item()} in epoch {epoch + 1}",
            hint=f"lower --learning-rate (it is {arguments.learning_rate:g})",
        )


def ceiling_seconds(arguments: argparse.Namespace, report: Report, processes: Processes) -> float:
    if processes.count > 1:  # their steps hang together: one of them alone measures nothing
        return 0.0
    if arguments.ceiling_seconds is not None:
        return float(arguments.ceiling_seconds)
    return min(5.0, report.seconds / 100) if report.seconds >= 50 else 0.0


def describe(arguments: argparse.Namespace, train: Source, validation: Source) -> dict[str, str]:
    """All that the weights depend on; a checkpoint is resumed under the very same only."""
    elsewhere = {"train", "validation", "model_dir", "checkpoint_dir", "checkpoint_seconds", "output_dir",
                 "ceiling_seconds", "compile"}  # fmt: skip
    options = {name.replace("_", "-"): str(value) for name, value in vars(arguments).items() if name not in elsewhere}
    code = hashlib.sha256(b"".join((CODE / name).read_bytes() for name in DECISIVE)).hexdigest()
    digests = {"train": train.data.digest[:16], "validation": validation.data.digest[:16]}
    return {**options, **digests, "code": code[:16]}


def describe_device(processes: Processes) -> str:
    if processes.device.type == "cpu":
        return f"{torch.get_num_threads()} CPU threads" + f" in each of {processes.count} processes" * (
            processes.count > 1
        )
    return f"{processes.count} x {torch.cuda.get_device_name(processes.device)}"


if __name__ == "__main__":
    sys.exit(main())
