"""The record of calls, for tests to read: who called what in which order, and who hung up early."""

from collections import deque
from collections.abc import Callable

import anyio
from msgspec import Struct
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.loopback.identity import bearer, digest

_CALLS_HELD = 10_000


class Call(Struct):
    """One call. Times are Unix seconds. `account` is a digest of the token, `body` a conversation call's
    JSON.

    `disconnected_at` says when the client hung up before the answer was complete, `None` when it did not.
    """

    sequence: int
    method: str
    path: str
    account: str | None
    device: str | None
    account_id: str | None
    user_agent: str | None
    sentinel_headers: list[str]
    turn_trace_id: str | None
    conduit_token: str | None
    anthropic_headers: dict[str, str]
    started_at: float
    status: int | None = None
    body: object = None
    ended_at: float | None = None
    disconnected_at: float | None = None


class Calls:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._held: deque[Call] = deque(maxlen=_CALLS_HELD)
        self._count = 0
        self._changed = anyio.Event()

    def record(self, scope: Scope) -> Call:
        headers = Headers(scope=scope)
        token = bearer(headers)
        self._count += 1
        call = Call(
            sequence=self._count,
            method=scope["method"],
            path=scope["path"],
            account=digest(token) if token else None,
            device=headers.get("oai-device-id"),
            account_id=headers.get("chatgpt-account-id"),
            user_agent=headers.get("user-agent"),
            sentinel_headers=sorted({name for name in headers if name.startswith("openai-sentinel-")}),
            turn_trace_id=headers.get("x-oai-turn-trace-id"),
            conduit_token=headers.get("x-conduit-token"),
            anthropic_headers={name: value for name, value in headers.items() if name.startswith("anthropic-")},
            started_at=self._clock(),
        )
        self._held.append(call)
        return call

    def end(self, call: Call) -> None:
        if call.ended_at is None:
            call.ended_at = self._clock()
            self._notify()

    def hang_up(self, call: Call) -> None:
        """Note that the client has gone, unless the answer was complete already."""
        if call.ended_at is None:
            call.disconnected_at = call.ended_at = self._clock()
            self._notify()

    def all(self) -> list[Call]:
        return list(self._held)

    async def wait_for_disconnects(self, count: int, within_s: float) -> None:
        """Return when so many clients have hung up, or when the time is over."""
        with anyio.move_on_after(within_s):
            while sum(call.disconnected_at is not None for call in self._held) < count:
                await self._changed.wait()

    def clear(self) -> None:
        self._held.clear()
        self._count = 0

    def _notify(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


class CallLog:
    """Middleware that records every call but those of the control endpoints, in `scope["loopback.call"]`."""

    def __init__(self, app: ASGIApp, calls: Calls) -> None:
        self.app = app
        self.calls = calls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/loopback/"):
            await self.app(scope, receive, send)
            return
        call = self.calls.record(scope)

        async def observed(message: Message) -> None:
            if message["type"] == "http.response.start":
                call.status = message["status"]
            elif not message.get("more_body", False):
                # Before the last message goes out: a client may close as soon as it has it.
                self.calls.end(call)
            await send(message)

        try:
            await self.app({**scope, "loopback.call": call}, receive, observed)
        except anyio.get_cancelled_exc_class():
            self.calls.hang_up(call)
            raise
        finally:
            self.calls.end(call)
