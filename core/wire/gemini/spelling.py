"""Field names: Google's JSON takes `inlineData` and `inline_data` for one thing, and its own clients send both.

Only the names of one object are looked at, never those inside: a tool's arguments and schemas belong to the client.
"""

import re

from msgspec import Raw, json

from core.json_body import decode

_FIELDS = json.Decoder(dict[str, Raw])
_UNDERSCORE = re.compile(r"_+([a-z0-9])")


def camel(name: str) -> str:
    """Return a field's name as the API itself writes it; `_responseJsonSchema` is an older name of one without `_`."""
    return _UNDERSCORE.sub(lambda match: match[1].upper(), name.lstrip("_")) if "_" in name else name


def fields_of(data: bytes | Raw, path: str) -> dict[str, Raw]:
    """Return an object's fields under the names the API itself writes. Raises `InvalidRequest` for another value."""
    return {camel(name): value for name, value in decode(_FIELDS, data, path).items()}


def respelled(data: bytes | Raw, path: str) -> bytes:
    """Return an object with the names of its own fields as the API itself writes them."""
    fields = decode(_FIELDS, data, path)
    if any("_" in name for name in fields):
        return json.encode({camel(name): value for name, value in fields.items()})
    return bytes(data)
