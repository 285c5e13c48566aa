"""Vectors as bytes, and what is none."""

import base64
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as some
from msgspec import Struct

from core.vectors import NoVector, from_base64, packed, to_base64, unpacked


@given(some.lists(some.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_a_vector_of_32_bits_survives_every_way_of_writing_it(vector: list[float]) -> None:
    assert list(unpacked(from_base64(to_base64(packed(vector))))) == vector


def test_the_bytes_are_little_endian() -> None:
    assert packed([1.0, -2.0]) == bytes.fromhex("0000803f000000c0")


class Case(Struct, frozen=True):
    id: str
    text: str


NONE = [
    Case("no base64", "****"),
    Case("letters that no base64 has", "ééé="),
    Case("half a number", base64.b64encode(b"\0\0").decode()),
    Case("not a number", base64.b64encode(struct.pack("<f", float("nan"))).decode()),
    Case("infinity", base64.b64encode(struct.pack("<f", float("inf"))).decode()),
]


@pytest.mark.parametrize("case", NONE, ids=lambda case: case.id)
def test_what_is_no_vector_is_refused(case: Case) -> None:
    with pytest.raises(NoVector):
        from_base64(case.text)


def test_a_number_beyond_32_bits_is_refused() -> None:
    with pytest.raises(NoVector):
        packed([1e300])
