"""The models an upstream offers, remembered for some minutes. A list never fails a client (P38)."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from core.errors import GatewayError

FRESH_S = 300.0
"""How long a list is used before it is asked for again."""

RETRY_S = 30.0
"""How long a failure is remembered."""

PATIENCE_S = 10.0
"""How long an upstream may take to tell its list: nobody waits for it as for an answer."""


class ModelList:
    """What goes wrong upstream leaves the last known list, which at first is `known`."""

    def __init__(self, known: Sequence[str] = (), clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._models = tuple(known)
        self._ask_again_at = float("-inf")

    async def names(self, ask: Callable[[], Awaitable[Sequence[str] | None]]) -> tuple[str, ...]:
        """Return the names, each once; `ask` asks the upstream, and gives `None` when there is no way to."""
        if self._clock() < self._ask_again_at:
            return self._models
        self._ask_again_at = self._clock() + RETRY_S
        try:
            async with asyncio.timeout(PATIENCE_S):
                models = await ask()
        except (GatewayError, TimeoutError):
            return self._models
        if models is not None:
            self._models = tuple(dict.fromkeys(models))
            self._ask_again_at = self._clock() + FRESH_S
        return self._models
