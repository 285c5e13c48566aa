"""The fields of a Chat Completions request that we read, in OpenAI's spelling (and the seeds': AU-19, JR-3, CH-4)."""

from typing import Annotated, TypeAlias

from msgspec import Meta, Raw, Struct

from core.json_body import NULL

Penalty: TypeAlias = Annotated[float, Meta(ge=-2, le=2)]
PositiveInt: TypeAlias = Annotated[int, Meta(ge=1)]


class StreamOptions(Struct, frozen=True):
    include_usage: bool | None = None


class ChatBody(Struct, frozen=True):
    """A request body. `Raw` fields are read later, each with its own path for errors."""

    messages: list[Raw] | None = None
    model: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: list[Raw] | None = None
    tool_choice: Raw = NULL
    functions: list[Raw] | None = None
    function_call: Raw = NULL
    parallel_tool_calls: bool | None = None
    max_tokens: PositiveInt | None = None
    max_completion_tokens: PositiveInt | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    stop: str | list[str] | None = None
    n: PositiveInt | None = None
    response_format: Raw = NULL
    reasoning_effort: str | None = None
    store: bool | None = None
    logprobs: bool | None = None
    modalities: list[str] | None = None
    web_search_options: Raw = NULL
    function_web_search: bool | None = None
    function_image_gen: bool | None = None
    function_code_interpreter: bool | None = None
    conversation_id: str | None = None
    parent_message_id: str | None = None


READ_FIELDS = frozenset(ChatBody.__struct_fields__) - {"presence_penalty", "frequency_penalty"}
"""Top-level fields that have a place in the canonical request; all others travel as extras, under their own name."""


class Function(Struct, frozen=True):
    name: str
    description: str | None = None
    parameters: Raw = NULL
    strict: bool | None = None


class ToolDefinition(Struct, frozen=True):
    type: str = "function"
    function: Raw = NULL
    custom: Raw = NULL


class Grammar(Struct, frozen=True):
    syntax: str | None = None
    definition: str | None = None


class CustomFormat(Struct, frozen=True):
    type: str = "text"
    grammar: Grammar | None = None


class CustomTool(Struct, frozen=True):
    name: str
    description: str | None = None
    format: CustomFormat | None = None


class Named(Struct, frozen=True):
    name: str


class ChoiceObject(Struct, frozen=True):
    type: str = "function"
    function: Named | None = None
    custom: Named | None = None
    name: str | None = None


class AllowedTools(Struct, frozen=True):
    tools: list[ChoiceObject]
    mode: str = "auto"


class AllowedChoice(Struct, frozen=True):
    allowed_tools: AllowedTools | None = None


class CalledFunction(Struct, frozen=True):
    name: str
    arguments: Raw = Raw(b'""')


class CalledCustom(Struct, frozen=True):
    name: str
    input: str = ""


class MessageToolCall(Struct, frozen=True):
    id: str | None = None
    type: str = "function"
    function: CalledFunction | None = None
    custom: CalledCustom | None = None


class Attachment(Struct, frozen=True):
    file_id: str | None = None
    id: str | None = None


class ChatMessage(Struct, frozen=True):
    role: str
    content: Raw = NULL
    name: str | None = None
    tool_calls: list[Raw] | None = None
    function_call: Raw = NULL
    tool_call_id: str | None = None
    reasoning_content: str | None = None
    refusal: str | None = None
    attachments: list[Attachment] | None = None


class ImageUrl(Struct, frozen=True):
    url: str
    detail: str | None = None


class ImageSource(Struct, frozen=True):
    data: str | None = None
    media_type: str | None = None
    url: str | None = None


class FileObject(Struct, frozen=True):
    file_id: str | None = None
    file_data: str | None = None
    file_url: str | None = None
    filename: str | None = None


class InputAudio(Struct, frozen=True):
    data: str
    format: str


class ContentPart(Struct, frozen=True):
    """One part of any type: the fields of all types side by side (AU-21; seed-behaviour A5)."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: ImageUrl | str | None = None
    url: str | None = None
    base64: str | None = None
    b64_json: str | None = None
    source: ImageSource | None = None
    detail: str | None = None
    file: FileObject | None = None
    file_id: str | None = None
    file_data: str | None = None
    file_url: str | None = None
    filename: str | None = None
    input_audio: InputAudio | None = None


class JsonSchema(Struct, frozen=True):
    """`parameters` is what OM-4 sends in place of `schema`."""

    name: str | None = None
    schema: Raw = NULL
    parameters: Raw = NULL
    strict: bool | None = None


class ResponseFormat(Struct, frozen=True):
    type: str
    json_schema: JsonSchema | None = None
