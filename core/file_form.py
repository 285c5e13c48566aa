"""Writing a form with one file in it (RFC 7578), of which nothing is held but what is being sent. `multipart` reads."""

from collections.abc import AsyncIterator, Mapping

from core.services import Upload

_QUOTED = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})
"""How a name stands in a form's header (WHATWG HTML, "multipart form data")."""


class FileForm:
    """A `multipart/form-data` request body: text fields, `None` left out, then the file.

    `boundary` must not occur in the file: give it something that nobody can foresee.
    """

    def __init__(self, file: Upload, fields: Mapping[str, str | None], boundary: str) -> None:
        self._content = file.content
        self._boundary = boundary
        texts = [self._field(name, value) for name, value in fields.items() if value is not None]
        self._before = b"".join((*texts, self._file_head(file)))
        self._after = f"\r\n--{boundary}--\r\n".encode()
        self.content_type = f"multipart/form-data; boundary={boundary}"

    @property
    def size(self) -> int:
        return len(self._before) + self._content.size + len(self._after)

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._before
        async for chunk in self._content.chunks():
            yield chunk
        yield self._after

    def _field(self, name: str, value: str) -> bytes:
        return f'--{self._boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()

    def _file_head(self, file: Upload) -> bytes:
        disposition = f'Content-Disposition: form-data; name="file"; filename="{file.name.translate(_QUOTED)}"'
        return f"--{self._boundary}\r\n{disposition}\r\nContent-Type: {file.media_type}\r\n\r\n".encode()
