"""The pictures a turn has made: which of its messages show one, and which of those count (section 6).

The model calls a tool, and the tool's messages hold the pictures: coarser ones first, perhaps, then the one that
counts, or at first only a notice that it is being made. Nothing is fetched here. Source: chatgpt-web reference,
section 6, and the capture `delta_v1_image_edit_handoff`.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from msgspec import Struct

from core.errors import UpstreamUnavailable
from core.wire.chatgpt_web import document as doc
from core.wire.chatgpt_web.errors import NO_PICTURE, UPSTREAM
from core.wire.chatgpt_web.message import CODE_TOOLS, Message

_POINTER = re.compile(r"(?:file-service|sediment)://([A-Za-z0-9_-]{1,128})(?:#.*)?")
_PLACEHOLDER = "file_upload"
"""The id of a picture that is not there yet."""


class Picture(Struct, frozen=True):
    """A picture by the name the upstream has for it. `size` is in bytes, `prompt` what was really drawn."""

    file_id: str
    message_id: str | None = None
    size: int | None = None
    prompt: str | None = None


class Gallery(Struct, frozen=True):
    """What a turn has made so far. `drafts` are coarser pictures; `awaited` says that one is still being made.

    `charts` are what code drew on the way: nobody asked for them, and nothing waits for them.
    """

    finished: tuple[Picture, ...] = ()
    drafts: tuple[Picture, ...] = ()
    awaited: bool = False
    charts: tuple[Picture, ...] = ()


def gallery(messages: Iterable[Message], own_files: Collection[str] = ()) -> Gallery:
    """Return the pictures among a turn's messages, leaving out `own_files`, which the user sent.

    Of the messages that one call of the tool gave, the last finished one counts; the others' pictures are drafts.
    """
    finished: dict[str, Picture] = {}
    drafts: dict[str, Picture] = {}
    newest: dict[str, Picture] = {}
    charts: dict[str, Picture] = {}
    awaited = False
    for message in messages:
        if message.field("author/name") in CODE_TOOLS:
            charts |= {chart.file_id: chart for chart in _charts(message) if message.is_whole}
            continue
        if message.shown == "text" and message.field("content/content_type") == "text":
            awaited = awaited and not message.ends_turn
            continue
        found = {picture.file_id: picture for picture in _pictures(message) if picture.file_id not in own_files}
        if found and message.is_whole:
            drafts |= newest
            newest, awaited = found, False
        elif found:
            drafts |= found
            awaited = True
        elif _promises(message):
            awaited = True
        elif message.shown == "text" and message.ends_turn:
            awaited = False
        elif _calls(message):
            finished |= newest
            newest = {}
    finished |= newest
    left_over = tuple(picture for name, picture in drafts.items() if name not in finished)
    return Gallery(tuple(finished.values()), left_over, awaited, tuple(charts.values()))


def failure(tasks: Any, conversation_id: str | None) -> dict[str, Any] | None:
    """Return the message in which a conversation's task says why there is no picture, made an answer; None if none.

    `tasks` is what `GET /tasks` answers. Raises `UpstreamUnavailable` for a task that failed without a word.
    """
    for task in _listed(doc.leaf({"answer": tasks}, "/answer/tasks")):
        if not isinstance(task, dict):
            continue
        if conversation_id not in (task.get("conversation_id"), task.get("original_conversation_id")):
            continue
        said = task.get("image_gen_message")
        message = said if isinstance(said, dict) else {}
        if doc.leaf(message, "/metadata/is_error") is True or task.get("status") == "failed":
            return _as_answer(message)
    return None


def _as_answer(message: dict[str, Any]) -> dict[str, Any]:
    text = "".join(doc.text_of(part) for part in _listed(doc.leaf(message, "/content/parts")))
    if not text:
        reason = "the upstream failed to make the picture"
        raise UpstreamUnavailable(reason, upstream=UPSTREAM, status=502, code=NO_PICTURE)
    return {
        "id": message.get("id"),
        "author": {"role": "assistant"},
        "content": {"content_type": "text", "parts": [text]},
        "status": "finished_successfully",
        "end_turn": True,
        "recipient": "all",
    }


def _pictures(message: Message) -> Iterator[Picture]:
    if not _shows_pictures(message):
        return
    for part in _listed(message.field("content/parts")):
        found = _POINTER.fullmatch(_pointer(part))
        if found and found[1] != _PLACEHOLDER:
            yield Picture(found[1], _text(message.field("id")), _size(part), _prompt(part, message))


def _charts(message: Message) -> Iterator[Picture]:
    """Yield what code drew: told in its result, or shown as any picture (section 3.7, `aggregate_result`)."""
    yield from _pictures(message)
    if message.shown != "output":
        return
    for output in _listed(message.field("metadata/aggregate_result/messages")):
        if not isinstance(output, dict) or output.get("message_type") != "image":
            continue
        if found := _POINTER.fullmatch(doc.text_of(output.get("image_url"))):
            yield Picture(found[1], _text(message.field("id")))


def _shows_pictures(message: Message) -> bool:
    """Only tools make pictures, or the assistant shows them to all; a call's code may name pictures too."""
    role = message.field("author/role")
    shown = role == "tool" or (role == "assistant" and message.field("recipient") in ("all", None))
    hidden = message.field("metadata/is_visually_hidden_from_conversation") or message.field("weight") == 0
    return shown and not hidden and message.field("content/content_type") == "multimodal_text"


def _promises(message: Message) -> bool:
    """Say whether a message only tells that a picture is being made."""
    return message.field("author/role") == "tool" and isinstance(message.field("metadata/image_gen_task_id"), str)


def _calls(message: Message) -> bool:
    return message.field("author/role") == "assistant" and message.field("recipient") not in ("all", None)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _pointer(part: Any) -> str:
    is_pointer = isinstance(part, dict) and part.get("content_type") == "image_asset_pointer"
    return doc.text_of(part.get("asset_pointer")) if is_pointer else ""


def _size(part: dict[str, Any]) -> int | None:
    size = part.get("size_bytes")
    return size if type(size) is int and size >= 0 else None


def _prompt(part: dict[str, Any], message: Message) -> str | None:
    return _text(doc.leaf(part, "/metadata/dalle/prompt")) or _text(message.field("metadata/image_gen_title"))


def _text(value: Any) -> str | None:
    return doc.text_of(value) or None
