"""The layer that tries a route's targets in turn, while the client has seen nothing of an answer.

A failure that is the request's own is never tried elsewhere: it would fail there too. A target that cannot do what is
asked is passed over; that is told only where no other has failed. Once an upstream has begun to answer, its failure is
the answer's end; nobody goes on with another model's sentence.
"""

from msgspec import structs
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.events import with_exchange
from core.breaker import Breaker
from core.contracts import Exchange, Target
from core.errors import Unsupported, UpstreamError
from core.events import Progress


class Fallback:
    def __init__(self, app: ASGIApp, breaker: Breaker) -> None:
        self.app = app
        self.breaker = breaker

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange: Exchange = scope["exchange"]
        targets = self.breaker.order((exchange.target, *exchange.fallbacks), _name)
        failure: Unsupported | UpstreamError | None = None
        for target in targets:
            attempt = Attempt(target, send)
            is_only = target is exchange.target and not exchange.fallbacks
            inner = exchange if is_only else structs.replace(exchange, target=target, fallbacks=())
            try:
                await self.app(with_exchange(scope, inner), receive, attempt.send)
            except Unsupported as error:
                if attempt.begun:
                    raise
                failure = failure or error
            except UpstreamError as error:
                self._learn(target, error)
                if attempt.begun or error.scope == "request":
                    raise
                failure = error
            else:
                self.breaker.succeeded(_name(target))
                return
        if failure is not None:
            raise failure

    def _learn(self, target: Target, error: UpstreamError) -> None:
        """Tell the breaker of a failure. Who refuses a request is there: that is none."""
        if error.scope == "provider":
            self.breaker.failed(_name(target))
        elif error.scope == "request":
            self.breaker.succeeded(_name(target))


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
