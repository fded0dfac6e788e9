"""How long inference.py takes to answer: its network alone, and from the bytes of a request to those of the answer."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from artifact import write_model
from benchmarks.gpu.data import encode_photograph
from benchmarks.gpu.part import Bench
from benchmarks.gpu.resnet import FULL, SMALL, configure, register
from inference import JSON, Model, input_fn, model_fn, output_fn, predict, predict_fn
from model import build

BATCHES = (1, 8, 64)


def measure(bench: Bench) -> None:
    register()
    config = configure(SMALL if bench.small else FULL, 32 if bench.small else 224)
    write_model(bench.folder / "model", build(config), config, {})
    began = time.perf_counter()
    model = model_fn(str(bench.folder / "model"))
    bench.add("model_fn", time.perf_counter() - began, "s")
    random = np.random.default_rng(0)
    for count in BATCHES:
        arrays = random.integers(0, 256, (count, config.image_size, config.image_size, 3), dtype=np.uint8)
        record(bench, f"predict, batch of {count}", partial(predict, arrays, model))
    photographs = [encode_photograph(seed) for seed in range(max(BATCHES))]
    record(bench, "a request with one JPEG", partial(answer, photographs[0], "image/jpeg", model))
    for count in BATCHES[1:]:
        instances = [{"b64": base64.b64encode(content).decode()} for content in photographs[:count]]
        body = json.dumps({"instances": instances}).encode()
        record(bench, f"a request in JSON with {count} JPEGs", partial(answer, body, JSON, model))


def answer(body: bytes, content_type: str, model: Model) -> str:
    return output_fn(predict_fn(input_fn(body, content_type), model), JSON)


def record(bench: Bench, what: str, act: Callable[[], object]) -> None:
    """Milliseconds of most calls; the first, which chooses kernels, is a separate figure."""
    began = time.perf_counter()
    act()
    first = time.perf_counter() - began
    taken: list[float] = []
    ends = time.perf_counter() + (0.2 if bench.small else 3)
    while len(taken) < 3 or (time.perf_counter() < ends and len(taken) < 2000):
        began = time.perf_counter()
        act()
        taken.append(time.perf_counter() - began)
    low, high = (float(value) * 1e3 for value in np.percentile(taken, (50, 99)))
    bench.add(what, f"p50 {low:.2f} ms, p99 {high:.2f} ms, the first {first * 1e3:.0f} ms, {len(taken)} calls")
