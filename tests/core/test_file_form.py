"""A form with a file, read by another library."""

from collections.abc import AsyncIterator

import pytest

from core.file_form import FileForm
from core.multipart import FormFile, FormPart, read_form
from core.services import Upload

pytestmark = pytest.mark.anyio

BOUNDARY = "b0c6d9a2-6f0e-5a53-9f5b-0d3a4f5e6a7b"


class Pieces:
    """A file in pieces."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = pieces
        self.size = sum(map(len, pieces))

    async def chunks(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


async def written(form: FileForm) -> bytes:
    return b"".join([chunk async for chunk in form.chunks()])


async def test_the_form_holds_its_fields_and_the_file() -> None:
    recording = Upload("Olá.mp3", "audio/mpeg", Pieces(b"ID3", b"\r\n--", b"\0\xff"))
    form = FileForm(recording, {"language": "pt", "prompt": None}, BOUNDARY)
    body = await written(form)
    assert (form.size, await written(form)) == (len(body), body)
    assert read_form(body, form.content_type) == (
        FormPart("language", "pt"),
        FormPart("file", FormFile(b"ID3\r\n--\0\xff", "Olá.mp3", "audio/mpeg")),
    )


async def test_a_name_cannot_break_the_form() -> None:
    recording = Upload('a"; name="x\r\nX-Evil: 1\r\n\r\n.mp3', "audio/mpeg", Pieces(b"ID3"))
    form = FileForm(recording, {}, BOUNDARY)
    body = await written(form)
    assert [part.name for part in read_form(body, form.content_type)] == ["file"]
    assert body.count(b"\r\n") == 6
