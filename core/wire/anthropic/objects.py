"""What an answer in Anthropic's format is made of: the message object, its blocks, usage and stop reason."""

import base64
from collections.abc import Sequence
from typing import Any

from msgspec import Raw, json

from core.contracts import Exchange
from core.errors import MALFORMED_JSON
from core.events import CUT_SHORT, Citation, Finish, FinishReason, Usage
from core.fold import FoldedImage, FoldedText, Response, ResponsePart
from core.request import Reasoning, ToolCall
from core.wire.anthropic.opaque import seal_of
from core.wire.anthropic.thinking import OMITTED, THINKING

STOP_REASONS: dict[FinishReason, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    "other": "end_turn",
}
_OWN_REASONS: dict[str, FinishReason] = {
    "stop_sequence": "stop",
    "pause_turn": "other",
    "model_context_window_exceeded": "length",
}
"""Anthropic's further reasons, told as they are when they came as the upstream's own word."""

_ARGUMENTS = json.Decoder(dict[str, Raw])


def message_object(exchange: Exchange, content: Sequence[Any], stop: dict[str, Any], usage: Any) -> dict[str, Any]:
    return {
        "id": f"msg_{exchange.id}",
        "type": "message",
        "role": "assistant",
        "model": exchange.request.model,
        "content": content,
        **stop,
        "usage": usage,
    }


def render_response(exchange: Exchange, response: Response) -> bytes:
    """Return the message of a whole answer."""
    finish = response.finish
    content = [block for part in response.parts for block in _blocks(exchange, part, finish)]
    return json.encode(message_object(exchange, content, stop_object(finish), usage_object(finish.usage)))


def stop_object(finish: Finish) -> dict[str, Any]:
    """Return why the answer ended, and which of the stop sequences it was, where somebody said so."""
    raw = finish.raw_reason or ""
    reason = raw if _OWN_REASONS.get(raw) == finish.reason else STOP_REASONS[finish.reason]
    return {"stop_reason": reason, "stop_sequence": finish.stop_sequence if reason == "stop_sequence" else None}


def usage_object(usage: Usage | None) -> dict[str, Any]:
    """Return the counts. Anthropic's input_tokens are those that no cache held; ours are all of them."""
    if usage is None:
        return {"input_tokens": 0, "output_tokens": 0}
    cached = usage.cached_input_tokens
    body: dict[str, Any] = {
        "input_tokens": usage.input_tokens - (cached or 0),
        "output_tokens": usage.output_tokens,
    }
    if cached is not None:
        body["cache_read_input_tokens"] = cached
    if usage.reasoning_tokens is not None:
        body["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    if usage.estimated:
        body["estimated"] = True
    return body


def _blocks(exchange: Exchange, part: ResponsePart, finish: Finish) -> list[dict[str, Any]]:
    match part:
        case FoldedText(text, citations):
            if not text and not citations:
                return []
            cited = {"citations": [citation_object(each) for each in citations]} if citations else {}
            return [{"type": "text", "text": text, **cited}]
        case Reasoning():
            return _thinking(exchange, part)
        case ToolCall():
            arguments = call_input(part, finish.reason in CUT_SHORT)
            return [{"type": "tool_use", "id": part.id, "name": part.name, "input": arguments}]
        case FoldedImage():
            return [{"type": "text", "text": picture_text(exchange, part)}]


def _thinking(exchange: Exchange, reasoning: Reasoning) -> list[dict[str, Any]]:
    if not shows_thinking(exchange):
        return []
    seal = seal_of(reasoning.opaque)
    text = reasoning.text if shows_thoughts(exchange) else ""
    if seal.data:
        return [{"type": "redacted_thinking", "data": seal.data}]
    if not (text or seal.signature):
        return []
    return [{"type": "thinking", "thinking": text, "signature": seal.signature}]


def shows_thinking(exchange: Exchange) -> bool:
    """Say whether the answer may have blocks of thinking: only those who asked for some know what to do with them."""
    return THINKING in exchange.request.echo


def shows_thoughts(exchange: Exchange) -> bool:
    """Say whether the words of thinking are shown too, beside the seals that a later turn needs."""
    return shows_thinking(exchange) and OMITTED not in exchange.request.echo


def call_input(call: ToolCall, may_be_cut: bool = False) -> Raw | dict[str, str]:
    """Return a call's arguments as the object they must be; what is none stands in `input`.

    Of one that the answer's end broke off there is no object yet, and nothing is told of it: `stop_reason` says why.
    """
    if call.kind == "custom":
        return {"input": call.arguments}
    if not call.arguments.strip():
        return {}
    try:
        _ARGUMENTS.decode(call.arguments)
    except MALFORMED_JSON:
        return {} if may_be_cut else {"input": call.arguments}
    return Raw(call.arguments.encode())


def citation_object(citation: Citation) -> dict[str, Any]:
    """Return a source; the words of it that were used, and Anthropic's own key to it, nobody has said."""
    return {
        "type": "web_search_result_location",
        "url": citation.url,
        "title": citation.title,
        "cited_text": "",
        "encrypted_index": "",
    }


def picture_text(exchange: Exchange, picture: FoldedImage) -> str:
    """Return a picture as text, for which alone the format has a place: a link, or all of it as a `data:` URL."""
    if picture.file is not None and exchange.signer is not None:
        return f"![image]({exchange.link(picture.file)})"
    return f"![image](data:{picture.media_type};base64,{base64.b64encode(picture.data).decode()})"
