"""How long a WAV recording is, by its own header (Microsoft and IBM, "Multimedia Programming Interface", RIFF WAVE)."""

import struct

HEAD_BYTES = 1 << 12
"""Where the header of an ordinary file ends at the latest."""


def wav_seconds(head: bytes, size: int) -> float | None:
    """Return the duration of a WAV file of `size` bytes that begins with `head`; `None` when it does not say."""
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return None
    bytes_per_second, position = 0, 12
    while position + 8 <= len(head):
        name, length = struct.unpack_from("<4sI", head, position)
        position += 8
        if name == b"fmt " and position + 12 <= len(head):
            bytes_per_second = struct.unpack_from("<I", head, position + 8)[0]
        if name == b"data":
            # Whoever records to a pipe cannot go back to write the length: then it is all that follows.
            return min(length, size - position) / bytes_per_second if bytes_per_second else None
        position += length + length % 2
    return None
