"""How long train.py waits for data, from each of its tiers, as it trains the ResNet: its own report.json."""

from __future__ import annotations

import json
from pathlib import Path

import loading
import train
from benchmarks.gpu.data import write_arrays, write_photographs
from benchmarks.gpu.part import Bench
from benchmarks.gpu.resnet import FULL, SMALL, register


def measure(bench: Bench) -> None:
    register()
    images, side, batch = (16, 32, 8) if bench.small else (6144, 256, 256)
    arrays = write_arrays(bench.folder / "arrays", images, side)
    fit(bench, "resident", arrays, batch)
    with_room = loading.room_on
    loading.room_on = lambda device: 0  # as if the arrays did not fit
    fit(bench, "mapped", arrays, batch)
    loading.room_on = with_room
    fit(bench, "originals", write_photographs(bench.folder / "photographs", images // 2), batch)


def fit(bench: Bench, tier: str, data: Path, batch: int) -> None:
    out = bench.folder / f"out-{tier}"
    folders = ["--train", data / "train", "--validation", data / "validation", "--model-dir", out, "--output-dir", out]
    options = ["--network", SMALL if bench.small else FULL, "--batch-size", batch, "--epochs", 2 if bench.small else 3]
    more = ["--flip-probability", "0.5", "--compile", "off", "--ceiling-seconds", 0.1 if bench.small else 2]
    size = ["--image-size", 32 if bench.small else 256, "--crop", "0.875"]
    train.main([*map(str, [*folders, *options, *more, *size])])
    report = json.loads((out / "report.json").read_text("utf-8"))
    assert report["tier"] == tier, report
    bench.add(f"{tier}: speed", report["median_images_per_second"], "images/s")
    bench.add(f"{tier}: of the time of the steps, the host waits for data", wait_share(report), "%")
    bench.add(f"{tier}: of the speed of the same steps without data", report["share_of_ceiling"], "%")


def wait_share(report: dict[str, float]) -> float:
    return report["data_wait_seconds"] / report["step_seconds"]
