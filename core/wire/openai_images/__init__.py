"""OpenAI's Images API: `requests`, `forms` and `sources` read what clients send, `stream` makes what they read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.contracts import Encoder, Exchange
from core.errors import GatewayError
from core.fold import Response
from core.openai_words import render_error
from core.request import ChatRequest

if TYPE_CHECKING:
    from core.wire.openai_images.requests import Call


class OpenAIImages:
    """The dialect of one of the three calls."""

    media_type = "application/json"

    def __init__(self, call: Call) -> None:
        self.name = f"openai_image_{call}"
        self._call: Call = call

    def parse_request(self, body: bytes, content_type: str) -> ChatRequest:
        from core.wire.openai_images import requests

        return requests.parse_request(self._call, body, content_type)

    def read_query(self, request: ChatRequest, query: str) -> ChatRequest:
        from core.wire.openai_images import requests

        return requests.read_query(request, query)

    def encoder(self, exchange: Exchange) -> Encoder:
        from core.wire.openai_images import stream

        return stream.encoder(self._call, exchange)

    def render_response(self, exchange: Exchange, response: Response) -> bytes:
        from core.wire.openai_images import stream

        return stream.render_response(exchange, response)

    def render_error(self, error: GatewayError) -> bytes:
        return render_error(error)

    def fail_relayed(self, exchange: Exchange, error: GatewayError, begun: bytes = b"") -> bytes:
        from core.wire.openai_images import stream

        return stream.relayed_failure(error)


OPENAI_IMAGE_GENERATIONS = OpenAIImages("generation")
OPENAI_IMAGE_EDITS = OpenAIImages("edit")
OPENAI_IMAGE_VARIATIONS = OpenAIImages("variation")
