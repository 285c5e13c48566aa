"""Reading an upload: a `multipart/form-data` body of any size, its files on disk beyond a megabyte, under a limit.

Bodies that are held in memory anyway are read by `core.multipart`.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from msgspec import Struct
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from api.middleware.intake import ClientGone
from core.errors import BodyTooLarge, InvalidRequest
from core.json_body import missing
from core.multipart import empty_file, is_form

FORM_OVERHEAD_BYTES = 1 << 20
"""What a form may hold besides its file: text fields and the lines around each part."""

CHUNK_BYTES = 1 << 16
MAX_FIELDS = 100


class Spooled:
    """A file of a form as a request body: read from where it lies while it is sent."""

    def __init__(self, file: UploadFile) -> None:
        self._file = file
        self.size = file.size or 0

    async def chunks(self) -> AsyncIterator[bytes]:
        await self._file.seek(0)
        while data := await self._file.read(CHUNK_BYTES):
            yield data


class Form(Struct, frozen=True):
    """What came: the text fields in order, as (name, value), and the one file, if there was one."""

    fields: tuple[tuple[str, str], ...]
    file_field: str | None = None
    file: UploadFile | None = None

    def required_file(self) -> UploadFile:
        """Return what was sent as `file`. Raises `InvalidRequest`."""
        if self.file is None or self.file_field != "file":
            raise missing("file")
        if not self.file.size:
            raise empty_file("file")
        return self.file


class _WholeForm(MultiPartParser):
    """Starlette's parser, which takes what is cut off before its last boundary for whole.

    Its texts and names are Latin-1, which keeps every byte: `_utf8` reads them.
    """

    def __init__(self, headers: Headers, stream: AsyncGenerator[bytes, None]) -> None:
        super().__init__(headers, self._until_whole(stream), max_files=1, max_fields=MAX_FIELDS)
        self._is_whole = False

    @property
    def field(self) -> str | None:
        """The name of the part that was read last, if it has one."""
        return self._current_part.field_name.encode("latin-1").decode("utf-8", "replace") or None

    def on_end(self) -> None:
        self._is_whole = True

    async def _until_whole(self, stream: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        # A form's header has no charset (RFC 7578, section 8); the parser would believe any that Python knows.
        self._charset = "latin-1"
        async for data in stream:
            yield data
        if not self._is_whole:
            raise _unreadable("it ends before its last boundary")


@asynccontextmanager
async def uploaded_form(request: Request, limit_bytes: int) -> AsyncGenerator[Form, None]:
    """Give a form with one file of at most `limit_bytes`; its place on disk is freed afterwards.

    Raises `InvalidRequest` (codes of AU-57: `invalid_content_type`, `parse_error`) and, as soon as that is known,
    `BodyTooLarge`.
    """
    declared = request.headers.get("content-type", "")
    if not is_form(declared):
        message = f"Content-Type is {declared[:80]!r}, but this route takes multipart/form-data"
        raise InvalidRequest(message, code="invalid_content_type")
    parser = _WholeForm(request.headers, _limited(request, limit_bytes))
    try:
        form = await parser.parse()
    except MultiPartException as error:
        # With a cause, it is the form that is broken and not one field that is too much.
        raise _unreadable(error.message, None if error.__cause__ else parser.field) from error
    except ClientDisconnect as error:
        raise ClientGone from error
    try:
        yield _read(form, limit_bytes)
    finally:
        await form.close()


def _read(form: FormData, limit_bytes: int) -> Form:
    items = [(_utf8(name, "a name", None), value) for name, value in form.multi_items()]
    fields = tuple((name, _utf8(value, name, name)) for name, value in items if isinstance(value, str))
    for name, value in items:
        if isinstance(value, UploadFile):
            if (value.size or 0) > limit_bytes:
                raise _too_large(limit_bytes)
            value.filename = _utf8(value.filename or "", f"the name of {name}", name)
            return Form(fields, name, value)
    return Form(fields)


def _utf8(text: str, what: str, param: str | None) -> str:
    """Read the bytes that a text in Latin-1 stands for."""
    try:
        return text.encode("latin-1").decode()
    except UnicodeDecodeError as error:
        raise _unreadable(f"{what} is not text in UTF-8", param) from error


async def _limited(request: Request, limit_bytes: int) -> AsyncGenerator[bytes, None]:
    left = limit_bytes + FORM_OVERHEAD_BYTES
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and len(declared) < 20 and int(declared) > left:
        raise _too_large(limit_bytes)
    async for data in request.stream():
        left -= len(data)
        if left < 0:
            raise _too_large(limit_bytes)
        yield data


def _unreadable(reason: str, param: str | None = None) -> InvalidRequest:
    return InvalidRequest(f"the form cannot be read: {reason}", param=param, code="parse_error")


def _too_large(limit_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"the file is larger than {limit_bytes} bytes, which is the limit here", code="file_too_large")
