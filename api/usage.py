"""What is left: `/v1/usage`, and the older addresses that clients ask (C2-28), in the shapes they know.

ChatGPT Web has plans and limits, and no amounts of money: what the upstream did not say is null, never a figure of
ours (P8). Times inside a shape that clients know are in that shape's own form; ours are Unix seconds.
"""

from collections.abc import Sequence
from datetime import datetime

from msgspec import to_builtins
from starlette.requests import Request
from starlette.responses import Response

from api.handlers import gateway_of, reply
from core.accounts import Principal
from core.contracts import Context, UsageReporter
from core.routing import offering
from core.services import AccountUsage


async def usage(request: Request) -> Response:
    """Answer `GET /v1/usage`: one entry for the caller's own account, or for each of the pool's."""
    return reply({"object": "list", "data": [_entry(said) for said in await _told(request)], "total_usage": None})


async def billing_usage(request: Request) -> Response:
    """Answer `GET /v1/dashboard/billing/usage`: nobody counts money here."""
    _login(request)
    return reply({"object": "list", "daily_costs": None, "total_usage": None})


async def subscription(request: Request) -> Response:
    """Answer `GET /v1/dashboard/billing/subscription`, where one account is meant; of several none speaks for all."""
    told = await _told(request)
    said = told[0].subscription if len(told) == 1 else None
    return reply(
        {
            "object": "billing_subscription",
            "has_payment_method": None,
            "canceled": None,
            "soft_limit_usd": None,
            "hard_limit_usd": None,
            "system_hard_limit_usd": None,
            "access_until": _unix(said.expires_at) if said else None,
            "active": said.active if said else None,
            "plan": {"title": said.plan, "id": said.subscription} if said else None,
            "accounts": len(told),
        }
    )


async def token(request: Request) -> Response:
    """Answer `GET /api/usage/token` (the shape of New API): when the caller's own access token ends, and no quota."""
    account = _login(request).account
    data = {
        "object": "token_usage",
        "name": None,
        "total_granted": None,
        "total_used": None,
        "total_available": None,
        "unlimited_quota": None,
        "expires_at": None if account is None or account.expires_at is None else int(account.expires_at),
    }
    return reply({"code": True, "message": "ok", "data": data})


async def _told(request: Request) -> Sequence[AccountUsage]:
    gateway = gateway_of(request.scope)
    context: Context = request.scope["context"]
    reporter = offering(UsageReporter, gateway.upstreams)  # type: ignore[type-abstract]
    request.scope["upstream"] = reporter.name
    return await reporter.usage(context, gateway.transport)


def _login(request: Request) -> Principal:
    principal: Principal = request.scope["principal"]
    principal.require_login("Usage")
    return principal


def _entry(said: AccountUsage) -> object:
    return {"object": "account.usage", **to_builtins(said)}


def _unix(time: str | None) -> int | None:
    """Return an ISO 8601 time in Unix seconds; `None` for one that cannot be read or names no zone."""
    try:
        moment = datetime.fromisoformat(time or "")
    except ValueError:
        return None
    return int(moment.timestamp()) if moment.tzinfo else None
