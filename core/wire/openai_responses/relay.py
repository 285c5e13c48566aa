"""A Responses body that goes to a vendor of the same format as it is, and the answer's bytes that come back."""

import re

from core.request import ChatRequest, Reasoning
from core.wire.openai_responses.compaction import MARK
from core.wire.openai_responses.requests import COMPACTS

_OUR_COMPACTION = f'"{MARK}'.encode()

_OUR_ITEM = re.compile(rb'"id"\s*:\s*"(?:(?:msg|rs|fc|ctc|ig)_[A-Za-z0-9_-]{62,}|rs_[0-9a-f]{26})"')
"""The id of an item that this gateway made.

Those of kept turns (requests.KEPT_ITEM) are longer than the 64 characters that OpenAI allows. Reasoning is looked up
under its id, and a seal is for one id only; OpenAI's own have 48 digits or more.
"""

_MARKS = (b"response.completed", b"response.incomplete", b"response.failed", b"error")
"""One of them is in every last event: found thirty times as fast as the event itself."""

_LAST_WORD = re.compile(
    rb'(?:^|\n)(?:event: ?|data: ?\{"type": ?")(?:response\.(?:completed|incomplete|failed)|error)["\r\n]'
)


def can_pass(body: bytes, request: ChatRequest) -> bool:
    """Say whether only the vendor need understand this body: compactions are the gateway's own, in and out.

    So are the ids of items that it made. Translated, the items go without ids.
    """
    is_ours = COMPACTS in request.echo or _OUR_COMPACTION in body or _OUR_ITEM.search(body) is not None
    return not is_ours and not _has_foreign_reasoning(request)


def _has_foreign_reasoning(request: ChatRequest) -> bool:
    """Say whether there is reasoning that the vendor neither keeps nor has sealed: it would look for it in vain."""
    parts = (part for message in request.messages for part in message.parts)
    return request.store is False and any(isinstance(part, Reasoning) and part.opaque is None for part in parts)


def is_last(frames: bytes) -> bool:
    """Say whether these frames hold the event that ends a stream."""
    return any(mark in frames for mark in _MARKS) and _LAST_WORD.search(frames) is not None
