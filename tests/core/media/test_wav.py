"""How long a WAV recording is: told by its header, or not at all."""

import io
import struct
import wave

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.media.wav import HEAD_BYTES, wav_seconds


def recorded(seconds: float, rate: int = 8000, channels: int = 1, width: int = 2) -> bytes:
    """Return silence as Python's own library writes it."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(bytes(round(seconds * rate) * channels * width))
    return out.getvalue()


@pytest.mark.parametrize(("rate", "channels", "width"), [(8000, 1, 2), (44_100, 2, 2), (48_000, 1, 1), (16_000, 2, 3)])
def test_the_duration_is_that_of_the_samples(rate: int, channels: int, width: int) -> None:
    data = recorded(1.5, rate, channels, width)
    assert wav_seconds(data[:HEAD_BYTES], len(data)) == 1.5


def test_other_chunks_may_stand_in_between() -> None:
    data = recorded(0.5)
    chunk = b"LIST" + struct.pack("<I", 5) + b"INFOx\0"
    longer = data[:12] + chunk + data[12:36] + chunk + data[36:]
    assert wav_seconds(longer, len(longer)) == 0.5


@pytest.mark.parametrize("length", [0xFFFFFFFF, 1 << 31], ids=hex)
def test_a_length_that_was_never_written_is_all_that_follows(length: int) -> None:
    data = recorded(0.5)
    piped = data[:40] + struct.pack("<I", length) + data[44:]
    assert wav_seconds(piped[:HEAD_BYTES], len(piped)) == 0.5


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"ID3\x04",
        recorded(1)[:20],
        recorded(1)[:36],
        recorded(1)[:28] + bytes(4) + recorded(1)[32:],
        b"RIFF\0\0\0\0AVI " + recorded(1)[12:],
    ],
    ids=["nothing", "MP3", "no whole header", "no data", "no bytes a second", "a film"],
)
def test_what_does_not_say_is_not_guessed(data: bytes) -> None:
    assert wav_seconds(data, len(data)) is None


@given(st.binary(max_size=200), st.integers(0, 1 << 40))
def test_any_bytes_will_do(tail: bytes, size: int) -> None:
    seconds = wav_seconds(b"RIFF\0\0\0\0WAVE" + tail, max(size, 12 + len(tail)))
    assert seconds is None or seconds >= 0
