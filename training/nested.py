"""Take a nest of mappings, lists and tensors apart, into a text and flat tensors, and put it together again.

A checkpoint is such a nest. The text is JSON: each mapping, list, tuple and tensor is an object with one key that says
which of them it is, so that keys keep their type (an optimizer counts its weights by integers) and nothing is guessed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from tensor_file import raw_bytes


def take_apart(nest: Any) -> tuple[str, dict[str, Tensor]]:
    """The text, and the tensors by the names that it has for them. Raises TypeError for anything else in the nest."""
    tensors: dict[str, Tensor] = {}
    return json.dumps(_described(nest, tensors)), tensors


def put_together(text: str, tensors: Mapping[str, Tensor]) -> Any:
    """Raises anything for a text that `take_apart` did not write."""
    return _rebuilt(json.loads(text), tensors)


def digest(text: str, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of all that the nest consists of."""
    found = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        found.update(f"\n{name} {tensor.dtype} {tensor.numel()}\n".encode())
        found.update(raw_bytes(tensor))
    return found.hexdigest()


def _described(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        name = str(len(tensors))
        # As it lies in memory: channels that come last are to do so again. A copy has neither gaps nor neighbours.
        own = value.untyped_storage().nbytes() == value.numel() * value.element_size() and value.storage_offset() == 0
        dense = (value if own else value.clone()).detach()
        tensors[name] = dense.as_strided((dense.numel(),), (1,))
        return {"tensor": name, "shape": list(dense.shape), "strides": list(dense.stride())}
    if isinstance(value, Mapping):
        return {"mapping": [[key, _described(item, tensors)] for key, item in value.items()]}
    if isinstance(value, list):
        return {"list": [_described(item, tensors) for item in value]}
    if isinstance(value, tuple):
        return {"tuple": [_described(item, tensors) for item in value]}
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise TypeError(f"{type(value).__name__} is neither a number, a text, a tensor nor a collection of them")


def _rebuilt(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if not isinstance(value, dict):
        return value
    if "tensor" in value:
        return tensors[value["tensor"]].as_strided(value["shape"], value["strides"])
    if "mapping" in value:
        return {key: _rebuilt(item, tensors) for key, item in value["mapping"]}
    if "list" in value:
        return [_rebuilt(item, tensors) for item in value["list"]]
    return tuple(_rebuilt(item, tensors) for item in value["tuple"])
