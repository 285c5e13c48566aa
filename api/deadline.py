"""By when an answer must have ended: the platform's own limit when it tells one, else the setting.

Each source of a platform's limit is a function in `SOURCES`. None of them believes a client: what arrives as a
header counts only where the platform's own part puts it there, over whatever the client sent.
"""

import asyncio
import time
from collections.abc import Callable
from typing import TypeAlias

import msgspec
from msgspec import Struct
from starlette.types import Scope

from core.settings import Settings

Source: TypeAlias = Callable[[Scope, Settings], float | None]
"""Returns how many seconds the platform leaves this request, `None` when it does not say."""

PLATFORM_MARGIN_S = 1.5
"""How long before the platform's limit an answer is ended, so that its end still gets out."""

ADAPTER_HEADER = b"x-amzn-lambda-context"


def deadline(scope: Scope, settings: Settings) -> float:
    """Return an event-loop time."""
    told = (source(scope, settings) for source in SOURCES)
    limits = (seconds - PLATFORM_MARGIN_S for seconds in told if seconds is not None)
    return asyncio.get_running_loop().time() + min((settings.turn_timeout_s, *limits))


def lambda_runtime(scope: Scope, settings: Settings) -> float | None:
    """Ask AWS Lambda's context, which Mangum puts in the scope (Mangum docs, "ASGI scope")."""
    context = scope.get("aws.context")
    return None if context is None else context.get_remaining_time_in_millis() / 1000


class _AdapterContext(Struct):
    """What is read of the Lambda context as the AWS Lambda Web Adapter writes it; `deadline` is Unix milliseconds."""

    deadline: int


_read_context = msgspec.json.Decoder(_AdapterContext).decode


def lambda_adapter(scope: Scope, settings: Settings) -> float | None:
    """Read the AWS Lambda Web Adapter's header, under the adapter only: anywhere else it is the client's word.

    The adapter replaces the header if a client sends one (lambda_web_adapter 1.0.0-rc1, `fetch_response`).
    """
    if not settings.lambda_adapter:
        return None
    text = next((value for name, value in scope["headers"] if name == ADAPTER_HEADER), b"")
    try:
        return _read_context(text).deadline / 1000 - time.time()
    except msgspec.MsgspecError:
        return None


def vercel(scope: Scope, settings: Settings) -> float | None:
    """Ask Vercel's runtime, which takes the header with the deadline off each request (vercel-runtime 0.23)."""
    if settings.deployment != "vercel":
        return None
    try:
        from vercel_runtime import get_deadline
    except ImportError:
        # An older runtime does not tell; the module is there only where Vercel put it.
        return None
    moment = get_deadline()
    return None if moment is None else moment.timestamp() - time.time()


SOURCES: tuple[Source, ...] = (lambda_runtime, lambda_adapter, vercel)
