"""What one app instance holds: settings, accounts, upstreams, the transport, and where ids and time come from."""

import secrets
import time
from collections.abc import Callable, Mapping

from msgspec import Struct

from core import __version__
from core.accounts import Pool
from core.breaker import Breaker
from core.contracts import Upstream
from core.routing import Router
from core.settings import CODEX, Settings
from core.signing import Signer, signing_key
from core.transport import Timeouts, Transport
from core.upstreams import build_upstreams

USER_AGENT = f"isthmus/{__version__}"
"""The gateway names itself upstream, and as nothing else."""


LOOPBACK = "loopback://"
"""What the URL of a simulated upstream begins with."""

LOOPBACK_NAMES = ("chatgpt", "openai", "anthropic", "gemini")
"""What may follow: all names lead to the same simulated world, which tells its vendors apart by their paths."""


class Gateway(Struct, frozen=True):
    settings: Settings
    pool: Pool
    upstreams: Mapping[str, Upstream]
    router: Router
    breaker: Breaker
    transport: Transport
    signer: Signer
    new_id: Callable[[], str]
    clock: Callable[[], float]


def build_gateway(
    settings: Settings,
    transport: Transport | None = None,
    new_id: Callable[[], str] = lambda: secrets.token_hex(12),
    clock: Callable[[], float] = time.time,
) -> Gateway:
    """Return a gateway for these settings. `new_id` gives 24 letters and digits, `clock` Unix seconds."""
    pool = Pool(settings.accounts, clock)
    upstreams = build_upstreams(settings, pool)
    shared = settings.auth_tokens or settings.access_token_prefixes
    signer = Signer(signing_key(settings.signing_key, shared, secrets.token_bytes(32)))
    return Gateway(
        settings=settings,
        pool=pool,
        upstreams=upstreams,
        router=build_router(settings, upstreams),
        breaker=Breaker(),
        transport=transport or build_transport(settings),
        signer=signer,
        new_id=new_id,
        clock=clock,
    )


def build_router(settings: Settings, upstreams: Mapping[str, Upstream]) -> Router:
    """Return the route table: ChatGPT Web is the default while it has accounts, or nothing else is configured."""
    chatgpt = next(iter(upstreams))
    has_accounts = bool(settings.accounts) or not settings.vendors
    default = chatgpt if has_accounts else settings.vendors[0].name
    return Router(
        upstreams,
        settings.vendors,
        settings.model_routes,
        default,
        own=chatgpt,
        beside=CODEX,
        turns=settings.chatgpt_upstream,
    )


def build_transport(settings: Settings) -> Transport:
    """Return the transport, with the simulated upstream mounted where the settings choose it."""
    timeouts = Timeouts(settings.connect_timeout_s, settings.first_byte_timeout_s, settings.idle_timeout_s)
    proxy = settings.proxy.reveal() if settings.proxy else None
    if not (settings.loopback or any(vendor.base_url.startswith(LOOPBACK) for vendor in settings.vendors)):
        return Transport(timeouts=timeouts, user_agent=USER_AGENT, fetch_proxy=proxy)
    from core.loopback import create_loopback
    from core.loopback.transport import LoopbackTransport

    apps = dict.fromkeys(LOOPBACK_NAMES, create_loopback())
    mounts = {LOOPBACK: lambda: LoopbackTransport(apps)}
    return Transport(timeouts=timeouts, user_agent=USER_AGENT, mounts=mounts, fetch_proxy=proxy)
