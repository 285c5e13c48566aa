"""Native tool turns before an answer: web search with citation markers. Others are in computing.py, drawing.py.

Shapes from reference chatgpt-web 3.7, 3.11 and 9. The sources are made up and live on reserved names.
"""

from collections.abc import Callable
from typing import Literal, TypeAlias
from uuid import uuid4

from core.loopback.messages import Message, code_content, text_content
from core.loopback.refusals import Json

Tool: TypeAlias = Literal["python", "search", "image"]

CITATION = "\ue200cite\ue202turn0search0\ue202turn0search1\ue201"

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
    """Return the call and its result, both complete; none for a tool that has a module of its own."""
    return _TURNS[tool](identity, now) if tool in _TURNS else ()


def _search(identity: Json, now: float) -> tuple[Message, ...]:
    group: Json = {"type": "search_result_group", "domain": "example.com", "entries": list(_SOURCES)}
    hidden: Json = {"is_visually_hidden_from_conversation": True, "search_result_groups": [group]}
    query = code_content('{"search_query":[{"q":"isthmus"}]}')
    return (
        _call("web.run", query, identity, now),
        _result("web.run", text_content(""), identity | hidden, now),
    )


_TURNS: dict[Tool | None, Callable[[Json, float], tuple[Message, ...]]] = {"search": _search}


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
