"""Canonical messages as Anthropic's turns: a system prompt apart, users and assistants in alternation.

Neighbours of one role become one turn; what tools answered stands first in the user's. Empty texts, which Anthropic
refuses, are left out: they say nothing.
"""

import base64
from collections.abc import Iterable
from typing import Any

from core.errors import Unsupported
from core.media import Blob, as_url, is_data_url, read_base64, read_data_url, sniff
from core.request import (
    Audio,
    ChatRequest,
    File,
    Image,
    Message,
    Part,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
)
from core.tool_names import Names, call_id
from core.wire.anthropic.objects import call_input
from core.wire.anthropic.opaque import seal_of

Block = dict[str, Any]

PICTURES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_INSTRUCTING = ("system", "developer")


def system_blocks(request: ChatRequest) -> list[Block]:
    """Return all that system and developer messages say, in order: Anthropic has one place for it."""
    instructing = (message for message in request.messages if message.role in _INSTRUCTING)
    texts = (part for message in instructing for part in message.parts if isinstance(part, Text))
    return [{"type": "text", "text": part.text} for part in texts if part.text.strip()]


def turns(request: ChatRequest, names: Names) -> list[Block]:
    """Return the turns. Raises `Unsupported` when there is nothing but a system prompt."""
    merged: list[Block] = []
    for message in request.messages:
        if message.role in _INSTRUCTING:
            _refuse_media(message)
            continue
        role = "assistant" if message.role == "assistant" else "user"
        blocks = [block for part in message.parts for block in _blocks(part, names)]
        if not blocks:
            continue
        if merged and merged[-1]["role"] == role:
            merged[-1]["content"] += blocks
        else:
            merged.append({"role": role, "content": blocks})
    if not merged:
        raise Unsupported("messages: this upstream answers a message of the user, and there is none", param="messages")
    for turn in merged:
        # sorted() is stable: results first, each group in its order.
        turn["content"] = sorted(turn["content"], key=lambda block: block["type"] != "tool_result")
    return merged


def _refuse_media(message: Message) -> None:
    for part in message.parts:
        if not isinstance(part, Text):
            where = getattr(part, "where", "") or "messages"
            raise Unsupported(f"{where}: this upstream takes text only in a system message", param=where)


def _blocks(part: Part, names: Names) -> Iterable[Block]:
    match part:
        case Text(text):
            return [{"type": "text", "text": text}] if text.strip() else []
        case Image():
            return [_image(part)]
        case File():
            return [_document(part)]
        case Reasoning():
            return _thinking(part)
        case ToolCall():
            name = names.sent(part.name)
            return [{"type": "tool_use", "id": call_id(part.id), "name": name, "input": call_input(part)}]
        case ToolResult():
            return [_result(part, names)]
        case Audio():
            where = part.where or "messages"
            raise Unsupported(f"{where}: this upstream takes no sound", param=where)


def _thinking(reasoning: Reasoning) -> list[Block]:
    """Thoughts go back to who signed them; nobody else's are taken."""
    seal = seal_of(reasoning.opaque)
    if seal.data:
        return [{"type": "redacted_thinking", "data": seal.data}]
    if not seal.signature:
        return []
    return [{"type": "thinking", "thinking": reasoning.text, "signature": seal.signature}]


def _result(result: ToolResult, names: Names) -> Block:
    content = [block for part in result.content for block in _blocks(part, names)]
    failed = {"is_error": True} if result.is_error else {}
    return {"type": "tool_result", "tool_use_id": call_id(result.call_id), "content": content, **failed}


def _image(image: Image) -> Block:
    where = image.where or "the image"
    if image.url is None:
        raise Unsupported(f"{where}: a file of this gateway stays in its ChatGPT account", param=image.where or None)
    url = as_url(image.url, where)
    if not is_data_url(url):
        return {"type": "image", "source": {"type": "url", "url": url}}
    blob = read_data_url(url, where)
    if blob.media_type not in PICTURES:
        message = f"{where} is {blob.media_type}: this upstream takes {', '.join(PICTURES)}"
        raise Unsupported(message, param=image.where or None)
    return {"type": "image", "source": _base64(blob)}


def _document(file: File) -> Block:
    where = file.where or "the file"
    titled = {"title": file.filename} if file.filename else {}
    if file.url is not None:
        return {"type": "document", "source": {"type": "url", "url": file.url}, **titled}
    if file.data is None:
        raise Unsupported(f"{where}: a file of this gateway stays in its ChatGPT account", param=file.where or None)
    blob = _read(file.data, where)
    if blob.media_type == "application/pdf":
        return {"type": "document", "source": _base64(blob), **titled}
    if blob.media_type in PICTURES:
        return {"type": "image", "source": _base64(blob)}
    text = _text(blob)
    if text is None:
        message = f"{where} is {blob.media_type}: this upstream takes PDF, text and pictures"
        raise Unsupported(message, param=file.where or None)
    return {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": text}, **titled}


def _read(data: str, where: str) -> Blob:
    if is_data_url(data):
        return read_data_url(data, where)
    plain = read_base64(data, where)
    return Blob(plain, sniff(plain) or "text/plain")


def _text(blob: Blob) -> str | None:
    """Return the text that a file holds, None when it is none."""
    try:
        text = blob.data.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def _base64(blob: Blob) -> Block:
    return {"type": "base64", "media_type": blob.media_type, "data": base64.b64encode(blob.data).decode()}
