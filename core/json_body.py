"""Reading a client's JSON body: every failure becomes `InvalidRequest` at a path such as `messages[0].content`."""

import re
from collections.abc import Mapping
from typing import TypeVar

from msgspec import Raw, ValidationError, json

from core.errors import MALFORMED_JSON, InvalidRequest
from core.surrogates import lone_surrogate_path

T = TypeVar("T")

NULL = Raw(b"null")
"""An absent `Raw` field: msgspec reads no unions with Raw, so absent and null look the same."""

STRING = json.Decoder(str)
ITEMS = json.Decoder(list[Raw])

_TOP = json.Decoder(dict[str, Raw])
_WHERE = re.compile(r" - at `(key in )?\$(?P<path>.*)`$")
_MISSING = re.compile("Object missing required field `(?P<field>.*)`")


def read_top(body: bytes) -> dict[str, Raw]:
    """Return the top-level fields of a body. Raises `InvalidRequest` unless it is a JSON object in UTF-8."""
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"{_malformed('')}: {_fault(error)}", code="invalid_json") from error
    return decode(_TOP, body, "")


def decode(decoder: "json.Decoder[T]", data: bytes | Raw, path: str) -> T:
    """Decode, and tell a failure as `InvalidRequest` at `path` plus the place msgspec names."""
    try:
        return decoder.decode(data)
    except ValidationError as error:
        text = str(error)
        where = _WHERE.search(text)
        inner = where["path"] if where else ""
        reason = text[: where.start()] if where else text
        if absent := _MISSING.fullmatch(reason):
            raise missing(f"{path}{inner}.{absent['field']}".lstrip(".")) from error
        param = (path + inner).lstrip(".")
        raise InvalidRequest(f"Invalid value for {param or 'the body'}: {reason}", param=param or None) from error
    except MALFORMED_JSON as error:
        if not path and (inner := lone_surrogate_path(bytes(data))):
            message = f"{inner} holds half of a surrogate pair, which is no text"
            raise InvalidRequest(message, param=inner, code="invalid_json") from error
        raise InvalidRequest(f"{_malformed(path)}: {_fault(error)}", param=path or None, code="invalid_json") from error


def missing(path: str) -> InvalidRequest:
    """Return the error of a field that is required and absent."""
    return InvalidRequest(f"Missing required parameter: {path}", param=path, code="missing_required_parameter")


def required(value: T | None, path: str) -> T:
    """Return a value that must be there. Raises `InvalidRequest`."""
    if value is None:
        raise missing(path)
    return value


def clean(text: str, path: str) -> str:
    """Return a text without NUL characters. Raises `InvalidRequest`."""
    if "\0" in text:
        raise InvalidRequest(f"{path} contains a NUL character", param=path)
    return text


def known(table: Mapping[str, T], name: str, path: str) -> T:
    """Return what a name stands for. Raises `InvalidRequest` that lists the names there are."""
    if name not in table:
        raise InvalidRequest(f"{path} is {name[:80]!r}, which is not among: {', '.join(table)}", param=path)
    return table[name]


def given(value: Raw) -> Raw | None:
    """Return a `Raw` field that was sent and is not null."""
    return None if bytes(value) == b"null" else value


def _malformed(path: str) -> str:
    return f"{path} is not valid JSON" if path else "Request must be proper JSON"


def _fault(error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return f"it is not UTF-8 ({error.reason})"
    return str(error)
