"""An agent for these tests: what it offers, what it does with a call, and the loop that asks until nobody calls.

The loop does no I/O: it yields the messages to send and is sent the answer, so that every way of asking shares it.
"""

import json
from collections.abc import Generator
from typing import Any

from msgspec import Struct
from openai.types.chat import ChatCompletionMessage

from tests.api.servers import directive

Json = dict[str, Any]
LOOPBACK = "This is the loopback upstream of Isthmus, no model: "


def function_tool(name: str, *required: str) -> Json:
    properties = {parameter: {"type": "string"} for parameter in required}
    parameters = {"type": "object", "properties": properties, "required": list(required)}
    return {
        "type": "function",
        "function": {"name": name, "description": f"Is {name}.", "parameters": parameters},
    }


TOOLS = [function_tool("get_weather", "city"), function_tool("get_time", "city")]

ROUNDS = [
    {"text": "Let me look.", "calls": [{"name": "get_weather", "arguments": {"city": "Lisbon"}}]},
    {
        "calls": [
            {"name": "get_weather", "arguments": {"city": 'São "Tomé"\n🌍'}},
            {"name": "get_time", "arguments": {"city": "Oslo"}},
        ]
    },
    {},
]
"""A call, then two side by side, then the fitting answer, which quotes both results."""

FINAL = f'{LOOPBACK}get_weather answered "Sunny in São "Tomé"\n🌍", get_time answered "Noon in Oslo".'


class Asked(Struct, frozen=True):
    """A call as the agent saw it."""

    id: str
    name: str
    arguments: Json


class Told(Struct):
    """What came of a loop: the texts of all answers, the calls of each round."""

    texts: list[str]
    rounds: list[list[Asked]]

    @property
    def ids(self) -> list[str]:
        return [call.id for calls in self.rounds for call in calls]

    @property
    def names(self) -> list[list[str]]:
        return [[call.name for call in calls] for calls in self.rounds]


def run_tool(name: str, arguments: Json) -> str:
    known = {"get_weather": "Sunny", "get_time": "Noon"}
    return f"{known[name]} in {arguments['city']}"


def agent(prompt: str = "") -> Generator[list[Any], ChatCompletionMessage, Told]:
    """Ask, run what is called, ask again. Without a prompt the model follows `ROUNDS`."""
    messages: list[Any] = [{"role": "user", "content": prompt or directive(rounds=ROUNDS)}]
    told = Told([], [])
    while True:
        answer = yield messages
        told.texts.append(answer.content or "")
        if not answer.tool_calls:
            return told
        messages.append(answer.to_dict())
        calls = [asked(call) for call in answer.tool_calls]
        told.rounds.append(calls)
        for call in calls:
            content = run_tool(call.name, call.arguments)
            messages.append({"role": "tool", "tool_call_id": call.id, "content": content})
        assert len(told.rounds) < 10, "the loop has no end"


def asked(call: Any) -> Asked:
    assert call.type == "function"
    return Asked(call.id, call.function.name, json.loads(call.function.arguments))
