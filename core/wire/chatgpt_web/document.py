"""The state document of delta encoding v1: JSON-pointer operations on a message, texts kept as ropes.

Rules: chatgpt-web reference, section 3.6, checked on the captures. An operation whose path does not exist is
ignored, as the web client does; nothing here raises on a well-formed operation of any content.
"""

from collections.abc import Callable
from functools import lru_cache
from io import StringIO
from typing import Any


class Rope:
    """A text that grows at its end, in one buffer: thousands of pieces would weigh ten times what they say."""

    __slots__ = ("_text", "append")

    def __init__(self, text: str) -> None:
        self._text = StringIO()
        self.append = self._text.write
        self.append(text)

    def __str__(self) -> str:
        return self._text.getvalue()


Container = dict[str, Any] | list[Any]


def apply(document: dict[str, Any], path: str, operation: str, value: Any) -> None:
    """Carry out one operation in place. `path` is a non-empty JSON pointer; unknown operations are ignored."""
    handler = _OPERATIONS.get(operation)
    *parents, last = _segments(path) or ("",)
    container: Any = document
    for segment in parents:
        container = _child(container, segment)
    if handler is not None and isinstance(container, dict | list):
        handler(container, last, value)


def leaf(document: dict[str, Any], path: str) -> Any:
    """Return what stands at `path`, or None."""
    found: Any = document
    for segment in _segments(path):
        found = found.get(segment) if type(found) is dict else _child(found, segment)
    return found


def text_of(value: Any) -> str:
    """Return a text leaf as `str`; anything that is not a text is empty."""
    if isinstance(value, Rope):
        return str(value)
    return value if isinstance(value, str) else ""


def _segments(path: str) -> tuple[str, ...]:
    return _remembered(path) if len(path) <= _REMEMBERED_CHARS else _split(path)


def _split(path: str) -> tuple[str, ...]:
    return tuple(_unescape(segment) for segment in path.split("/")[1:])


_REMEMBERED_CHARS = 64
_remembered = lru_cache(maxsize=256)(_split)
"""The same few dozen paths are walked in every turn."""


def _unescape(segment: str) -> str:
    return segment.replace("~1", "/").replace("~0", "~") if "~" in segment else segment


def _position(container: list[Any], segment: str) -> int | None:
    """Return the list index `segment` names, `len(container)` included, or None."""
    if segment == "-":
        return len(container)
    if not (segment.isascii() and segment.isdigit() and len(segment) < 10):
        return None
    return position if (position := int(segment)) <= len(container) else None


def _child(container: Any, segment: str) -> Any:
    if isinstance(container, dict):
        return container.get(segment)
    if isinstance(container, list):
        position = _position(container, segment)
        if position is not None and position < len(container):
            return container[position]
    return None


def _set(container: Container, segment: str, value: Any) -> None:
    if isinstance(container, dict):
        container[segment] = value
        return
    position = _position(container, segment)
    if position is None:
        return
    if position == len(container):
        container.append(value)
    else:
        container[position] = value


def _add(container: Container, segment: str, value: Any) -> None:
    if isinstance(container, dict):
        container[segment] = value
    elif (position := _position(container, segment)) is not None:
        container.insert(position, value)


def _append(container: Container, segment: str, value: Any) -> None:
    target = _child(container, segment)
    if isinstance(target, Rope):
        if isinstance(value, str):
            target.append(value)
    elif isinstance(target, str):
        if isinstance(value, str):
            rope = Rope(target)
            rope.append(value)
            _set(container, segment, rope)
    elif isinstance(target, list):
        target.extend(value) if isinstance(value, list) else target.append(value)
    elif isinstance(target, dict):
        if isinstance(value, dict):
            target.update(value)
    elif target is None:
        _set(container, segment, Rope(value) if isinstance(value, str) else value)


def _truncate(container: Container, segment: str, value: Any) -> None:
    if not isinstance(value, int) or value < 0:
        return
    target = _child(container, segment)
    if isinstance(target, str | Rope):
        _set(container, segment, Rope(text_of(target)[:value]))
    elif isinstance(target, list):
        del target[value:]


def _remove(container: Container, segment: str, value: Any) -> None:
    if isinstance(container, dict):
        container.pop(segment, None)
    elif (position := _position(container, segment)) is not None and position < len(container):
        del container[position]


_OPERATIONS: dict[str, Callable[[Container, str, Any], None]] = {
    "add": _add,
    "replace": _set,
    "append": _append,
    "truncate": _truncate,
    "remove": _remove,
}
