"""Turns that draw: the calls of the picture tool and what it answers, at once or after a while.

Shapes from reference chatgpt-web 6 and the capture `delta_v1_image_edit_handoff`.
"""

from collections.abc import Callable
from uuid import uuid4

from msgspec import Struct

from core.loopback.directives import Directive, PictureSwitches
from core.loopback.messages import Message, code_content, text_content
from core.loopback.pictures import png
from core.loopback.refusals import Json

HINT = "picture_v2"
ASYNC_STATUS = 7
"""What the service says of a turn whose picture is made after it (capture)."""

PREVIEW_SIDE, SIDE = 16, 64

_TOOL = "t2uay3k.sj1i4kz"
_TITLE_CHARS = 200
_NOTICE = "Processing image\n\nMany people are creating images right now, so this might take a moment."

Keep = Callable[[bytes], str]
"""Puts a picture among the files of the account and returns its id."""


class Drawing(Struct, frozen=True):
    """The messages of a turn that draws, in order: the `call` of the tool, a `notice` in its place, what it `gave`."""

    switches: PictureSwitches
    call: Message
    notice: Message
    gave: tuple[Message, ...]


def switches_of(directive: Directive, hints: tuple[str, ...]) -> PictureSwitches | None:
    """Say how a turn draws, `None` when it does not."""
    if directive.image is not None:
        return directive.image
    return PictureSwitches() if HINT in hints or directive.tool_message == "image" else None


def draw(switches: PictureSwitches, prompt: str, identity: Json, now: float, keep: Keep) -> Drawing:
    """Make the pictures. The same prompt gives the same ones; each comes of a call of its own."""
    gave: list[Message] = []
    for number in range(switches.count):
        gave += [_call(identity, now)] if number else []
        previews = (f"{prompt}/{number}/{preview}" for preview in range(switches.previews))
        gave += [_picture(png(text, PREVIEW_SIDE), PREVIEW_SIDE, prompt, identity, now, keep) for text in previews]
        gave.append(_picture(png(f"{prompt}/{number}", SIDE), SIDE, prompt, identity, now, keep))
    return Drawing(switches, _call(identity, now), _notice(identity, now), tuple(gave))


def task(conversation_id: str, status: str, refusal: str | None) -> Json:
    """Return an entry of the list of tasks; `refusal` is why the picture will not come."""
    said = text_content(refusal or "")
    message: Json = {"author": {"role": "assistant"}, "content": said, "metadata": {"is_error": True}}
    return {
        "task_id": f"task-{conversation_id}",
        "conversation_id": conversation_id,
        "original_conversation_id": conversation_id,
        "status": status,
        "file_ids": [],
        "image_gen_message": message if refusal is not None else None,
    }


def _call(identity: Json, now: float) -> Message:
    return Message(
        id=str(uuid4()),
        role="assistant",
        content=code_content('{"skipped_mainline":true}', "python3"),
        create_time=now,
        end_turn=False,
        metadata=identity,
        recipient=_TOOL,
    )


def _notice(identity: Json, now: float) -> Message:
    identity = identity | {"image_gen_task_id": f"chatimagegen-loopback-{uuid4()}", "ui_card": True}
    return _answered(text_content(_NOTICE), identity, now, end_turn=True)


def _picture(data: bytes, side: int, prompt: str, identity: Json, now: float, keep: Keep) -> Message:
    pointer: Json = {
        "content_type": "image_asset_pointer",
        "asset_pointer": f"sediment://{keep(data)}",
        "size_bytes": len(data),
        "width": side,
        "height": side,
        "metadata": {"dalle": {"gen_id": str(uuid4()), "prompt": f"A colour pattern for: {prompt[:_TITLE_CHARS]}"}},
    }
    content: Json = {"content_type": "multimodal_text", "parts": [pointer]}
    made: Json = {"async_task_type": "image_gen", "image_gen_title": "A colour pattern"}
    return _answered(content, identity | made, now)


def _answered(content: Json, metadata: Json, now: float, end_turn: bool | None = None) -> Message:
    return Message(
        id=str(uuid4()),
        role="tool",
        name=_TOOL,
        content=content,
        create_time=now,
        end_turn=end_turn,
        metadata=metadata,
    )
