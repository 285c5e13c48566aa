"""What a file is called upstream: by its bytes, by its sender's word, by its name, in this order."""

import pytest
from msgspec import Struct

from core.upstreams.chatgpt_web.media_types import media_type_of, named

PNG, PDF, ZIP = b"\x89PNG\r\n\x1a\n", b"%PDF-1.7", b"PK\x03\x04"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


class Case(Struct, frozen=True):
    id: str
    data: bytes
    declared: str | None
    name: str | None
    expected: str


CASES = [
    Case("bytes win over words", PNG, "text/plain", "a.txt", "image/png"),
    Case("the sender's word wins over the name", b"a,b", "text/csv", "a.txt", "text/csv"),
    Case("parameters are left out", b"a", "Text/CSV; charset=utf-8", None, "text/csv"),
    Case("a vague word is none", b"a,b", "application/octet-stream", "a.csv", "text/csv"),
    Case("the name tells", b"{}", None, "A.JSON", "application/json"),
    Case("a zip may be a table", ZIP, None, "a.xlsx", XLSX),
    Case("a zip may be called what it is", ZIP, XLSX, None, XLSX),
    Case("a zip is no text", ZIP, "text/plain", "a.txt", "application/zip"),
    Case("a zip without a word", ZIP, None, "a", "application/zip"),
    Case("a picture would have shown it", b"hello", "image/png", "a.png", "text/plain"),
    Case("a PDF would have shown it", b"\0\1", "application/pdf", "a.pdf", "application/octet-stream"),
    Case("a drawing is text", b"<svg/>", None, "a.svg", "image/svg+xml"),
    Case("text without a word", "schön".encode(), None, "a", "text/plain"),
    Case("text that is cut within a letter", "schö".encode()[:-1], None, None, "text/plain"),
    Case("text with a foreign letter", "schön".encode("latin-1"), None, None, "application/octet-stream"),
    Case("bytes with a NUL", b"a\0b", None, None, "application/octet-stream"),
    Case("a word that is no media type", b"a,b", "text/csv\r\nX: y", "a.csv", "text/csv"),
    Case("nothing at all", b"", None, None, "text/plain"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_media_type(case: Case) -> None:
    assert media_type_of(case.data, case.declared, case.name) == case.expected


NAMES = [
    ("a.png", "image/jpeg", "a.png"),
    (None, "image/jpeg", "x.jpg"),
    (None, "text/plain", "x.txt"),
    ("", "application/vnd.unknown", "x"),
    ("/home/ada\\cat.png", "image/png", "cat.png"),
    ("a" * 300 + ".png", "image/png", "a" * 196 + ".png"),
]


@pytest.mark.parametrize(("name", "media_type", "expected"), NAMES)
def test_a_file_without_a_name_gets_one(name: str | None, media_type: str, expected: str) -> None:
    assert named(name, media_type, "x") == expected
