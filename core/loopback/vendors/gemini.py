"""The simulated vendor's generateContent, as Google writes it (captures/vendors/gemini-*.jsonl).

As Google does, it refuses results that do not match the calls before them and, from Gemini 3 on, a step whose first
call comes back without a signature.
"""

import base64
from typing import Any

import msgspec
from msgspec import Raw, Struct
from starlette.requests import Request
from starlette.responses import Response

from core.loopback.prompts import OfferedTool
from core.loopback.refusals import Json, Refused, json_response
from core.loopback.vendors.asked import Asked, Said
from core.loopback.vendors.exchange import Vendor, admit, answer_request
from core.loopback.vendors.telling import Answer, Block, Ending, NativeCall
from core.wire.gemini.schemas import json_schema
from core.wire.gemini.thinking import FIRST_SIGNING, generation

MODELS = ("loopback-large", "loopback-small")

_ENDINGS: dict[Ending, str] = {"stop": "STOP", "length": "MAX_TOKENS", "calls": "STOP", "filtered": "SAFETY"}
_STATUSES = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED"}
_SIGNATURE = base64.b64encode(b"what the loopback thought").decode()
_UNSIGNED = (
    "Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly."
)
_UNMATCHED = (
    "Please ensure that the number of function response parts is equal to the number of function call parts of the "
    "function call turn."
)
_TEXT_CHARS_A_TOKEN = 4


class FunctionCall(Struct, frozen=True):
    name: str
    args: dict[str, Raw] = {}
    id: str = ""


class FunctionResponse(Struct, frozen=True):
    name: str
    response: dict[str, Any]
    id: str = ""


class Part(Struct, frozen=True, rename="camel"):
    text: str | None = None
    thought_signature: str = ""
    function_call: FunctionCall | None = None
    function_response: FunctionResponse | None = None
    inline_data: dict[str, str] = {}
    file_data: dict[str, str] = {}


class Content(Struct, frozen=True):
    parts: tuple[Part, ...]
    role: str = "user"


class Declaration(Struct, frozen=True, rename="camel"):
    """`also_json_schema` is the same under the name by which google-genai 3.4 sends it."""

    name: str
    parameters: dict[str, Any] = {}
    parameters_json_schema: dict[str, Any] = {}
    also_json_schema: dict[str, Any] = msgspec.field(default_factory=dict, name="parameters_json_schema")


class ToolField(Struct, frozen=True, rename="camel"):
    function_declarations: tuple[Declaration, ...] = ()


class Calling(Struct, frozen=True, rename="camel"):
    mode: str = "AUTO"
    allowed_function_names: tuple[str, ...] = ()


class ToolConfig(Struct, frozen=True, rename="camel"):
    function_calling_config: Calling = Calling()


class Thinking(Struct, frozen=True, rename="camel"):
    include_thoughts: bool = False


class Config(Struct, frozen=True, rename="camel"):
    response_mime_type: str = ""
    response_schema: dict[str, Any] = {}
    response_json_schema: dict[str, Any] = {}
    thinking_config: Thinking = Thinking()


class GenerateRequest(Struct, frozen=True, rename="camel"):
    """The fields that are read; others are accepted."""

    contents: tuple[Content, ...]
    system_instruction: Content = Content(())
    tools: tuple[ToolField, ...] = ()
    tool_config: ToolConfig = ToolConfig()
    generation_config: Config = Config()


class CountRequest(Struct, frozen=True, rename="camel"):
    contents: Raw = Raw(b"null")
    generate_content_request: Raw = Raw(b"null")


def refusal(status: int, message: str, kind: str) -> Json:
    """Return an error in Google's shape."""
    return {"error": {"code": status, "message": message, "status": _STATUSES.get(status, "INTERNAL")}}


async def generate(request: Request) -> Response:
    """Answer `generateContent` and `streamGenerateContent?alt=sse`."""
    return await answer_request(request, VENDOR)


async def count(request: Request) -> Response:
    """Answer `countTokens`: a quarter of the characters of what is counted."""
    admit(request, VENDOR)
    asked = msgspec.json.decode(await request.body(), type=CountRequest)
    chars = sum(len(bytes(each)) for each in (asked.contents, asked.generate_content_request))
    tokens = chars // _TEXT_CHARS_A_TOKEN
    details = [{"modality": "TEXT", "tokenCount": tokens}]
    return json_response({"totalTokens": tokens, "promptTokensDetails": details})


async def models(request: Request) -> Response:
    """Answer `GET /v1beta/models`; the last one makes embeddings only."""
    admit(request, VENDOR)
    listed: list[Json] = [_model(name, ["generateContent", "countTokens"]) for name in MODELS]
    return json_response({"models": [*listed, _model("loopback-embedding", ["embedContent"])]})


def _model(name: str, methods: list[str]) -> Json:
    return {"name": f"models/{name}", "displayName": name, "supportedGenerationMethods": methods}


# What is asked.


def _asked(body: bytes, request: Request) -> Asked:
    fields = msgspec.json.decode(body, type=GenerateRequest)
    streams = request.url.path.endswith(":streamGenerateContent")
    if streams and request.query_params.get("alt") != "sse":
        raise Refused(400, reason="the simulated vendor streams with alt=sse only")
    model = request.path_params["model"]
    _check(fields.contents, generation(model) >= FIRST_SIGNING)
    calling = fields.tool_config.function_calling_config
    names = calling.allowed_function_names
    system = [Said("system", _text(fields.system_instruction))] if fields.system_instruction.parts else []
    return Asked(
        model=model,
        messages=(*system, *(each for content in fields.contents for each in _said(content))),
        stream=streams,
        tools=tuple(_offered(each) for tool in fields.tools for each in tool.function_declarations),
        choice="required" if calling.mode == "ANY" else "none" if calling.mode == "NONE" else "auto",
        forced=names[0] if len(names) == 1 else "",
        wanted=_wanted(fields.generation_config),
    )


def _check(contents: tuple[Content, ...], is_signing: bool) -> None:
    """Refuse what Google refuses: results without their calls, turns without parts, calls without their signature."""
    called = 0
    for content in contents:
        if not content.parts:
            raise _refused("contents.parts must not be empty")
        calls = [part for part in content.parts if part.function_call]
        results = sum(part.function_response is not None for part in content.parts)
        if is_signing and calls and not calls[0].thought_signature:
            raise _refused(_UNSIGNED)
        if results != called:
            raise _refused(_UNMATCHED)
        called = len(calls)
    if not contents:
        raise _refused("contents is not specified")


def _refused(message: str) -> Refused:
    return Refused(400, refusal(400, message, ""))


def _said(content: Content) -> list[Said]:
    answered = [part.function_response for part in content.parts if part.function_response]
    results = [Said("result", _told(each.response), each.name) for each in answered]
    files = tuple(
        part.inline_data.get("mimeType") or "file" for part in content.parts if part.inline_data or part.file_data
    )
    text = _text(content)
    if results and not (text or files):
        return results
    return [*results, Said("assistant" if content.role == "model" else "user", text, files=files)]


def _told(response: dict[str, Any]) -> str:
    for name in ("output", "result", "error"):
        if isinstance(told := response.get(name), str):
            return told
    return msgspec.json.encode(response).decode()


def _text(content: Content) -> str:
    return "\n".join(part.text for part in content.parts if part.text)


def _offered(declared: Declaration) -> OfferedTool:
    standard = declared.parameters_json_schema or declared.also_json_schema
    return OfferedTool(declared.name, standard or _standard(declared.parameters))


def _wanted(config: Config) -> dict[str, Any] | None:
    if config.response_mime_type != "application/json":
        return None
    return config.response_json_schema or _standard(config.response_schema)


def _standard(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema of Google's own language as JSON Schema."""
    return msgspec.json.decode(json_schema(Raw(msgspec.json.encode(schema)), "schema"), type=dict[str, Any])


# What it says.


class GeminiWriter:
    """Writes chunks. Thoughts are shown when they were asked for; a call comes whole, the first one signed."""

    def __init__(self, answer: Answer, asked: bytes) -> None:
        self._answer = answer
        config = msgspec.json.decode(asked, type=GenerateRequest).generation_config
        self._shows_thoughts = config.thinking_config.include_thoughts
        self._has_called = False

    def opening(self) -> bytes:
        return b""

    def begin(self, index: int, block: Block) -> bytes:
        return b""

    def delta(self, index: int, block: Block, text: str) -> bytes:
        if block.kind == "reasoning":
            return self._chunk([{"text": text, "thought": True}]) if self._shows_thoughts else b""
        return b"" if block.call else self._chunk([{"text": text}])

    def end(self, index: int, block: Block) -> bytes:
        if block.call is None:
            return b""
        signed = not self._has_called
        self._has_called = True
        return self._chunk([_call(block.call, signed)])

    def closing(self, ending: Ending) -> bytes:
        return self._chunk([{"text": ""}], {"finishReason": _ENDINGS[ending]})

    def error(self) -> bytes:
        return _frame(refusal(500, "An internal error has occurred.", ""))

    def _chunk(self, parts: list[Json], more: Json | None = None) -> bytes:
        candidate: Json = {"content": {"parts": parts, "role": "model"}, **(more or {}), "index": 0}
        return _frame({"candidates": [candidate], **_shared(self._answer)})


def _whole(answer: Answer) -> Json:
    """Return a whole answer, with its thoughts whether they were asked for or not."""
    parts: list[Json] = []
    has_called = False
    for block in answer.blocks:
        if block.call is not None:
            parts.append(_call(block.call, not has_called))
            has_called = True
        else:
            parts.append({"text": block.text, **({"thought": True} if block.kind == "reasoning" else {})})
    content: Json = {"parts": parts, "role": "model"}
    candidate: Json = {"content": content, "finishReason": _ENDINGS[answer.ending], "index": 0}
    return {"candidates": [candidate], **_shared(answer)}


def _shared(answer: Answer) -> Json:
    tokens = answer.tokens
    usage: Json = {
        "promptTokenCount": tokens.input,
        "candidatesTokenCount": tokens.output - tokens.reasoning,
        "totalTokenCount": tokens.input + tokens.output,
        "thoughtsTokenCount": tokens.reasoning,
    }
    return {"usageMetadata": usage, "modelVersion": answer.model, "responseId": answer.identity}


def _call(call: NativeCall, signed: bool) -> Json:
    try:
        arguments = msgspec.json.decode(call.arguments, type=dict[str, Any])
    except msgspec.DecodeError:
        arguments = {"input": call.arguments}
    called: Json = {"id": f"fc_{call.id}", "name": call.name, "args": arguments}
    return {"functionCall": called, **({"thoughtSignature": _SIGNATURE} if signed else {})}


def _frame(payload: Json) -> bytes:
    return b"data: " + msgspec.json.encode(payload) + b"\n\n"


VENDOR = Vendor(
    read=_asked,
    writer=GeminiWriter,
    whole=_whole,
    refusal=refusal,
    key=lambda headers: headers.get("x-goog-api-key", ""),
)
