"""Anthropic, and every vendor that speaks its Messages API, as an upstream."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from msgspec import Raw, Struct, json

from core.accounts import Principal
from core.contracts import Capabilities, Exchange, Recalled
from core.errors import NotFound
from core.events import Event
from core.model_list import ModelList
from core.passing import passing_body
from core.request import OutputFormat, Reasoning, Turn
from core.transport import Transport
from core.vendor_http import VendorApi
from core.vendors import Vendor
from core.wire.anthropic.build import build_request, count_body
from core.wire.anthropic.decode import MessagesDecoder
from core.wire.anthropic.opaque import WIRE, Seal, seal_of
from core.wire.anthropic.schemas import adapted
from core.wire.anthropic.thinking import FIRST_STRUCTURED, generation

VERSION = "2023-06-01"
"""The version of the API whose streams the decoder reads."""

FORWARDED = ("anthropic-beta", "anthropic-version")
"""The caller's headers that go with a body which passes as it is."""

_KNOBS = frozenset({"temperature", "top_p", "max_output_tokens", "parallel_tool_calls", "reasoning"})
_FIELDS = json.Decoder(dict[str, Raw])
_LAST_WORDS = tuple(b'"type":%b"%b"' % (space, kind) for space in (b"", b" ") for kind in (b"message_stop", b"error"))
"""What the data of a last event begins with. In a text the quotation marks would be escaped."""


class _Model(Struct, frozen=True):
    id: str


class _Models(Struct, frozen=True):
    data: list[_Model]


class _Count(Struct, frozen=True):
    input_tokens: int


class Anthropic:
    """One vendor. Where the client speaks the same format, bytes pass as they are."""

    def __init__(self, vendor: Vendor) -> None:
        self.name = vendor.name
        self._vendor = vendor
        key = {"x-api-key": vendor.key.reveal()} if vendor.key else {}
        self._api = VendorApi(vendor, {"anthropic-version": VERSION, **key})
        self._models = ModelList()

    def capabilities(self, model: str) -> Capabilities:
        abilities = self._vendor.abilities
        return Capabilities(abilities.tools, abilities.structured_output, _KNOBS)

    def honours(self, wanted: OutputFormat, exchange: Exchange) -> bool:
        """A format that passes as it came is Anthropic's own to judge."""
        if self.relays(exchange):
            return True
        known = generation(exchange.target.model)
        return known is not None and known >= FIRST_STRUCTURED and adapted(wanted) is not None

    async def model_names(self, transport: Transport) -> Sequence[str]:
        async def ask() -> list[str]:
            answer = await self._api.fetch(transport, "GET", "/v1/models?limit=1000", _Models)
            return [model.id for model in answer.data]

        return await self._models.names(ask)

    async def stream(self, exchange: Exchange, transport: Transport) -> AsyncGenerator[list[Event], None]:
        built = build_request(exchange)
        decoder = MessagesDecoder(self.name, built.names, built.ignored)
        headers = _betas(exchange)
        async with aclosing(self._api.stream(transport, "/v1/messages", built.body, decoder, headers)) as batches:
            async for events in batches:
                yield events

    def relays(self, exchange: Exchange) -> bool:
        return exchange.dialect.name == WIRE and bool(exchange.body) and not _has_unsigned_thoughts(exchange)

    async def relay(self, exchange: Exchange, transport: Transport) -> AsyncGenerator[bytes, None]:
        body, headers = _body(exchange), _forwarded(exchange)
        if not exchange.request.stream:
            yield await self._api.fetch_bytes(transport, "POST", "/v1/messages", body, headers)
            return
        async with aclosing(self._api.relay(transport, "/v1/messages", body, _is_last, headers)) as pieces:
            async for data in pieces:
                yield data

    async def count_tokens(self, exchange: Exchange, transport: Transport) -> int:
        same = self.relays(exchange)
        body = _body(exchange) if same else count_body(build_request(exchange).body)
        headers = _forwarded(exchange) if same else _betas(exchange)
        path = "/v1/messages/count_tokens"
        return (await self._api.fetch(transport, "POST", path, _Count, body, headers)).input_tokens

    async def recall(self, turn: Turn, principal: Principal, transport: Transport) -> Recalled:
        raise NotFound(f"{self.name} keeps no turns")

    async def forget(self, turn: Turn, principal: Principal, transport: Transport) -> None:
        raise NotFound(f"{self.name} keeps no turns")


def _body(exchange: Exchange) -> bytes:
    return passing_body(exchange.body, exchange.request, exchange.target.model)


def _forwarded(exchange: Exchange) -> dict[str, str]:
    return {name: value for name, value in exchange.forward.items() if name in FORWARDED}


def _betas(exchange: Exchange) -> dict[str, str]:
    """Return the betas that a client of the same format asks for: the fields that they allow are sent as extras."""
    wanted = exchange.forward.get("anthropic-beta") if exchange.dialect.name == WIRE else None
    return {"anthropic-beta": wanted} if wanted else {}


def _has_unsigned_thoughts(exchange: Exchange) -> bool:
    """Say whether the conversation holds thoughts of another vendor's model: Anthropic would refuse them."""
    parts = (part for message in exchange.request.messages for part in message.parts)
    return any(isinstance(part, Reasoning) and seal_of(part.opaque) == Seal() for part in parts)


def _is_last(frames: bytes) -> bool:
    """Say whether the answer is complete, or was ended by an error of which the client is told by these very bytes."""
    return any(words in frames for words in _LAST_WORDS)
