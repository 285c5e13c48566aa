"""Every extension point on one screen.

A dialect is a format we serve, a wire a format as such, an upstream a service we call, a target an
upstream and one of its models, a principal who asks (with which credential), an exchange one request
and its answer. Verbs: parse bytes to a request, build a request to bytes, decode bytes to events,
encode events to bytes, render a whole thing to bytes, fold events to a response.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Protocol, runtime_checkable
from uuid import NAMESPACE_URL, UUID, uuid5

from msgspec import Struct

from core.events import Event
from core.request import ChatRequest, OutputFormat, StoredFile, Turn

if TYPE_CHECKING:
    from core.accounts import Principal, Secret
    from core.errors import GatewayError
    from core.fold import Response
    from core.services import (
        AccountUsage,
        Download,
        EmbeddingRequest,
        Embeddings,
        Grant,
        Ranking,
        RawAnswer,
        RawTurn,
        RerankRequest,
        Speech,
        Transcript,
        Transcription,
        Upload,
    )
    from core.signing import Signer
    from core.transport import Transport


class Capabilities(Struct, frozen=True):
    """What an upstream does by itself for a model; what it lacks the layers emulate or refuse.

    `knobs` names the canonical request's tuning fields it honours; the others are enforced by the
    gateway where that is possible (`max_output_tokens`; `stop` it always sees to) or named as ignored.
    """

    tools: bool = False
    structured_output: bool = False
    knobs: frozenset[str] = frozenset()


class Target(Struct, frozen=True):
    upstream: Upstream
    model: str


class Context(Struct, frozen=True, kw_only=True):
    """What goes with a request to an upstream, whatever is asked.

    `id` is 24 random letters and digits, the base of every id in the answer. `created` is Unix seconds.
    `deadline` is an event-loop time by which the answer must have ended, `None` for none.
    `forward` holds the caller's headers that an upstream may pass on, by lower-case name. `signer` makes the ids by
    which a later request finds its way back. `public_url` is where the client reached this gateway, without a path.
    """

    id: str
    created: int
    principal: Principal
    deadline: float | None = None
    forward: Mapping[str, str] = {}
    signer: Signer | None = None
    public_url: str = ""

    def uuid(self, purpose: str) -> str:
        """Return a UUID made from this request's id and `purpose`: the same for the same words."""
        return str(uuid5(UUID(int=NAMESPACE_URL.int), f"{self.id}/{purpose}"))

    def link(self, file: StoredFile) -> str:
        """Return a URL of this gateway under which a file can be had for a while, by whoever holds the URL."""
        if self.signer is None:
            raise RuntimeError("a link needs a signer")
        return f"{self.public_url}/v1/files/{self.signer.sign_link(file, self.principal, self.created)}/content"


class Exchange(Context, frozen=True, kw_only=True):
    """One turn and its answer. Layers that change it pass a changed copy inward.

    `body` is the client's own, for an upstream that speaks the same format; empty once `request` differs from it, and
    where no target is a `Relay`.
    `content_type` is that of a body which is no JSON.
    `fallbacks` are the targets to try in turn when `target` fails before it has begun to answer.
    """

    dialect: Dialect
    request: ChatRequest
    target: Target
    body: bytes = b""
    content_type: str | None = None
    fallbacks: tuple[Target, ...] = ()


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

    def fail_relayed(self, exchange: Exchange, error: GatewayError, begun: bytes = b"") -> bytes:
        """Return the frames that end a stream whose bytes came from the upstream as they were, with an error.

        `begun` is how the stream began: its first frames.
        """


@runtime_checkable
class Framed(Protocol):
    """An encoder whose stream is something else than server-sent events; it says what."""

    media_type: str


@runtime_checkable
class Placed(Protocol):
    """A dialect in which the URL's path says a part of what is asked."""

    def read_path(self, request: ChatRequest, path: Mapping[str, str]) -> ChatRequest:
        """Return the request with what the route's parameters say."""


@runtime_checkable
class Addressed(Protocol):
    """A dialect in which the URL's query says a part of what is asked."""

    def read_query(self, request: ChatRequest, query: str) -> ChatRequest:
        """Return the request with what the URL's query says, `query` being without its `?`. Raises `InvalidRequest`."""


class Recalled(Struct, frozen=True):
    """A kept turn, read again: what was asked, and the answer."""

    question: tuple[str, ...]
    response: Response


class Decoder(Protocol):
    """Turns an upstream's bytes into events, whatever the chunking."""

    @property
    def over(self) -> bool:
        """Say whether the last word was said, so that there is nothing to wait for."""

    def feed(self, data: bytes) -> list[Event]:
        """Raise an `UpstreamError` that the bytes spell out, or `ProtocolViolation`."""

    def close(self) -> list[Event]:
        """Return the last events; raise what `feed` raised, or `UpstreamUnavailable` if the stream was cut short."""


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


@runtime_checkable
class Relay(Protocol):
    """An upstream that can speak a client's own format, so that its bytes pass as they are."""

    def relays(self, exchange: Exchange) -> bool:
        """Say whether this exchange needs no translation: same format, and nothing in it that only the waist knows."""

    def relay(self, exchange: Exchange, transport: Transport) -> AsyncGenerator[bytes, None]:
        """Yield the answer's body: whole frames of a stream, or pieces of a whole answer.

        Ends only when the answer is complete; raises `UpstreamError` before the first piece as `stream` does.
        """


@runtime_checkable
class Selective(Protocol):
    """An upstream whose structured output covers some formats only; the gateway emulates the others."""

    def honours(self, wanted: OutputFormat, exchange: Exchange) -> bool:
        """Say whether the exchange's target answers in this format, beside all else that is asked of it."""


# What an upstream may offer besides turns: it implements the protocol, or it does not. All of these raise
# `UpstreamError`; what is not found upstream is `NotFound`.


@runtime_checkable
class FileKeeper(Protocol):
    """Keeps files that later turns can name."""

    name: str

    async def upload(self, upload: Upload, context: Context, transport: Transport) -> StoredFile: ...

    async def describe(self, file: StoredFile, context: Context, transport: Transport) -> StoredFile:
        """Return the file with what the upstream says of it."""

    def open_file(
        self, file: StoredFile, context: Context, transport: Transport
    ) -> AbstractAsyncContextManager[Download]:
        """Give the file's bytes as they come; leaving the context ends the transfer."""

    async def remove_file(self, file: StoredFile, context: Context, transport: Transport) -> None: ...


@runtime_checkable
class Speaker(Protocol):
    """Reads a text aloud."""

    name: str

    def speak(self, speech: Speech, context: Context, transport: Transport) -> AbstractAsyncContextManager[Download]:
        """Give the sound as it comes; what is left behind upstream is removed when the context is left."""


@runtime_checkable
class Transcriber(Protocol):
    """Writes down what is said in a recording."""

    name: str

    async def transcribe(self, transcription: Transcription, context: Context, transport: Transport) -> Transcript: ...


@runtime_checkable
class TokenCounter(Protocol):
    """Counts the tokens of a request as its own models do."""

    async def count_tokens(self, exchange: Exchange, transport: Transport) -> int: ...


@runtime_checkable
class Embedder(Protocol):
    """Turns texts into vectors."""

    name: str

    async def embed(self, request: EmbeddingRequest, context: Context, transport: Transport) -> Embeddings:
        """Raise `Unsupported` for inputs that it cannot take, naming the field."""


@runtime_checkable
class Reranker(Protocol):
    """Puts documents in the order in which they answer a query."""

    name: str

    def reranks(self, model: str) -> bool:
        """Say whether there is a call for it. Where there is none, a chat model can be asked."""

    async def rerank(self, request: RerankRequest, context: Context, transport: Transport) -> Ranking: ...


@runtime_checkable
class TokenExchanger(Protocol):
    """Gives an access token for a caller's own refresh or session token. Raises `UpstreamDenied` for a dead one."""

    async def refresh(self, refresh_token: Secret, transport: Transport) -> Grant: ...

    async def renew_session(self, session_token: Secret, transport: Transport) -> Grant: ...


@runtime_checkable
class RawSpeaker(Protocol):
    """Takes a turn in the upstream's own words and gives the answer as it comes."""

    name: str

    def raw(self, turn: RawTurn, context: Context, transport: Transport) -> AbstractAsyncContextManager[RawAnswer]:
        """Give the answer, a refusal in JSON too. Raises `UpstreamError` for what must not be passed on as it is."""


@runtime_checkable
class UsageReporter(Protocol):
    """Tells what is left of an account."""

    name: str

    async def usage(self, context: Context, transport: Transport) -> Sequence[AccountUsage]:
        """Return what is known: of the caller's own account, or of each account of the pool."""
