"""What goes with a request, whatever is asked: made once from the scope, for turns and for every other route."""

from starlette.datastructures import URL
from starlette.requests import Request
from starlette.types import Scope

from api.deadline import deadline
from api.gateway import Gateway
from core.contracts import Context

FORWARDED = frozenset({"openai-sentinel-turnstile-token", "anthropic-beta", "anthropic-version"})
"""The caller's headers that an upstream may pass on."""


def new_context(scope: Scope, gateway: Gateway) -> Context:
    """Return the context of a request that auth has let in."""
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    return Context(
        id=gateway.new_id(),
        created=int(gateway.clock()),
        principal=scope["principal"],
        deadline=deadline(scope, gateway.settings),
        forward={name: value for name, value in headers.items() if name in FORWARDED},
        signer=gateway.signer,
        public_url=public_url(scope),
    )


def entered(request: Request, feature: str) -> Context:
    """Return the context of a request for what needs an account. Raises `Forbidden` for an anonymous device (AU-16)."""
    context: Context = request.scope["context"]
    context.principal.require_login(feature)
    return context


def public_url(scope: Scope) -> str:
    """Return where the client reached this gateway, without a path: what links in an answer begin with."""
    if "server" not in scope and "headers" not in scope:
        return ""
    url = URL(scope=scope)
    return f"{url.scheme}://{url.netloc}" if url.netloc else ""
