"""What one app instance holds: settings, accounts, upstreams, the transport, and where ids and time come from."""

import secrets
import time
from collections.abc import Callable, Mapping

from msgspec import Struct

from core import __version__
from core.accounts import Pool
from core.contracts import Upstream
from core.settings import Settings
from core.signing import Signer, signing_key
from core.transport import Timeouts, Transport
from core.upstreams import build_upstreams

USER_AGENT = f"isthmus/{__version__}"
"""The gateway names itself upstream, and as nothing else."""


LOOPBACK = "loopback://"
"""What the URL of a simulated upstream begins with."""


class Gateway(Struct, frozen=True):
    settings: Settings
    pool: Pool
    upstreams: Mapping[str, Upstream]
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
    signer = Signer(signing_key(settings.signing_key, settings.auth_tokens, secrets.token_bytes(32)))
    return Gateway(settings, pool, upstreams, transport or build_transport(settings), signer, new_id, clock)


def build_transport(settings: Settings) -> Transport:
    """Return the transport, with the simulated upstream mounted where the settings choose it."""
    timeouts = Timeouts(settings.connect_timeout_s, settings.first_byte_timeout_s, settings.idle_timeout_s)
    if not settings.loopback:
        return Transport(timeouts=timeouts, user_agent=USER_AGENT)
    from core.loopback import create_loopback
    from core.loopback.transport import LoopbackTransport

    apps = {"chatgpt": create_loopback()}
    return Transport(timeouts=timeouts, user_agent=USER_AGENT, mounts={LOOPBACK: lambda: LoopbackTransport(apps)})
