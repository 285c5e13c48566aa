"""Which models ChatGPT Web offers: its own list, remembered for a few minutes; a fixed one when it cannot be asked.

A list never fails a client: what goes wrong upstream leaves the last known list, or the fixed one (P38).
"""

import time
from collections.abc import Callable

from msgspec import Struct

from core.errors import GatewayError
from core.transport import Transport
from core.upstreams.chatgpt_web.session import Session

FRESH_S = 300.0
"""How long a list is used before it is asked for again."""

RETRY_S = 30.0
"""How long a failure is remembered."""

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


class ModelList:
    """The list of one upstream. `session` gives a credential to ask with, None when there is none."""

    def __init__(
        self, session: Callable[[Transport], Session | None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._session = session
        self._clock = clock
        self._models = KNOWN_MODELS
        self._ask_again_at = float("-inf")

    async def names(self, transport: Transport) -> tuple[str, ...]:
        """Return the slugs, `auto` first."""
        if self._clock() >= self._ask_again_at:
            await self._refresh(transport)
        return self._models

    async def _refresh(self, transport: Transport) -> None:
        session = self._session(transport)
        if session is None:
            return
        self._ask_again_at = self._clock() + RETRY_S
        try:
            answer = await session.fetch("GET", "/models?history_and_training_disabled=false", _Answer)
        except GatewayError:
            return
        self._models = tuple(dict.fromkeys(("auto", *(model.slug for model in answer.models))))
        self._ask_again_at = self._clock() + FRESH_S
