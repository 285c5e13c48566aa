"""Bytes that come as text: every spelling that clients use, and every mistake as an error that names the field."""

import base64
import textwrap
from contextlib import suppress
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from core.errors import InvalidRequest
from core.media import Blob, is_data_url, read_base64, read_data_url
from core.media.inline import CHUNK_BYTES
from tests import media_samples as samples

FIELD = "messages[0].content[1].image_url"
PNG = samples.png()
PNG_TEXT = base64.b64encode(PNG).decode()
DATA = st.binary(min_size=1, max_size=200)


class UrlCase(Struct, frozen=True):
    id: str
    url: str
    blob: Blob


URL_CASES = [
    UrlCase("base64", f"data:image/png;base64,{PNG_TEXT}", Blob(PNG, "image/png")),
    UrlCase("in capitals", f"DATA:IMAGE/PNG;BASE64,{PNG_TEXT}", Blob(PNG, "image/png")),
    UrlCase("a picture is what its bytes show", f"data:image/jpg;base64,{PNG_TEXT}", Blob(PNG, "image/png")),
    UrlCase("what the bytes do not show the URL says", "data:image/x;base64,aGk=", Blob(b"hi", "image/x")),
    UrlCase("an unsaid type is read from the bytes", f"data:;base64,{PNG_TEXT}", Blob(PNG, "image/png")),
    UrlCase("an unsaid type that the bytes do not show is text", "data:,hello", Blob(b"hello", "text/plain")),
    UrlCase("base64 in place of the type", "data:base64,aGk=", Blob(b"hi", "text/plain")),
    UrlCase("percent-encoded", "data:text/plain,A%20b%C3%A9", Blob("A bé".encode(), "text/plain")),
    UrlCase("characters that should have been encoded", "data:text/plain,é b", Blob("é b".encode(), "text/plain")),
    UrlCase("a comma in the data", "data:text/csv,a,b", Blob(b"a,b", "text/csv")),
    UrlCase("a character set", "data:text/plain;charset=utf-8;base64,aGk=", Blob(b"hi", "text/plain")),
    UrlCase("a name", "data:application/pdf;name=a%20b.pdf;base64,aGk=", Blob(b"hi", "application/pdf", "a b.pdf")),
    UrlCase("a quoted filename", 'data:text/csv;filename="a.csv";base64,aGk=', Blob(b"hi", "text/csv", "a.csv")),
    UrlCase("an empty name", "data:application/pdf;name=;base64,aGk=", Blob(b"hi", "application/pdf")),
    UrlCase("base64 that is percent-encoded too", "data:image/png;base64,aGk%3D", Blob(b"hi", "image/png")),
    UrlCase("blanks around the parameters", "data: image/png ; base64 , aGk=", Blob(b"hi", "image/png")),
]  # fmt: skip


@pytest.mark.parametrize("case", URL_CASES, ids=lambda case: case.id)
def test_data_urls_are_read(case: UrlCase) -> None:
    assert read_data_url(case.url, FIELD) == case.blob


class BadCase(Struct, frozen=True):
    id: str
    url: str
    says: str


@pytest.mark.parametrize(
    "case",
    [
        BadCase("another URL", "https://example.com/x.png", "must be a data: URL"),
        BadCase("no comma", "data:image/png;base64", "without the comma"),
        BadCase("a comma beyond any header", "data:" + "x" * 2000 + ",", "without the comma"),
        BadCase("no data", "data:image/png;base64,", "holds no data"),
        BadCase("no data, not base64 either", "data:text/plain,", "holds no data"),
        BadCase("not base64", "data:image/png;base64,a*b", "is not base64"),
        BadCase("a type that is none", "data:png;base64,aGk=", "'png'"),
    ],
    ids=lambda case: case.id,
)
def test_bad_data_urls_name_their_field(case: BadCase) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_data_url(case.url, FIELD)
    assert caught.value.param == FIELD
    assert caught.value.message.startswith(FIELD)
    assert case.says in caught.value.message


@given(DATA)
def test_base64_is_read_in_every_spelling(data: bytes) -> None:
    usual = base64.b64encode(data).decode()
    for text in (
        usual,
        usual.rstrip("="),
        base64.urlsafe_b64encode(data).decode(),
        "\r\n".join(textwrap.wrap(usual, 16)),
        f" {usual}\n",
        usual + "==",
    ):
        assert read_base64(text, FIELD) == data


@given(DATA)
def test_data_urls_go_there_and_back(data: bytes) -> None:
    assert read_data_url(f"data:image/png;base64,{base64.b64encode(data).decode()}", FIELD).data == data
    assert read_data_url(f"data:image/png,{quote_from_bytes(data)}", FIELD).data == data


@pytest.mark.parametrize("text", ["", " \n", "=", "a", "aaaaa", "a\0bc", "äöü", "a,bc", "\ud800abc"])
def test_what_is_not_base64_names_its_field(text: str) -> None:
    with pytest.raises(InvalidRequest, match="mask") as caught:
        read_base64(text, "mask")
    assert caught.value.param == "mask"


@given(st.text(max_size=80), st.sampled_from(["", "data:", "data:image/png;base64,", "data:;name="]))
def test_garbage_is_refused_politely(text: str, beginning: str) -> None:
    for read in (read_base64, read_data_url):
        with suppress(InvalidRequest):
            assert read(beginning + text, FIELD)


def test_errors_do_not_repeat_the_data() -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_data_url("data:image/png;base64,c2VjcmV0*", FIELD)
    assert "c2VjcmV0" not in caught.value.message


@pytest.mark.parametrize(
    ("text", "is_one"), [("data:,x", True), ("DATA:,x", True), ("dat", False), ("http://data:", False)]
)
def test_data_urls_are_told_from_others(text: str, is_one: bool) -> None:
    assert is_data_url(text) is is_one


@pytest.mark.anyio
@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES - 1])
async def test_a_blob_can_be_sent_again_and_again(size: int) -> None:
    blob = Blob(bytes(size), "application/octet-stream")
    for _ in range(2):
        chunks = [chunk async for chunk in blob.chunks()]
        assert b"".join(chunks) == blob.data
        assert all(0 < len(chunk) <= CHUNK_BYTES for chunk in chunks)
    assert blob.size == size
