"""The objects of an answer: candidates, parts, counts and sources, in the API's own spelling."""

import base64
from collections.abc import Sequence
from typing import Any

from msgspec import Raw, json

from core.contracts import Exchange
from core.errors import MALFORMED_JSON, ProtocolViolation
from core.events import CUT_SHORT, Citation, Finish, FinishReason, Usage
from core.fold import FoldedImage, FoldedText
from core.free_text import FREE_TEXT
from core.request import ToolCall

Object = dict[str, Any]

_FINISH_REASONS: dict[FinishReason, str] = {
    "stop": "STOP",
    "tool_calls": "STOP",
    "length": "MAX_TOKENS",
    "content_filter": "SAFETY",
    "other": "OTHER",
}
_OBJECT = json.Decoder(dict[str, Raw])


def identity(exchange: Exchange) -> Object:
    return {"modelVersion": exchange.request.model, "responseId": exchange.id}


def call_part(call: ToolCall) -> Object:
    """Return a call as a part. Raises `ProtocolViolation` for arguments that are no object, for they have no place."""
    return {"functionCall": {"id": call.id, "name": call.name, "args": arguments_of(call)}}


def arguments_of(call: ToolCall) -> Object:
    if call.kind == "custom":
        return {FREE_TEXT: call.arguments}
    arguments = _object(call.arguments or "{}")
    if arguments is None:
        message = f"the model called {call.name!r} with arguments that are no JSON object, which this format needs"
        raise ProtocolViolation(message)
    return arguments


def is_whole(call: ToolCall) -> bool:
    """Say whether a call's arguments are told to their end; of free text nobody can say."""
    return call.kind == "custom" or _object(call.arguments) is not None


def is_cut_off(call: ToolCall, finish: Finish) -> bool:
    """Say whether a call, the last thing of an answer, is one that the answer's end broke off: it has no place here."""
    return finish.reason in CUT_SHORT and not is_whole(call)


def _object(text: str) -> Object | None:
    try:
        return dict(_OBJECT.decode(text))
    except MALFORMED_JSON:
        return None


def picture_part(picture: FoldedImage) -> Object:
    data = base64.b64encode(picture.data).decode()
    return {"inlineData": {"mimeType": picture.media_type, "data": data}}


def finish_fields(finish: Finish) -> Object:
    """Return the reason of an end; where Google has no word for it, the upstream's own is the message."""
    reason = _FINISH_REASONS[finish.reason]
    told = {"finishMessage": finish.raw_reason} if reason == "OTHER" and finish.raw_reason else {}
    return {"finishReason": reason, **told}


def usage_object(usage: Usage) -> Object:
    """Return the counts: Google tells what was thought and what was said apart."""
    thought = usage.reasoning_tokens or 0
    counts: Object = {
        "promptTokenCount": usage.input_tokens,
        "candidatesTokenCount": usage.output_tokens - thought,
        "totalTokenCount": usage.input_tokens + usage.output_tokens,
    }
    if usage.reasoning_tokens is not None:
        counts["thoughtsTokenCount"] = thought
    if usage.cached_input_tokens is not None:
        counts["cachedContentTokenCount"] = usage.cached_input_tokens
    if usage.estimated:
        counts["estimated"] = True
    return counts


def grounding(texts: Sequence[FoldedText]) -> Object | None:
    """Return the sources of an answer's texts; Google counts places in UTF-8 bytes, over all of them."""
    sources: dict[str, int] = {}
    chunks: list[Object] = []
    supports: list[Object] = []
    offset = 0
    for text in texts:
        for citation in text.citations:
            if citation.url not in sources:
                sources[citation.url] = len(chunks)
                chunks.append({"web": {"uri": citation.url, "title": citation.title}})
            supports.append(_support(text.text, citation, offset, sources[citation.url]))
        offset += _bytes(text.text)
    return {"groundingChunks": chunks, "groundingSupports": supports} if chunks else None


def _support(text: str, citation: Citation, offset: int, source: int) -> Object:
    said = text[citation.start : citation.end]
    start = offset + _bytes(text[: citation.start])
    segment = {"startIndex": start, "endIndex": start + _bytes(said), "text": said}
    return {"segment": segment, "groundingChunkIndices": [source]}


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
