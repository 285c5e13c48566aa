"""How hard a model is to think, in the service's terms: by the request's effort, or by the name of the model.

Source: chatgpt-web reference, sections 3.3 and 9.
"""

import re

from msgspec import Struct

from core.request import Effort

REASON_HINT = "reason"
"""The system hint that makes `auto` choose a model that thinks (section 9)."""

_EFFORTS = {
    "low": "standard",
    "medium": "extended",
    "high": "max",
    "xhigh": "max",
    "max": "max",
}
_SAID = {**_EFFORTS, "standard": "standard", "extended": "extended"}
_NAMED = re.compile(rf"(?P<slug>.+-thinking)-(?P<effort>{'|'.join(_SAID)})")


class Thinking(Struct, frozen=True):
    """What a turn says of it. `effort` is `None` where nothing is said, `hints` are system hints."""

    model: str
    effort: str | None = None
    hints: tuple[str, ...] = ()


def thinking(model: str, effort: Effort | None) -> Thinking:
    """Return the slug, the effort and the hints; the request's own effort outweighs the one in the name.

    `gpt-5-6-thinking-high` is the slug `gpt-5-6-thinking` and an effort; every other name is a slug as it is (C2-9).
    """
    named = _NAMED.fullmatch(model)
    slug = named["slug"] if named else model
    said = _EFFORTS.get(effort) if effort else _SAID[named["effort"]] if named else None
    return Thinking(slug, said, (REASON_HINT,) if said and slug == "auto" else ())
