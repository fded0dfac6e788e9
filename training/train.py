"""python train.py --train DIR --validation DIR --model-dir DIR [--checkpoint-dir DIR]

Train an image classifier on what preprocess.py wrote, or on class folders of images, on GPUs or on a CPU. Several
processes, which torchrun starts, train as one.

Killed at any instant and started again with the same command, it goes on from its last checkpoint; on a CPU with the
same number of threads (OMP_NUM_THREADS) the weights come out bit for bit as if it had never stopped. On a GPU that
takes --deterministic. A SIGTERM makes it write a checkpoint after the step in hand and exit with status 143.

The model that is kept is the last one. The learning rate ends at zero, so the last epochs differ by noise, and to
choose the best of them would fit the noise of the validation images.

The code for GPUs has not run on one yet.
"""

from __future__ import annotations

import argparse
import math
import signal
import sys
import time
from collections.abc import Sequence

import torch
from torch import Tensor, nn

import checkpoint
import compiling
from artifact import refuse_unwritable, requirements_of, write_model
from configuration import describe
from determinism import repeat_exactly
from errors import DataSetError, DivergenceError, TrainingError
from host_memory import reuse_freed_memory
from loading import Source, batches, open_source
from model import ModelConfig, build
from optimizing import Averaged, learning_rate, make_optimizer, take_step
from options import parse_arguments
from pretrained import load_pretrained
from probe import probe
from processes import Interruption, Processes, join_processes
from reporting import Report, measure_ceiling, peak_memory
from sampling import Sampler, augment
from validating import validate

INTERRUPTED = 128 + signal.SIGTERM


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parse_arguments(__doc__, argv)
    signals: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: signals.append(number))
    processes = join_processes()
    interrupted = fit(arguments, processes, signals)
    processes.end()
    return INTERRUPTED if interrupted else 0


def fit(arguments: argparse.Namespace, processes: Processes, signals: list[int]) -> bool:
    """Train, and write the model; whether a signal, which is found in `signals`, ended it before."""
    device, say = processes.device, processes.say
    torch.manual_seed(arguments.seed)
    reuse_freed_memory()
    torch.backends.cudnn.benchmark = arguments.smallest == 1  # sizes that change would be timed again each time
    if arguments.deterministic:
        repeat_exactly()
    # Where bf16 is only emulated (T4, V100), fp32 it is.
    bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)

    refuse_unwritable(arguments.model_dir)

    # Data
    train = open_source(arguments.train, device, arguments.image_size)
    validation = open_source(arguments.validation, device, arguments.image_size)
    refuse_unlike(train, validation)
    configuration = describe(arguments, train, validation, processes.count)
    processes.refuse_different(configuration)
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
    refuse_other_sizes(model, sampler)
    requirements_of(config)  # refused now, and not after hours of training
    report = Report(train.images.tier, processes.describe(), processes.hosts, len(train), sampler.batch, steps)
    if arguments.freeze:
        report.starts, report.steps = 1, 1
        how_to_fit = (arguments.weight_decay, arguments.label_smoothing, bf16)
        probe(model, train, validation, *how_to_fit, processes, report)
        if processes.first:
            write_model(arguments.model_dir, model, config, facts)
            conclude(report, arguments)
        return False
    optimizer = make_optimizer(model, arguments.learning_rate, arguments.weight_decay)
    averaged = Averaged(model, arguments.ema_decay) if arguments.ema_decay else None
    kept = averaged.model if averaged else model

    # Resume
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

    def is_due(coming: float) -> bool:
        """Whether to write one now: after the `coming` seconds it would be too late."""
        return writer is not None and time.monotonic() - saved_at + coming + writer.ahead > arguments.checkpoint_seconds

    def save_checkpoint() -> None:
        nonlocal saved_at
        if writer is None:
            return
        refuse_divergence("loss", loss_sum.item(), epoch, arguments)  # reading it waits for the steps: their time
        started = time.monotonic()
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
        compiling.refuse_without_compiler(device)
        model.compile()  # in place: the names of the weights stay
    undecided = arguments.compile == "auto" and device.type == "cuda"
    how = (arguments.label_smoothing, bf16, arguments.accumulate)
    images: Tensor | None = None
    interruption = Interruption(processes, signals)
    while epoch < arguments.epochs:
        began, waited, seen, stood = time.monotonic(), 0.0, 0, report.checkpoint_seconds
        size = sampler.size(epoch, arguments.epochs)
        model.train()
        while step < (epoch + 1) * per_epoch:
            if interruption.has_come():
                save_checkpoint()
                if writer is not None:
                    writer.wait()
                say(f"interrupted after {epoch} epochs and {step - epoch * per_epoch} steps")
                processes.wait()  # when one of them ends, torchrun ends the others
                return True
            for group in optimizer.param_groups:
                group["lr"] = arguments.learning_rate * learning_rate(step, steps, arguments.warmup_share)
            asked = time.monotonic()
            if images is None or images.shape[1] != size or not arguments.synthetic:
                batch = next(feed)
                images = augment(batch.images, batch.places, batch.plan, sampler, size)
            waited += time.monotonic() - asked
            torch.manual_seed((arguments.seed * 1_000_003 + step) * processes.count + processes.rank)  # for dropout
            loss = take_step(wrapped, optimizer, images, batch.targets, *how)
            step += 1
            if averaged:
                averaged.update(step)
            loss_sum += processes.total(loss * len(images))
            seen += sampler.batch
            if is_due(time.monotonic() - asked):
                save_checkpoint()

        refuse_divergence("loss", loss_sum.item(), epoch, arguments)
        # The first validation takes no longer than its epoch, the others as long as those before.
        if is_due(report.validation_seconds / epoch if epoch else time.monotonic() - began):
            save_checkpoint()
        now = time.monotonic()
        seconds = now - began - (report.checkpoint_seconds - stood)
        report.step_seconds += seconds
        report.data_wait_seconds += waited
        validation_loss, accuracy = validate(kept, validation, processes)
        refuse_divergence("validation loss", validation_loss, epoch, arguments)
        report.validation_seconds += time.monotonic() - now
        report.epoch_over(seen, seconds, size, accuracy)
        epoch += 1
        say(
            f"epoch={epoch} train:loss={loss_sum.item() / (per_epoch * sampler.batch):.4f} "
            f"validation:loss={validation_loss:.4f} validation:accuracy={accuracy:.4f} images/s={seen / seconds:.0f}"
        )
        loss_sum = torch.zeros_like(loss_sum)
        if undecided and seen:  # the first epoch shows how long a step takes
            undecided = False
            pays, sentence = compiling.decide(seconds * sampler.batch / seen, steps - step, device)
            say(sentence)
            if pays:
                model.compile()

    # Result
    if processes.first:
        if not arguments.synthetic:
            write_model(arguments.model_dir, kept, config, facts)
        if writer is not None:
            writer.wait()
        report.peak_memory_bytes = peak_memory()
        seconds = ceiling_seconds(arguments, report, processes)
        if images is not None and seconds:
            report.add_ceiling(measure_ceiling(model, optimizer, images, batch.targets, *how, seconds))
        conclude(report, arguments)
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
        smallest=arguments.smallest,
    )


def refuse_unlike(train: Source, validation: Source) -> None:
    a, b = train.data, validation.data
    if (a.classes, a.image_size) != (b.classes, b.image_size):
        raise DataSetError(
            f"train has {len(a.classes)} classes of {a.image_size} pixels and validation "
            f"{len(b.classes)} of {b.image_size}, or other names",
            hint="give both folders of the same run of preprocess.py",
        )


def refuse_other_sizes(model: nn.Module, sampler: Sampler) -> None:
    if getattr(model, "fixed_size", False) and (sampler.crop < 1 or sampler.smallest < 1):
        raise TrainingError(
            f"this network takes images of {sampler.image_size} pixels alone, and no windows of another size",
            hint="leave --crop and --smallest at 1, or choose a network without positions, such as timm:resnet50",
        )


def refuse_divergence(what: str, loss: float, epoch: int, arguments: argparse.Namespace) -> None:
    if not math.isfinite(loss):
        raise DivergenceError(
            f"the {what} became {loss} in epoch {epoch + 1}",
            hint=f"lower --learning-rate (it is {arguments.learning_rate:g})",
        )


def ceiling_seconds(arguments: argparse.Namespace, report: Report, processes: Processes) -> float:
    if processes.count > 1:  # their steps hang together: one of them alone measures nothing
        return 0.0
    if arguments.ceiling_seconds is not None:
        return float(arguments.ceiling_seconds)
    return min(5.0, report.seconds / 100) if report.seconds >= 50 else 0.0


def conclude(report: Report, arguments: argparse.Namespace) -> None:
    print(report.line(), flush=True)
    if arguments.output_dir:
        report.write(arguments.output_dir)


if __name__ == "__main__":
    sys.exit(main())
