"""Google's Gemini API, both ways: generateContent, streamGenerateContent and countTokens.

`requests` parses what clients send, `stream` encodes what they read; `build` makes what Gemini is sent, `decode` reads
what it answers.
"""

from collections.abc import Mapping

from msgspec import json, structs

from core.contracts import Encoder, Exchange
from core.errors import GatewayError
from core.fold import Response
from core.request import ChatRequest
from core.wire.gemini.errors import render_error
from core.wire.gemini.signatures import WIRE


class Gemini:
    """The dialect. The URL says which model is meant and whether its answer is streamed, and in which form."""

    name = WIRE
    media_type = "application/json"

    def __init__(self, streams: bool = False) -> None:
        self._streams = streams

    def parse_request(self, body: bytes, content_type: str) -> ChatRequest:
        from core.wire.gemini import requests

        return requests.parse_request(body, self._streams)

    def read_path(self, request: ChatRequest, path: Mapping[str, str]) -> ChatRequest:
        return structs.replace(request, model=path["model"])

    def read_query(self, request: ChatRequest, query: str) -> ChatRequest:
        from core.wire.gemini import requests

        return requests.read_query(request, query)

    def encoder(self, exchange: Exchange) -> Encoder:
        from core.wire.gemini import stream

        return stream.GeminiEncoder(exchange)

    def render_response(self, exchange: Exchange, response: Response) -> bytes:
        from core.wire.gemini import stream

        return stream.render_response(exchange, response)

    def render_error(self, error: GatewayError) -> bytes:
        return render_error(error)

    def fail_relayed(self, exchange: Exchange, error: GatewayError, begun: bytes = b"") -> bytes:
        from core.wire.gemini import stream

        return stream.error_frames(error)


class GeminiCount(Gemini):
    """The dialect of countTokens, whose body may hold a whole request."""

    def parse_request(self, body: bytes, content_type: str) -> ChatRequest:
        from core.wire.gemini import requests

        return requests.parse_count(body)

    def render_count(self, tokens: int) -> bytes:
        return json.encode({"totalTokens": tokens})


GEMINI = Gemini()
GEMINI_STREAM = Gemini(streams=True)
GEMINI_COUNT = GeminiCount()
