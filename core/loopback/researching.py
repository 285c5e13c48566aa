"""Turns that begin a deep research: a widget in the stream, the report in it some looks later.

Shapes from reference chatgpt-web 9, and as public clients read them from real conversations.
"""

import json
from uuid import uuid4

from msgspec import Struct
from msgspec.structs import replace

from core.loopback.directives import Directive, ResearchSwitches
from core.loopback.messages import Message, code_content, text_content
from core.loopback.refusals import Json

HINT = "connector:connector_openai_deep_research"

_TOOL = "api_tool.call_tool"
_CALL = json.dumps({"path": "/Deep Research App/implicit_link::connector_openai_deep_research/start", "args": {}})
_SPOKEN = "The latest state of the widget is: "
_KIT: Json = {
    "resource_name": "Deep Research App_start",
    "resolved_pineapple_uri": "connectors://connector_openai_deep_research",
}


class Researching(Struct, frozen=True):
    """The messages of a research: the `call`, the `widget` as it begins, and the same with what `came` of it."""

    switches: ResearchSwitches
    call: Message
    widget: Message
    came: Message


def switches_of(directive: Directive, hints: tuple[str, ...]) -> ResearchSwitches | None:
    """Say how a turn researches, `None` when it does not."""
    switches = directive.research or (ResearchSwitches() if HINT in hints else None)
    return switches if switches and switches.begun else None


def start(switches: ResearchSwitches, report: str, identity: Json, now: float) -> Researching:
    call = Message(
        id=str(uuid4()),
        role="assistant",
        content=code_content(_CALL, "json"),
        create_time=now,
        end_turn=False,
        metadata=identity,
        recipient=_TOOL,
    )
    begun = Message(id=str(uuid4()), role="tool", name=_TOOL, content=text_content(""), create_time=now)
    message: Json = {
        "id": str(uuid4()),
        "author": {"role": "assistant"},
        "content": text_content(report),
        "status": "finished_successfully",
        "metadata": {},
    }
    state: Json = (
        {"status": "completed", "report_message": message} if switches.fail is None else {"status": switches.fail}
    )
    widget = _holding(begun, {"status": "running", "plan": {"title": "A plan", "steps": []}}, switches, identity)
    return Researching(switches, call, widget, _holding(begun, state, switches, identity))


def _holding(message: Message, state: Json, switches: ResearchSwitches, identity: Json) -> Message:
    if switches.holder == "metadata":
        kit = _KIT | {"widget_state": json.dumps(state)}
        return replace(message, metadata=identity | {"chatgpt_sdk": kit})
    hidden: Json = {
        "exclusive_key": "widget_state:Deep Research App_start",
        "is_visually_hidden_from_conversation": True,
    }
    said = text_content(_SPOKEN + json.dumps(state))
    return replace(message, name="api_tool.widget_state", content=said, metadata=identity | hidden)
