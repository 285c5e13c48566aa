"""The fields of a Messages request that we read, in Anthropic's spelling (its API reference, November 2026)."""

from typing import Annotated, TypeAlias

from msgspec import Meta, Raw, Struct

from core.json_body import NULL

Count: TypeAlias = Annotated[int, Meta(ge=0)]


class Thinking(Struct, frozen=True):
    """`type` is enabled (with a budget), adaptive, disabled, or between_tools; `display` is summarized or omitted."""

    type: str
    budget_tokens: Count | None = None
    display: str | None = None


class Format(Struct, frozen=True):
    type: str
    schema: Raw = NULL


class OutputConfig(Struct, frozen=True):
    effort: str | None = None
    format: Format | None = None


class Body(Struct, frozen=True):
    """A request body. `Raw` fields are read later, each with its own path for errors.

    `max_tokens` of 0 asks for no answer: it fills Anthropic's cache.
    """

    model: str | None = None
    messages: list[Raw] | None = None
    max_tokens: Count | None = None
    system: Raw = NULL
    stream: bool | None = None
    tools: list[Raw] | None = None
    tool_choice: Raw = NULL
    stop_sequences: list[str] | None = None
    temperature: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None
    output_format: Format | None = None


READ_FIELDS = frozenset(Body.__struct_fields__)
"""Top-level fields that have a place in the canonical request; all others travel as extras, under their own name."""

UNANSWERED_FIELDS = frozenset({"cache_control"})
"""Top-level fields whose absence changes no answer: they are accepted, and nobody is told that they had no effect."""


class Message(Struct, frozen=True):
    role: str
    content: Raw = NULL


class Source(Struct, frozen=True):
    """Where an image or a document is; `content` is that of a document made of text or of blocks."""

    type: str
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    content: Raw = NULL


class Block(Struct, frozen=True):
    """One block of any type: the fields of all types side by side."""

    type: str
    text: str | None = None
    source: Raw = NULL
    title: str | None = None
    context: str | None = None
    citations: Raw = NULL
    content: Raw = NULL
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: Raw = NULL
    tool_use_id: str | None = None
    tool_name: str | None = None
    is_error: bool | None = None


class Citations(Struct, frozen=True):
    """Whether an answer is to quote a document or a search result."""

    enabled: bool | None = None


class Tool(Struct, frozen=True):
    """A client's tool, or with another `type` one that Anthropic defines."""

    name: str | None = None
    type: str | None = None
    description: str | None = None
    input_schema: Raw = NULL
    strict: bool | None = None


TOOL_FIELDS = frozenset(Tool.__struct_fields__)
SERVICE_FIELDS = frozenset({"type", "name"})
"""What is read of a tool that Anthropic runs itself."""

UNANSWERED_TOOL_FIELDS = frozenset({"cache_control", "defer_loading", "eager_input_streaming"})
"""Fields of a tool whose absence changes no answer: it is offered at once, and its arguments come as they are made."""


class ToolChoice(Struct, frozen=True):
    type: str
    name: str | None = None
    disable_parallel_tool_use: bool | None = None
