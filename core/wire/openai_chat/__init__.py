"""OpenAI Chat Completions: `requests` parses what clients send, `stream` encodes what they read."""

from core.contracts import Encoder, Exchange
from core.errors import GatewayError
from core.fold import Response
from core.openai_words import render_error
from core.request import ChatRequest


class OpenAIChat:
    """The dialect, with OpenAI's error shape: also that of every `/v1` route without a dialect of its own."""

    name = "openai_chat"
    media_type = "application/json"

    def parse_request(self, body: bytes, content_type: str) -> ChatRequest:
        from core.wire.openai_chat import requests

        return requests.parse_request(body, content_type)

    def encoder(self, exchange: Exchange) -> Encoder:
        from core.wire.openai_chat import stream

        return stream.ChatEncoder(exchange)

    def render_response(self, exchange: Exchange, response: Response) -> bytes:
        from core.wire.openai_chat import stream

        return stream.render_response(exchange, response)

    def render_error(self, error: GatewayError) -> bytes:
        return render_error(error)

    def fail_relayed(self, exchange: Exchange, error: GatewayError, begun: bytes = b"") -> bytes:
        from core.wire.openai_chat import stream

        return stream.ChatEncoder(exchange).fail(error)


OPENAI_CHAT = OpenAIChat()
