"""A client's own body on its way to a vendor of the same format, and where that vendor's answer ends.

The same for Chat Completions and for the older Completions.
"""

from msgspec import Raw, json

from core import passing
from core.request import ChatRequest

GATEWAY_FIELDS = frozenset({"function_web_search", "function_image_gen", "function_code_interpreter", "options"})
"""Fields of a request that only this gateway knows: a body with one of them is not passed as it is."""

_FIELDS = json.Decoder(dict[str, Raw])
_FINISH_MARKS = (b'"finish_reason":"', b'"finish_reason": "')


def can_pass(body: bytes) -> bool:
    """Say whether nothing in a body is for this gateway alone."""
    return GATEWAY_FIELDS.isdisjoint(_FIELDS.decode(body))


def passing_body(body: bytes, request: ChatRequest, model: str) -> bytes:
    """Return the body as it goes on: as it came, but for the vendor's name of the model.

    Where the gateway gives no streams, none is asked for.
    """
    return passing.passing_body(body, request, model, ("stream_options",))


def is_terminated(frames: bytes) -> bool:
    """Say whether frames end with the terminator, which is the last of all."""
    return frames[-32:].rstrip().endswith(b"[DONE]")


def is_last(frames: bytes) -> bool:
    """Say whether the answer is complete: the terminator, or a reason for the finish where a vendor has none."""
    # `rfind` looks through a read in a third of the time that `in` takes.
    return is_terminated(frames) or any(frames.rfind(mark) >= 0 for mark in _FINISH_MARKS)
