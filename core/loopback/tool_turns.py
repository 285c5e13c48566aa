"""Native tool turns before an answer: python, web search with citation markers, a picture.

Shapes from reference chatgpt-web 3.7, 3.11, 6 and 9. The sources are made up and live on reserved names.
"""

from collections.abc import Callable
from typing import Literal, TypeAlias
from uuid import uuid4

from core.loopback.messages import Message, code_content, text_content
from core.loopback.refusals import Json

Tool: TypeAlias = Literal["python", "search", "image"]

CITATION = "\ue200cite\ue202turn0search0\ue202turn0search1\ue201"
IMAGE_TOOL = "t2uay3k.sj1i4kz"
IMAGE_POINTER = "sediment://file_000000000000000000000000000100b4"

_SOURCES: tuple[Json, ...] = (
    {
        "type": "search_result",
        "url": "https://example.com/isthmus",
        "title": "Isthmus",
        "snippet": "A strip of land.",
    },
    {
        "type": "search_result",
        "url": "https://example.org/straits",
        "title": "Straits",
        "snippet": "Its opposite.",
    },
)


def cited(tool: Tool | None, text: str) -> str:
    """Return the text with the marks that this tool leaves in it."""
    return f"{text} {CITATION}" if tool == "search" else text


def references(tool: Tool | None, text: str) -> Json:
    """Return the answer's metadata that explains those marks; the indexes count the text with its markers."""
    if tool != "search":
        return {}
    start = text.rindex(CITATION)
    reference = {
        "matched_text": CITATION,
        "start_idx": start,
        "end_idx": start + len(CITATION),
        "type": "grouped_webpages",
        "alt": "([Isthmus](https://example.com/isthmus))",
        "safe_urls": [source["url"] for source in _SOURCES],
        "refs": [],
        "items": [{**source, "attribution": "example", "supporting_websites": []} for source in _SOURCES],
        "status": "done",
        "error": None,
    }
    return {"content_references": [reference]}


def messages(tool: Tool | None, identity: Json, now: float) -> tuple[Message, ...]:
    """Return the call and its result, both complete; none without a tool."""
    return _TURNS[tool](identity, now) if tool else ()


def _python(identity: Json, now: float) -> tuple[Message, ...]:
    result: Json = {"status": "success", "code": "6 * 7", "final_expression_output": "42", "messages": []}
    output: Json = {"content_type": "execution_output", "text": "42"}
    return (
        _call("python", code_content("6 * 7", "python"), identity, now),
        _result("python", output, identity | {"aggregate_result": result}, now),
    )


def _search(identity: Json, now: float) -> tuple[Message, ...]:
    group: Json = {"type": "search_result_group", "domain": "example.com", "entries": list(_SOURCES)}
    hidden: Json = {"is_visually_hidden_from_conversation": True, "search_result_groups": [group]}
    query = code_content('{"search_query":[{"q":"isthmus"}]}')
    return (
        _call("web.run", query, identity, now),
        _result("web.run", text_content(""), identity | hidden, now),
    )


def _image(identity: Json, now: float) -> tuple[Message, ...]:
    picture: Json = {
        "content_type": "image_asset_pointer",
        "asset_pointer": IMAGE_POINTER,
        "size_bytes": 1024,
        "width": 64,
        "height": 64,
        "metadata": {"dalle": {"gen_id": "loopback", "prompt": "a colour pattern"}},
    }
    content: Json = {"content_type": "multimodal_text", "parts": [picture]}
    made: Json = {"async_task_type": "image_gen", "image_gen_title": "A colour pattern"}
    return (
        _call(IMAGE_TOOL, code_content('{"prompt":"a colour pattern"}'), identity, now),
        _result(IMAGE_TOOL, content, identity | made, now),
    )


_TURNS: dict[Tool, Callable[[Json, float], tuple[Message, ...]]] = {
    "python": _python,
    "search": _search,
    "image": _image,
}


def _call(tool: str, content: Json, metadata: Json, now: float) -> Message:
    return Message(
        id=str(uuid4()),
        role="assistant",
        content=content,
        create_time=now,
        end_turn=False,
        metadata=metadata,
        recipient=tool,
    )


def _result(tool: str, content: Json, metadata: Json, now: float) -> Message:
    return Message(id=str(uuid4()), role="tool", name=tool, content=content, create_time=now, metadata=metadata)
