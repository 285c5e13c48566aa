"""The pictures of an Images request, in every form that clients send them (AU-48, AU-49).

A picture is a string (a URL, a `data:` URL, a file id, or bare base64), an object that holds one of these, or a list.
What came as bytes is checked to be a picture here; what a URL leads to is seen by whoever fetches it.
"""

from collections.abc import Iterator

from msgspec import Raw, json

from core.errors import InvalidRequest
from core.json_body import ITEMS, STRING, clean, decode, given, missing, required
from core.media import is_data_url, read_base64, read_data_url, sniff
from core.request import Image, Text
from core.wire.openai_images import types

_SOURCE = json.Decoder(types.Source)
_URL = json.Decoder(types.Url)
_ITEM = json.Decoder(types.Item)

CONVERSATION_LEVELS = 4
"""A list of messages, a message, its list of parts, a part."""

_TEXT_TYPES = ("input_text", "text")
_IMAGE_TYPES = ("input_image", "image_url", "image")
_FILE_IDS = ("file_", "file-")
_WEB = ("http://", "https://")


def read_images(value: Raw, path: str) -> Iterator[Image]:
    """Yield the pictures of a field; nothing when it is absent. Raises `InvalidRequest` that names the place."""
    if given(value) is None:
        return
    if bytes(value)[:1] != b"[":
        yield _read_image(value, path)
        return
    items = decode(ITEMS, value, path)
    for position, item in enumerate(items):
        yield _read_image(item, f"{path}[{position}]")


def _read_image(value: Raw, path: str) -> Image:
    first = bytes(value)[:1]
    if first == b'"':
        return _from_text(decode(STRING, value, path), path)
    if first == b"{":
        return _from_object(value, path)
    raise _invalid(path, "must be a URL, base64 text, an object that holds one, or a list of these")


def read_conversation(value: Raw, path: str, levels: int = CONVERSATION_LEVELS) -> Iterator[Text | Image]:
    """Yield the texts and pictures of `input`, `content` or `messages`, in order, whoever says them."""
    first = bytes(value)[:1]
    if given(value) is None:
        return
    if first == b'"':
        yield Text(clean(decode(STRING, value, path), path))
    elif not levels:
        raise InvalidRequest(f"{path} is nested too deeply: messages hold parts, and parts hold no more", param=path)
    elif first == b"[":
        items = decode(ITEMS, value, path)
        for position, item in enumerate(items):
            yield from read_conversation(item, f"{path}[{position}]", levels - 1)
    else:
        yield from _read_item(value, path, levels - 1)


def _read_item(value: Raw, path: str, levels: int) -> Iterator[Text | Image]:
    item = decode(_ITEM, value, path)
    if given(item.content) is not None:
        yield from read_conversation(item.content, f"{path}.content", levels)
    elif item.type in _TEXT_TYPES:
        yield Text(clean(required(item.text, f"{path}.text"), f"{path}.text"))
    elif item.type in _IMAGE_TYPES:
        yield _from_object(value, path)
    else:
        names = ", ".join((*_TEXT_TYPES, *_IMAGE_TYPES))
        raise InvalidRequest(
            f"{path}.type is {(item.type or '')[:40]!r}, which is not among: {names}", param=f"{path}.type"
        )


def _from_object(value: Raw, path: str) -> Image:
    source = decode(_SOURCE, value, path)
    if given(source.image_url) is not None:
        return _from_text(_url(source.image_url, f"{path}.image_url"), f"{path}.image_url")
    if source.url is not None:
        return _from_text(source.url, f"{path}.url")
    if source.file_id is not None:
        return Image(file_id=source.file_id, where=f"{path}.file_id")
    if source.b64_json is not None:
        return _from_base64(source.b64_json, f"{path}.b64_json")
    if source.base64 is not None:
        return _from_base64(source.base64, f"{path}.base64")
    raise missing(f"{path}.image_url")


def _url(value: Raw, path: str) -> str:
    if bytes(value)[:1] == b"{":
        return decode(_URL, value, path).url
    return decode(STRING, value, path)


def _from_text(text: str, path: str) -> Image:
    if text.lower().startswith(_WEB):
        return Image(url=text, where=path)
    if text.startswith(_FILE_IDS):
        return Image(file_id=text, where=path)
    return _from_base64(text, path)


def _from_base64(text: str, path: str) -> Image:
    """Return a picture whose bytes came as text: a `data:` URL, or base64 alone."""
    try:
        data = read_data_url(text, path).data if is_data_url(text) else read_base64(text, path)
    except InvalidRequest as error:
        raise _invalid(path, "is neither a URL nor the base64 of a picture") from error
    media_type = sniff(data)
    if media_type is None or not media_type.startswith("image/"):
        raise _invalid(path, f"holds no picture, but {media_type or 'bytes of an unknown kind'}")
    return Image(url=text, where=path)


def _invalid(path: str, reason: str) -> InvalidRequest:
    return InvalidRequest(f"{path} {reason}", param=path, code="invalid_image")
