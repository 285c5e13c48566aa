"""Anthropic Messages: `requests` and `messages` parse what clients send, `stream` and `objects` make what they read.

For Anthropic as an upstream, `build` writes requests and `decode` reads streams.
"""

from msgspec import json

from core.contracts import Encoder, Exchange
from core.errors import GatewayError
from core.fold import Response
from core.request import ChatRequest
from core.wire.anthropic.errors import render_error
from core.wire.anthropic.opaque import WIRE


class AnthropicMessages:
    """The dialect, with Anthropic's error shape."""

    name = WIRE
    media_type = "application/json"

    def parse_request(self, body: bytes, content_type: str) -> ChatRequest:
        from core.wire.anthropic import requests

        return requests.parse_request(body)

    def encoder(self, exchange: Exchange) -> Encoder:
        from core.wire.anthropic import stream

        return stream.MessagesEncoder(exchange)

    def render_response(self, exchange: Exchange, response: Response) -> bytes:
        from core.wire.anthropic import objects

        return objects.render_response(exchange, response)

    def render_error(self, error: GatewayError) -> bytes:
        return render_error(error)

    def fail_relayed(self, exchange: Exchange, error: GatewayError, begun: bytes = b"") -> bytes:
        from core.wire.anthropic import stream

        return stream.error_frame(error)


class AnthropicTokenCount(AnthropicMessages):
    """The dialect of `POST /v1/messages/count_tokens`: a Messages request without a limit, which nobody answers."""

    def parse_request(self, body: bytes, content_type: str) -> ChatRequest:
        from core.wire.anthropic import requests

        return requests.parse_request(body, needs_max_tokens=False)

    def render_count(self, tokens: int) -> bytes:
        return json.encode({"input_tokens": tokens})


ANTHROPIC_MESSAGES = AnthropicMessages()
ANTHROPIC_TOKEN_COUNT = AnthropicTokenCount()
