"""What Anthropic signs or encrypts of a model's thinking: kept as it came, and given back to Anthropic alone."""

from msgspec import Struct, json

from core.errors import MALFORMED_JSON
from core.request import Opaque

WIRE = "anthropic"


class Seal(Struct, frozen=True, omit_defaults=True):
    """`signature` belongs to thinking that can be read, `data` is thinking that cannot (`redacted_thinking`)."""

    signature: str = ""
    data: str = ""


_SEAL = json.Decoder(Seal)


def sealed(signature: str = "", data: str = "") -> Opaque | None:
    """Return the seal as the waist carries it; None when there is none."""
    return Opaque(WIRE, json.encode(Seal(signature, data))) if signature or data else None


def seal_of(opaque: Opaque | None) -> Seal:
    """Return the seal that a block of reasoning has; an empty one when it is another vendor's."""
    if opaque is None or opaque.wire != WIRE:
        return Seal()
    try:
        return _SEAL.decode(opaque.data)
    except MALFORMED_JSON:
        return Seal()
