"""The objects a Responses answer is made of: the response itself, its items, its usage.

Field lists: OpenAI's OpenAPI description and what the strictest clients need (clients reference, sections 0 and 1.4).
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Raw, json

from core.contracts import Exchange
from core.events import Citation, Finish, Usage
from core.fold import FoldedImage, FoldedText, ResponsePart
from core.media import image_size
from core.openai_words import IMAGE_FORMATS, size_word
from core.request import Opaque, Reasoning, ToolCall, Turn
from core.wire.openai_responses.compaction import compaction_item
from core.wire.openai_responses.requests import COMPACTS, WIRE

Object = dict[str, Any]

_ECHO_DEFAULTS: Mapping[str, Any] = {
    "frequency_penalty": 0.0,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "presence_penalty": 0.0,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
_INCOMPLETE_REASONS = {"length": "max_output_tokens", "content_filter": "content_filter"}


def response_id(exchange: Exchange, turn: Turn | None) -> str:
    """Return the signed id of an answer; one that is not kept upstream names nothing but itself."""
    if turn is None or not turn.kept:
        turn = Turn(exchange.id)
    if exchange.signer is None:
        return f"resp_{exchange.id}"
    return exchange.signer.sign_turn("resp", turn, exchange.principal, exchange.created)


def response_object(exchange: Exchange, identity: str, kept: bool) -> Object:
    """Return the response as it stands at its beginning. `kept` says that the upstream keeps the turn."""
    echo = exchange.request.echo
    repeated = {name: _echoed(echo.get(name), default) for name, default in _ECHO_DEFAULTS.items()}
    return {
        "id": identity,
        "object": "response",
        "created_at": exchange.created,
        "status": "in_progress",
        "background": False,
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "model": exchange.request.model,
        "output": [],
        "service_tier": "default",
        "store": kept,
        "tools": tool_objects(echo.get("tools")),
        "usage": None,
        **repeated,
    }


def finished(response: Object, finish: Finish, items: Sequence[Object]) -> Object:
    """Return the response at its end: completed, or incomplete for the reason the finish gives."""
    reason = _INCOMPLETE_REASONS.get(finish.reason)
    return {
        **response,
        "status": "incomplete" if reason else "completed",
        "incomplete_details": {"reason": reason} if reason else None,
        "output": _cut_off(items) if reason else list(items),
        "usage": usage_object(finish.usage) if finish.usage else None,
    }


def _cut_off(items: Sequence[Object]) -> list[Object]:
    """Return the items of an answer that was cut: the last is not whole, if it is of a kind that can be in part."""
    return [*items[:-1], *({**item, "status": "incomplete"} if _can_be_cut(item) else item for item in items[-1:])]


def _can_be_cut(item: Object) -> bool:
    return item["type"] in ("message", "function_call", "custom_tool_call")


def _echoed(value: Raw | None, default: Any) -> Any:
    return default if value is None or bytes(value) == b"null" else value


def tool_objects(sent: Raw | None) -> list[Object]:
    """Return the tools as a response repeats them: as sent, function tools with all their fields."""
    tools: list[Object] = json.decode(sent) if sent is not None else []
    return [_completed(tool) if tool["type"] == "function" else tool for tool in tools or ()]


def _completed(tool: Object) -> Object:
    return {"description": None, "parameters": None, **tool, "strict": bool(tool.get("strict"))}


def usage_object(usage: Usage) -> Object:
    """Counts as reported, or marked `estimated`. The API has no null for details, so what nobody counted is 0 there."""
    body: Object = {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_input_tokens or 0, "cache_write_tokens": 0},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
    return {**body, "estimated": True} if usage.estimated else body


class Items:
    """Makes the items of one answer, with ids of the right prefix that depend on nothing but their place.

    The items of a kept turn have the token of the response's own id, `identity`, in theirs: so a reference to an item
    leads back to its turn (requests.py, `KEPT_ITEM`).
    """

    def __init__(self, exchange: Exchange, identity: str | None = None) -> None:
        self._base = exchange.id.replace(".", "") if identity is None else identity.removeprefix("resp_")
        self.compacts = COMPACTS in exchange.request.echo
        self._tools = {tool.name: tool for tool in exchange.request.tools}

    def compaction(self, index: int, summary: str) -> Object:
        return {**compaction_item(self._base, summary), "id": self._identity("cmp", index)}

    def message(self, index: int, parts: Sequence[Object], status: str, phase: str | None = None) -> Object:
        identity = self._identity("msg", index)
        item = {"type": "message", "id": identity, "role": "assistant", "status": status, "content": list(parts)}
        return item if phase is None else {**item, "phase": phase}

    def reasoning(self, index: int, text: str, opaque: Opaque | None = None) -> Object:
        """Return the item of a reasoning. What this wire's vendor sealed goes with it: the client sends it back."""
        summary = [{"type": "summary_text", "text": text}] if text else []
        item = {"type": "reasoning", "id": self._identity("rs", index), "summary": summary}
        if opaque is None or opaque.wire != WIRE:
            return item
        return {**item, "encrypted_content": opaque.data.decode("utf-8", "replace")}

    def call(self, index: int, call: ToolCall, status: str) -> Object:
        tool = self._tools.get(call.name)
        names = {"name": tool.local_name if tool else call.name}
        if tool is not None and tool.namespace:
            names["namespace"] = tool.namespace
        shared = {"call_id": call.id, **names, "status": status}
        if call.kind == "custom":
            return {"type": "custom_tool_call", "id": self._identity("ctc", index), **shared, "input": call.arguments}
        return {"type": "function_call", "id": self._identity("fc", index), **shared, "arguments": call.arguments}

    def picture(self, index: int, picture: FoldedImage | None, status: str = "completed") -> Object:
        """Return the item of a picture, which is None while it is not there."""
        item = {"type": "image_generation_call", "id": self._identity("ig", index), "status": status}
        if picture is None:
            return item
        facts = {"revised_prompt": picture.revised_prompt, **picture_facts(picture.media_type, picture.data)}
        told = {name: value for name, value in facts.items() if value is not None}
        return {**item, "result": base64.b64encode(picture.data).decode(), **told}

    def of_part(self, index: int, part: ResponsePart) -> Object:
        """Return the finished item of a folded block."""
        match part:
            case FoldedText(text) if self.compacts:
                return self.compaction(index, text)
            case FoldedText(text, citations, phase):
                return self.message(index, [text_part(text, citations)], "completed", phase)
            case Reasoning(text, opaque):
                return self.reasoning(index, text, opaque)
            case ToolCall():
                return self.call(index, part, "completed")
            case FoldedImage():
                return self.picture(index, part)

    def _identity(self, prefix: str, index: int) -> str:
        return f"{prefix}_{self._base}{index:02x}"


def picture_facts(media_type: str, data: bytes) -> Object:
    """Return what is true of a picture; what nobody knows is None."""
    return {"output_format": IMAGE_FORMATS.get(media_type), "size": size_word(image_size(data))}


def text_part(text: str, citations: Sequence[Citation] = ()) -> Object:
    annotations = [annotation(citation) for citation in citations]
    return {"type": "output_text", "text": text, "annotations": annotations, "logprobs": []}


def annotation(citation: Citation) -> Object:
    return {
        "type": "url_citation",
        "start_index": citation.start,
        "end_index": citation.end,
        "url": citation.url,
        "title": citation.title,
    }
