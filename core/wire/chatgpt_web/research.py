"""Deep research: the turn begins a task and ends; minutes later the conversation holds the report.

The task shows as a widget: a tool's message whose metadata, or whose text, holds the widget's state as JSON, and in
the end the report as a message within that state. Nothing is fetched here. Sources: chatgpt-web reference, section 9;
the state's shape as several public clients read it from real conversations (2026): `chatgpt_sdk.widget_state` with
`status` and `report_message`.
"""

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Any

from msgspec import Struct, json

from core.errors import MALFORMED_JSON, RateLimited, UpstreamError, UpstreamUnavailable
from core.wire.chatgpt_web import document as doc
from core.wire.chatgpt_web.errors import UPSTREAM
from core.wire.chatgpt_web.message import Message

CONNECTOR = "connector_openai_deep_research"
RESEARCH_HINT = f"connector:{CONNECTOR}"
"""The system hint that makes a turn begin a research (section 9)."""

WIDGET_QUERY = "?include_visually_hidden_messages=true&include_widget_state=true"
"""What makes the stored conversation tell the widget's state."""

_MODELS = ("o3-deep-research*", "o4-mini-deep-research*")
_SPOKEN = "The latest state of the widget is: "
_WIDGET_NAMES = ("resolved_pineapple_uri", "attribution_id", "resource_name")
_LIMITED = "rate_limited"
_FAILURES = ("failed", "error", "cancelled", "canceled", "expired", _LIMITED)
_FINISHED = (None, "finished_successfully")


class Research(Struct, frozen=True):
    """How a turn's research stands, if it has begun one.

    It has its `report`, a message of the assistant, or it is `awaited`, or `failure` says how it failed.
    """

    report: dict[str, Any] | None = None
    awaited: bool = False
    failure: str | None = None


def is_research_model(model: str) -> bool:
    """Say whether a model is one of the names that OpenAI's API has for deep research."""
    return any(fnmatchcase(model, pattern) for pattern in _MODELS)


def research(messages: Iterable[Message]) -> Research:
    """Return how the research among a turn's messages stands."""
    begun = False
    for message in messages:
        if _calls(message):
            begun = True
        for state in _states(message):
            begun = True
            if report := _report(state, message):
                return Research(report)
            if (status := state.get("status")) in _FAILURES:
                return Research(failure=status)
    return Research(awaited=begun)


def research_error(failure: str) -> UpstreamError:
    """Return the error for a research that failed: only a limit is the account's own matter."""
    if failure == _LIMITED:
        return RateLimited("the account's deep research is used up for now", upstream=UPSTREAM, code="research_limit")
    message = f"the upstream ended the research without a report: {failure}"
    return UpstreamUnavailable(message, upstream=UPSTREAM, status=502, scope="request", code="research_failed")


def _calls(message: Message) -> bool:
    """Say whether a message is the model's call of the research tool."""
    recipient = doc.text_of(message.field("recipient"))
    return recipient.startswith("api_tool") and CONNECTOR in doc.text_of(message.field("content/text"))


def _states(message: Message) -> Iterator[dict[str, Any]]:
    """Yield the states of the widget that a tool's message holds."""
    if message.field("author/role") != "tool":
        return
    kit = message.field("metadata/chatgpt_sdk")
    if isinstance(kit, dict) and _is_research(kit):
        live = doc.leaf(kit, "/tool_response_metadata/venus_widget_state")
        yield from _read(live if isinstance(live, dict) else kit.get("widget_state"))
    spoken = doc.text_of(message.field("content/parts/0"))
    key = doc.text_of(message.field("metadata/exclusive_key"))
    if spoken.startswith(_SPOKEN) and "Deep Research" in key:
        yield from _read(spoken.removeprefix(_SPOKEN))


def _is_research(kit: dict[str, Any]) -> bool:
    named = [doc.text_of(kit.get(name)) for name in _WIDGET_NAMES]
    return any(CONNECTOR in name or name.startswith("Deep Research") for name in named)


def _read(state: Any) -> Iterator[dict[str, Any]]:
    """Yield the state, be it an object, a JSON text, or wrapped in `widget_state`; nothing when it is none of these."""
    if isinstance(state, str | doc.Rope):
        try:
            state = json.decode(str(state))
        except MALFORMED_JSON:
            return
    if isinstance(state, dict) and isinstance(inner := state.get("widget_state"), dict):
        state = inner
    if isinstance(state, dict):
        yield state


def _report(state: dict[str, Any], holder: Message) -> dict[str, Any] | None:
    """Return the finished report as the answer of the turn; its id is that of the message which holds it."""
    said = state.get("report_message")
    if not isinstance(said, dict) or said.get("status") not in _FINISHED:
        return None
    if said.get("status") is None and state.get("status") not in (None, "completed"):
        return None
    parts = doc.leaf(said, "/content/parts")
    text = "".join(map(doc.text_of, parts)) if isinstance(parts, list) else ""
    metadata = said.get("metadata")
    if not text:
        return None
    return {
        "id": holder.field("id"),
        "author": {"role": "assistant"},
        "content": {"content_type": "text", "parts": [text]},
        "status": "finished_successfully",
        "end_turn": True,
        "recipient": "all",
        "metadata": metadata if isinstance(metadata, dict) else {},
    }
