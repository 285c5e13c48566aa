"""The simulated vendor's Responses API, as OpenAI writes it (captures/vendors/openai-responses-*.sse)."""

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Raw, Struct
from starlette.requests import Request
from starlette.responses import Response

from core.loopback.prompts import OfferedTool
from core.loopback.refusals import Json, Refused
from core.loopback.samples import Schema
from core.loopback.vendors import openai_chat
from core.loopback.vendors.asked import Asked, Role, Said
from core.loopback.vendors.exchange import Vendor, answer_request
from core.loopback.vendors.telling import Answer, Block, Ending

SEAL = "loopback-sealed-"
"""How the encrypted reasoning begins that this vendor gives out; any other is not its own."""

Name = Annotated[str, Meta(pattern="^[a-zA-Z0-9_-]{1,64}$")]
KeptId = Annotated[str, Meta(pattern="^resp_[0-9a-f]{24}$")]
"""An id that this vendor may have given out; others it has never seen."""

MAX_ID_CHARS = 64

_OWN_REASONING = re.compile("rs_[0-9a-f]{50}")
"""An id of reasoning that this vendor may have given out; in the others' place it finds nothing."""

_ROLES: dict[str, Role] = {"developer": "system", "system": "system", "assistant": "assistant"}
_REASONS: dict[Ending, str] = {"length": "max_output_tokens", "filtered": "content_filter"}
_CREATED = 1_790_000_000
_TEXTS = ("input_text", "output_text", "summary_text", "text")


class PartField(Struct, frozen=True):
    type: Literal["input_text", "output_text", "input_image", "input_file", "refusal", "summary_text"]
    text: str = ""


class ItemField(Struct, frozen=True):
    """An input item of any type."""

    type: str = "message"
    id: str | None = None
    role: Literal["user", "assistant", "system", "developer"] = "user"
    content: str | tuple[PartField, ...] | None = None
    call_id: str = ""
    name: Name | None = None
    namespace: Name | None = None
    output: str | tuple[PartField, ...] = ""
    encrypted_content: str | None = None
    tools: tuple[Raw, ...] = ()


class ToolField(Struct, frozen=True):
    type: str
    name: Name | None = None
    parameters: Schema | None = None
    tools: tuple[Raw, ...] = ()


class ResponsesRequest(Struct, frozen=True):
    """The fields that are read; others are accepted."""

    model: str
    input: str | tuple[ItemField, ...]
    instructions: str | None = None
    stream: bool | None = None
    tools: tuple[Raw, ...] | None = None
    tool_choice: str | dict[str, Any] = "auto"
    text: dict[str, Any] | None = None
    previous_response_id: KeptId | None = None

    @property
    def items(self) -> tuple[ItemField, ...]:
        return (ItemField(content=self.input),) if isinstance(self.input, str) else self.input


async def respond(request: Request) -> Response:
    """Answer `POST /v1/responses`."""
    return await answer_request(request, VENDOR)


def asked(body: bytes, request: Request) -> Asked:
    """Return what a body asks; raise `Refused` for long ids, results without a call and reasoning of others."""
    fields = msgspec.json.decode(body, type=ResponsesRequest)
    names = {item.call_id: _qualified(item.name or "", item.namespace) for item in fields.items if item.name}
    for position, item in enumerate(fields.items):
        _check_id(item, f"input[{position}].id")
        _check(item, names, is_whole=fields.previous_response_id is None)
    offered = [*(fields.tools or ()), *(tool for item in fields.items for tool in item.tools)]
    choice, forced = _choice(fields.tool_choice)
    return Asked(
        model=fields.model,
        messages=tuple(said for item in fields.items for said in _said(item, names)),
        stream=bool(fields.stream),
        tools=tuple(_offered(offered)),
        choice=choice,
        forced=forced,
        wanted=_wanted((fields.text or {}).get("format") or {}),
    )


def _check_id(item: ItemField, param: str) -> None:
    identity = item.id or ""
    if len(identity) > MAX_ID_CHARS:
        message = (
            f"Invalid '{param}': string too long. Expected a string with maximum length {MAX_ID_CHARS}, "
            f"but got a string with length {len(identity)} instead."
        )
        raise _refused(message, "string_above_max_length", param)
    if item.type == "reasoning" and identity and not _OWN_REASONING.fullmatch(identity):
        raise _refused(f"Item with id '{identity}' not found.", None, status=404)


def _check(item: ItemField, names: dict[str, str], *, is_whole: bool) -> None:
    if item.type.endswith("_call_output") and is_whole and item.call_id not in names:
        raise _refused(f"No tool call found for function call output with call_id {item.call_id}.", None)
    if item.encrypted_content is not None and not item.encrypted_content.startswith(SEAL):
        raise _refused("The encrypted content could not be verified.", "invalid_encrypted_content")


def _refused(message: str, code: str | None, param: str = "input", status: int = 400) -> Refused:
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return Refused(status, {"error": error})


def _said(item: ItemField, names: dict[str, str]) -> list[Said]:
    if item.type.endswith("_call_output"):
        return [Said("result", _text(item.output), names.get(item.call_id, ""), _files(item.output))]
    if item.type != "message":
        return []
    return [Said(_ROLES.get(item.role, "user"), _text(item.content), files=_files(item.content))]


def _text(content: str | tuple[PartField, ...] | None) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(part.text for part in content if part.type in _TEXTS)


def _files(content: str | tuple[PartField, ...] | None) -> tuple[str, ...]:
    if content is None or isinstance(content, str):
        return ()
    return tuple(part.type for part in content if part.type not in _TEXTS)


def _offered(tools: Sequence[Raw], namespace: str | None = None) -> Iterator[OfferedTool]:
    """Yield the tools that can be called, those of namespaces under both their names."""
    for raw in tools:
        tool = msgspec.json.decode(raw, type=ToolField)
        name = _qualified(tool.name or "", namespace)
        match tool.type:
            case "namespace":
                yield from _offered(tool.tools, tool.name)
            case "function":
                yield OfferedTool(name, tool.parameters or {})
            case "custom":
                yield OfferedTool(name, None)
            case _:
                pass


def _qualified(name: str, namespace: str | None) -> str:
    return f"{namespace}.{name}" if namespace else name


def _choice(choice: str | dict[str, Any]) -> tuple[Literal["auto", "none", "required"], str]:
    if isinstance(choice, dict):
        return "required", _qualified(str(choice.get("name", "")), choice.get("namespace"))
    return ("required" if choice == "required" else "none" if choice == "none" else "auto"), ""


def _wanted(format_: dict[str, Any]) -> Schema | None:
    if format_.get("type") == "json_object":
        return {}
    schema = format_.get("schema")
    return schema if isinstance(schema, dict) else None


# What it says.


class ResponsesWriter:
    """Writes the events. `repeats_output` says whether the last one holds the whole answer again."""

    def __init__(self, answer: Answer, repeats_output: bool = True) -> None:
        self._answer = answer
        self._repeats_output = repeats_output
        self._number = 0

    def opening(self) -> bytes:
        begun = response(self._answer, None)
        created = self._event("response.created", {"response": begun})
        return created + self._event("response.in_progress", {"response": begun})

    def begin(self, index: int, block: Block) -> bytes:
        begun = item(self._answer, index, block, None)
        added = self._event("response.output_item.added", {"output_index": index, "item": begun})
        place = self._place(index, block)
        match block.kind:
            case "text":
                return added + self._event("response.content_part.added", {**place, "part": _part("")})
            case "reasoning":
                part = {"type": "summary_text", "text": ""}
                return added + self._event("response.reasoning_summary_part.added", {**place, "part": part})
            case "call":
                return added

    def delta(self, index: int, block: Block, text: str) -> bytes:
        more = {"obfuscation": "x" * (16 - len(text) % 16)} if block.kind != "reasoning" else {}
        return self._event(f"{_name(block)}.delta", {**self._place(index, block), "delta": text, **more})

    def end(self, index: int, block: Block) -> bytes:
        place, name = self._place(index, block), _name(block)
        whole = {"reasoning": "text", "text": "text"}.get(block.kind, "arguments")
        if block.call is not None and block.call.is_custom:
            whole = "input"
        frames = self._event(f"{name}.done", {**place, whole: block.text})
        if block.kind == "text":
            frames += self._event("response.content_part.done", {**place, "part": _part(block.text)})
        if block.kind == "reasoning":
            part = {"type": "summary_text", "text": block.text}
            frames += self._event("response.reasoning_summary_part.done", {**place, "part": part})
        done = item(self._answer, index, block, "completed")
        return frames + self._event("response.output_item.done", {"output_index": index, "item": done})

    def closing(self, ending: Ending) -> bytes:
        ended = response(self._answer, ending)
        if not self._repeats_output:
            ended["output"] = []
        return self._event(f"response.{ended['status']}", {"response": ended})

    def error(self) -> bytes:
        error = {"type": "server_error", "code": "server_error", "message": "The server had an error.", "param": None}
        return self._event("error", {"error": error})

    def _place(self, index: int, block: Block) -> Json:
        place: Json = {"item_id": _id(self._answer, index, block), "output_index": index}
        if block.kind == "text":
            return {**place, "content_index": 0, "logprobs": []}
        return {**place, "summary_index": 0} if block.kind == "reasoning" else place

    def _event(self, kind: str, fields: Json) -> bytes:
        data = msgspec.json.encode({"type": kind, **fields, "sequence_number": self._number})
        self._number += 1
        return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"


def _name(block: Block) -> str:
    if block.call is not None:
        return "response.custom_tool_call_input" if block.call.is_custom else "response.function_call_arguments"
    return "response.output_text" if block.kind == "text" else "response.reasoning_summary_text"


def _id(answer: Answer, index: int, block: Block) -> str:
    prefix = {"text": "msg", "reasoning": "rs"}.get(block.kind, "fc")
    return f"{prefix}_{answer.identity}{answer.identity}{index:02x}"


def _part(text: str) -> Json:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def item(answer: Answer, index: int, block: Block, status: str | None) -> Json:
    """Return an output item, as far as it came: `status` is None at its beginning."""
    text = block.text if status else ""
    begun: Json = {"id": _id(answer, index, block)}
    if block.kind == "reasoning":
        summary = [{"type": "summary_text", "text": text}] if text else []
        return {**begun, "type": "reasoning", "encrypted_content": f"{SEAL}{answer.identity}", "summary": summary}
    begun["status"] = status or "in_progress"
    if block.call is None:
        content = [_part(text)] if status else []
        return {**begun, "type": "message", "role": "assistant", "content": content, "phase": "final_answer"}
    namespace, _, name = block.call.name.rpartition(".")
    call: Json = {**begun, "call_id": f"call_{block.call.id}", "name": name}
    if namespace:
        call["namespace"] = namespace
    if block.call.is_custom:
        return {**call, "type": "custom_tool_call", "input": text}
    return {**call, "type": "function_call", "arguments": text}


def response(answer: Answer, ending: Ending | None) -> Json:
    """Return the response: at its beginning, or with all of its items at its end."""
    reason = _REASONS.get(ending) if ending else None
    status = "in_progress" if ending is None else "incomplete" if reason else "completed"
    items = [item(answer, index, block, "completed") for index, block in enumerate(answer.blocks)]
    return {
        "id": f"resp_{answer.identity}",
        "object": "response",
        "created_at": _CREATED,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": {"reason": reason} if reason else None,
        "instructions": None,
        "max_output_tokens": None,
        "metadata": {},
        "model": answer.model,
        "output": items if ending else [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": usage(answer) if ending else None,
        "user": None,
    }


def usage(answer: Answer) -> Json:
    tokens = answer.tokens
    return {
        "input_tokens": tokens.input,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": tokens.output,
        "output_tokens_details": {"reasoning_tokens": tokens.reasoning},
        "total_tokens": tokens.input + tokens.output,
    }


VENDOR = Vendor(
    read=asked,
    writer=lambda answer, body: ResponsesWriter(answer),
    whole=lambda answer: response(answer, answer.ending),
    refusal=openai_chat.refusal,
    key=openai_chat.VENDOR.key,
)
