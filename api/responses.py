"""The Responses routes besides the turn itself: a kept answer read again, listed, removed. Nothing is stored here.

A response's id names its turn upstream; what cannot be answered from there is refused with the reason.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import json, structs
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.gateway import Gateway
from api.handlers import gateway_of, reply
from core.contracts import Exchange, Recalled, Target, Upstream
from core.errors import InvalidRequest, NotFound, Unsupported
from core.json_body import known
from core.openai_words import read_boolean
from core.request import ChatRequest, Message, Text, Turn
from core.signing import BadId, Named
from core.wire.openai_responses import OPENAI_RESPONSES
from core.wire.openai_responses.requests import DEFAULT_MODEL

_ORDERS: Mapping[str, bool] = {"desc": True, "asc": False}
"""Whether the newest items come first."""

_LIMITS: Mapping[str, int] = {str(number): number for number in range(1, 101)}
_DEFAULT_LIMIT = "20"

UPGRADE_REFUSED = b"This gateway answers POST /v1/responses over HTTP; it has no WebSocket."


async def retrieve(request: Request) -> Response:
    """Answer `GET /v1/responses/{id}` from the conversation the upstream keeps."""
    if read_boolean(request.query_params.get("stream", "false"), "stream"):
        raise Unsupported("stream: an answer is streamed while it is made; ask for it without", param="stream")
    identity, named = _named(request)
    recalled = await _recall(request, named.turn)
    response = structs.replace(recalled.response, turn=named.turn)
    rendered = json.decode(OPENAI_RESPONSES.render_response(_exchange(request, recalled, named), response))
    return reply({**rendered, "id": identity})


async def input_items(request: Request) -> Response:
    """Answer `GET /v1/responses/{id}/input_items`: the question's messages, a page of them in the order asked for."""
    identity, named = _named(request)
    recalled = await _recall(request, named.turn)
    items = [_item(f"msg_{identity[-12:]}{place:02x}", text) for place, text in enumerate(recalled.question)]
    return reply(_page(items, request.query_params))


async def delete(request: Request) -> Response:
    """Answer `DELETE /v1/responses/{id}`: the whole conversation is removed upstream."""
    identity, named = _named(request)
    gateway = gateway_of(request.scope)
    await _keeper(gateway).forget(named.turn, request.scope["principal"], gateway.transport)
    return reply({"id": identity, "object": "response", "deleted": True})


async def cancel(request: Request) -> Response:
    """Refuse `POST /v1/responses/{id}/cancel`: only background answers could be cancelled."""
    identity, _ = _named(request, kept_only=False)
    raise InvalidRequest(f"{identity[:80]!r} cannot be cancelled: it was not created with background=true", param="id")


async def upgrade(scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse a WebSocket with 426, so that Codex's built-in provider falls back to HTTP at once."""
    headers = [(b"content-type", b"text/plain"), (b"upgrade", b"HTTP/1.1"), (b"connection", b"upgrade")]
    prefix = "http.response"
    if scope["type"] == "websocket":
        prefix = "websocket.http.response"
        await receive()
        if prefix not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1003})
            return
    await send({"type": f"{prefix}.start", "status": 426, "headers": headers})
    await send({"type": f"{prefix}.body", "body": UPGRADE_REFUSED})


def _named(request: Request, kept_only: bool = True) -> tuple[str, Named]:
    """Return the id in the path and what it names. Raises `NotFound` with the reason."""
    identity = request.path_params["response_id"]
    gateway = gateway_of(request.scope)
    try:
        named = gateway.signer.read_turn("resp", identity, request.scope["principal"], gateway.clock())
    except BadId as error:
        raise NotFound(f"Response with id {identity[:80]!r} not found: {error}", param="id") from error
    if kept_only and not named.turn.kept:
        raise NotFound(f"Response with id {identity[:80]!r} not found: its turn was temporary", param="id")
    return identity, named


async def _recall(request: Request, turn: Turn) -> Recalled:
    gateway = gateway_of(request.scope)
    return await _keeper(gateway).recall(turn, request.scope["principal"], gateway.transport)


def _keeper(gateway: Gateway) -> Upstream:
    """Return the upstream that keeps turns: ChatGPT Web, which is always the first."""
    return next(iter(gateway.upstreams.values()))


def _exchange(request: Request, recalled: Recalled, named: Named) -> Exchange:
    """Return the exchange as far as it is still known: question, model and place."""
    gateway = gateway_of(request.scope)
    model = recalled.response.model or DEFAULT_MODEL
    messages = tuple(Message("user", (Text(text),)) for text in recalled.question)
    return Exchange(
        id=request.path_params["response_id"][-24:].replace("-", "0").replace("_", "0"),
        created=named.issued,
        dialect=OPENAI_RESPONSES,
        request=structs.replace(ChatRequest(model=model, messages=messages), store=True),
        target=Target(_keeper(gateway), model),
        principal=request.scope["principal"],
        signer=gateway.signer,
    )


def _page(items: Sequence[dict[str, Any]], query: Mapping[str, str]) -> dict[str, Any]:
    """Return the part of a list, oldest first, that `order`, `after` and `limit` ask for. Raises `InvalidRequest`."""
    if known(_ORDERS, query.get("order", "desc"), "order"):
        items = items[::-1]
    if (limit := _LIMITS.get(query.get("limit", _DEFAULT_LIMIT))) is None:
        raise InvalidRequest(f"limit is {query['limit'][:80]!r}: it must be a number from 1 to 100", param="limit")
    if after := query.get("after"):
        items = items[_place_of(after, items) + 1 :]
    page = items[:limit]
    ends = {"first_id": page[0]["id"] if page else None, "last_id": page[-1]["id"] if page else None}
    return {"object": "list", "data": page, "has_more": len(items) > limit, **ends}


def _place_of(identity: str, items: Sequence[dict[str, Any]]) -> int:
    places = {item["id"]: place for place, item in enumerate(items)}
    if identity not in places:
        raise InvalidRequest(f"after names {identity[:80]!r}, which is not among the items", param="after")
    return places[identity]


def _item(identity: str, text: str) -> dict[str, Any]:
    content = [{"type": "input_text", "text": text}]
    return {"type": "message", "id": identity, "role": "user", "status": "completed", "content": content}
