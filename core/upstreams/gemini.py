"""Google's Gemini API as an upstream."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from urllib.parse import quote

from msgspec import Raw, Struct, json

from core.accounts import Principal
from core.contracts import Capabilities, Context, Exchange, Recalled
from core.errors import InvalidRequest, NotFound
from core.events import Event
from core.media import Blob
from core.model_list import ModelList
from core.parallel import side_by_side
from core.request import OutputFormat, Turn
from core.services import EmbeddingRequest, Embeddings
from core.transport import Transport
from core.vendor_http import VendorApi
from core.vendors import Vendor
from core.wire.gemini import embeddings
from core.wire.gemini.build import build_request
from core.wire.gemini.decode import GeminiDecoder
from core.wire.gemini.requests import ALT
from core.wire.gemini.schemas import is_kept_to
from core.wire.gemini.signatures import WIRE, has_unsigned_call
from core.wire.gemini.thinking import FIRST_SIGNING, generation
from core.wire.gemini.turns import Reference, references

VERSION = "/v1beta"
"""The version of the API that has JSON Schema, signatures and thinking levels."""

MAX_FETCHED_BYTES = 20 << 20
"""A request with data of its own may have 20 MB in all (Google's page on file input, November 2026)."""
MAX_FETCHES = 50
FETCHES_AT_ONCE = 4
BATCHES_AT_ONCE = 4

_KNOBS = frozenset({"temperature", "top_p", "max_output_tokens", "reasoning"})

_LAST_WORDS = (b'"finishReason"', b'"blockReason"')
_GENERATES = "generateContent"


class _Model(Struct, frozen=True, rename="camel"):
    name: str
    supported_generation_methods: tuple[str, ...] = (_GENERATES,)


class _Models(Struct, frozen=True):
    models: tuple[_Model, ...] = ()


class _Count(Struct, frozen=True, rename="camel"):
    total_tokens: int = 0


class Gemini:
    """One vendor. Where the client speaks the same format, bytes pass as they are."""

    def __init__(self, vendor: Vendor) -> None:
        self.name = vendor.name
        self._vendor = vendor
        self._api = VendorApi(vendor, {"x-goog-api-key": vendor.key.reveal()} if vendor.key else {})
        self._models = ModelList()

    def capabilities(self, model: str) -> Capabilities:
        abilities = self._vendor.abilities
        return Capabilities(abilities.tools, abilities.structured_output, _KNOBS)

    def honours(self, wanted: OutputFormat, exchange: Exchange) -> bool:
        """Gemini's own clients ask in its own terms. Before Gemini 3 a format and functions exclude each other."""
        if exchange.dialect.name == WIRE:
            return True
        has_both = bool(exchange.request.tools) and generation(exchange.target.model) < FIRST_SIGNING
        return is_kept_to(wanted) and not has_both

    async def model_names(self, transport: Transport) -> Sequence[str]:
        async def ask() -> list[str]:
            answer = await self._api.fetch(transport, "GET", f"{VERSION}/models?pageSize=1000", _Models)
            offered = (model for model in answer.models if _GENERATES in model.supported_generation_methods)
            return [model.name.removeprefix("models/") for model in offered]

        return await self._models.names(ask)

    async def stream(self, exchange: Exchange, transport: Transport) -> AsyncGenerator[list[Event], None]:
        request = exchange.request
        built = build_request(exchange, await self._fetched(exchange, transport))
        custom = frozenset(tool.name for tool in request.tools if tool.kind == "custom")
        is_same = exchange.dialect.name == WIRE
        decoder = GeminiDecoder(self.name, built.ignored, f"call_{exchange.id}", custom, signs_texts=is_same)
        path = _path(exchange, "streamGenerateContent?alt=sse")
        async with aclosing(self._api.stream(transport, path, built.body, decoder)) as batches:
            async for events in batches:
                yield events

    def relays(self, exchange: Exchange) -> bool:
        """Bodies pass as they are, unless a model that signs its calls would be shown one without a signature."""
        if exchange.dialect.name != WIRE or not exchange.body or ALT in exchange.request.echo:
            return False
        signs = generation(exchange.target.model) >= FIRST_SIGNING
        return not (signs and has_unsigned_call(exchange.request.messages))

    async def relay(self, exchange: Exchange, transport: Transport) -> AsyncGenerator[bytes, None]:
        if not exchange.request.stream:
            yield await self._api.fetch_bytes(transport, "POST", _path(exchange, _GENERATES), exchange.body)
            return
        path = _path(exchange, "streamGenerateContent?alt=sse")
        async with aclosing(self._api.relay(transport, path, exchange.body, _is_last)) as pieces:
            async for data in pieces:
                yield data

    async def count_tokens(self, exchange: Exchange, transport: Transport) -> int:
        body = exchange.body
        if not self.relays(exchange):
            built = build_request(exchange, await self._fetched(exchange, transport))
            whole = {"model": f"models/{exchange.target.model}", **json.decode(built.body, type=dict[str, Raw])}
            body = json.encode({"generateContentRequest": whole})
        path = _path(exchange, "countTokens")
        return (await self._api.fetch(transport, "POST", path, _Count, body)).total_tokens

    async def embed(self, request: EmbeddingRequest, context: Context, transport: Transport) -> Embeddings:
        calls = [partial(self._embed_batch, batch, transport) for batch in embeddings.batches(request)]
        return embeddings.joined(await side_by_side(calls, BATCHES_AT_ONCE))

    async def _embed_batch(self, request: EmbeddingRequest, transport: Transport) -> Embeddings:
        body = embeddings.build_request(request, self.name)
        path = f"{VERSION}/models/{quote(request.model, safe='')}:batchEmbedContents"
        data = await self._api.fetch_bytes(transport, "POST", path, body)
        return await asyncio.to_thread(embeddings.read_answer, data, request, self.name)

    async def recall(self, turn: Turn, principal: Principal, transport: Transport) -> Recalled:
        raise NotFound(f"{self.name} keeps no turns")

    async def forget(self, turn: Turn, principal: Principal, transport: Transport) -> None:
        raise NotFound(f"{self.name} keeps no turns")

    async def _fetched(self, exchange: Exchange, transport: Transport) -> Mapping[str, Blob]:
        """Return the bytes of what the request names by URL: Gemini is sent bytes, except by its own clients."""
        wanted = () if exchange.dialect.name == WIRE else references(exchange.request)
        if len(wanted) > MAX_FETCHES:
            where = wanted[MAX_FETCHES].where
            raise InvalidRequest(f"{where}: more than {MAX_FETCHES} URLs would have to be fetched", param=where)
        budget = _Budget(transport)
        calls = [partial(budget.fetch, reference) for reference in wanted]
        blobs = await side_by_side(calls, FETCHES_AT_ONCE) if calls else ()
        return dict(zip((reference.url for reference in wanted), blobs, strict=True))


class _Budget:
    """Fetches for one request, so many bytes in all."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._left = MAX_FETCHED_BYTES

    async def fetch(self, reference: Reference) -> Blob:
        """Raise `InvalidRequest` for the field whose URL cannot be had, or is too much."""
        where = reference.where
        fetched = await self._transport.fetch_public(reference.url, param=where, limit_bytes=MAX_FETCHED_BYTES)
        self._left -= len(fetched.data)
        if self._left < 0:
            message = f"{where}: what has to be fetched is more than {MAX_FETCHED_BYTES} bytes in all"
            raise InvalidRequest(message, param=where)
        return Blob(fetched.data, fetched.media_type or "")


def _path(exchange: Exchange, method: str) -> str:
    return f"{VERSION}/models/{quote(exchange.target.model, safe='')}:{method}"


def _is_last(frames: bytes) -> bool:
    """Say whether the answer is complete: it has a reason for its finish, or the prompt was refused."""
    return any(words in frames for words in _LAST_WORDS)
