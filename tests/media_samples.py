"""Small files made by hand: whole where that is easy (PNG, GIF, BMP, WAV, the zips), else the header a reader needs."""

import base64
import io
import struct
import wave
import zipfile
import zlib


def png(width: int = 2, height: int = 2, colour: tuple[int, int, int] = (200, 30, 30)) -> bytes:
    """Return a whole PNG of one colour; another colour gives other bytes."""
    row = b"\0" + bytes(colour) * width
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = (_png_chunk(b"IHDR", header), _png_chunk(b"IDAT", zlib.compress(row * height)), _png_chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def as_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def as_data_url(data: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{as_base64(data)}"


def jpeg(width: int = 2, height: int = 2) -> bytes:
    """Return the segments of a JPEG up to its frame header, with a comment before it that looks like a frame."""
    comment = b"\xff\xc0\x00\x11\x08\xff\xff\xff\xff"
    return b"".join((
        b"\xff\xd8",
        b"\xff\xe0" + struct.pack(">H", 16) + b"JFIF\0\1\1\0\0\1\0\1\0\0",
        b"\xff\xfe" + struct.pack(">H", 2 + len(comment)) + comment,
        b"\xff\xff\xc2" + struct.pack(">HBHHB", 17, 8, height, width, 3) + bytes(9),
        b"\xff\xda",
    ))  # fmt: skip


def gif(width: int = 1, height: int = 1) -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(3) + b"\xff\xff\xff" + (
        b",\0\0\0\0" + struct.pack("<HH", width, height) + b"\0\2\2D\1\0;"
    )  # fmt: skip


def bmp(width: int = 1, height: int = 1) -> bytes:
    """Return a whole BMP; a negative height stands for rows from the top down."""
    pixels = bytes((width * 3 + 3) // 4 * 4 * abs(height))
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, len(pixels), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(pixels), 0, 0, 54) + header + pixels


def old_bmp(width: int = 1, height: int = 1) -> bytes:
    """Return a BMP with the header of OS/2, which has two bytes for a side."""
    return b"BM" + struct.pack("<IHHI", 26, 0, 0, 26) + struct.pack("<IHHHH", 12, width, height, 1, 24)


def webp_lossy(width: int = 1, height: int = 1) -> bytes:
    return _riff(b"WEBP", b"VP8 ", b"\x30\x01\x00\x9d\x01\x2a" + struct.pack("<HH", width, height))


def webp_lossless(width: int = 1, height: int = 1) -> bytes:
    return _riff(b"WEBP", b"VP8L", b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14))


def webp_extended(width: int = 1, height: int = 1) -> bytes:
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return _riff(b"WEBP", b"VP8X", bytes(4) + sides)


def wav(duration_s: float = 0.1, rate: int = 8000) -> bytes:
    """Return silence: 16 bits, one channel."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(bytes(2 * int(duration_s * rate)))
    return file.getvalue()


def archive(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zipped:
        for name in names:
            zipped.writestr(name, "content of " + name)
    return file.getvalue()


def open_document(media_type: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zipped:
        zipped.writestr("mimetype", media_type)
        zipped.writestr("content.xml", "<office/>")
    return file.getvalue()


def iso_media(major: bytes, *compatible: bytes) -> bytes:
    brands = major + bytes(4) + b"".join(compatible)
    return struct.pack(">I", 8 + len(brands)) + b"ftyp" + brands + struct.pack(">I", 8) + b"mdat"


def matroska(doctype: bytes, *codecs: bytes) -> bytes:
    kind = b"\x42\x82" + bytes([0x80 | len(doctype)]) + doctype
    return b"\x1aE\xdf\xa3" + bytes([0x80 | len(kind)]) + kind + b"".join(b"\x86\x86" + codec for codec in codecs)


def pdf() -> bytes:
    return b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"  # noqa: E501


def mp3() -> bytes:
    """Return one silent frame: MPEG 1, layer III, 128 kbit/s, 44.1 kHz."""
    return b"\xff\xfb\x90\x00" + bytes(413)


def mp3_with_tag() -> bytes:
    return b"ID3\x03\0\0\0\0\0\0" + mp3()


def aac() -> bytes:
    """Return one ADTS frame header: AAC LC, 44.1 kHz."""
    return b"\xff\xf1\x50\x80\x01\x3f\xfc" + bytes(3)


def ogg() -> bytes:
    return b"OggS\0\2" + bytes(20) + b"\1\x13OpusHead"


def flac() -> bytes:
    return b"fLaC\x80\0\0\x22" + bytes(34)


def tiff() -> bytes:
    return b"II*\0\x08\0\0\0" + bytes(6)


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _riff(form: bytes, kind: bytes, data: bytes) -> bytes:
    chunk = kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + form + chunk
