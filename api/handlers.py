"""The handlers: stateless functions. What an instance holds is the gateway, at `request.app.state.gateway`."""

from typing import Any

from msgspec import json
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.events import EventStream, RelayStream
from api.gateway import Gateway
from core import __version__
from core.catalogue import offers
from core.contracts import Exchange, Relay
from core.errors import Forbidden, NotFound, Unsupported
from core.transport import Transport
from core.wire.anthropic import ANTHROPIC_MESSAGES
from core.wire.anthropic import models as anthropic_models
from core.wire.gemini import GEMINI
from core.wire.gemini import models as gemini_models


def gateway_of(scope: Scope) -> Gateway:
    gateway: Gateway = scope["app"].state.gateway
    return gateway


def reply(value: Any, status: int = 200) -> Response:
    return Response(json.encode(value), status, media_type="application/json")


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a turn: the target's stream of events, or its bytes where it speaks the client's format."""
    exchange: Exchange = scope["exchange"]
    transport = gateway_of(scope).transport
    if (relayed := relaying(exchange, transport)) is not None:
        await relayed(scope, receive, send)
        return
    for param, why in exchange.request.relay_only:
        raise Unsupported(why, param=param)
    await EventStream(exchange.target.upstream.stream(exchange, transport))(scope, receive, send)


def relaying(exchange: Exchange, transport: Transport) -> RelayStream | None:
    """Return the answer of an upstream that speaks the client's own format, `None` where it must be translated."""
    upstream = exchange.target.upstream
    if isinstance(upstream, Relay) and upstream.relays(exchange):
        return RelayStream(upstream.relay(exchange, transport))
    return None


async def home(request: Request) -> Response:
    return reply({"message": "This is Isthmus.", "version": __version__, "models": "/v1/models", "health": "/health"})


async def hello(request: Request) -> Response:
    """Answer what Claude Code asks at its start to see that somebody is there."""
    return reply({"message": "hello"})


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
    serves_keys = accounts.usable > 0 or bool(settings.vendors)
    is_ready = own_accounts or (bool(settings.auth_tokens) and serves_keys)
    body = {
        "status": "ready" if is_ready else "not ready",
        "loopback": settings.loopback,
        "deployment": settings.deployment,
        "settings_seen": settings.seen,
        "accounts": accounts,
        "vendors": [vendor.name for vendor in settings.vendors],
    }
    return reply(body, 200 if is_ready else 503)


async def account_counts(request: Request) -> Response:
    """Count the pool's accounts, in every spelling in use (C2-6, ruling 7), for those whom the pool serves."""
    if request.scope["principal"].kind != "pool":
        raise Forbidden("the account pool is for holders of a gateway key", code="upstream_not_allowed")
    status = gateway_of(request.scope).pool.status()
    return reply({"count": status.count, "canUseCount": status.usable, "can_use_count": status.usable})


async def models(request: Request) -> Response:
    """List the models, in the form of whoever asks. Google's clients find their own list beside OpenAI's."""
    listed = await _models(request)
    names = [name for name, _ in listed]
    dialect = request.scope["dialect"]
    if dialect is ANTHROPIC_MESSAGES:
        return reply(anthropic_models.model_list(names))
    body: dict[str, Any] = {"object": "list", "data": [_model(name, owner) for name, owner in listed]}
    return reply(body | gemini_models.model_list(names) if dialect is GEMINI else body)


async def model(request: Request) -> Response:
    """Describe one model, in the form of whoever asks, as `models` does."""
    name, owner = await _wanted(request)
    dialect = request.scope["dialect"]
    if dialect is ANTHROPIC_MESSAGES:
        return reply(anthropic_models.model_object(name))
    body = _model(name, owner)
    return reply(body | gemini_models.model_object(name) if dialect is GEMINI else body)


async def gemini_model_list(request: Request) -> Response:
    return reply(gemini_models.model_list([name for name, _ in await _models(request)]))


async def gemini_model(request: Request) -> Response:
    name, _ = await _wanted(request)
    return reply(gemini_models.model_object(name))


async def _models(request: Request) -> list[tuple[str, str]]:
    gateway = gateway_of(request.scope)
    found = await offers(gateway.router, request.scope["principal"], gateway.transport)
    return [(offer.id, offer.upstream) for offer in found]


async def _wanted(request: Request) -> tuple[str, str]:
    """Return the model that the path names, and whose it is. Raises `NotFound`."""
    wanted = request.path_params["model"]
    for name, owner in await _models(request):
        if name == wanted:
            return name, owner
    message = f"The model {wanted!r} is not in this gateway's list."
    raise NotFound(message, param="model", code="model_not_found")


def _model(name: str, owner: str) -> dict[str, Any]:
    """`created` is 0: no upstream says when its models were made."""
    return {"id": name, "object": "model", "created": 0, "owned_by": owner}
