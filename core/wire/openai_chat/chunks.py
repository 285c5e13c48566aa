"""The fields of a `chat.completion.chunk` that are read: OpenAI's, and what compatible vendors add to them.

`reasoning_content` (DeepSeek, many others) and `reasoning` (OpenRouter, Groq) are one thing under two names.
"""

from typing import TypeAlias

from msgspec import Raw, Struct

from core.json_body import NULL


class CallFunction(Struct, frozen=True):
    """Some vendors give the arguments as the object that they are."""

    name: str | None = None
    arguments: str | dict[str, Raw] | None = None


class CallCustom(Struct, frozen=True):
    name: str | None = None
    input: str | None = None


class CallDelta(Struct, frozen=True):
    """A piece of a call; some vendors leave the index out when there is one call only."""

    index: int | None = None
    id: str | None = None
    function: CallFunction | None = None
    custom: CallCustom | None = None


class PictureUrl(Struct, frozen=True):
    url: str = ""


class Picture(Struct, frozen=True):
    image_url: PictureUrl = PictureUrl()


class UrlCitation(Struct, frozen=True):
    url: str = ""
    title: str | None = None
    start_index: int | None = None
    end_index: int | None = None


class Annotation(Struct, frozen=True):
    type: str = ""
    url_citation: UrlCitation | None = None


class ReasoningDetail(Struct, frozen=True):
    """A piece of reasoning as OpenRouter has it, beside `reasoning` or alone: its words, or a summary of them."""

    text: str | None = None
    summary: str | None = None


class Thought(Struct, frozen=True):
    text: str = ""


class ContentPart(Struct, frozen=True):
    """A part of a content that is a list: some text, or what a Magistral (Mistral) thinks."""

    text: str | None = None
    thinking: list[Thought] | None = None


class Delta(Struct, frozen=True):
    content: str | list[ContentPart] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[CallDelta] | None = None
    function_call: CallFunction | None = None
    reasoning_details: list[ReasoningDetail] | None = None
    images: list[Picture] | None = None
    annotations: list[Annotation] | None = None


class Choice(Struct, frozen=True):
    index: int | None = 0
    delta: Delta | None = None
    finish_reason: str | None = None


Count: TypeAlias = int | float
"""A whole number, which some vendors write as `3.0`."""


class PromptDetails(Struct, frozen=True):
    cached_tokens: Count | None = None


class CompletionDetails(Struct, frozen=True):
    reasoning_tokens: Count | None = None


class ChunkUsage(Struct, frozen=True):
    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None


class SearchResult(Struct, frozen=True):
    """A source that Perplexity names beside the answer, without its place in it."""

    url: str = ""
    title: str | None = None


class Chunk(Struct, frozen=True):
    """A chunk. vLLM states an error in the chunk's place, as an object of that name."""

    object: str | None = None
    model: str | None = None
    choices: list[Choice] | None = None
    usage: ChunkUsage | None = None
    search_results: list[SearchResult] | None = None
    error: Raw = NULL
