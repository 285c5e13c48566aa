"""The silence of the simulated service is what it says it is: frame by frame, page by page."""

import struct
from typing import get_args

import pytest

from core.loopback.sounds import MEDIA_TYPES, Container, silence
from core.media import sniff

CONTAINERS: tuple[Container, ...] = get_args(Container)
OGG_CRC_POLYNOMIAL = 0x104C11DB7


@pytest.mark.parametrize("container", CONTAINERS)
def test_the_bytes_show_their_type(container: Container) -> None:
    assert sniff(silence(container, 3)) == MEDIA_TYPES[container]


@pytest.mark.parametrize("frames", [1, 120])
def test_mp3_is_a_chain_of_frames(frames: int) -> None:
    sound = silence("mp3", frames)
    length = 144 * 128_000 // 44_100
    assert len(sound) == frames * length
    assert {sound[start : start + 4].hex() for start in range(0, len(sound), length)} == {"fffb9064"}


@pytest.mark.parametrize("frames", [1, 120])
def test_aac_is_a_chain_of_frames(frames: int) -> None:
    sound, count, position = silence("aac", frames), 0, 0
    while position < len(sound):
        assert sound[position : position + 2] == b"\xff\xf1"
        position += (sound[position + 3] & 3) << 11 | sound[position + 4] << 3 | sound[position + 5] >> 5
        count += 1
    assert (count, position) == (frames, len(sound))


@pytest.mark.parametrize("frames", [1, 50, 120])
def test_opus_is_a_chain_of_pages(frames: int) -> None:
    sound, position, pages = silence("opus", frames), 0, []
    while position < len(sound):
        magic, _, flags, played, _, number, _, segments = struct.unpack_from("<4sBBqIIIB", sound, position)
        table = sound[position + 27 : position + 27 + segments]
        end = position + 27 + segments + sum(table)
        page = sound[position:end]
        assert magic == b"OggS"
        assert remainder(page[:22] + bytes(4) + page[26:]) == int.from_bytes(page[22:26], "little")
        pages.append((number, flags, played, page[27 + segments :]))
        position = end
    assert [page[0] for page in pages] == list(range(len(pages)))
    assert [page[1] for page in pages] == [2, *[0] * (len(pages) - 2), 4]
    assert pages[0][3].startswith(b"OpusHead")
    assert pages[1][3].startswith(b"OpusTags")
    assert pages[-1][2] == frames * 960
    assert b"".join(page[3] for page in pages[2:]) == bytes.fromhex("f8fffe") * frames


def remainder(data: bytes) -> int:
    """Divide as the definition of the checksum says, in one long division."""
    number = int.from_bytes(data) << 32
    for shift in range(number.bit_length() - 33, -1, -1):
        if number >> (shift + 32) & 1:
            number ^= OGG_CRC_POLYNOMIAL << shift
    return number
