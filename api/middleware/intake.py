"""The layer that takes the request in: body under a limit, parsed by the dialect, routed: `scope["exchange"]`."""

import asyncio

from msgspec import structs
from starlette.types import ASGIApp, Receive, Scope, Send

from api.context import new_context
from api.file_ids import with_files
from api.gateway import Gateway
from core.accounts import Principal
from core.affinity import affinity
from core.continuing import not_continued
from core.contracts import Addressed, Context, Dialect, Exchange, FileKeeper, Placed, Relay, Target
from core.errors import BodyTooLarge, BodyTooSlow, InvalidRequest
from core.multipart import is_form
from core.request import ChatRequest
from core.signing import BadId, ForeignId, Signer

LARGE_BODY_BYTES = 1 << 18
"""A larger body, mostly one that holds pictures, is read beside the event loop: 7 MB take a quarter of a second."""


class ClientGone(Exception):
    """The client left before its request was whole: there is nobody to answer."""


class Intake:
    def __init__(self, app: ASGIApp, gateway: Gateway, dialect: Dialect) -> None:
        self.app = app
        self.gateway = gateway
        self.dialect = dialect
        self._placed = dialect if isinstance(dialect, Placed) else None
        self._addressed = dialect if isinstance(dialect, Addressed) else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        context = new_context(scope, self.gateway)
        try:
            scope["exchange"] = await self._taken_in(scope, context, receive)
        except ClientGone:
            return
        await self.app(scope, receive, send)

    async def _taken_in(self, scope: Scope, context: Context, receive: Receive) -> Exchange:
        """Read and parse the body, which nobody but the exchange holds while the turn runs."""
        body = await read_body(scope, receive, self.gateway.settings.max_body_bytes, context.deadline)
        is_large = len(body) > LARGE_BODY_BYTES
        parsed = await asyncio.to_thread(self._request, scope, body) if is_large else self._request(scope, body)
        return self._exchange(scope, context, body, parsed)

    def _exchange(self, scope: Scope, context: Context, body: bytes, parsed: ChatRequest) -> Exchange:
        request = continued(parsed, self.gateway.signer, context.principal, context.created)
        session = affinity(request, context.principal)
        targets = self.gateway.router.resolve(request.model, context.principal, session, request)
        keeps_files = isinstance(targets[0].upstream, FileKeeper)
        request = with_files(request, context, self.gateway.signer, insists=keeps_files)
        may_relay = request is parsed and any(isinstance(target.upstream, Relay) for target in targets)
        exchange = Exchange(
            **structs.asdict(context),
            dialect=self.dialect,
            request=request,
            target=targets[0],
            body=body if may_relay else b"",
            content_type=kind if is_form(kind := content_type(scope)) else None,
            fallbacks=targets[1:],
        )
        return exchange if request.previous is None or request.continues is not None else _passed_on(exchange)

    def _request(self, scope: Scope, body: bytes) -> ChatRequest:
        request = self.dialect.parse_request(body, content_type(scope))
        if self._placed is not None:
            request = self._placed.read_path(request, scope["path_params"])
        if self._addressed is not None:
            request = self._addressed.read_query(request, scope.get("query_string", b"").decode("latin-1"))
        if request.stream and not self.gateway.settings.stream_mode:
            return structs.replace(request, stream=False, include_usage=True)
        return request


def content_type(scope: Scope) -> str:
    headers: dict[bytes, bytes] = dict(scope["headers"])
    return headers.get(b"content-type", b"").decode("latin-1")


def continued(request: ChatRequest, signer: Signer, principal: Principal, now: float) -> ChatRequest:
    """Read the signed id by which a request goes on with an earlier turn. Raises `InvalidRequest`.

    A response id that is not ours is left alone: it may be the upstream's own.
    """
    if request.previous is not None:
        try:
            turn = signer.read_turn("resp", request.previous, principal, now).turn
        except ForeignId:
            return request
        except BadId as error:
            raise not_continued(request, request.previous, str(error)) from error
        if not turn.kept:
            raise not_continued(request, request.previous, "its turn was temporary, so nothing was kept")
        return structs.replace(request, continues=turn)
    named = request.continues
    if named is None or not named.conversation_id.startswith("conv_"):
        return request
    try:
        turn = signer.read_turn("conv", named.conversation_id, principal, now).turn
    except BadId as error:
        raise not_continued(request, named.conversation_id, str(error)) from error
    return structs.replace(request, continues=structs.replace(turn, message_id=named.message_id))


def _passed_on(exchange: Exchange) -> Exchange:
    """Return the exchange for those targets alone that are given the body as it is: only they can know its id."""
    targets = [target for target in (exchange.target, *exchange.fallbacks) if _relays(exchange, target)]
    if not targets:
        previous = exchange.request.previous or ""
        raise not_continued(exchange.request, previous, "it is not an id of this gateway")
    return structs.replace(exchange, target=targets[0], fallbacks=tuple(targets[1:]))


def _relays(exchange: Exchange, target: Target) -> bool:
    return isinstance(target.upstream, Relay) and target.upstream.relays(structs.replace(exchange, target=target))


async def read_body(scope: Scope, receive: Receive, limit_bytes: int, deadline: float | None = None) -> bytes:
    """Return the whole body. Raises `BodyTooLarge` as soon as that is known, `ClientGone` when it stays away.

    Raises `BodyTooSlow` when it is not there by `deadline`, an event-loop time.
    """
    headers = dict(scope["headers"])
    if (encoding := headers.get(b"content-encoding", b"identity")) != b"identity":
        raise InvalidRequest(f"the body is encoded as {encoding.decode('latin-1')!r}: send it plain", param=None)
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and len(declared) < 20 and int(declared) > limit_bytes:
        raise _too_large(limit_bytes)
    try:
        async with asyncio.timeout_at(deadline):
            return await _read_pieces(receive, limit_bytes)
    except TimeoutError as error:
        message = "the request body did not come in time: its whole answer has a deadline"
        raise BodyTooSlow(message, code="request_timeout") from error


async def _read_pieces(receive: Receive, limit_bytes: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        piece = message.get("body", b"")
        size += len(piece)
        if size > limit_bytes:
            raise _too_large(limit_bytes)
        pieces.append(piece)
        if not message.get("more_body", False):
            return b"".join(pieces)


def _too_large(limit_bytes: int) -> BodyTooLarge:
    message = f"the request body is larger than {limit_bytes} bytes, which is this gateway's limit"
    return BodyTooLarge(message, code="request_too_large")
