"""Messages about code and research as ChatGPT Web writes them (chatgpt-web reference, sections 3.7 and 9)."""

import json
from typing import Any

from tests.core.wire.chatgpt_web.streams import Json, content, message

RESEARCH_KIT: Json = {"resolved_pineapple_uri": "connectors://connector_openai_deep_research"}
SPOKEN = "The latest state of the widget is: "
REPORT: Json = {"content": {"content_type": "text", "parts": ["# Report"]}, "status": "finished_successfully"}


def code(text: str = "", identity: str = "c1", tool: str = "python", **changes: Any) -> Json:
    """Return the model's call of a tool that runs code."""
    return message(identity=identity, **({"recipient": tool, **content("code", text=text)} | changes))


def output(text: str = "", identity: str = "o1", tool: str = "python", **changes: Any) -> Json:
    """Return what such a tool put out."""
    said = {"author": {"role": "tool", "name": tool}, "status": "finished_successfully"}
    return message(identity=identity, **(said | content("execution_output", text=text) | changes))


def charted(*urls: str, **changes: Any) -> Json:
    """Return the result of code that drew."""
    drawn = [{"message_type": "image", "image_url": url} for url in urls]
    return output(
        metadata={"aggregate_result": {"messages": [{"message_type": "stream", "text": "x"}, *drawn]}}, **changes
    )


def research_call(identity: str = "call") -> Json:
    text = json.dumps({"path": "/Deep Research App/implicit_link::connector_openai_deep_research/start"})
    return message(identity=identity, recipient="api_tool.call_tool", **content("code", text=text))


def widget(state: object, identity: str = "w1", **kit: Any) -> Json:
    """Return the message whose metadata holds the state of a research."""
    metadata = {"chatgpt_sdk": RESEARCH_KIT | {"widget_state": json.dumps(state)} | kit}
    return message(identity=identity, author={"role": "tool", "name": "api_tool.call_tool"}, metadata=metadata)


def spoken_widget(state: object, identity: str = "w1") -> Json:
    """Return the message whose text holds it."""
    metadata = {"exclusive_key": "widget_state:Deep Research App_start", "is_visually_hidden_from_conversation": True}
    author = {"role": "tool", "name": "api_tool.widget_state"}
    return message(SPOKEN + json.dumps(state), identity, author=author, metadata=metadata)
