"""Which models ChatGPT Web offers: its own list, or a fixed one while it cannot be asked (core/model_list.py)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from core.chatgpt.session import Session

KNOWN_MODELS: tuple[str, ...] = (
    "auto",
    "gpt-5-6",
    "gpt-5-6-thinking",
    "gpt-5-6-pro",
    "gpt-5-6-t-mini",
    "gpt-5-5-instant",
    "gpt-5-5-thinking",
    "gpt-5-5-pro",
    "gpt-5",
    "gpt-4o",
    "gpt-4o-mini",
    "o3",
    "o4-mini",
    "o4-mini-high",
)
"""Slugs seen in 2025 and 2026 (chatgpt-web reference, section 8; AU-38)."""


class _Model(Struct, frozen=True):
    slug: str


class _Answer(Struct, frozen=True):
    models: list[_Model]


async def listed(session: Session | None) -> Sequence[str] | None:
    """Return the slugs, `auto` first; `None` without a session to ask with. Raises `UpstreamError`."""
    if session is None:
        return None
    answer = await session.fetch("GET", "/models?history_and_training_disabled=false", _Answer)
    return ("auto", *(model.slug for model in answer.models))
