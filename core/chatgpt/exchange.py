"""The two calls that give an access token: for a refresh token, and for a session token.

The calls send the secret where its owner's own client sends it, and nowhere else. What goes wrong is one account's
matter: another account may have its access token already.
"""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from msgspec import Struct

from core.accounts import AccountKind, Secret
from core.chatgpt.session import stated_wait_s
from core.errors import UpstreamDenied, UpstreamError, UpstreamTimeout
from core.services import Grant
from core.settings import Settings
from core.transport import Transport
from core.wire.chatgpt_web.errors import UPSTREAM, refusal
from core.wire.chatgpt_web.tokens import (
    build_cookie,
    build_renewal,
    read_cookie,
    read_renewal,
    read_session,
    renewal_refused,
)

T = TypeVar("T")

EXCHANGE_S = 15.0
"""How long an exchange may take; it is finished even when nobody waits for it any more."""


class Way(Struct, frozen=True):
    """How the token service is reached. `proxy` is a URL."""

    transport: Transport
    proxy: str | None = None


class Exchanger:
    """Exchanges tokens as the settings say: where, and as which OAuth client."""

    def __init__(self, settings: Settings) -> None:
        self._refresh_url = f"{settings.auth_base_url}/oauth/token"
        self._session_url = f"{settings.chatgpt_base_url}/api/auth/session"
        self._client_id = settings.chatgpt_oauth_client_id
        self._proxy = settings.proxy.reveal() if settings.proxy else None

    async def exchange(self, kind: AccountKind, token: Secret, way: Way) -> Grant:
        """Return what a token is worth now. Raises `UpstreamError` of the scope "account"; never shows the token."""
        call = self._refresh if kind == "refresh" else self._open_session
        try:
            async with asyncio.timeout(EXCHANGE_S):
                return await call(token, way)
        except TimeoutError as error:
            message = f"no access token was given within {EXCHANGE_S:g} seconds"
            raise UpstreamTimeout(message, upstream=UPSTREAM, scope="account") from error
        except UpstreamError as error:
            error.scope = "account"
            raise

    async def own(self, kind: AccountKind, token: Secret, transport: Transport) -> Grant:
        """Return what a caller's own token is worth. Raises as `exchange` does; one that is dead is a 401."""
        return await owned(self.exchange(kind, token, Way(transport, self._proxy)))

    async def _refresh(self, token: Secret, way: Way) -> Grant:
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        body = build_renewal(self._client_id, token.reveal())
        async with way.transport.request(
            "POST", self._refresh_url, headers=headers, content=body, proxy=way.proxy, upstream=UPSTREAM
        ) as reply:
            data = await reply.read()
            if reply.status != 200:
                data = _without(token, data)
                raise renewal_refused(reply.status, reply.headers, data, stated_wait_s(reply, data))
        said = read_renewal(data)
        return Grant(
            access_token=Secret(said.access_token),
            successor=_secret(said.refresh_token),
            id_token=_secret(said.id_token),
            token_type=said.token_type,
            expires_in_s=said.expires_in,
            scope=said.scope,
        )

    async def _open_session(self, token: Secret, way: Way) -> Grant:
        headers = {"Accept": "application/json", "Cookie": build_cookie(token.reveal())}
        async with way.transport.request(
            "GET", self._session_url, headers=headers, proxy=way.proxy, upstream=UPSTREAM
        ) as reply:
            data = await reply.read()
            if reply.status != 200:
                data = _without(token, data)
                raise refusal(reply.status, reply.headers, data, stated_wait_s(reply, data))
        access_token, ends = read_session(data)
        successor = _secret(read_cookie(reply.headers.get("set-cookie", "")))
        return Grant(access_token=Secret(access_token), successor=successor, session_ends=ends)


async def owned(granted: Awaitable[T]) -> T:
    """Return what the caller's own token is exchanged for: that it is dead is theirs to mend, and a 401."""
    try:
        return await granted
    except UpstreamDenied as error:
        raise UpstreamDenied(
            error.message, upstream=UPSTREAM, upstream_status=error.upstream_status, status=401, code=error.code
        ) from error


def _secret(text: str | None) -> Secret | None:
    return Secret(text) if text else None


def _without(token: Secret, body: bytes) -> bytes:
    """Return a refusal's body without the token, should it repeat it: its words go into our message."""
    return body.replace(token.reveal().encode(), b"...")
