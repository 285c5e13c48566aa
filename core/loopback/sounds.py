"""Silence in the containers that the simulated service speaks in: short, valid, the same each time.

The frames: MPEG-1 layer III at 128 kbit/s (ISO/IEC 11172-3), AAC LC in ADTS (ISO/IEC 13818-7), Opus in Ogg (RFC 3533,
RFC 7845).
"""

import struct
from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

Container: TypeAlias = Literal["aac", "mp3", "opus"]

MEDIA_TYPES: Mapping[Container, str] = {"aac": "audio/aac", "mp3": "audio/mpeg", "opus": "audio/ogg"}

_MP3_FRAME = bytes.fromhex("fffb9064") + bytes(413)
_AAC_SILENCE = bytes.fromhex("00c800802380")
_OPUS_SILENCE = bytes.fromhex("f8fffe")
_OPUS_SAMPLES = 960
_PACKETS_PER_PAGE = 50


def silence(container: Container, frames: int) -> bytes:
    """Return so many frames of silence."""
    return _MAKERS[container](frames)


def _mp3(frames: int) -> bytes:
    return _MP3_FRAME * frames


def _aac(frames: int) -> bytes:
    """Each frame has a header of seven bytes: LC profile, 44.1 kHz, one channel, and the frame's length."""
    length = 7 + len(_AAC_SILENCE)
    header = bytes([0xFF, 0xF1, 0x50, 0x40 | length >> 11, length >> 3 & 0xFF, (length & 7) << 5 | 0x1F, 0xFC])
    return (header + _AAC_SILENCE) * frames


def _opus(frames: int) -> bytes:
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 312, 48_000, 0, 0)
    tags = b"OpusTags" + struct.pack("<I", 8) + b"loopback" + struct.pack("<I", 0)
    pages = [_ogg_page(0, 0, [head], first=True), _ogg_page(1, 0, [tags])]
    for start in range(0, frames, _PACKETS_PER_PAGE):
        count = min(_PACKETS_PER_PAGE, frames - start)
        played = (start + count) * _OPUS_SAMPLES
        pages.append(_ogg_page(len(pages), played, [_OPUS_SILENCE] * count, last=start + count == frames))
    return b"".join(pages)


def _ogg_page(number: int, played: int, packets: list[bytes], *, first: bool = False, last: bool = False) -> bytes:
    """Packets are shorter than 255 bytes here, so each is one segment."""
    flags = 2 * first | 4 * last
    table = bytes(map(len, packets))
    head = struct.pack("<4sBBqII", b"OggS", 0, flags, played, 1, number)
    rest = bytes([len(table)]) + table + b"".join(packets)
    checksum = struct.pack("<I", _crc(head + bytes(4) + rest))
    return head + checksum + rest


def _crc(data: bytes) -> int:
    """Return Ogg's checksum: CRC-32 with the polynomial 04c11db7, not reflected."""
    register = 0
    for byte in data:
        register ^= byte << 24
        for _ in range(8):
            register = (register << 1 ^ 0x04C11DB7 if register & 0x80000000 else register << 1) & 0xFFFFFFFF
    return register


_MAKERS: Mapping[Container, Callable[[int], bytes]] = {"aac": _aac, "mp3": _mp3, "opus": _opus}
