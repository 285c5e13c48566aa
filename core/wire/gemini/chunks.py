"""The fields of a streamed answer that are read (Google's API reference, November 2026)."""

from msgspec import Raw, Struct

from core.json_body import NULL
from core.wire.gemini.types import CodeExecutionResult, ExecutableCode


class CalledFunction(Struct, frozen=True):
    name: str = ""
    id: str | None = None
    args: Raw = NULL


class InlineData(Struct, frozen=True, rename="camel"):
    mime_type: str = ""
    data: str = ""


class AnswerPart(Struct, frozen=True, rename="camel"):
    text: str | None = None
    thought: bool = False
    thought_signature: str | None = None
    function_call: CalledFunction | None = None
    inline_data: InlineData | None = None
    executable_code: ExecutableCode | None = None
    code_execution_result: CodeExecutionResult | None = None


class AnswerContent(Struct, frozen=True):
    parts: list[AnswerPart] | None = None


class WebSource(Struct, frozen=True):
    uri: str = ""
    title: str | None = None


class GroundingChunk(Struct, frozen=True):
    web: WebSource | None = None


class Segment(Struct, frozen=True, rename="camel"):
    """`start_index` and `end_index` count bytes of UTF-8; a zero is left out."""

    start_index: int = 0
    end_index: int = 0


class GroundingSupport(Struct, frozen=True, rename="camel"):
    segment: Segment = Segment()
    grounding_chunk_indices: list[int] | None = None


class Grounding(Struct, frozen=True, rename="camel"):
    grounding_chunks: list[GroundingChunk] | None = None
    grounding_supports: list[GroundingSupport] | None = None


class Candidate(Struct, frozen=True, rename="camel"):
    content: AnswerContent | None = None
    finish_reason: str | None = None
    finish_message: str | None = None
    index: int = 0
    grounding_metadata: Grounding | None = None


class PromptFeedback(Struct, frozen=True, rename="camel"):
    block_reason: str | None = None
    block_reason_message: str | None = None


class UsageMetadata(Struct, frozen=True, rename="camel"):
    prompt_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    cached_content_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None


class Chunk(Struct, frozen=True, rename="camel"):
    candidates: list[Candidate] | None = None
    prompt_feedback: PromptFeedback | None = None
    usage_metadata: UsageMetadata | None = None
    model_version: str | None = None
    error: Raw = NULL
