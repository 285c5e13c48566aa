"""`POST /backend-api/conversation`: a turn in ChatGPT Web's own words, its answer byte for byte (AU-59)."""

from contextlib import AbstractAsyncContextManager

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from api.handlers import gateway_of
from api.middleware.intake import read_body
from core.contracts import Context, RawSpeaker
from core.errors import InvalidRequest
from core.routing import offering
from core.services import RawAnswer, RawTurn

ACCOUNT = "x-isthmus-account"
"""In an answer: which account gave it, by its digest. In a request: which one must answer.

A conversation is kept by one account, and its id does not say by which: with several accounts, the caller does.
"""

LONGEST_DIGEST_CHARS = 64


async def conversation(request: Request) -> "Passed":
    """Answer a turn as the upstream answers it, refusals in JSON included."""
    gateway = gateway_of(request.scope)
    context: Context = request.scope["context"]
    body = await read_body(request.scope, request.receive, gateway.settings.max_body_bytes)
    turn = RawTurn(body, _account(request))
    speaker = offering(RawSpeaker, gateway.upstreams)  # type: ignore[type-abstract]
    request.scope["upstream"] = speaker.name
    return Passed(speaker.raw(turn, context, gateway.transport))


def _account(request: Request) -> str | None:
    named = request.headers.get(ACCOUNT, "").strip()
    if len(named) > LONGEST_DIGEST_CHARS or (not named.isalnum() and named):
        raise InvalidRequest(f"{ACCOUNT} must be the value of that header in an earlier answer", param=ACCOUNT)
    return named or None


class Passed:
    """The response: status, a few headers and the body as they come. What breaks off upstream breaks off here."""

    def __init__(self, opened: AbstractAsyncContextManager[RawAnswer]) -> None:
        self._opened = opened

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._opened as answer:
            headers = [(name.encode(), value.encode("latin-1")) for name, value in answer.headers.items()]
            if answer.account is not None:
                headers.append((ACCOUNT.encode(), answer.account.encode()))
            await send({"type": "http.response.start", "status": answer.status, "headers": headers})
            async for data in answer.chunks:
                await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
