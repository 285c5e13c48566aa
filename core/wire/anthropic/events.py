"""The fields of a stream's events that are read, in Anthropic's spelling: the fields of all events side by side."""

from msgspec import Raw, Struct

from core.json_body import NULL


class OutputDetails(Struct, frozen=True):
    thinking_tokens: int | None = None


class TokenCounts(Struct, frozen=True):
    """Counts are totals: those at the end replace those at the beginning, each where it is given."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    output_tokens_details: OutputDetails | None = None


class StartedMessage(Struct, frozen=True):
    model: str | None = None
    usage: TokenCounts | None = None


class ContentBlock(Struct, frozen=True):
    type: str
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: Raw = NULL


class Source(Struct, frozen=True):
    """A citation. Only what was found on the web has a URL."""

    url: str | None = None
    title: str | None = None


class Delta(Struct, frozen=True):
    """A piece of a block, or at the end of the stream the stop reason."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None
    citation: Source | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None


class Fault(Struct, frozen=True):
    type: str = ""
    message: str = ""


class StreamEvent(Struct, frozen=True):
    type: str
    index: int | None = None
    message: StartedMessage | None = None
    content_block: ContentBlock | None = None
    delta: Delta | None = None
    usage: TokenCounts | None = None
    error: Fault | None = None
