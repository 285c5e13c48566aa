"""OpenAI and every vendor that speaks its Chat Completions, as an upstream."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import TypeAlias

from msgspec import Struct

from core.accounts import Principal
from core.contracts import Capabilities, Context, Decoder, Exchange, Recalled
from core.errors import NotFound, UpstreamRejected
from core.events import Event
from core.file_form import FileForm
from core.model_list import ModelList
from core.passing import passing_body
from core.request import OutputFormat, Turn
from core.services import (
    Download,
    EmbeddingRequest,
    Embeddings,
    Encoding,
    Ranking,
    RerankRequest,
    Speech,
    Transcript,
    Transcription,
)
from core.sse import DONE_FRAME
from core.transport import Transport
from core.vendor_errors import failure
from core.vendor_http import VendorApi
from core.vendors import Abilities, Vendor
from core.wire import openai_embeddings, rerank
from core.wire.openai_audio import build as openai_audio
from core.wire.openai_chat import relay as chat_relay
from core.wire.openai_chat.build import Flavour, build_request
from core.wire.openai_chat.decode import ChatDecoder
from core.wire.openai_images import relay as image_relay
from core.wire.openai_responses import build as responses
from core.wire.openai_responses import relay as responses_relay
from core.wire.openai_responses.decode import ResponsesDecoder

_KNOBS = frozenset({"temperature", "top_p", "max_output_tokens", "parallel_tool_calls", "reasoning"})


class _Model(Struct, frozen=True):
    id: str


class _Models(Struct, frozen=True):
    data: list[_Model]


_ModelsAnswer: TypeAlias = _Models | list[_Model]
"""Together answers with the list alone."""


class OpenAICompatible:
    """One vendor. Where the client speaks the same format, bytes pass as they are."""

    def __init__(self, vendor: Vendor) -> None:
        self.name = vendor.name
        self._vendor = vendor
        key = {"authorization": f"Bearer {vendor.key.reveal()}"} if vendor.key else {}
        self._api = VendorApi(vendor, key)
        self._flavour: Flavour = "openai" if vendor.name == "openai" else "compatible"
        self._models = ModelList()

    def capabilities(self, model: str) -> Capabilities:
        abilities = self._vendor.abilities
        return Capabilities(abilities.tools, abilities.structured_output, _KNOBS)

    def honours(self, wanted: OutputFormat, exchange: Exchange) -> bool:
        return wanted.kind != "json_schema" or self._vendor.abilities.json_schema

    async def model_names(self, transport: Transport) -> Sequence[str]:
        async def ask() -> list[str]:
            answer: _ModelsAnswer = await self._api.fetch(transport, "GET", "/models", _ModelsAnswer)  # type: ignore[arg-type]
            return [model.id for model in (answer.data if isinstance(answer, _Models) else answer)]

        return await self._models.names(ask)

    async def stream(self, exchange: Exchange, transport: Transport) -> AsyncGenerator[list[Event], None]:
        path, body, decoder = self._asked(exchange)
        async with aclosing(self._api.stream(transport, path, body, decoder)) as batches:
            async for events in batches:
                yield events

    def _asked(self, exchange: Exchange) -> tuple[str, bytes, Decoder]:
        """Return what is asked where, and what reads the answer: in the client's own format if the vendor has it."""
        if exchange.dialect.name == "openai_responses" and self._vendor.abilities.responses:
            wanted = responses.build_request(exchange, "openai")
            return "/responses", wanted.body, ResponsesDecoder(self.name, partial(failure, self.name), wanted.ignored)
        abilities = self._vendor.abilities
        counted, reasoned = abilities.stream_options, abilities.reasoning_content
        built = build_request(exchange, self._flavour, counted=counted, reasoned=reasoned)
        decoder = ChatDecoder(self.name, built.ignored, f"call_{exchange.id}", built.names.own)
        return "/chat/completions", built.body, decoder

    def relays(self, exchange: Exchange) -> bool:
        lane = _LANES.get(exchange.dialect.name)
        if lane is None or not exchange.body or exchange.request.continues is not None:
            return False
        return lane.has(self._vendor.abilities) and lane.can_pass(exchange)

    async def relay(self, exchange: Exchange, transport: Transport) -> AsyncGenerator[bytes, None]:
        lane = _LANES[exchange.dialect.name]
        body = lane.body(exchange)
        headers = {"content-type": exchange.content_type} if exchange.content_type else {}
        if not exchange.request.stream:
            yield await self._api.fetch_bytes(transport, "POST", lane.path, body, headers)
            return
        data = b""
        async with aclosing(self._api.relay(transport, lane.path, body, lane.ends, headers)) as pieces:
            async for data in pieces:
                yield data
        if not lane.is_terminated(data):
            yield DONE_FRAME

    @asynccontextmanager
    async def speak(self, speech: Speech, context: Context, transport: Transport) -> AsyncGenerator[Download, None]:
        async with self._api.request(transport, "POST", "/audio/speech", openai_audio.speech_body(speech)) as reply:
            await self._api.expect(reply, "audio/", "application/octet-stream", "binary/octet-stream")
            length = reply.headers.get("content-length", "")
            size = int(length) if length.isdecimal() else None
            yield Download(reply.headers.get("content-type", "application/octet-stream"), reply, size)

    async def transcribe(self, transcription: Transcription, context: Context, transport: Transport) -> Transcript:
        form = FileForm(transcription.recording, openai_audio.transcription_fields(transcription), context.uuid("form"))
        path, headers = openai_audio.transcription_path(transcription), {"content-type": form.content_type}
        heard = await self._api.fetch(transport, "POST", path, openai_audio.Heard, form, headers)
        return openai_audio.read_heard(heard, transcription)

    async def embed(self, request: EmbeddingRequest, context: Context, transport: Transport) -> Embeddings:
        try:
            data = await self._embedded(request, request.encoding, transport)
        except UpstreamRejected as error:
            if request.encoding is None or not _may_be_about_encoding(error):
                raise
            data = await self._embedded(request, None, transport)
        return await asyncio.to_thread(openai_embeddings.read_answer, data, request, self.name)

    async def _embedded(self, request: EmbeddingRequest, encoding: Encoding | None, transport: Transport) -> bytes:
        body = openai_embeddings.build_request(request, encoding)
        return await self._api.fetch_bytes(transport, "POST", "/embeddings", body)

    def reranks(self, model: str) -> bool:
        return self._vendor.abilities.rerank

    async def rerank(self, request: RerankRequest, context: Context, transport: Transport) -> Ranking:
        data = await self._api.fetch_bytes(transport, "POST", "/rerank", rerank.build_request(request))
        return await asyncio.to_thread(rerank.read_answer, data, request, self.name)

    async def recall(self, turn: Turn, principal: Principal, transport: Transport) -> Recalled:
        raise NotFound(f"{self.name} keeps no turns")

    async def forget(self, turn: Turn, principal: Principal, transport: Transport) -> None:
        raise NotFound(f"{self.name} keeps no turns")


def _may_be_about_encoding(error: UpstreamRejected) -> bool:
    """Say whether a vendor may have refused the way in which vectors are to be written: 422 is for fields unknown."""
    return error.upstream_status == 422 or "encoding" in f"{error.param} {error.message}".lower()


class _Lane(Struct, frozen=True):
    """How a body of one of OpenAI's formats passes as it is: to which path, whether it may, and where its answer ends.

    `is_terminated` says of the last frames that nothing is missing behind them; else the terminator is.
    """

    path: str
    has: Callable[[Abilities], bool]
    can_pass: Callable[[Exchange], bool]
    body: Callable[[Exchange], bytes]
    ends: Callable[[bytes], bool]
    is_terminated: Callable[[bytes], bool]


def _text_lane(path: str, has: Callable[[Abilities], bool]) -> _Lane:
    return _Lane(
        path,
        has,
        lambda exchange: chat_relay.can_pass(exchange.body),
        lambda exchange: chat_relay.passing_body(exchange.body, exchange.request, exchange.target.model),
        chat_relay.is_last,
        chat_relay.is_terminated,
    )


def _picture_lane(path: str) -> _Lane:
    return _Lane(
        path,
        lambda abilities: True,
        lambda exchange: image_relay.can_pass(exchange.request),
        lambda exchange: image_relay.passing_body(
            exchange.body, exchange.content_type, exchange.request, exchange.target.model
        ),
        image_relay.is_last,
        lambda frames: True,
    )


_RESPONSES_LANE = _Lane(
    "/responses",
    lambda abilities: abilities.responses,
    lambda exchange: responses_relay.can_pass(exchange.body, exchange.request),
    lambda exchange: passing_body(exchange.body, exchange.request, exchange.target.model),
    responses_relay.is_last,
    lambda frames: True,
)

_LANES: Mapping[str, _Lane] = {
    "openai_chat": _text_lane("/chat/completions", lambda abilities: True),
    "openai_completions": _text_lane("/completions", lambda abilities: abilities.completions),
    "openai_responses": _RESPONSES_LANE,
    "openai_image_generation": _picture_lane("/images/generations"),
    "openai_image_edit": _picture_lane("/images/edits"),
    "openai_image_variation": _picture_lane("/images/variations"),
}
"""By the name of the client's dialect."""
