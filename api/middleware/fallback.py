"""The layer that tries a route's targets in turn, while the client has seen nothing of an answer.

A failure that is the request's own is never tried elsewhere: it would fail there too. Once an upstream has begun to
answer, its failure is the answer's end; nobody goes on with another model's sentence.
"""

from msgspec import structs
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.events import with_exchange
from core.breaker import Breaker
from core.contracts import Exchange, Target
from core.errors import UpstreamError
from core.events import Progress


class Fallback:
    def __init__(self, app: ASGIApp, breaker: Breaker) -> None:
        self.app = app
        self.breaker = breaker

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange: Exchange = scope["exchange"]
        targets = self.breaker.order((exchange.target, *exchange.fallbacks), _name)
        for position, target in enumerate(targets):
            attempt = Attempt(target, send)
            is_only = target is exchange.target and not exchange.fallbacks
            inner = exchange if is_only else structs.replace(exchange, target=target, fallbacks=())
            try:
                await self.app(with_exchange(scope, inner), receive, attempt.send)
            except UpstreamError as error:
                if error.scope == "provider":
                    self.breaker.failed(_name(target))
                is_last = position == len(targets) - 1
                if attempt.begun or is_last or error.scope == "request":
                    raise
            else:
                self.breaker.succeeded(_name(target))
                return


class Attempt:
    """What one target sends. `begun` says that some of it is an answer, so that no other target may follow."""

    def __init__(self, target: Target, send: Send) -> None:
        self.begun = False
        self._target = target
        self._send = send

    async def send(self, message: Message) -> None:
        if self.begun:
            await self._send(message)
            return
        self.begun = any(type(event) is not Progress for event in message.get("events", ("relayed",)))
        if self.begun:
            await self._send({**message, "target": self._target})


def _name(target: Target) -> str:
    return target.upstream.name
