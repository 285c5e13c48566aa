"""What the service keeps of a turn: found again, read again, removed (chatgpt-web reference, sections 3.1 and 3.7)."""

from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from typing import Any

from msgspec import Raw, json, structs

from core.chatgpt.session import Session
from core.contracts import Recalled
from core.errors import NotFound, UpstreamError
from core.fold import fold
from core.request import Turn
from core.upstreams.chatgpt_web.images import Pictures
from core.wire.chatgpt_web import tree
from core.wire.chatgpt_web.stream import TurnDecoder

MAX_TREE_BYTES = 1 << 26


async def last_of_turn(session: Session, turn: Turn) -> Turn:
    """Return the turn with the id of its last message, which is what a follow-up answers. Raises `NotFound`."""
    branch = await _branch(session, turn)
    return structs.replace(turn, message_id=branch["current_node"])


async def recall(session: Session, turn: Turn) -> Recalled:
    """Return a kept turn's question and answer. Raises `NotFound`."""
    branch = await _branch(session, turn)
    decoder = TurnDecoder(account=turn.account, kept=turn.kept)
    events = decoder.take_tree(branch)
    async with aclosing(Pictures(session, decoder).finished()) as batches:
        async for batch in batches:
            events += batch
    events += decoder.close()
    return Recalled(tree.question_texts(branch), fold(events))


async def forget(session: Session, turn: Turn) -> None:
    """Remove the conversation from the account's list. Raises `NotFound`."""
    with _absence_told():
        await session.fetch("PATCH", _path(turn), Raw, json.encode({"is_visible": False}))


async def _branch(session: Session, turn: Turn) -> dict[str, Any]:
    """Return the stored conversation with the last message of the turn as its current node."""
    with _absence_told():
        stored = await session.fetch("GET", _path(turn), dict[str, Any], limit_bytes=MAX_TREE_BYTES)
    message_id = tree.end_of_turn(stored, turn.message_id or stored.get("current_node") or "")
    if message_id is None:
        raise _gone()
    return {**stored, "current_node": message_id}


def _path(turn: Turn) -> str:
    return f"/conversation/{turn.conversation_id}"


@contextmanager
def _absence_told() -> Iterator[None]:
    """Tell a conversation that the service does not have as `NotFound`."""
    try:
        yield
    except UpstreamError as error:
        if error.upstream_status == 404:
            raise _gone() from error
        raise


def _gone() -> NotFound:
    return NotFound("the conversation is no longer kept in the account", code="conversation_not_found")
