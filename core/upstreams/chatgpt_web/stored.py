"""What the service keeps of a turn: found again, read again, removed (chatgpt-web reference, sections 3.1 and 3.7)."""

from typing import Any

from msgspec import Raw, json, structs

from core.contracts import Recalled
from core.errors import NotFound, UpstreamError
from core.fold import fold
from core.request import Turn
from core.upstreams.chatgpt_web.session import Session
from core.wire.chatgpt_web import tree
from core.wire.chatgpt_web.stream import TurnDecoder

MAX_TREE_BYTES = 1 << 26


async def last_of_turn(session: Session, turn: Turn) -> Turn:
    """Return the turn with the id of its last message, which is what a follow-up answers. Raises `NotFound`."""
    stored = await _read(session, turn)
    message_id = tree.end_of_turn(stored, turn.message_id or stored.get("current_node") or "")
    if message_id is None:
        raise _gone()
    return structs.replace(turn, message_id=message_id)


async def recall(session: Session, turn: Turn) -> Recalled:
    """Return a kept turn's question and answer. Raises `NotFound`."""
    stored = await _read(session, turn)
    message_id = tree.end_of_turn(stored, turn.message_id or stored.get("current_node") or "")
    if message_id is None:
        raise _gone()
    branch = {**stored, "current_node": message_id}
    decoder = TurnDecoder(account=turn.account, kept=turn.kept)
    events = [*decoder.feed_tree(json.encode(branch)), *decoder.close()]
    return Recalled(tree.question_texts(branch), fold(events))


async def forget(session: Session, turn: Turn) -> None:
    """Remove the conversation from the account's list. Raises `NotFound`."""
    body = json.encode({"is_visible": False})
    try:
        await session.fetch("PATCH", f"/conversation/{turn.conversation_id}", Raw, body)
    except UpstreamError as error:
        if error.upstream_status == 404:
            raise _gone() from error
        raise


async def _read(session: Session, turn: Turn) -> dict[str, Any]:
    path = f"/conversation/{turn.conversation_id}"
    try:
        return await session.fetch("GET", path, dict[str, Any], limit_bytes=MAX_TREE_BYTES)
    except UpstreamError as error:
        if error.upstream_status == 404:
            raise _gone() from error
        raise


def _gone() -> NotFound:
    return NotFound("the conversation is no longer kept in the account", code="conversation_not_found")
