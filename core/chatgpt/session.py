"""How one credential talks to ChatGPT Web: the paths and headers of its calls, and what a refusal means.

Only headers that say something true are sent: no page build, no browser name (chatgpt-web reference, section 0, tells
which ones matter to a plain client).
"""

import functools
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeAlias, TypeVar
from uuid import NAMESPACE_URL, uuid5

from msgspec import Struct, json, structs

from core.accounts import Account, Secret
from core.errors import MALFORMED_JSON, ProtocolViolation, UpstreamDenied, UpstreamError
from core.retry_after import cooldown_s
from core.transport import Content, Reply, Transport
from core.wire.chatgpt_web.errors import UPSTREAM, refusal, unexpected_answer

T = TypeVar("T")

EVENT_STREAM = "text/event-stream"

Pause: TypeAlias = Callable[[float], Awaitable[None]]
"""How the next look at something that takes time is waited for, in seconds."""


_Call: TypeAlias = tuple[str, str, bytes | Content, Mapping[str, str], str]


class Session(Struct, frozen=True):
    """A credential on its way to the service. `account` is None for an anonymous device.

    `owned` says that the credential is the caller's own, so that its refusal is theirs to mend. `bearer` is the access
    token of an account that is given by another kind of token, and `renew` has another one for one that was refused:
    `Sessions.ready` puts both in place.
    """

    transport: Transport
    base_url: str
    account: Account | None
    device_id: str
    proxy: str | None
    owned: bool = False
    bearer: Secret | None = None
    renew: Callable[[Secret], Awaitable[Secret]] | None = None

    @property
    def is_anonymous(self) -> bool:
        return self.account is None

    def url(self, path: str) -> str:
        prefix = "/backend-anon" if self.is_anonymous else "/backend-api"
        return self.base_url + prefix + path

    def headers(self, extra: Mapping[str, str], accept: str = "application/json") -> dict[str, str]:
        headers = {"Accept": accept, "Content-Type": "application/json", "Oai-Device-Id": self.device_id}
        if self.account is not None:
            headers["Authorization"] = "Bearer " + self._access_token(self.account).reveal()
            if self.account.account_id:
                headers["ChatGPT-Account-ID"] = self.account.account_id
        return {**headers, **extra}

    def _access_token(self, account: Account) -> Secret:
        if self.bearer is None and account.kind != "access":
            raise RuntimeError("this account has no access token yet: the session is not ready")
        return self.bearer or account.token

    def request(
        self,
        method: str,
        path: str,
        body: bytes | Content = b"",
        headers: Mapping[str, str] = {},
        accept: str = "application/json",
    ) -> AbstractAsyncContextManager[Reply]:
        """Make a call. One that is refused with 401 is made once more, where another access token can be had."""
        if self.renew is None or self.bearer is None:
            return self.once(method, path, body, headers, accept)
        return self._renewing(self.bearer, self.renew, (method, path, body, headers, accept))

    @asynccontextmanager
    async def _renewing(
        self, bearer: Secret, renew: Callable[[Secret], Awaitable[Secret]], call: _Call
    ) -> AsyncGenerator[Reply, None]:
        async with self.once(*call) as reply:
            if reply.status != 401:
                yield reply
                return
        renewed = structs.replace(self, bearer=await renew(bearer))
        async with renewed.once(*call) as reply:
            yield reply

    def once(
        self, method: str, path: str, body: bytes | Content, headers: Mapping[str, str], accept: str
    ) -> AbstractAsyncContextManager[Reply]:
        """Make a call, whatever its answer is."""
        return self.transport.request(
            method,
            self.url(path),
            headers=self.headers(headers, accept),
            content=body,
            proxy=self.proxy,
            upstream=UPSTREAM,
        )

    async def fetch(
        self,
        method: str,
        path: str,
        type_: type[T],
        body: bytes = b"",
        headers: Mapping[str, str] = {},
        limit_bytes: int = 1 << 20,
    ) -> T:
        """Return a JSON answer. Raises the error its status means, `ProtocolViolation` for another shape."""
        async with self.request(method, path, body, headers) as reply:
            if reply.status != 200:
                raise await self.refusal(reply)
            data = await reply.read(limit_bytes)
            try:
                return json.decode(data, type=type_)
            except MALFORMED_JSON as error:
                if unexpected := _page_in_place(reply, data):
                    raise unexpected from error
                raise ProtocolViolation(f"the answer of {path} has an unknown shape", upstream=UPSTREAM) from error

    async def refusal(self, reply: Reply) -> UpstreamError:
        """Return what an answer that is no success means for this credential."""
        return self.meaning(reply, await reply.read())

    def meaning(self, reply: Reply, body: bytes) -> UpstreamError:
        """Return what a refusal means whose body has been read."""
        error = refusal(reply.status, reply.headers, body, stated_wait_s(reply, body))
        if isinstance(error, UpstreamDenied) and self.owned:
            error.status = 401
        return error


def stated_wait_s(reply: Reply, body: bytes) -> float | None:
    """Return how long a refusal says to wait, in seconds."""
    try:
        said = json.decode(body)
    except MALFORMED_JSON:
        said = None
    return cooldown_s(said, reply.headers, time.time())


def device_id(account: Account) -> str:
    """Return the device this account is used from: the same UUID on every instance of the gateway."""
    return _device_id(account.digest)


@functools.lru_cache(maxsize=256)
def _device_id(digest: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"isthmus/{digest}"))


def _page_in_place(reply: Reply, data: bytes) -> UpstreamError | None:
    is_page = "text/html" in reply.headers.get("content-type", "")
    return unexpected_answer(reply.status, reply.headers, data) if is_page else None
