"""Vectors as bytes: float32 numbers, little-endian, as base64 of embeddings has them (P37)."""

import base64
import math
import struct
from collections.abc import Sequence

FLOAT_BYTES = 4


class NoVector(ValueError):
    """What stands in the place of a vector is none."""


def packed(vector: Sequence[float]) -> bytes:
    """Return the bytes of a vector. Raises `NoVector` for a number too large for 32 bits."""
    try:
        return struct.pack(f"<{len(vector)}f", *vector)
    except OverflowError as error:
        raise NoVector("a number is too large for 32 bits") from error


def unpacked(data: bytes) -> tuple[float, ...]:
    """Return the numbers of a vector."""
    return struct.unpack(f"<{len(data) // FLOAT_BYTES}f", data)


def from_base64(text: str) -> bytes:
    """Return the bytes of a vector written as base64. Raises `NoVector`, for numbers that JSON cannot say too."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise NoVector("it is not base64") from error
    if len(data) % FLOAT_BYTES or not all(map(math.isfinite, unpacked(data))):
        raise NoVector("it is not base64 of 32-bit numbers")
    return data


def to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
