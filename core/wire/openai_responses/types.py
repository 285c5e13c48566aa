"""The fields of a Responses request that we read, in OpenAI's spelling and Codex's (clients reference, section 1.1)."""

from typing import Annotated

from msgspec import Meta, Raw, Struct

from core.json_body import NULL


class Body(Struct, frozen=True):
    """A request body. `Raw` fields are read later, each with its own path for errors."""

    input: Raw = NULL
    model: str | None = None
    instructions: Raw = NULL
    stream: bool | None = None
    tools: list[Raw] | None = None
    tool_choice: Raw = NULL
    parallel_tool_calls: bool | None = None
    max_output_tokens: Annotated[int, Meta(ge=1)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    reasoning: Raw = NULL
    text: Raw = NULL
    store: bool | None = None
    previous_response_id: str | None = None
    background: bool | None = None
    conversation: Raw = NULL
    prompt: Raw = NULL


READ_FIELDS = frozenset(Body.__struct_fields__)
"""Top-level fields that have a place in the canonical request; all others travel as extras, under their own name."""

ECHOED_FIELDS = (
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt_cache_key",
    "reasoning",
    "safety_identifier",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
)
"""Fields that a response repeats as the request had them, function tools with all their fields."""


class Kind(Struct, frozen=True):
    """What an item or a tool is. The rest is read of known kinds only: others may use the same names for anything."""

    type: str | None = None


class Item(Struct, frozen=True):
    """One input item of any known type: the fields of all of them side by side."""

    type: str | None = None
    role: str | None = None
    id: str | None = None
    content: Raw = NULL
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: str | None = None
    input: str | None = None
    output: Raw = NULL
    summary: Raw = NULL
    encrypted_content: str | None = None
    tools: list[Raw] | None = None
    status: str | None = None
    result: str | None = None
    phase: str | None = None


class ImageUrl(Struct, frozen=True):
    url: str
    detail: str | None = None


class Part(Struct, frozen=True):
    """One content part of any type."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: ImageUrl | str | None = None
    file_url: str | None = None
    file_id: str | None = None
    file_data: str | None = None
    filename: str | None = None
    detail: str | None = None


class Grammar(Struct, frozen=True):
    type: str = "text"
    syntax: str | None = None
    definition: str | None = None


class ToolDefinition(Struct, frozen=True):
    """A tool that can be called: function tools are flat here; a namespace holds tools of its own."""

    type: str
    name: str | None = None
    description: str | None = None
    parameters: Raw = NULL
    strict: bool | None = None
    format: Grammar | None = None
    tools: list[Raw] | None = None


class ImageMask(Struct, frozen=True):
    image_url: str | None = None
    file_id: str | None = None


class ImageTool(Struct, frozen=True):
    """The `image_generation` tool: what it says of the pictures."""

    size: str | None = None
    quality: str | None = None
    background: str | None = None
    output_format: str | None = None
    output_compression: Annotated[int, Meta(ge=0, le=100)] | None = None
    input_fidelity: str | None = None
    moderation: str | None = None
    partial_images: Annotated[int, Meta(ge=0, le=3)] | None = None
    input_image_mask: ImageMask | None = None


class Choice(Struct, frozen=True):
    """A choice of one tool; or of `allowed_tools`, of which each of `tools` is one."""

    type: str
    name: str | None = None
    namespace: str | None = None
    mode: str = "auto"
    tools: list[Raw] | None = None


class ReasoningField(Struct, frozen=True):
    """`context` has no place in the canonical request."""

    effort: str | None = None
    summary: str | None = None
    context: str | None = None


class Format(Struct, frozen=True):
    type: str
    name: str | None = None
    schema: Raw = NULL
    strict: bool | None = None


class TextField(Struct, frozen=True):
    format: Format | None = None
    verbosity: str | None = None
