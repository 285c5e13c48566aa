"""OpenAI Responses: `requests` parses what clients send, `objects` and `stream` make what they read."""

from msgspec import json, structs

from core.contracts import Encoder, Exchange
from core.errors import GatewayError, Unsupported
from core.fold import Response
from core.openai_words import render_error
from core.request import ChatRequest


class OpenAIResponses:
    """The dialect; its early errors have the shape of Chat Completions' (ruling 8)."""

    name = "openai_responses"
    media_type = "application/json"

    def parse_request(self, body: bytes, content_type: str) -> ChatRequest:
        from core.wire.openai_responses import requests

        return requests.parse_request(body, content_type)

    def encoder(self, exchange: Exchange) -> Encoder:
        from core.wire.openai_responses import stream

        return stream.ResponsesEncoder(exchange)

    def render_response(self, exchange: Exchange, response: Response) -> bytes:
        from core.wire.openai_responses import stream

        return stream.render_response(exchange, response)

    def render_error(self, error: GatewayError) -> bytes:
        return render_error(error)

    def fail_relayed(self, exchange: Exchange, error: GatewayError, begun: bytes = b"") -> bytes:
        from core.wire.openai_responses import stream

        return stream.failed_frame(exchange, error, begun)


class OpenAICompaction(OpenAIResponses):
    """The dialect of `POST /v1/responses/compact`: a Responses request in, a compacted history out."""

    name = "openai_compaction"

    def parse_request(self, body: bytes, content_type: str) -> ChatRequest:
        from core.wire.openai_responses.compaction import asks_for_summary

        return structs.replace(asks_for_summary(super().parse_request(body, content_type)), stream=False)

    def encoder(self, exchange: Exchange) -> Encoder:
        raise NotImplementedError("a compaction is never streamed")

    def render_response(self, exchange: Exchange, response: Response) -> bytes:
        from core.wire.openai_responses import stream

        return stream.render_compaction(exchange, response)


class OpenAITokenCount(OpenAIResponses):
    """The dialect of `POST /v1/responses/input_tokens`: a Responses request that nobody answers."""

    def parse_request(self, body: bytes, content_type: str) -> ChatRequest:
        request = super().parse_request(body, content_type)
        if request.previous is not None:
            where = request.previous_where
            raise Unsupported(f"{where}: the tokens of what is kept upstream cannot be counted", param=where)
        return request

    def render_count(self, tokens: int) -> bytes:
        return json.encode({"object": "response.input_tokens", "input_tokens": tokens})


OPENAI_RESPONSES = OpenAIResponses()
OPENAI_COMPACTION = OpenAICompaction()
OPENAI_TOKEN_COUNT = OpenAITokenCount()
