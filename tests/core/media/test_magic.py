"""What the first bytes tell: one row for each signature, and what has none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from core.media import sniff, type_of
from tests import media_samples as samples

WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
SLIDES = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
ODT = "application/vnd.oasis.opendocument.text"


class Case(Struct, frozen=True):
    id: str
    data: bytes
    media_type: str | None


CASES = [
    Case("a PNG", samples.png(), "image/png"),
    Case("a JPEG", samples.jpeg(), "image/jpeg"),
    Case("a GIF", samples.gif(), "image/gif"),
    Case("an older GIF", b"GIF87a" + samples.gif()[6:], "image/gif"),
    Case("a lossy WebP", samples.webp_lossy(), "image/webp"),
    Case("a lossless WebP", samples.webp_lossless(), "image/webp"),
    Case("an extended WebP", samples.webp_extended(), "image/webp"),
    Case("a BMP", samples.bmp(), "image/bmp"),
    Case("a BMP of OS/2", samples.old_bmp(), "image/bmp"),
    Case("a little-endian TIFF", samples.tiff(), "image/tiff"),
    Case("a big-endian TIFF", b"MM\0*\0\0\0\x08", "image/tiff"),
    Case("a HEIC", samples.iso_media(b"heic", b"mif1", b"heic"), "image/heic"),
    Case("a HEIC that says so only among its compatible brands", samples.iso_media(b"mif1", b"heic"), "image/heic"),
    Case("a HEIF of another codec", samples.iso_media(b"mif1", b"mif1"), "image/heif"),
    Case("an AVIF", samples.iso_media(b"avif", b"mif1", b"miaf"), "image/avif"),
    Case("an M4A", samples.iso_media(b"M4A ", b"isom"), "audio/mp4"),
    Case("an MP4", samples.iso_media(b"isom", b"avc1"), "video/mp4"),
    Case("a QuickTime film", samples.iso_media(b"qt  "), "video/quicktime"),
    Case("a WebM with sound alone", samples.matroska(b"webm", b"A_OPUS"), "audio/webm"),
    Case("a WebM with pictures", samples.matroska(b"webm", b"V_VP9", b"A_OPUS"), "video/webm"),
    Case("a WebM that does not say what is in it", samples.matroska(b"webm"), "video/webm"),
    Case("another Matroska", samples.matroska(b"matroska", b"A_OPUS"), "video/x-matroska"),
    Case("a WAV", samples.wav(), "audio/wav"),
    Case("an AVI", b"RIFF\0\0\0\0AVI LIST", "video/x-msvideo"),
    Case("a RIFF of another form", b"RIFF\0\0\0\0CDXAdata", None),
    Case("an MP3 with a tag", samples.mp3_with_tag(), "audio/mpeg"),
    Case("a bare MP3", samples.mp3(), "audio/mpeg"),
    Case("a bare MP3 of MPEG 2", b"\xff\xf3\x40\xc4" + bytes(140), "audio/mpeg"),
    Case("an MPEG frame with a bit rate that does not exist", b"\xff\xfb\xf0\x00", None),
    Case("an MPEG frame with a sampling rate that does not exist", b"\xff\xfb\x9c\x00", None),
    Case("an MPEG frame of a version that does not exist", b"\xff\xeb\x90\x00", None),
    Case("a bare AAC", samples.aac(), "audio/aac"),
    Case("an Ogg", samples.ogg(), "audio/ogg"),
    Case("a FLAC", samples.flac(), "audio/flac"),
    Case("an AMR", b"#!AMR\n\x3c", "audio/amr"),
    Case("a PDF", samples.pdf(), "application/pdf"),
    Case("an RTF", b"{\\rtf1\\ansi hello}", "application/rtf"),
    Case("a gzip", b"\x1f\x8b\x08\0\0\0\0\0", "application/gzip"),
    Case("a zip", samples.archive("notes.txt"), "application/zip"),
    Case("a Word document", samples.archive("[Content_Types].xml", "word/document.xml"), WORD),
    Case("an Excel sheet", samples.archive("[Content_Types].xml", "xl/workbook.xml"), SHEET),
    Case("PowerPoint slides", samples.archive("[Content_Types].xml", "ppt/presentation.xml"), SLIDES),
    Case("an OpenDocument text", samples.open_document(ODT), ODT),
    Case("an EPUB", samples.open_document("application/epub+zip"), "application/epub+zip"),
    Case("nothing", b"", None),
    Case("text", b"plain words", None),
    Case("text that begins as a BMP does", b"BMW is a maker of cars and motorcycles", None),
    Case("UTF-16 text, whose mark looks like MPEG audio", "\ufeffhello".encode("utf-16-le"), None),
    Case("UTF-16 text of the other order", "\ufeffhello".encode("utf-16-be"), None),
    Case("HTML", b"<!doctype html><title>x</title>", None),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_first_bytes_tell_the_type(case: Case) -> None:
    assert sniff(case.data) == case.media_type


@given(st.sampled_from(CASES), st.integers(0, 64), st.binary(max_size=64))
def test_cut_and_spoilt_files_never_raise(case: Case, kept: int, rest: bytes) -> None:
    found = sniff(case.data[:kept] + rest)
    assert found is None or "/" in found


class Told(Struct, frozen=True):
    id: str
    data: bytes
    declared: str | None
    media_type: str | None


TOLD = [
    Told("a picture shows what it is", samples.png(), "image/jpg", "image/png"),
    Told("so does a PDF", samples.pdf(), "text/plain", "application/pdf"),
    Told("what shows nothing is what the word says", b"a,b", "text/csv", "text/csv"),
    Told("what shows nothing, without a word", b"a,b", None, None),
    Told("what shows something, without a word", samples.ogg(), None, "audio/ogg"),
    Told("a film that may be sound alone", samples.iso_media(b"isom", b"avc1"), "audio/mp4", "audio/mp4"),
    Told("a zip that may be a document", b"PK\x03\x04rest", WORD, WORD),
    Told("a word that tells nothing", samples.ogg(), "application/octet-stream", "audio/ogg"),
    Told("a word that cannot be true", samples.ogg(), "text/plain", "audio/ogg"),
]


@pytest.mark.parametrize("case", TOLD, ids=lambda case: case.id)
def test_what_bytes_are_when_somebody_says_what_they_are(case: Told) -> None:
    assert type_of(case.data, case.declared) == case.media_type
