"""By when an answer must have ended: the platform's own limit when it tells one, else the setting."""

import asyncio

from starlette.types import Scope

PLATFORM_MARGIN_S = 1.5
"""How long before the platform's limit an answer is ended, so that its end still gets out."""


def deadline(scope: Scope, turn_timeout_s: float) -> float:
    """Return an event-loop time. AWS Lambda's context is where Mangum puts it (Mangum docs, "ASGI scope")."""
    limit_s = turn_timeout_s
    context = scope.get("aws.context")
    if context is not None:
        limit_s = min(limit_s, context.get_remaining_time_in_millis() / 1000 - PLATFORM_MARGIN_S)
    return asyncio.get_running_loop().time() + limit_s
