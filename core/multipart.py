"""Reading a whole `multipart/form-data` body (RFC 7578): its text fields and its files, in order. No I/O.

For bodies that are held under the body limit anyway; an upload of any size is streamed by the edge instead.
"""

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from core.errors import InvalidRequest

FORM = "multipart/form-data"
MAX_PARTS = 200
"""More than any client sends; each part costs memory besides its bytes."""


class FormFile(Struct, frozen=True):
    """A file of a form: its bytes, and the name and media type that the client gave it."""

    data: bytes
    filename: str = ""
    media_type: str | None = None


class FormPart(Struct, frozen=True):
    """One part: a text when the client gave no file name, else a file."""

    name: str
    value: str | FormFile


def is_form(content_type: str) -> bool:
    return _options(content_type)[0] == FORM


def read_form(body: bytes, content_type: str) -> tuple[FormPart, ...]:
    """Return the parts of a form. Raises `InvalidRequest` for what is not one, or has more than `MAX_PARTS`."""
    boundary = _options(content_type)[1].get("boundary", "")
    if not boundary:
        raise _invalid("its Content-Type names no boundary")
    reader = _Reader()
    try:
        parser = MultipartParser(boundary.encode("latin-1"), reader.callbacks())  # type: ignore[arg-type]
        parser.write(body)
    except FormParserError as error:
        raise _invalid(str(error)) from error
    if not reader.is_whole:
        raise _invalid("it ends before its last boundary")
    return tuple(reader.parts)


def refuse_repeated(names: Iterable[str]) -> None:
    """Raise `InvalidRequest` for a name that comes twice: the next reader might take the other of the two."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InvalidRequest(f"{name} comes more than once in the form", param=name, code="repeated_field")
        seen.add(name)


def empty_file(name: str) -> InvalidRequest:
    """Return the error of a field whose file has no bytes."""
    return InvalidRequest(f"{name} is empty: it must have content", param=name, code="empty_file")


def with_texts(body: bytes, content_type: str, texts: Mapping[str, str | None]) -> bytes:
    """Return a form that `read_form` reads, with these texts in front in place of every part of their names.

    `None` puts nothing in their place.
    """
    boundary = b"--" + _options(content_type)[1]["boundary"].encode("latin-1")
    part = b'%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n'
    pieces: list[bytes | memoryview] = [
        part % (boundary, name.encode(), text.encode()) for name, text in texts.items() if text is not None
    ]
    view, start = memoryview(body), body.find(boundary)
    while (end := body.find(b"\r\n" + boundary, start)) >= 0:
        if _name(body[start : max(body.find(b"\r\n\r\n", start, end + 4), start)]) not in texts:
            pieces.append(view[start : end + 2])
        start = end + 2
    return b"".join((*pieces, view[start:]))


def _name(head: bytes) -> str | None:
    """Return the name that a part's headers give it: of several of one name the last counts, as in `read_form`."""
    for line in reversed(head.split(b"\r\n")):
        header, _, value = line.partition(b":")
        if header.lower() == b"content-disposition":
            return _options(value.decode("utf-8", "replace"))[1].get("name")
    return None


class _Reader:
    """Collects what the parser calls out."""

    def __init__(self) -> None:
        self.parts: list[FormPart] = []
        self.is_whole = False
        self._headers: dict[str, str] = {}
        self._header: list[bytes] = []
        self._value: list[bytes] = []
        self._data: list[bytes] = []

    def callbacks(self) -> dict[str, Callable[..., None]]:
        return {
            "on_part_begin": self._begin_part,
            "on_header_field": lambda data, start, end: self._header.append(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.append(data[start:end]),
            "on_header_end": self._end_header,
            "on_part_data": lambda data, start, end: self._data.append(data[start:end]),
            "on_part_end": self._end_part,
            "on_end": self._end,
        }

    def _begin_part(self) -> None:
        if len(self.parts) == MAX_PARTS:
            raise _invalid(f"it has more than {MAX_PARTS} parts")
        self._headers, self._data = {}, []

    def _end_header(self) -> None:
        name, value = b"".join(self._header), b"".join(self._value)
        self._headers[name.decode("latin-1").lower()] = value.decode("utf-8", "replace")
        self._header, self._value = [], []

    def _end_part(self) -> None:
        disposition, options = _options(self._headers.get("content-disposition", ""))
        name = options.get("name", "")
        if disposition != "form-data" or not name:
            raise _invalid(f"part {len(self.parts) + 1} has no name")
        data = b"".join(self._data)
        if "filename" in options:
            media_type = _options(self._headers.get("content-type", ""))[0] or None
            self.parts.append(FormPart(name, FormFile(data, options["filename"], media_type)))
        else:
            self.parts.append(FormPart(name, _text(data, name)))

    def _end(self) -> None:
        self.is_whole = True


def _options(header: str) -> tuple[str, dict[str, str]]:
    """Return the value of a header, in lower case, and its parameters."""
    # The library reads headers as Latin-1; browsers and curl write names in UTF-8.
    value, options = parse_options_header(header.encode("utf-8", "replace"))
    return value.decode("latin-1"), {
        name.decode("latin-1"): text.decode("utf-8", "replace") for name, text in options.items()
    }


def _text(data: bytes, name: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"{name} is not text in UTF-8", param=name, code="invalid_form") from error


def _invalid(reason: str) -> InvalidRequest:
    return InvalidRequest(f"The form cannot be read: {reason}", code="invalid_form")
