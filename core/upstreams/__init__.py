"""The services we call, one module or folder each; `build_upstreams` lists them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING

from core.accounts import Pool
from core.contracts import Upstream
from core.settings import Settings
from core.upstreams.chatgpt_web import ChatGPTWeb
from core.upstreams.codex import Codex
from core.vendors import Kind, Vendor

if TYPE_CHECKING:
    from core.chatgpt.tokens import Tokens


def _openai_compatible(vendor: Vendor) -> Upstream:
    from core.upstreams.openai_compatible import OpenAICompatible

    return OpenAICompatible(vendor)


def _anthropic(vendor: Vendor) -> Upstream:
    from core.upstreams.anthropic import Anthropic

    return Anthropic(vendor)


def _gemini(vendor: Vendor) -> Upstream:
    from core.upstreams.gemini import Gemini

    return Gemini(vendor)


KINDS: Mapping[Kind, Callable[[Vendor], Upstream]] = {
    "openai": _openai_compatible,
    "anthropic": _anthropic,
    "gemini": _gemini,
}
"""By the kind of a vendor; one that is not configured is not loaded."""


def build_upstreams(settings: Settings, pool: Pool) -> Mapping[str, Upstream]:
    """Return the upstreams these settings allow, by name: ChatGPT Web first, then Codex, then the vendors."""

    @cache
    def tokens() -> Tokens:
        from core.chatgpt.exchange import Exchanger
        from core.chatgpt.tokens import Tokens

        return Tokens(Exchanger(settings), settings.accounts)

    upstreams: list[Upstream] = [ChatGPTWeb(settings, pool, tokens=tokens), Codex(settings, pool.apart(), tokens)]
    upstreams += (KINDS[vendor.kind](vendor) for vendor in settings.vendors)
    return {upstream.name: upstream for upstream in upstreams}
