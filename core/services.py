"""What is asked of upstreams besides turns, and what they give: files, sound, vectors, rankings. Values only."""

from collections.abc import AsyncIterator, Mapping
from typing import Literal, TypeAlias

from msgspec import Raw, Struct

from core.accounts import Secret
from core.transport import Content


class Upload(Struct, frozen=True):
    """A file on its way in. `purpose` is the client's word, such as `assistants` or `vision`."""

    name: str
    media_type: str
    content: Content
    purpose: str | None = None


class Download(Struct, frozen=True):
    """Bytes on their way out, as they come. `size` is in bytes; `ignored` names what could not be honoured.

    `notes` are facts about how the bytes came to be, as (name, value): response headers tell them to the client.
    """

    media_type: str
    chunks: AsyncIterator[bytes]
    size: int | None = None
    name: str | None = None
    ignored: tuple[str, ...] = ()
    notes: tuple[tuple[str, str], ...] = ()


class Speech(Struct, frozen=True):
    """A text to be read aloud. `voice` and `format` are the client's words, `speed` a factor (1 is normal)."""

    model: str
    text: str
    voice: str
    format: str
    speed: float | None = None
    instructions: str | None = None


class Transcription(Struct, frozen=True):
    """A recording to be written down, in English if `translate`. `language` is an ISO 639-1 code."""

    model: str
    recording: Upload
    language: str | None = None
    prompt: str | None = None
    temperature: float | None = None
    translate: bool = False


class Transcript(Struct, frozen=True):
    """What was said. `None` is what the upstream did not tell; `ignored` names what it could not honour.

    `translated` says that it is in English as it was asked for; else somebody else must translate it.
    """

    text: str
    language: str | None = None
    duration_s: float | None = None
    ignored: tuple[str, ...] = ()
    translated: bool = False


Encoding: TypeAlias = Literal["float", "base64"]
"""How a vector is written: as a list of numbers, or as base64 of float32 numbers, little-endian."""


class EmbeddingRequest(Struct, frozen=True, kw_only=True):
    """Texts, or lists of token numbers, of which vectors are to be made.

    `encoding` is the client's word for how they are to be written, `None` (a list of numbers) when it did not say.
    `extras` holds the fields that we do not read, verbatim.
    """

    model: str
    inputs: tuple[str, ...] | tuple[tuple[int, ...], ...]
    encoding: Encoding | None = None
    dimensions: int | None = None
    user: str | None = None
    extras: dict[str, Raw] = {}


class Embeddings(Struct, frozen=True, kw_only=True):
    """A vector for each input, in their order: float32 numbers, little-endian. What nobody counted is `None`.

    `body` is the upstream's own answer where it is, to the letter, what the client asked for; nothing else is set then.
    """

    body: bytes = b""
    vectors: tuple[bytes, ...] = ()
    model: str | None = None
    prompt_tokens: int | None = None
    total_tokens: int | None = None
    ignored: tuple[str, ...] = ()


class Document(Struct, frozen=True):
    """What is to be ranked. `written` is the JSON by which the caller gave it; `text` what it says, if that is text."""

    text: str | None
    written: Raw


class RerankRequest(Struct, frozen=True, kw_only=True):
    """Documents to be put in the order in which they answer a query; `top_n` are wanted, or all of them.

    `extras` holds the fields that we do not read, verbatim.
    """

    model: str
    query: str
    documents: tuple[Document, ...]
    top_n: int | None = None
    extras: dict[str, Raw] = {}


class Ranked(Struct, frozen=True):
    """One document's place: its index in the request, its score, and what else the upstream said of it."""

    index: int
    score: float
    extras: dict[str, Raw] = {}


class Ranking(Struct, frozen=True, kw_only=True):
    """Documents, the best first. `usage` and `meta` are what the upstream reported, in its words.

    `estimated` says that the scores are a chat model's opinion.
    """

    results: tuple[Ranked, ...]
    model: str | None = None
    id: str | None = None
    usage: Raw | None = None
    meta: Raw | None = None
    ignored: tuple[str, ...] = ()
    estimated: bool = False


class Grant(Struct, frozen=True, kw_only=True):
    """An access token, and what else was said when a refresh or session token was exchanged for it.

    `successor` takes the place of the token that was sent; `session_ends` is the service's own text.
    """

    access_token: Secret
    successor: Secret | None = None
    id_token: Secret | None = None
    token_type: str | None = None
    expires_in_s: float | None = None
    scope: str | None = None
    session_ends: str | None = None


class RawTurn(Struct, frozen=True):
    """A turn in the upstream's own JSON. `account` is the digest of the account that must answer, if one must."""

    body: bytes
    account: str | None = None


class RawAnswer(Struct, frozen=True):
    """An upstream's answer as it came, and the digest of the account that gave it."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]
    account: str | None = None


class Limit(Struct, frozen=True):
    """What is left of a feature until an ISO 8601 time, in the upstream's words."""

    feature: str
    remaining: int | None = None
    resets_at: str | None = None


class Subscription(Struct, frozen=True):
    """What an account has, in the upstream's words; times are ISO 8601."""

    plan: str | None = None
    subscription: str | None = None
    active: bool | None = None
    expires_at: str | None = None
    renews_at: str | None = None


class AccountUsage(Struct, frozen=True, kw_only=True):
    """What the upstream says of one account, at `as_of` (Unix seconds); `None` is what it did not say.

    `account` is the account's digest, `condition` the pool's word for it (`usable`, `cooling`, `expired`,
    `retired`), `token_expires_at` Unix seconds, and `failures` says why something is missing.
    `model_limits` and `blocked_features` are JSON values as the upstream wrote them.
    """

    account: str
    condition: str | None = None
    as_of: float | None = None
    token_expires_at: float | None = None
    subscription: Subscription | None = None
    limits: tuple[Limit, ...] | None = None
    model_limits: tuple[object, ...] | None = None
    blocked_features: tuple[object, ...] | None = None
    failures: tuple[str, ...] = ()
