"""The signatures with which Gemini recognises its own thoughts: kept as they came, and given back to it alone.

A signature stands on the part behind the thought: on a call, or on a text. Here it travels with the reasoning, before
that part. Since Gemini 3 the first call of each step is refused without one; for calls of another model, or of a
client that cannot carry it, Google's page on thought signatures gives the words of `FOREIGN` to send in its place.
"""

from collections.abc import Iterable, Sequence

from core.request import Message, Opaque, Part, Reasoning, ToolCall

WIRE = "gemini"

FOREIGN = "skip_thought_signature_validator"


def sealed(signature: str | None) -> Opaque | None:
    """Return a signature as the waist carries it."""
    return Opaque(WIRE, signature.encode()) if signature else None


def signature_of(opaque: Opaque | None) -> str | None:
    """Return the signature a piece of reasoning carries, None when it is of another vendor or of none."""
    return opaque.data.decode(errors="replace") if opaque is not None and opaque.wire == WIRE else None


def signed(reasoning: Reasoning) -> str | None:
    return signature_of(reasoning.opaque)


def has_unsigned_call(messages: Iterable[Message]) -> bool:
    """Say whether a step's first call has no signature of Gemini's: of another model, or lost by the client."""
    return any(_is_unsigned(message.parts) for message in messages if message.role == "assistant")


def _is_unsigned(parts: Sequence[Part]) -> bool:
    signature: str | None = None
    for part in parts:
        if isinstance(part, ToolCall):
            return signature is None
        signature = signed(part) or signature if isinstance(part, Reasoning) else None
    return False
