"""The simulated vendor's Messages API, as Anthropic writes it (captures/vendors/anthropic-*.sse).

It refuses what Anthropic refuses and clients get wrong: no `max_tokens`, empty texts, results without a call in the
turn before, thoughts that it did not sign, names with other letters.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Raw, Struct
from starlette.requests import Request
from starlette.responses import Response

from core.loopback.prompts import OfferedTool
from core.loopback.refusals import Json, json_response
from core.loopback.vendors import openai_chat
from core.loopback.vendors.asked import Asked, Said
from core.loopback.vendors.exchange import Vendor, admit, answer_request
from core.loopback.vendors.telling import Answer, Block, Ending

_ENDINGS: dict[Ending, str] = {"stop": "end_turn", "length": "max_tokens", "calls": "tool_use", "filtered": "refusal"}
_CHOICES: dict[str, Literal["auto", "none", "required"]] = {"auto": "auto", "none": "none", "any": "required"}
_SIGNATURE = "bG9vcGJhY2s-"
_CHARS_A_TOKEN = 4

Name = Annotated[str, Meta(pattern="^[a-zA-Z0-9_-]{1,128}$")]
MODELS = ("claude-loopback-4-6", "claude-loopback-4-5")


class Source(Struct, frozen=True):
    type: Literal["base64", "url", "text", "file", "content"]
    media_type: str = ""
    data: str = ""
    url: str = ""


class BlockField(Struct, frozen=True):
    """A block of any type."""

    type: str
    text: Annotated[str, Meta(pattern=r"\S")] | None = None
    source: Source | None = None
    thinking: str = ""
    signature: str = ""
    id: Name = "-"
    name: Name = "-"
    input: dict[str, Any] = {}
    tool_use_id: Name = "-"
    content: Raw = Raw(b"null")


class MessageField(Struct, frozen=True):
    role: Literal["user", "assistant"]
    content: str | tuple[BlockField, ...]

    @property
    def blocks(self) -> tuple[BlockField, ...]:
        return (BlockField("text", self.content),) if isinstance(self.content, str) else self.content


class ToolField(Struct, frozen=True):
    name: Name
    type: str = "custom"
    input_schema: dict[str, Any] = {}


class ChoiceField(Struct, frozen=True):
    type: Literal["auto", "any", "tool", "none"] = "auto"
    name: str = ""


class FormatField(Struct, frozen=True):
    type: Literal["json_schema"]
    schema: dict[str, Any]


class OutputField(Struct, frozen=True):
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: FormatField | None = None


class ThinkingField(Struct, frozen=True):
    type: Literal["enabled", "adaptive", "disabled", "between_tools"]
    budget_tokens: Annotated[int, Meta(ge=1024)] = 1024


class MessagesRequest(Struct, frozen=True):
    """The fields that are read; others are accepted, as the vendor does with those of its betas."""

    model: str
    messages: Annotated[tuple[MessageField, ...], Meta(min_length=1)]
    max_tokens: Annotated[int, Meta(ge=0)]
    system: str | tuple[BlockField, ...] = ()
    stream: bool = False
    tools: tuple[ToolField, ...] = ()
    tool_choice: ChoiceField = ChoiceField()
    output_config: OutputField = OutputField()
    thinking: ThinkingField | None = None

    def __post_init__(self) -> None:
        if self.thinking and self.thinking.type == "enabled" and self.thinking.budget_tokens >= self.max_tokens:
            raise ValueError("max_tokens: must be greater than thinking.budget_tokens")
        _check_turns(self.messages)


def _check_turns(messages: Sequence[MessageField]) -> None:
    called: set[str] = set()
    for position, message in enumerate(messages):
        for block in message.blocks:
            if block.type == "tool_result" and block.tool_use_id not in called:
                raise ValueError(f"messages.{position}: unexpected tool_use_id found in tool_result blocks")
            if block.type == "thinking" and not block.signature.startswith(_SIGNATURE):
                raise ValueError(f"messages.{position}: Invalid signature in thinking block")
        called = {block.id for block in message.blocks if block.type == "tool_use"}


async def create(request: Request) -> Response:
    """Answer `POST /v1/messages`."""
    return await answer_request(request, VENDOR)


async def count(request: Request) -> Response:
    """Answer `POST /v1/messages/count_tokens`: a quarter of the body's length."""
    admit(request, VENDOR)
    return json_response({"input_tokens": -(-len(await request.body()) // _CHARS_A_TOKEN)})


async def models(request: Request) -> Response:
    """Answer `GET /v1/models`, where this vendor's callers name a version of its API and OpenAI's do not."""
    if "anthropic-version" not in request.headers:
        return await openai_chat.models(request)
    admit(request, VENDOR)
    data = [
        {"type": "model", "id": name, "display_name": name, "created_at": "2026-01-01T00:00:00Z"} for name in MODELS
    ]
    return json_response({"data": data, "has_more": False, "first_id": MODELS[0], "last_id": MODELS[-1]})


def refusal(status: int, message: str, kind: str) -> Json:
    """Return an error in Anthropic's shape."""
    kind = "overloaded_error" if status in (503, 529) else kind
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_loopback"}


# What it is asked.


def _asked(body: bytes, request: Request) -> Asked:
    fields = msgspec.json.decode(body, type=MessagesRequest)
    names = {block.id: block.name for message in fields.messages for block in message.blocks if block.name != "-"}
    choice = fields.tool_choice
    wanted = fields.output_config.format
    return Asked(
        model=fields.model,
        messages=(*_system(fields.system), *(said for message in fields.messages for said in _said(message, names))),
        stream=fields.stream,
        tools=tuple(OfferedTool(tool.name, tool.input_schema) for tool in fields.tools if tool.type == "custom"),
        choice=_CHOICES.get(choice.type, "required"),
        forced=choice.name,
        wanted=wanted.schema if wanted else None,
    )


def _system(system: str | tuple[BlockField, ...]) -> list[Said]:
    texts = [system] if isinstance(system, str) else [block.text or "" for block in system]
    return [Said("system", text) for text in texts if text]


def _said(message: MessageField, names: Mapping[str, str]) -> list[Said]:
    """Return what a turn says, then what tools answered in it: reminders beside a result do not come after it."""
    texts = [block.text for block in message.blocks if block.type == "text" and block.text]
    files = tuple(block.type for block in message.blocks if block.source is not None)
    said = [Said(message.role, "\n".join(texts), files=files)] if texts or files else []
    results = [block for block in message.blocks if block.type == "tool_result"]
    return [*said, *(Said("result", _content(block.content), names.get(block.tool_use_id, "")) for block in results)]


def _content(content: Raw) -> str:
    if bytes(content) == b"null":
        return ""
    parts = msgspec.json.decode(content, type=str | tuple[BlockField, ...])
    return parts if isinstance(parts, str) else "\n".join(part.text or f"({part.type})" for part in parts)


# What it says.


class MessagesWriter:
    """Writes named events, two of them where one means the other, as the vendor sends them."""

    def __init__(self, answer: Answer, asked: bytes) -> None:
        self._answer = answer

    def opening(self) -> bytes:
        message = _message(self._answer, [], None)
        tokens = {**usage(self._answer), "output_tokens": 1}
        return _event("message_start", {"message": {**message, "usage": tokens}}) + _event("ping", {})

    def begin(self, index: int, block: Block) -> bytes:
        return _event("content_block_start", {"index": index, "content_block": _empty(block)})

    def delta(self, index: int, block: Block, text: str) -> bytes:
        match block.kind:
            case "text":
                delta = {"type": "text_delta", "text": text}
            case "reasoning":
                delta = {"type": "thinking_delta", "thinking": text}
            case "call":
                delta = {"type": "input_json_delta", "partial_json": text}
        return _event("content_block_delta", {"index": index, "delta": delta})

    def end(self, index: int, block: Block) -> bytes:
        signed = b""
        if block.kind == "reasoning":
            delta = {"type": "signature_delta", "signature": _signature(self._answer)}
            signed = _event("content_block_delta", {"index": index, "delta": delta})
        return signed + _event("content_block_stop", {"index": index})

    def closing(self, ending: Ending) -> bytes:
        delta = {"stop_reason": _ENDINGS[ending], "stop_sequence": None}
        tokens = {"output_tokens": self._answer.tokens.output}
        return _event("message_delta", {"delta": delta, "usage": tokens}) + _event("message_stop", {})

    def error(self) -> bytes:
        return b"event: error\ndata: " + msgspec.json.encode(refusal(529, "Overloaded", "")) + b"\n\n"


def _whole(answer: Answer) -> Json:
    blocks = [_full(answer, block) for block in answer.blocks]
    return {**_message(answer, blocks, _ENDINGS[answer.ending]), "usage": usage(answer)}


def _message(answer: Answer, content: list[Json], reason: str | None) -> Json:
    return {
        "id": f"msg_{answer.identity}",
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": content,
        "stop_reason": reason,
        "stop_sequence": None,
    }


def usage(answer: Answer) -> Json:
    return {
        "input_tokens": answer.tokens.input,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": answer.tokens.output,
    }


def _empty(block: Block) -> Json:
    if block.call is not None:
        return {"type": "tool_use", "id": f"toolu_{block.call.id}", "name": block.call.name, "input": {}}
    if block.kind == "reasoning":
        return {"type": "thinking", "thinking": "", "signature": ""}
    return {"type": "text", "text": ""}


def _full(answer: Answer, block: Block) -> Json:
    if block.call is not None:
        return {**_empty(block), "input": Raw(block.text.encode())}
    if block.kind == "reasoning":
        return {"type": "thinking", "thinking": block.text, "signature": _signature(answer)}
    return {"type": "text", "text": block.text}


def _signature(answer: Answer) -> str:
    return f"{_SIGNATURE}{answer.identity}"


def _event(name: str, fields: Json) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + msgspec.json.encode({"type": name, **fields}) + b"\n\n"


VENDOR = Vendor(
    read=_asked,
    writer=MessagesWriter,
    whole=_whole,
    refusal=refusal,
    key=lambda headers: headers.get("x-api-key", ""),
)
