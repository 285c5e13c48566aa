"""Media types by the first bytes: what a file is, whatever its name or its sender says."""

import re

_PREFIXES: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"%PDF-", "application/pdf"),
    (b"{\\rtf", "application/rtf"),
    (b"ID3", "audio/mpeg"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
    (b"#!AMR", "audio/amr"),
    (b"\x1f\x8b\x08", "application/gzip"),
)

_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}

# Brands of the ISO base media file format (mp4ra.org, registered brands). The more telling come first.
_BRANDS: tuple[tuple[bytes, str], ...] = (
    (b"avif", "image/avif"),
    (b"avis", "image/avif"),
    (b"heic", "image/heic"),
    (b"heix", "image/heic"),
    (b"hevc", "image/heic"),
    (b"heim", "image/heic"),
    (b"heis", "image/heic"),
    (b"mif1", "image/heif"),
    (b"msf1", "image/heif"),
    (b"M4A ", "audio/mp4"),
    (b"M4B ", "audio/mp4"),
    (b"M4P ", "audio/mp4"),
    (b"qt  ", "video/quicktime"),
)

# A zip that is a document: OpenDocument and EPUB say their type in a first, uncompressed entry; of Office Open
# XML the main part's name tells, which stands in the directory at the end.
_STORED_TYPE = re.compile(rb"mimetype(application/[a-z0-9.+-]+)")
_STORED_TYPE_OFFSET = 30
_DIRECTORY_BYTES = 1 << 17
_OFFICE: tuple[tuple[bytes, str], ...] = (
    (b"word/document.xml", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    (b"xl/workbook.xml", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    (b"ppt/presentation.xml", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
)

_BMP_HEADER_SIZES = (12, 40, 52, 56, 64, 108, 124)
_EBML_SEARCH_BYTES = 1 << 12


def sniff(data: bytes) -> str | None:
    """Return the media type that the bytes show, `None` for text and whatever else has no signature."""
    for magic, media_type in _PREFIXES:
        if data.startswith(magic):
            return media_type
    for look in (_riff, _iso_media, _zip, _matroska, _mpeg_audio, _bmp):
        if found := look(data):
            return found
    return None


def type_of(data: bytes, declared: str | None) -> str | None:
    """Return the media type of bytes: what they show, else what is declared.

    Of a container (zip, mp4, webm) the word may tell more than its first bytes: what kind of document it is, or that
    it holds sound alone.
    """
    shown = sniff(data)
    if shown is None or declared is None or shown.startswith("image/") or shown == "application/pdf":
        return shown or declared
    is_telling = declared.startswith(("application/", "audio/", "video/")) and declared != "application/octet-stream"
    return declared if is_telling else shown


def _riff(data: bytes) -> str | None:
    return _RIFF.get(data[8:12]) if data.startswith(b"RIFF") else None


def _iso_media(data: bytes) -> str | None:
    if data[4:8] != b"ftyp":
        return None
    brands = _brands(data)
    return next((media_type for brand, media_type in _BRANDS if brand in brands), "video/mp4")


def _brands(data: bytes) -> tuple[bytes, ...]:
    """Return the major brand and the compatible ones (ISO/IEC 14496-12, section 4.3)."""
    end = min(int.from_bytes(data[:4]), 256)
    return (data[8:12], *(data[start : start + 4] for start in range(16, end, 4)))


def _zip(data: bytes) -> str | None:
    if not data.startswith(b"PK\x03\x04"):
        return None
    if stored := _STORED_TYPE.match(data, _STORED_TYPE_OFFSET):
        return stored[1].decode("ascii")
    directory = data[-_DIRECTORY_BYTES:]
    return next((media_type for name, media_type in _OFFICE if name in directory), "application/zip")


def _matroska(data: bytes) -> str | None:
    if not data.startswith(b"\x1aE\xdf\xa3"):
        return None
    head = data[:_EBML_SEARCH_BYTES]
    if b"webm" not in head[:64]:
        return "video/x-matroska"
    has_sound_only = b"V_" not in head and (b"A_OPUS" in head or b"A_VORBIS" in head)
    return "audio/webm" if has_sound_only else "video/webm"


def _mpeg_audio(data: bytes) -> str | None:
    """Tell a bare stream by its first frame: MPEG layer III (ISO/IEC 11172-3, 2.4.1.3) or AAC in ADTS."""
    if len(data) < 4 or data[0] != 0xFF or data[1] & 0xE0 != 0xE0:
        return None
    version, layer = data[1] >> 3 & 3, data[1] >> 1 & 3
    if data[1] & 0xF6 == 0xF0:
        return "audio/aac"
    bitrate, rate = data[2] >> 4, data[2] >> 2 & 3
    return "audio/mpeg" if layer == 1 and version != 1 and 0 < bitrate < 15 and rate < 3 else None


def _bmp(data: bytes) -> str | None:
    is_bmp = data.startswith(b"BM") and data[6:10] == bytes(4)
    return "image/bmp" if is_bmp and int.from_bytes(data[14:18], "little") in _BMP_HEADER_SIZES else None
