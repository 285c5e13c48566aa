"""A conversation that is made only for what it yields (a picture, a sound) and must not stay in the account (P10)."""

import asyncio
import logging
from types import TracebackType

from core.chatgpt.session import Session
from core.errors import GatewayError
from core.request import Turn
from core.upstreams.chatgpt_web import stored

REMOVAL_S = 5.0
"""How long the removal may take: the answer's end, or the failure that is under way, waits for it."""

log = logging.getLogger("isthmus.chatgpt_web")


class Fleeting:
    """Hides the conversation when the context is left, also after a failure or when the client has gone.

    Set `conversation_id` as soon as it is known. With `keep` nothing is removed. A removal that fails is logged,
    without the conversation's id, and changes nothing for the caller: their answer is whole.
    """

    def __init__(self, session: Session, keep: bool = False) -> None:
        self._session = session
        self._keep = keep
        self.conversation_id: str | None = None

    async def __aenter__(self) -> "Fleeting":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.conversation_id is not None and not self._keep:
            await _shielded(asyncio.create_task(self._remove(self.conversation_id)))

    async def _remove(self, conversation_id: str) -> None:
        try:
            async with asyncio.timeout(REMOVAL_S):
                await stored.forget(self._session, Turn(conversation_id))
        except (GatewayError, TimeoutError) as error:
            log.warning("a conversation made for one answer could not be removed: %s", type(error).__name__)


async def _shielded(work: "asyncio.Task[None]") -> None:
    """Wait for work that goes on when the waiter is cancelled; the cancellation is passed on after it."""
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait({work})
        raise
