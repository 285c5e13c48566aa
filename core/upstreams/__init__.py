"""The services we call, one module or folder each; `build_upstreams` lists them."""

from collections.abc import Mapping

from core.accounts import Pool
from core.contracts import Upstream
from core.settings import Settings
from core.upstreams.chatgpt_web import ChatGPTWeb


def build_upstreams(settings: Settings, pool: Pool) -> Mapping[str, Upstream]:
    """Return the upstreams these settings allow, by name, the default one first."""
    upstreams: tuple[Upstream, ...] = (ChatGPTWeb(settings, pool),)
    return {upstream.name: upstream for upstream in upstreams}
