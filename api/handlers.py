"""The handlers: stateless functions. What an instance holds is the gateway, at `request.app.state.gateway`."""

from typing import Any

from msgspec import json
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.events import EventStream
from api.gateway import Gateway
from core import __version__
from core.contracts import Exchange
from core.errors import Forbidden, NotFound


def gateway_of(scope: Scope) -> Gateway:
    gateway: Gateway = scope["app"].state.gateway
    return gateway


def reply(value: Any, status: int = 200) -> Response:
    return Response(json.encode(value), status, media_type="application/json")


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a turn: the target's own stream of events."""
    exchange: Exchange = scope["exchange"]
    stream = exchange.target.upstream.stream(exchange, gateway_of(scope).transport)
    await EventStream(stream)(scope, receive, send)


async def home(request: Request) -> Response:
    return reply({"message": "This is Isthmus.", "version": __version__, "models": "/v1/models", "health": "/health"})


async def ping(request: Request) -> Response:
    return reply({"message": "pong"})


async def health(request: Request) -> Response:
    """The process lives: nothing more is looked at."""
    return reply({"status": "ok", "version": __version__, "loopback": gateway_of(request.scope).settings.loopback})


async def ready(request: Request) -> Response:
    """Say whether a turn could be answered, and which settings were seen, by name (P11)."""
    gateway = gateway_of(request.scope)
    settings, accounts = gateway.settings, gateway.pool.status()
    own_accounts = bool(settings.access_token_prefixes or settings.enable_external_token)
    is_ready = own_accounts or (bool(settings.auth_tokens) and accounts.usable > 0)
    body = {
        "status": "ready" if is_ready else "not ready",
        "loopback": settings.loopback,
        "deployment": settings.deployment,
        "settings_seen": settings.seen,
        "accounts": accounts,
    }
    return reply(body, 200 if is_ready else 503)


async def account_counts(request: Request) -> Response:
    """Count the pool's accounts, in every spelling in use (C2-6, ruling 7), for those whom the pool serves."""
    if request.scope["principal"].kind != "pool":
        raise Forbidden("the account pool is for holders of a gateway key")
    status = gateway_of(request.scope).pool.status()
    return reply({"count": status.count, "canUseCount": status.usable, "can_use_count": status.usable})


async def models(request: Request) -> Response:
    data = [_model(name, owner) for name, owner in await _models(request)]
    return reply({"object": "list", "data": data})


async def model(request: Request) -> Response:
    wanted = request.path_params["model"]
    for name, owner in await _models(request):
        if name == wanted:
            return reply(_model(name, owner))
    message = f"The model {wanted!r} is not in this gateway's list."
    raise NotFound(message, param="model", code="model_not_found")


async def _models(request: Request) -> list[tuple[str, str]]:
    gateway = gateway_of(request.scope)
    return [
        (name, upstream.name)
        for upstream in gateway.upstreams.values()
        for name in await upstream.model_names(gateway.transport)
    ]


def _model(name: str, owner: str) -> dict[str, Any]:
    """`created` is 0: no upstream says when its models were made."""
    return {"id": name, "object": "model", "created": 0, "owned_by": owner}
