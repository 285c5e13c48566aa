"""The list of models as Anthropic's clients read it."""

from collections.abc import Sequence
from typing import Any

VERSION_HEADER = "anthropic-version"
"""Whoever sends it wants this form of the list; nobody else does (clients, section 1.2)."""

_UNKNOWN_DATE = "1970-01-01T00:00:00Z"
"""What Anthropic's API itself says of a model whose release date is not known."""


def model_object(name: str) -> dict[str, Any]:
    return {"type": "model", "id": name, "display_name": name, "created_at": _UNKNOWN_DATE}


def model_list(names: Sequence[str]) -> dict[str, Any]:
    """Return the whole list as its first and only page."""
    ends = {"first_id": names[0] if names else None, "last_id": names[-1] if names else None}
    return {"data": [model_object(name) for name in names], "has_more": False, **ends}
