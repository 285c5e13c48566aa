"""A multipart form as the JSON body it stands for, so that both are read by the same rules."""

import base64
import re

from msgspec import Raw, json

from core.media import sniff
from core.multipart import FormFile, FormPart, empty_file, read_form, refuse_repeated
from core.openai_words import read_boolean
from core.wire.openai_images.types import READ_FIELDS

_NUMBERS = ("n", "output_compression", "partial_images")
_NUMBER = re.compile(r"-?\d{1,9}", re.ASCII)
_PICTURES = re.compile(r"(?P<name>image|images|image_url|mask)(?P<list>\[\d*\])?")

_TRUE = Raw(b"true")


def form_body(body: bytes, content_type: str) -> bytes:
    """Return a form as a JSON object: pictures as lists, numbers and `stream` as what they are, the rest as text.

    An empty text counts as absent: browsers send one for a field left alone.
    """
    top: dict[str, Raw] = {}
    pictures: dict[str, list[Raw]] = {}
    parts = read_form(body, content_type)
    refuse_repeated(part.name for part in parts if part.name in READ_FIELDS and not _PICTURES.fullmatch(part.name))
    for part in parts:
        if named := _PICTURES.fullmatch(part.name):
            pictures.setdefault(_field(named), []).extend(_picture(part))
        elif part.value:
            top.setdefault(part.name, _value(part))
    return json.encode({**top, **pictures})


def _field(named: re.Match[str]) -> str:
    """Return the field of a picture: `image[]` and `image[3]` are one list, `image` is another."""
    is_list = named["list"] is not None and named["name"] in ("image", "images")
    return f"{named['name']}[]" if is_list else named["name"]


def _picture(part: FormPart) -> list[Raw]:
    """Return a picture as a JSON string, or nothing for a field left alone."""
    if isinstance(part.value, str):
        return [Raw(json.encode(part.value))] if part.value else []
    if not part.value.data:
        if not part.value.filename:
            return []
        raise empty_file(part.name)
    media_type = sniff(part.value.data) or part.value.media_type or "application/octet-stream"
    beginning = json.encode(f"data:{media_type};base64,").removesuffix(b'"')
    return [Raw(b'%b%b"' % (beginning, base64.b64encode(part.value.data)))]


def _value(part: FormPart) -> Raw:
    if isinstance(part.value, FormFile):
        # A file that nothing here reads: the request's extras need its name alone.
        return _TRUE
    if part.name == "stream":
        return Raw(json.encode(read_boolean(part.value, part.name)))
    if part.name in _NUMBERS and _NUMBER.fullmatch(part.value):
        return Raw(str(int(part.value)).encode())
    return Raw(json.encode(part.value))
