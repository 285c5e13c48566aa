"""The list of models as Gemini's clients read it."""

from collections.abc import Sequence
from typing import Any

KEY_HEADER = "x-goog-api-key"
"""Whoever sends it reads this form of the list: google-genai 3.4 asks for it at `/v1/models`."""

_METHODS = ["generateContent", "streamGenerateContent", "countTokens"]


def model_object(name: str) -> dict[str, Any]:
    """Return a model with what this gateway does with it; its limits are not known here."""
    return {"name": f"models/{name}", "displayName": name, "supportedGenerationMethods": _METHODS}


def model_list(names: Sequence[str]) -> dict[str, Any]:
    """Return the whole list as its first and only page."""
    return {"models": [model_object(name) for name in names]}
