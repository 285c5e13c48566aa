"""OpenAI's legacy Completions: `requests` parses what clients send, `stream` makes what they read."""

from core.contracts import Encoder, Exchange
from core.errors import GatewayError
from core.fold import Response
from core.openai_words import render_error
from core.request import ChatRequest


class OpenAICompletions:
    """The dialect: a prompt becomes a chat of one message."""

    name = "openai_completions"
    media_type = "application/json"

    def parse_request(self, body: bytes, content_type: str) -> ChatRequest:
        from core.wire.openai_completions import requests

        return requests.parse_request(body)

    def encoder(self, exchange: Exchange) -> Encoder:
        from core.wire.openai_completions import stream

        return stream.CompletionEncoder(exchange)

    def render_response(self, exchange: Exchange, response: Response) -> bytes:
        from core.wire.openai_completions import stream

        return stream.render_response(exchange, response)

    def render_error(self, error: GatewayError) -> bytes:
        return render_error(error)

    def fail_relayed(self, exchange: Exchange, error: GatewayError, begun: bytes = b"") -> bytes:
        from core.wire.openai_completions import stream

        return stream.CompletionEncoder(exchange).fail(error)


OPENAI_COMPLETIONS = OpenAICompletions()
