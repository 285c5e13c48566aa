"""Keeps an answer within what AWS Lambda carries back, and says so in the dialect's shape when it does not fit.

Lambda refuses a larger one itself, and its client gets a bare 502. Nothing is sent before the answer is whole, so
a failure in its middle keeps its true status too.
"""

from collections.abc import Sequence

from msgspec import json
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.middleware.errors import respond
from core.errors import GatewayError, Unsupported
from core.wire.openai_chat import OPENAI_CHAT

LIMIT_BYTES = 6 * 1024 * 1024
"""The largest answer of a buffered invocation, as the JSON that carries it (AWS Lambda quotas)."""

LOAD_BALANCER_LIMIT_BYTES = 1024 * 1024
"""The same behind an Application Load Balancer (Elastic Load Balancing docs, "Lambda functions as targets")."""

ENVELOPE_BYTES = 16 * 1024
"""What status and headers take beside the body, generously."""


class Payload:
    """`text_types`: parts of content types whose bodies travel as text; all others travel as base64."""

    def __init__(self, app: ASGIApp, text_types: Sequence[str]) -> None:
        self.app = app
        self.text_types = text_types

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        held: list[Message] = []

        async def hold(message: Message) -> None:
            held.append(message)

        try:
            await self.app(scope, receive, hold)
            self._check(held, scope)
        except GatewayError as error:
            await respond(scope, send, scope.get("dialect", OPENAI_CHAT), error)
            return
        for message in held:
            await send(message)

    def _check(self, held: Sequence[Message], scope: Scope) -> None:
        """Raise `Unsupported` for an answer that does not fit."""
        limit = LOAD_BALANCER_LIMIT_BYTES if "elb" in scope["aws.event"]["requestContext"] else LIMIT_BYTES
        body = b"".join(message.get("body", b"") for message in held)
        if len(body) * 6 < limit - ENVELOPE_BYTES:  # JSON writes a byte as six at most
            return
        size = carried_bytes(body, self._is_text(held[0])) + ENVELOPE_BYTES
        if size > limit:
            raise too_large(size, limit)

    def _is_text(self, start: Message) -> bool:
        content_type = dict(start.get("headers", ())).get(b"content-type", b"").decode("latin-1")
        return any(part in content_type for part in self.text_types)


def carried_bytes(body: bytes, is_text: bool) -> int:
    """Return how long a body is inside Lambda's JSON: escaped as text, or in base64 when it is none."""
    if is_text:
        try:
            return len(json.encode(body.decode()))
        except UnicodeDecodeError:
            pass
    return -(-len(body) // 3) * 4


def too_large(size: int, limit: int) -> GatewayError:
    message = (
        f"the answer takes {size} bytes and this deployment carries {limit}: "
        "ask for less, or use the gateway's streaming address"
    )
    return Unsupported(message, code="response_too_large")
