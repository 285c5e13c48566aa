"""Messages about pictures as ChatGPT Web writes them (chatgpt-web reference, section 6)."""

from typing import Any

from tests.core.wire.chatgpt_web.streams import Json, message, whole

TOOL = "t2uay3k.sj1i4kz"


def pointer(url: str, **fields: object) -> Json:
    return {"content_type": "image_asset_pointer", "asset_pointer": url, "size_bytes": 7} | fields


def picture(*urls: str, identity: str = "p1", **changes: Any) -> Json:
    """Return a finished message of the tool that shows these pictures."""
    shown: Json = {
        "author": {"role": "tool", "name": TOOL, "metadata": {}},
        "content": {"content_type": "multimodal_text", "parts": [pointer(url) for url in urls]},
        "status": "finished_successfully",
        "metadata": {"async_task_type": "image_gen"},
    }
    return message(identity=identity, **(shown | changes))


def call(identity: str = "call") -> Json:
    code = {"content_type": "code", "language": "python3", "text": '{"referenced_image_ids":["file_mentioned"]}'}
    return message(identity=identity, content=code, recipient=TOOL, status="finished_successfully")


def notice(identity: str = "wait") -> Json:
    """Return what stands in a picture's place while it is being made."""
    author = {"role": "tool", "name": TOOL, "metadata": {}}
    return whole("Processing image", identity, author=author, metadata={"image_gen_task_id": "task-1"})
