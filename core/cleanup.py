"""What must be done before an answer may end, whatever becomes of the answer: bounded, and never interrupted."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from core.errors import GatewayError

REMOVAL_S = 5.0
"""How long a removal may take: the answer's end, or the failure that is under way, waits for it."""

log = logging.getLogger("isthmus.cleanup")


async def remove_conversation(removal: Callable[[], Awaitable[None]]) -> None:
    """Remove a conversation that must not stay in the account; the removal goes on when the waiter is cancelled.

    One that fails is logged, without the conversation's id, and changes nothing for the caller: their answer is whole.
    """
    work = asyncio.create_task(_carried_out(removal))
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait({work})
        raise


async def _carried_out(removal: Callable[[], Awaitable[None]]) -> None:
    try:
        async with asyncio.timeout(REMOVAL_S):
            await removal()
    except (GatewayError, TimeoutError) as error:
        log.warning("a conversation made for one answer could not be removed: %s", type(error).__name__)
