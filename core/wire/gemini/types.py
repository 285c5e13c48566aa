"""The fields of a generateContent request that we read (Google's API reference and google-genai 3.4, November 2026)."""

from typing import Annotated, TypeAlias

from msgspec import Meta, Raw, Struct

from core.json_body import NULL

PositiveInt: TypeAlias = Annotated[int, Meta(ge=1)]


class Content(Struct, frozen=True):
    """One turn. `parts` is a list, or leniently one part alone, as in some of Google's own examples."""

    role: str | None = None
    parts: Raw = NULL


class Part(Struct, frozen=True, rename="camel"):
    """One part of any kind: the fields of all kinds side by side."""

    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    inline_data: Raw = NULL
    file_data: Raw = NULL
    function_call: Raw = NULL
    function_response: Raw = NULL
    executable_code: Raw = NULL
    code_execution_result: Raw = NULL


class Blob(Struct, frozen=True, rename="camel"):
    data: str
    mime_type: str = ""
    display_name: str | None = None


class FileData(Struct, frozen=True, rename="camel"):
    file_uri: str
    mime_type: str = ""
    display_name: str | None = None


class FunctionCall(Struct, frozen=True):
    name: str
    id: str | None = None
    args: Raw = NULL


class FunctionResponse(Struct, frozen=True):
    name: str
    id: str | None = None
    response: Raw = NULL
    parts: list[Raw] | None = None


class ExecutableCode(Struct, frozen=True):
    code: str = ""
    language: str = ""


class CodeExecutionResult(Struct, frozen=True):
    output: str = ""


class Config(Struct, frozen=True, rename="camel"):
    """`generationConfig`."""

    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    max_output_tokens: PositiveInt | None = None
    stop_sequences: list[str] | None = None
    candidate_count: PositiveInt | None = None
    response_modalities: list[str] | None = None
    response_logprobs: bool | None = None
    response_mime_type: str | None = None
    response_schema: Raw = NULL
    response_json_schema: Raw = NULL
    thinking_config: Raw = NULL


class ThinkingConfig(Struct, frozen=True, rename="camel"):
    include_thoughts: bool | None = None
    thinking_budget: int | None = None
    thinking_level: str | None = None


class FunctionDeclaration(Struct, frozen=True, rename="camel"):
    """`parameters` is in Google's own schema language, `parameters_json_schema` is JSON Schema."""

    name: str
    description: str | None = None
    parameters: Raw = NULL
    parameters_json_schema: Raw = NULL


class FunctionCallingConfig(Struct, frozen=True, rename="camel"):
    mode: str | None = None
    allowed_function_names: list[str] | None = None


def names_of(struct: type[Struct]) -> frozenset[str]:
    """Return the names that a struct's fields have on the wire."""
    return frozenset(struct.__struct_encode_fields__)
