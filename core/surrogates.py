"""Finds the text in a body that holds half of a surrogate pair: legal to JSON's grammar, but no Unicode text."""

import json
import re
from typing import Any

_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def lone_surrogate_path(body: bytes) -> str | None:
    """Return where the first such text stands, as messages[0].content; None when there is none to be found.

    For the error path only: the body is read again, by the standard library, which lets such texts pass.
    """
    if not _HALF.search(body):
        return None
    try:
        pending: list[tuple[str, Any]] = [("", json.loads(body))]
    except (ValueError, RecursionError):
        return None
    while pending:
        path, value = pending.pop()
        if isinstance(value, str) and _SURROGATE.search(value):
            return path
        if isinstance(value, list):
            pending += [(f"{path}[{position}]", item) for position, item in enumerate(value)][::-1]
        elif isinstance(value, dict):
            if any(map(_SURROGATE.search, value)):
                return path
            pending += [(f"{path}.{key}".lstrip("."), item) for key, item in value.items()][::-1]
    return None
