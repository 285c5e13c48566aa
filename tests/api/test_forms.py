"""Uploads as forms: read in pieces, kept on disk beyond a megabyte, never more than allowed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from msgspec import Struct
from starlette.requests import Request
from starlette.types import Message

from api.forms import FORM_OVERHEAD_BYTES, Form, Spooled, uploaded_form
from api.middleware.intake import ClientGone
from core.errors import BodyTooLarge, InvalidRequest

pytestmark = pytest.mark.anyio

HEAD = b'--a\r\nContent-Disposition: form-data; name="file"; filename="a.mp3"\r\nContent-Type: audio/mpeg\r\n\r\n'
TAIL = b"\r\n--a--\r\n"
FIELD = b'--a\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
LIMIT = 3 << 20
CHUNK = bytes(1 << 16)


class Upload:
    """A body in pieces, and how many of them were asked for."""

    def __init__(self, *pieces: bytes, leaves: bool = False) -> None:
        self._pieces = list(pieces)
        self._leaves = leaves
        self.taken = 0

    async def receive(self) -> Message:
        if self._leaves and self.taken == len(self._pieces):
            return {"type": "http.disconnect"}
        self.taken += 1
        more = self._leaves or self.taken < len(self._pieces)
        return {"type": "http.request", "body": self._pieces[self.taken - 1], "more_body": more}

    def request(self, kind: str = "multipart/form-data; boundary=a", **headers: str) -> Request:
        fields = {"content-type": kind} | {name.replace("_", "-"): value for name, value in headers.items()}
        raw = [(name.encode(), value.encode()) for name, value in fields.items()]
        return Request({"type": "http", "method": "POST", "headers": raw}, self.receive)


@asynccontextmanager
async def opened(upload: Upload, **headers: str) -> AsyncIterator[Form]:
    async with uploaded_form(upload.request(**headers), LIMIT) as form:
        yield form


async def refused(upload: Upload, **headers: str) -> None:
    async with opened(upload, **headers):
        pass


async def test_a_form_is_its_fields_and_its_file() -> None:
    async with opened(Upload(FIELD + HEAD, b"so", b"und", TAIL)) as form:
        assert form.fields == (("model", "whisper-1"),)
        assert (form.file_field, form.file and form.file.filename) == ("file", "a.mp3")
        assert form.file is not None
        content = Spooled(form.file)
        for _ in range(2):
            assert b"".join([chunk async for chunk in content.chunks()]) == b"sound"
        assert content.size == 5


async def test_the_last_line_end_may_be_missing() -> None:
    async with opened(Upload(FIELD + b"--a--")) as form:
        assert form.fields == (("model", "whisper-1"),)


async def test_a_form_may_have_no_file() -> None:
    async with opened(Upload(FIELD + b"--a--\r\n")) as form:
        assert form == Form((("model", "whisper-1"),))


async def test_a_large_file_is_not_held_in_memory_and_is_gone_afterwards() -> None:
    pieces = [CHUNK] * (LIMIT // len(CHUNK))
    async with opened(Upload(HEAD, *pieces, TAIL)) as form:
        assert form.file is not None
        spooled: Any = form.file.file
        assert spooled._rolled
        content = Spooled(form.file)
        sizes = [len(chunk) async for chunk in content.chunks()]
        assert (sum(sizes), max(sizes)) == (LIMIT, len(CHUNK))
    assert spooled.closed


async def test_a_file_that_goes_on_and_on_is_refused_before_its_end() -> None:
    pieces = [CHUNK] * 200
    upload = Upload(HEAD, *pieces, TAIL)
    with pytest.raises(BodyTooLarge, match=str(LIMIT)):
        await refused(upload)
    assert upload.taken <= (LIMIT + FORM_OVERHEAD_BYTES) // len(CHUNK) + 2


async def test_a_file_one_byte_too_long_is_refused() -> None:
    with pytest.raises(BodyTooLarge):
        await refused(Upload(HEAD, bytes(LIMIT + 1), TAIL))


async def test_a_declared_length_that_is_too_much_is_refused_unread() -> None:
    upload = Upload(HEAD, b"sound", TAIL)
    with pytest.raises(BodyTooLarge):
        await refused(upload, content_length=str(LIMIT + FORM_OVERHEAD_BYTES + 1))
    assert upload.taken == 0


@pytest.mark.parametrize("kind", ["application/json", "", "multipart/mixed; boundary=a"])
async def test_what_is_no_form_is_refused(kind: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        await refused(Upload(b"{}"), kind=kind)
    assert raised.value.code == "invalid_content_type"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"x",
        b"--a\r\n\r\nx\r\n--a--",
        FIELD * 101 + b"--a--\r\n",
        HEAD + b"sound",
        HEAD + CHUNK * 20,
        HEAD + b"sound\r\n" + FIELD,
    ],
    ids=["empty", "x", "no name", "too much", "a cut file", "a large cut file", "no end"],
)
async def test_a_form_that_cannot_be_read_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as raised:
        await refused(Upload(body))
    assert raised.value.code == "parse_error"


class Unread(Struct, frozen=True):
    id: str
    body: bytes
    param: str | None
    says: str


def field(name: bytes, value: bytes) -> bytes:
    return b'--a\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (name, value)


@pytest.mark.parametrize(
    "case",
    [
        Unread("a text too long", field("mödel".encode(), bytes(1 << 21)), "mödel", "Part exceeded maximum size"),
        Unread("a second file", HEAD + b"x\r\n" + HEAD.replace(b'"file"', b'"other"'), "other", "Too many files"),
        Unread("a text that is none", field(b"model", b"\xff"), "model", "model is not text in UTF-8"),
        Unread("a text in Latin-1", field(b"model", "mödel".encode("latin-1")), "model", "model is not text in UTF-8"),
        Unread("a name in Latin-1", field("mödel".encode("latin-1"), b"x"), None, "a name is not text in UTF-8"),
        Unread(
            "a file's name in Latin-1", HEAD.replace(b"a.mp3", b"\xe4") + b"x\r\n", "file", "the name of file is not"
        ),
        Unread("a form that is cut within a text", field(b"model", b"x")[:-4], None, "it ends before"),
    ],
    ids=lambda case: case.id,
)
async def test_a_field_that_cannot_be_read_is_named(case: Unread) -> None:
    with pytest.raises(InvalidRequest, match=case.says) as raised:
        await refused(Upload(case.body, *([] if "cut" in case.id else [b"--a--\r\n"])))
    assert (raised.value.param, raised.value.code) == (case.param, "parse_error")


@pytest.mark.parametrize("charset", ["undefined", "unicode_escape", "utf-7", "utf-16", "idna", "rot13", "latin-1", "x"])
async def test_a_form_is_utf_8_whatever_its_header_says(charset: str) -> None:
    name = "+2AA-\\ud800 cät.mp3"
    body = field(b"model", name.encode()) + HEAD.replace(b"a.mp3", name.encode()) + b"sound" + TAIL
    async with opened(Upload(body), kind=f"multipart/form-data; boundary=a; charset={charset}") as form:
        assert form.fields == (("model", name),)
        assert form.required_file().filename == name


async def test_a_client_that_leaves_within_its_form_is_not_answered() -> None:
    with pytest.raises(ClientGone):
        await refused(Upload(HEAD, b"sound", leaves=True))
