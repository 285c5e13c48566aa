"""The simulated vendor's Chat Completions, as OpenAI writes them (captures/vendors/openai-chat-*.sse)."""

from typing import Any

import msgspec
from msgspec import Raw, Struct
from starlette.requests import Request
from starlette.responses import Response

from core.loopback.prompts import OfferedTool
from core.loopback.refusals import Json, json_response
from core.loopback.samples import Schema
from core.loopback.vendors.asked import Asked, Role, Said
from core.loopback.vendors.exchange import Vendor, answer_request
from core.loopback.vendors.telling import Answer, Block, Ending, NativeCall

_NULL = Raw(b"null")
_ROLES: dict[str, Role] = {"developer": "system", "system": "system", "assistant": "assistant", "tool": "result"}
ENDINGS: dict[Ending, str] = {
    "stop": "stop",
    "length": "length",
    "calls": "tool_calls",
    "filtered": "content_filter",
}
_CREATED = 1_790_000_000

MODELS = ("loopback-large", "loopback-small")


class ToolCallField(Struct, frozen=True):
    id: str
    function: dict[str, str] = {}
    custom: dict[str, str] = {}


class MessageField(Struct, frozen=True):
    role: str
    content: str | list[dict[str, Any]] | None = None
    tool_calls: list[ToolCallField] = []
    tool_call_id: str = ""


class ToolField(Struct, frozen=True):
    type: str = "function"
    function: dict[str, Any] = {}
    custom: dict[str, Any] = {}


class StreamOptions(Struct, frozen=True):
    include_usage: bool = False


class ChatRequest(Struct, frozen=True):
    """The fields that are read; others are accepted, as the vendor does."""

    model: str
    messages: tuple[MessageField, ...]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: tuple[ToolField, ...] = ()
    tool_choice: str | dict[str, Any] = "auto"
    response_format: dict[str, Any] = {}


def refusal(status: int, message: str, kind: str) -> Json:
    """Return an error in OpenAI's shape."""
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


async def complete(request: Request) -> Response:
    """Answer `POST /v1/chat/completions`."""
    return await answer_request(request, VENDOR)


def _asked(body: bytes, request: Request) -> Asked:
    fields = msgspec.json.decode(body, type=ChatRequest)
    names = {call.id: _name(call) for message in fields.messages for call in message.tool_calls}
    choice, forced = _choice(fields.tool_choice)
    return Asked(
        model=fields.model,
        messages=tuple(_said(message, names) for message in fields.messages),
        stream=bool(fields.stream),
        tools=tuple(_offered(tool) for tool in fields.tools),
        choice=choice,
        forced=forced,
        wanted=_wanted(fields.response_format),
    )


def _name(call: ToolCallField) -> str:
    return call.function.get("name") or call.custom.get("name", "")


def _said(message: MessageField, names: dict[str, str]) -> Said:
    content = message.content or ""
    parts = [{"text": content}] if isinstance(content, str) else content
    text = "\n".join(str(part["text"]) for part in parts if "text" in part)
    files = tuple(str(part.get("type")) for part in parts if "text" not in part)
    return Said(_ROLES.get(message.role, "user"), text, names.get(message.tool_call_id, ""), files)


def _offered(tool: ToolField) -> OfferedTool:
    if tool.type == "custom":
        return OfferedTool(str(tool.custom.get("name")), None)
    return OfferedTool(str(tool.function.get("name")), tool.function.get("parameters") or {})


def _choice(choice: str | dict[str, Any]) -> tuple[Any, str]:
    if isinstance(choice, str):
        return choice, ""
    named = choice.get("function") or choice.get("custom") or {}
    return "required", str(named.get("name", ""))


def _wanted(format_: dict[str, Any]) -> Schema | None:
    if format_.get("type") == "json_object":
        return {}
    schema = format_.get("json_schema", {}).get("schema")
    return schema if isinstance(schema, dict) else None


# What it says.


class ChatWriter:
    """Writes chunks. Usage comes when it was asked for, in a chunk without choices."""

    def __init__(self, answer: Answer, asked: bytes) -> None:
        self._answer = answer
        options = msgspec.json.decode(asked, type=ChatRequest).stream_options
        self._includes_usage = bool(options and options.include_usage)
        self._calls = 0

    def opening(self) -> bytes:
        return self._chunk({"role": "assistant", "content": "", "refusal": None})

    def begin(self, index: int, block: Block) -> bytes:
        if block.call is None:
            return b""
        self._calls += 1
        return self._chunk({"tool_calls": [{"index": self._calls - 1, **_call(block.call, "")}]})

    def delta(self, index: int, block: Block, text: str) -> bytes:
        if block.call is not None:
            piece = {"custom": {"input": text}} if block.call.is_custom else {"function": {"arguments": text}}
            return self._chunk({"tool_calls": [{"index": self._calls - 1, **piece}]})
        return self._chunk({"reasoning_content" if block.kind == "reasoning" else "content": text})

    def end(self, index: int, block: Block) -> bytes:
        return b""

    def closing(self, ending: Ending) -> bytes:
        last = self._chunk({}, ENDINGS[ending])
        if self._includes_usage:
            last += _frame({**self._shared(), "choices": [], "usage": usage(self._answer)})
        return last + b"data: [DONE]\n\n"

    def error(self) -> bytes:
        return _frame(refusal(500, "The server had an error while processing your request.", "server_error"))

    def _chunk(self, delta: Json, finish: str | None = None) -> bytes:
        choice: Json = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        more: Json = {"usage": None} if self._includes_usage else {}
        return _frame({**self._shared(), "choices": [choice], **more})

    def _shared(self) -> Json:
        answer = self._answer
        shared: Json = {"id": f"chatcmpl-{answer.identity}", "object": "chat.completion.chunk", "created": _CREATED}
        return {**shared, "model": answer.model, "service_tier": "default", "system_fingerprint": "fp_loopback"}


def _whole(answer: Answer) -> Json:
    message: Json = {"role": "assistant", "content": _text(answer, "text"), "refusal": None, "annotations": []}
    if thought := _text(answer, "reasoning"):
        message["reasoning_content"] = thought
    if calls := [_call(block.call, block.text) for block in answer.blocks if block.call]:
        message["tool_calls"] = calls
    choice: Json = {"index": 0, "message": message, "logprobs": None, "finish_reason": ENDINGS[answer.ending]}
    return {
        "id": f"chatcmpl-{answer.identity}",
        "object": "chat.completion",
        "created": _CREATED,
        "model": answer.model,
        "choices": [choice],
        "usage": usage(answer),
        "service_tier": "default",
        "system_fingerprint": "fp_loopback",
    }


def usage(answer: Answer) -> Json:
    tokens = answer.tokens
    return {
        "prompt_tokens": tokens.input,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.input + tokens.output,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": tokens.reasoning, "audio_tokens": 0},
    }


def _text(answer: Answer, kind: str) -> str | None:
    return "".join(block.text for block in answer.blocks if block.kind == kind) or None


def _call(call: NativeCall, text: str) -> Json:
    if call.is_custom:
        return {"id": f"call_{call.id}", "type": "custom", "custom": {"name": call.name, "input": text}}
    return {"id": f"call_{call.id}", "type": "function", "function": {"name": call.name, "arguments": text}}


def _frame(payload: Json) -> bytes:
    return b"data: " + msgspec.json.encode(payload) + b"\n\n"


VENDOR = Vendor(
    read=_asked,
    writer=ChatWriter,
    whole=_whole,
    refusal=refusal,
    key=lambda headers: headers.get("authorization", "").removeprefix("Bearer "),
)


async def models(request: Request) -> Response:
    """Answer `GET /v1/models`."""
    data = [{"id": name, "object": "model", "created": 0, "owned_by": "loopback"} for name in MODELS]
    return json_response({"object": "list", "data": data})
