"""The answers that a recording may get."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from core.errors import ProtocolViolation
from core.wire.chatgpt_web.recordings import read_transcript


class Case(Struct, frozen=True):
    id: str
    body: bytes
    content_type: str
    text: str


CASES = [
    Case("JSON", b'{"text":"Ol\xc3\xa1"}', "application/json", "Olá"),
    Case("JSON with more in it", b'{"text":"Hi","language":"en"}', "application/json; charset=utf-8", "Hi"),
    Case("JSON that calls itself text", b' {"text":"Hi"}', "text/plain", "Hi"),
    Case("plain text", "Olá\n".encode(), "text/plain; charset=utf-8", "Olá"),
    Case("plain text of an unknown kind", b"Hi", "", "Hi"),
    Case("silence", b'{"text":""}', "application/json", ""),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_transcript_is_read(case: Case) -> None:
    assert read_transcript(case.body, case.content_type) == case.text


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'{"detail":"No."}', "application/json"),
        (b'"Hi"', "application/json"),
        (b"Hi", "application/json"),
        (b"\xff\xfe", "text/plain"),
        (b'{"text":', "text/plain"),
    ],
)
def test_what_is_no_transcript_is_refused(body: bytes, content_type: str) -> None:
    with pytest.raises(ProtocolViolation):
        read_transcript(body, content_type)


@given(st.binary(), st.sampled_from(["application/json", "text/plain", ""]))
def test_garbage_is_refused_politely(body: bytes, content_type: str) -> None:
    with contextlib.suppress(ProtocolViolation):
        assert isinstance(read_transcript(body, content_type), str)
