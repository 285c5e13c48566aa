"""The layer that takes the request in: body under a limit, parsed by the dialect, routed: `scope["exchange"]`."""

from msgspec import structs
from starlette.types import ASGIApp, Receive, Scope, Send

from api.deadline import deadline
from api.gateway import Gateway
from core.accounts import Principal
from core.contracts import Dialect, Exchange
from core.errors import BodyTooLarge, InvalidRequest
from core.request import ChatRequest, Turn
from core.routing import resolve
from core.signing import BadId, Signer

FORWARDED = frozenset({"openai-sentinel-turnstile-token"})
"""The caller's headers that an upstream may pass on."""


class ClientGone(Exception):
    """The client left before its request was whole: there is nobody to answer."""


class Intake:
    def __init__(self, app: ASGIApp, gateway: Gateway, dialect: Dialect) -> None:
        self.app = app
        self.gateway = gateway
        self.dialect = dialect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await read_body(scope, receive, self.gateway.settings.max_body_bytes)
        except ClientGone:
            return
        scope["exchange"] = self._exchange(scope, body)
        await self.app(scope, receive, send)

    def _exchange(self, scope: Scope, body: bytes) -> Exchange:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        now = self.gateway.clock()
        request = self._request(body, headers.get("content-type", ""))
        request = continued(request, self.gateway.signer, scope["principal"], now)
        return Exchange(
            id=self.gateway.new_id(),
            created=int(now),
            dialect=self.dialect,
            request=request,
            target=resolve(request.model, self.gateway.upstreams),
            principal=scope["principal"],
            deadline=deadline(scope, self.gateway.settings.turn_timeout_s),
            forward={name: value for name, value in headers.items() if name in FORWARDED},
            signer=self.gateway.signer,
        )

    def _request(self, body: bytes, content_type: str) -> ChatRequest:
        request = self.dialect.parse_request(body, content_type)
        if request.stream and not self.gateway.settings.stream_mode:
            return structs.replace(request, stream=False, include_usage=True)
        return request


def continued(request: ChatRequest, signer: Signer, principal: Principal, now: float) -> ChatRequest:
    """Read the signed id by which a request goes on with an earlier turn. Raises `InvalidRequest`."""
    if request.previous is not None:
        turn = _read(signer, "resp", request.previous, principal, now, "previous_response_id")
        if not turn.kept:
            raise _not_found("previous_response_id", request.previous, "its turn was temporary, so nothing was kept")
        return structs.replace(request, continues=turn)
    named = request.continues
    if named is None or not named.conversation_id.startswith("conv_"):
        return request
    turn = _read(signer, "conv", named.conversation_id, principal, now, "conversation_id")
    return structs.replace(request, continues=structs.replace(turn, message_id=named.message_id))


def _read(signer: Signer, prefix: str, identity: str, principal: Principal, now: float, param: str) -> Turn:
    try:
        return signer.read_turn(prefix, identity, principal, now).turn
    except BadId as error:
        raise _not_found(param, identity, str(error)) from error


def _not_found(param: str, identity: str, reason: str) -> InvalidRequest:
    code = "previous_response_not_found" if param == "previous_response_id" else "conversation_not_found"
    return InvalidRequest(f"{param} {identity[:80]!r} cannot be continued: {reason}", param=param, code=code)


async def read_body(scope: Scope, receive: Receive, limit_bytes: int) -> bytes:
    """Return the whole body. Raises `BodyTooLarge` as soon as that is known, `ClientGone` when it stays away."""
    headers = dict(scope["headers"])
    if (encoding := headers.get(b"content-encoding", b"identity")) != b"identity":
        raise InvalidRequest(f"the body is encoded as {encoding.decode('latin-1')!r}: send it plain", param=None)
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and len(declared) < 20 and int(declared) > limit_bytes:
        raise _too_large(limit_bytes)
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
