"""A turn in the service's own words: read only as far as needed to choose an account, and mended in one place."""

from msgspec import Raw, Struct, json

from core.errors import MALFORMED_JSON
from core.json_body import read_top


class _Author(Struct, frozen=True):
    role: str | None = None


class _Message(Struct, frozen=True):
    author: _Author


class _Turn(Struct, frozen=True):
    messages: list[_Message] = []


class _Place(Struct, frozen=True):
    conversation_id: str | None = None


_fields = json.Decoder(dict[str, Raw])
_items = json.Decoder(list[Raw])


def conversation_of(body: bytes) -> str | None:
    """Return the conversation that a turn goes on with. Raises `InvalidRequest` unless the body is a JSON object."""
    read_top(body)
    try:
        return json.decode(body, type=_Place).conversation_id
    except MALFORMED_JSON:
        return None


def with_first_role(body: bytes) -> bytes:
    """Return the body with `user` for the role of its first message if that is empty or absent (AU-59).

    Any other body comes back as it is, byte for byte; whether it is any good is for the service to say.
    """
    try:
        messages = json.decode(body, type=_Turn).messages
    except MALFORMED_JSON:
        return body
    if not messages or messages[0].author.role:
        return body
    turn = _fields.decode(body)
    items = _items.decode(turn["messages"])
    first = _fields.decode(items[0])
    author = _fields.decode(first["author"]) | {"role": Raw(b'"user"')}
    items[0] = _encoded(first | {"author": _encoded(author)})
    return json.encode(turn | {"messages": _encoded(items)})


def _encoded(value: object) -> Raw:
    return Raw(json.encode(value))
