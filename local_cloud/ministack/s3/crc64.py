"""CRC-64/NVME of many bytes, with numpy: 46 MB/s where ministack's loop over bytes made 4 MB/s, on one busy machine.

The message is cut into lanes of equal length whose CRCs are computed side by side, and joined pairwise: CRC is linear,
so that ``crc(a + b) = shift(crc(a), len(b)) ^ crc(b)``, where a shift is a 64 x 64 matrix over bits.
"""

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

import numpy as np

POLYNOMIAL = 0x9A6C9329AC4BC9B5  # reflected
_ONES = 0xFFFFFFFFFFFFFFFF
_LANES = 1 << 14
_SMALL = 1 << 16  # bytes, below which one loop is fast enough

Vector = Any  # of numpy.uint64; numpy's own types say no more here


def crc64nvme(content: bytes) -> int:
    if len(content) < _SMALL:
        table, crc = _small_table(), _ONES
        for byte in content:
            crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
        return crc ^ _ONES
    # The start value of all ones is zero with the first 8 bytes inverted; zeros before a message change nothing.
    length = -(-len(content) // _LANES)
    lanes = np.zeros(_LANES * length, np.uint8)
    lanes[-len(content) :] = np.frombuffer(content, np.uint8)
    first = len(lanes) - len(content)
    lanes[first : first + 8] ^= 0xFF
    columns = np.ascontiguousarray(lanes.reshape(_LANES, length).T)
    entries, crcs = np.array(_small_table(), np.uint64), np.zeros(_LANES, np.uint64)
    for column in columns:
        crcs = entries[((crcs ^ column) & np.uint64(0xFF)).astype(np.intp)] ^ (crcs >> np.uint64(8))
    shift = _power(length)
    while len(crcs) > 1:
        crcs = _apply(shift, crcs[0::2]) ^ crcs[1::2]
        shift = _apply(shift, shift)
    return int(crcs[0]) ^ _ONES


class Crc64Nvme:
    """Of a message that comes in pieces."""

    def __init__(self) -> None:
        self.value = 0
        """The CRC of what has come so far."""

    def update(self, piece: bytes) -> None:
        shifted = int(_apply(_power(len(piece)), np.array([self.value], np.uint64))[0])
        self.value = shifted ^ crc64nvme(piece)


@cache
def _small_table() -> tuple[int, ...]:
    def entry(value: int) -> int:
        for _ in range(8):
            value = (value >> 1) ^ POLYNOMIAL if value & 1 else value >> 1
        return value

    return tuple(map(entry, range(256)))


def _apply(matrix: Vector, values: Vector) -> Vector:
    """The matrix times each value; row b of it is what the bit b becomes."""
    result = np.zeros_like(values)
    for bit in range(64):
        chosen = (values >> np.uint64(bit)) & np.uint64(1)
        result ^= matrix[bit] * chosen
    return result


@lru_cache(8)
def _power(count: int) -> Vector:
    """The matrix that shifts a CRC over `count` bytes of zeros."""
    table = _small_table()
    one = np.array([table[(1 << bit) & 0xFF] ^ ((1 << bit) >> 8) for bit in range(64)], np.uint64)
    result = np.array([1 << bit for bit in range(64)], np.uint64)
    multiply: Callable[[Vector, Vector], Vector] = _apply
    while count:
        if count & 1:
            result = multiply(one, result)
        one = multiply(one, one)
        count >>= 1
    return result
