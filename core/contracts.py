"""Every extension point on one screen.

A dialect is a format we serve, a wire a format as such, an upstream a service we call, a target an
upstream and one of its models, a principal who asks (with which credential), an exchange one request
and its answer. Verbs: parse bytes to a request, build a request to bytes, decode bytes to events,
encode events to bytes, render a whole thing to bytes, fold events to a response.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol
from uuid import NAMESPACE_URL, UUID, uuid5

from msgspec import Struct

from core.events import Event
from core.request import ChatRequest, Turn

if TYPE_CHECKING:
    from core.accounts import Principal
    from core.errors import GatewayError
    from core.fold import Response
    from core.signing import Signer
    from core.transport import Transport


class Capabilities(Struct, frozen=True):
    """What an upstream does by itself for a model; what it lacks the layers emulate or refuse.

    `knobs` names the canonical request's tuning fields it honours; the others are enforced by the
    gateway where that is possible (`stop`, `max_output_tokens`) or named as ignored.
    """

    tools: bool = False
    structured_output: bool = False
    knobs: frozenset[str] = frozenset()


class Target(Struct, frozen=True):
    upstream: Upstream
    model: str


class Exchange(Struct, frozen=True):
    """One request and its answer. Layers that change it pass a changed copy inward.

    `id` is 24 random letters and digits, the base of every id in the answer. `created` is Unix seconds.
    `deadline` is an event-loop time by which the answer must have ended, `None` for none.
    `forward` holds the caller's headers that an upstream may pass on, by lower-case name. `signer` makes the ids by
    which a later request finds its way back.
    """

    id: str
    created: int
    dialect: Dialect
    request: ChatRequest
    target: Target
    principal: Principal
    deadline: float | None = None
    forward: Mapping[str, str] = {}
    signer: Signer | None = None

    def uuid(self, purpose: str) -> str:
        """Return a UUID made from this exchange's id and `purpose`: the same for the same words."""
        return str(uuid5(UUID(int=NAMESPACE_URL.int), f"{self.id}/{purpose}"))


class Encoder(Protocol):
    """Turns one exchange's events into the client's bytes. No I/O, no clock, no randomness."""

    def encode(self, events: Sequence[Event]) -> bytes:
        """Return the frames of these events; the terminator follows `Finish` at once."""

    def fail(self, error: GatewayError) -> bytes:
        """Close the open block, then say `error` in the dialect's own form, then the terminator."""

    def beat(self) -> bytes:
        """Return a heartbeat that is legal here and that this dialect's clients count as progress."""


class Dialect(Protocol):
    """A format we serve."""

    name: str
    media_type: str

    def parse_request(self, body: bytes, content_type: str) -> ChatRequest:
        """Raise `InvalidRequest` or `Unsupported`, naming the field, when the body is not understood."""

    def encoder(self, exchange: Exchange) -> Encoder: ...

    def render_response(self, exchange: Exchange, response: Response) -> bytes: ...

    def render_error(self, error: GatewayError) -> bytes: ...


class Recalled(Struct, frozen=True):
    """A kept turn, read again: what was asked, and the answer."""

    question: tuple[str, ...]
    response: Response


class Decoder(Protocol):
    """Turns an upstream's bytes into events, whatever the chunking."""

    def feed(self, data: bytes) -> list[Event]:
        """Raise an `UpstreamError` that the bytes spell out, or `ProtocolViolation`."""

    def close(self) -> list[Event]:
        """Return the last events; raise `UpstreamUnavailable` if the stream was cut short."""


class Upstream(Protocol):
    """A service we call."""

    name: str

    def capabilities(self, model: str) -> Capabilities: ...

    async def model_names(self, transport: Transport) -> Sequence[str]:
        """Return the models it offers; never fails."""

    def stream(self, exchange: Exchange, transport: Transport) -> AsyncGenerator[list[Event], None]:
        """Yield the answer as batches of events, one for each network read: an async generator."""

    async def recall(self, turn: Turn, principal: Principal, transport: Transport) -> Recalled:
        """Return a kept turn. Raises `NotFound` when it is kept no more, or never was."""

    async def forget(self, turn: Turn, principal: Principal, transport: Transport) -> None:
        """Remove what is kept of a turn's conversation. Raises `NotFound`."""
