"""Images of the test set that look like images trained on: other crops or encodings of one photograph.

Each image is reduced to 9 x 9 grey values. Their 72 horizontal differences make a hash of 72 bits: two encodings of a
photograph differ in few of them, two photographs in about 36. Pairs that differ in at most 10 are compared once more,
by the correlation of the grey values: it has to be high, and far higher than with other images, because drawings and
digits are all alike (of the digits 62 of 269 test images have a correlation of 0.97 with one to train on).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIDE = 9
MOST_DIFFERENT_BITS = 10
LEAST_CORRELATION = 0.97
MOST_OF_USUAL = (
    0.12  # of the distance to the twentieth image; of digits 0.15 to 0.65, of crops and encodings below 0.11
)
USUAL = 20
LEAST_CONTRAST = 4.0  # grey levels: the hash of a flat image is noise
MOST_PAIRS = 2 * 10**9  # of a test and a training image: about 20 s; beyond, a part of the test images is compared
BLOCK = 256  # test images compared at once

_BITS = np.array([bin(value).count("1") for value in range(2**16)], dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class Pair:
    first: int  # row of the test image
    second: int  # row of the training image


def reduced(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(n, 9, 9) grey values of (n, size, size, 3) images; the green channel of every few pixels is enough."""
    size = images.shape[1]
    step = max(1, size // (4 * SIDE))
    green = images[:, ::step, ::step, 1]
    block = green.shape[1] // SIDE
    if block == 0:
        return np.zeros((len(images), SIDE, SIDE), dtype=np.uint8)
    edge = (green.shape[1] - block * SIDE) // 2
    inner = green[:, edge : edge + block * SIDE, edge : edge + block * SIDE]
    blocks = inner.reshape(len(images), SIDE, block, SIDE, block)
    means: NDArray[np.uint8] = (blocks.sum((2, 4), dtype=np.uint32) // block**2).astype(np.uint8)
    return means


def near_duplicates(test: NDArray[np.uint8], train: NDArray[np.uint8]) -> list[Pair]:
    """For each reduced test image that looks like a training image, the one it looks like most."""
    if len(test) == 0 or len(train) == 0:
        return []
    every = -(-len(test) * len(train) // MOST_PAIRS)
    rows = np.arange(0, len(test), every)
    rows = rows[test[rows].reshape(len(rows), -1).std(1) >= LEAST_CONTRAST]
    if len(rows) == 0:
        return []
    known, asked = _hashes(train), _hashes(test[rows])
    patterns, wanted = _normalised(train), _normalised(test[rows])
    place = min(USUAL, len(train) // 2)
    found: list[Pair] = []
    for start in range(0, len(rows), BLOCK):
        part = asked[start : start + BLOCK]
        distance = np.zeros((len(part), len(known)), dtype=np.uint8)
        for word in range(known.shape[1]):
            distance += _BITS[part[:, word, None] ^ known[None, :, word]]
        close = distance <= MOST_DIFFERENT_BITS
        hits = np.flatnonzero(close.any(1))
        if len(hits) == 0:
            continue
        correlation = wanted[start + hits] @ patterns.T
        likeness = np.where(close[hits], correlation, -1)
        best = likeness.argmax(1)
        nearest = 1 - likeness.max(1)
        usual = 1 - np.partition(correlation, -1 - place, axis=1)[:, -1 - place]
        right = (nearest <= 1 - LEAST_CORRELATION) & (nearest <= MOST_OF_USUAL * usual)
        found += [Pair(int(rows[start + hits[at]]), int(best[at])) for at in np.flatnonzero(right)]
    return found


def sentence(pairs: Sequence[Pair], test: Sequence[str], train: Sequence[str]) -> str:
    shown = ", ".join(f"{test[pair.first]} ~ {train[pair.second]}" for pair in pairs[:3])
    return (
        f"{len(pairs)} of {len(test)} test images look like training images (another crop or encoding of the same "
        f"picture): {shown}. If they are, the accuracy is too good: give the data set a group column or set "
        "group_pattern, which keeps a group in one split"
    )


def _hashes(images: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """(n, 5) words of 16 bits, of which the last 8 bits are not used."""
    bits = images[:, :, 1:] > images[:, :, :-1]
    packed = np.packbits(bits.reshape(len(images), -1), axis=1)
    padded = np.zeros((len(images), 10), dtype=np.uint8)
    padded[:, : packed.shape[1]] = packed
    words: NDArray[np.uint16] = padded.view(np.uint16)
    return words


def _normalised(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(n, 81) values of mean 0 and length 1: the product of two is their correlation."""
    values = images.reshape(len(images), -1).astype(np.float32)
    values -= values.mean(1, keepdims=True)
    lengths = np.sqrt((values**2).sum(1, keepdims=True))
    normalised: NDArray[np.float32] = values / np.maximum(lengths, 1e-6)
    return normalised
