"""Width and height from headers, for every format that has a reader, and from headers that are not whole."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from core.media import image_size
from tests import media_samples as samples


class Format(Struct, frozen=True):
    id: str
    make: Callable[[int, int], bytes]
    longest_side: int


FORMATS = [
    Format("PNG", samples.png, 20),
    Format("JPEG", samples.jpeg, 65_535),
    Format("GIF", samples.gif, 65_535),
    Format("BMP", samples.bmp, 20),
    Format("BMP of OS/2", samples.old_bmp, 65_535),
    Format("lossy WebP", samples.webp_lossy, 16_383),
    Format("lossless WebP", samples.webp_lossless, 16_384),
    Format("extended WebP", samples.webp_extended, 1 << 24),
]
BY_ID = pytest.mark.parametrize("format_", FORMATS, ids=lambda format_: format_.id)


@BY_ID
def test_width_comes_before_height(format_: Format) -> None:
    assert image_size(format_.make(7, 5)) == (7, 5)


@given(st.sampled_from(FORMATS), st.data())
def test_every_size_is_read(format_: Format, data: st.DataObject) -> None:
    sides = st.integers(1, format_.longest_side)
    size = data.draw(st.tuples(sides, sides))
    assert image_size(format_.make(*size)) == size


@given(st.sampled_from(FORMATS), st.data())
def test_a_cut_header_gives_no_wrong_size(format_: Format, data: st.DataObject) -> None:
    picture = format_.make(7, 5)
    kept = data.draw(st.integers(0, len(picture)))
    assert image_size(picture[:kept]) in (None, (7, 5))


@given(st.sampled_from(FORMATS), st.data())
def test_spoilt_headers_never_raise(format_: Format, data: st.DataObject) -> None:
    picture = bytearray(format_.make(7, 5))
    for place in data.draw(st.lists(st.integers(0, min(60, len(picture) - 1)), max_size=6)):
        picture[place] = data.draw(st.integers(0, 255))
    size = image_size(bytes(picture))
    assert size is None or min(size) > 0


class NoneCase(Struct, frozen=True):
    id: str
    data: bytes


@pytest.mark.parametrize(
    "case",
    [
        NoneCase("a sound", samples.wav()),
        NoneCase("a picture without a reader", samples.tiff()),
        NoneCase("text", b"hello"),
        NoneCase("a PNG of no width", samples.png(0, 4)),
        NoneCase("a PNG whose first chunk is another", samples.png()[:12] + b"tEXt" + samples.png()[16:]),
        NoneCase("a JPEG whose scan comes before a frame", b"\xff\xd8\xff\xda\0\x02" + samples.jpeg()[2:]),
        NoneCase("a JPEG without a frame", b"\xff\xd8\xff\xe0\0\x02\xff\xd9\0\0"),
        NoneCase("a lossy WebP without its start code", samples.webp_lossy().replace(b"\x9d\x01\x2a", bytes(3))),
        NoneCase("a WebP of another kind", samples.webp_extended().replace(b"VP8X", b"VP8Y")),
    ],
    ids=lambda case: case.id,
)
def test_what_has_no_size(case: NoneCase) -> None:
    assert image_size(case.data) is None


def test_rows_from_the_top_down_count_as_height() -> None:
    assert image_size(samples.bmp(3, -4)) == (3, 4)


def test_long_jpegs_of_empty_segments_take_linear_time() -> None:
    assert image_size(b"\xff\xd8" + b"\xff\xe1\0\0" * 200_000) is None
