"""Bytes that a client wrote into its JSON: `data:` URLs and bare base64."""

import base64
import binascii
import re
from collections.abc import AsyncIterator
from urllib.parse import unquote, unquote_to_bytes

from msgspec import Struct

from core.errors import InvalidRequest
from core.media.magic import sniff, type_of

CHUNK_BYTES = 1 << 16

MAX_HEADER_CHARS = 1024
"""How long the part of a `data:` URL before its comma may be."""

_SCHEME = "data:"
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")
_NAMES = ("name", "filename")


class Blob(Struct, frozen=True):
    """Bytes at hand, and what they are. A `core.transport.Content`."""

    data: bytes
    media_type: str
    name: str | None = None

    @property
    def size(self) -> int:
        return len(self.data)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the bytes in pieces of at most `CHUNK_BYTES`."""
        for start in range(0, len(self.data), CHUNK_BYTES):
            yield self.data[start : start + CHUNK_BYTES]


def is_data_url(text: str) -> bool:
    return text[: len(_SCHEME)].lower() == _SCHEME


def read_data_url(text: str, param: str) -> Blob:
    """Read a `data:` URL (RFC 2397), base64 or percent-encoded; raise `InvalidRequest` for `param`.

    The type is what the bytes show, for clients are wrong about it (`image/jpg`), else what the URL tells, else
    `text/plain`, as the RFC has it. A parameter `name` or `filename`, which some clients write, becomes the name.
    """
    if not is_data_url(text):
        raise InvalidRequest(f"{param} must be a data: URL", param=param)
    end_of_header = text.find(",", 0, MAX_HEADER_CHARS)
    if end_of_header < 0:
        raise InvalidRequest(f"{param} is a data: URL without the comma that begins its data", param=param)
    items = [item.strip() for item in text[len(_SCHEME) : end_of_header].split(";")]
    data = _read_payload(text[end_of_header + 1 :], "base64" in map(str.lower, items), param)
    return Blob(data, type_of(data, _declared(items[0], param)) or "text/plain", _name_in(items))


def read_base64(text: str, param: str) -> bytes:
    """Read base64, also url-safe, wrapped or without its padding; raise `InvalidRequest` for `param`."""
    compact = "".join(text.split()).rstrip("=").replace("-", "+").replace("_", "/")
    if not compact:
        raise InvalidRequest(f"{param} holds no data", param=param)
    try:
        return base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest(f"{param} is not base64", param=param) from None


def _read_payload(payload: str, is_base64: bool, param: str) -> bytes:
    if is_base64:
        return read_base64(unquote(payload) if "%" in payload else payload, param)
    if not payload:
        raise InvalidRequest(f"{param} holds no data", param=param)
    return unquote_to_bytes(payload.encode("utf-8", "surrogatepass"))


def _declared(media_type: str, param: str) -> str | None:
    if not media_type or media_type.lower() == "base64":
        return None
    if not _MEDIA_TYPE.fullmatch(media_type.lower()):
        raise InvalidRequest(
            f"{param} is a data: URL whose type is {media_type!r:.80}, not such as image/png", param=param
        )
    return media_type.lower()


def _name_in(items: list[str]) -> str | None:
    for item in items:
        key, _, value = item.partition("=")
        if key.lower() in _NAMES and value:
            return unquote(value.strip('"'))
    return None


def as_url(text: str, param: str) -> str:
    """Return a reference to a picture as a URL: http(s) and `data:` as they are, base64 text as a `data:` URL."""
    if is_data_url(text) or text[:8].lower().startswith(("http://", "https://")):
        return text
    data = read_base64(text, param)
    return f"data:{sniff(data) or 'image/png'};base64,{base64.b64encode(data).decode()}"
