"""The services we call, one module or folder each; `build_upstreams` lists them."""

from collections.abc import Callable, Mapping

from core.accounts import Pool
from core.chatgpt.exchange import Exchanger
from core.chatgpt.tokens import Tokens
from core.contracts import Upstream
from core.settings import Settings
from core.upstreams.anthropic import Anthropic
from core.upstreams.chatgpt_web import ChatGPTWeb
from core.upstreams.codex import Codex
from core.upstreams.gemini import Gemini
from core.upstreams.openai_compatible import OpenAICompatible
from core.vendors import Kind, Vendor

KINDS: Mapping[Kind, Callable[[Vendor], Upstream]] = {
    "openai": OpenAICompatible,
    "anthropic": Anthropic,
    "gemini": Gemini,
}


def build_upstreams(settings: Settings, pool: Pool) -> Mapping[str, Upstream]:
    """Return the upstreams these settings allow, by name: ChatGPT Web first, then Codex, then the vendors."""
    tokens = Tokens(Exchanger(settings), settings.accounts)
    upstreams: list[Upstream] = [ChatGPTWeb(settings, pool, tokens=tokens), Codex(settings, pool.apart(), tokens)]
    upstreams += (KINDS[vendor.kind](vendor) for vendor in settings.vendors)
    return {upstream.name: upstream for upstream in upstreams}
