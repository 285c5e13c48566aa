"""LangChain's ChatAnthropic against the gateway: bound tools and structured output; prints what happened as JSON.

Usage: python langchain_messages.py BASE_URL KEY PROMPT, with the packages of requirements-clients.lock.
"""

import json
import sys
from typing import Any, Literal

from langchain_anthropic import ChatAnthropic  # type: ignore[import-not-found,unused-ignore]
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage  # type: ignore[import-not-found,unused-ignore]
from pydantic import BaseModel

BASE_URL, KEY, PROMPT = sys.argv[1:]


class Forecast(BaseModel):
    """A forecast."""

    name: str
    sky: Literal["clear", "grey"]
    degrees: list[float]


def get_weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"Sunny in {city}"


def get_time(city: str) -> str:
    """Tell the time of a city."""
    return f"Noon in {city}"


TOOLS = {"get_weather": get_weather, "get_time": get_time}


def ask(model: Any, messages: list[Any], *, stream: bool) -> Any:
    if not stream:
        return model.invoke(messages)
    first, *others = list(model.stream(messages))
    for chunk in others:
        first += chunk
    return first


def loop(model: Any, *, stream: bool) -> dict[str, Any]:
    bound = model.bind_tools(list(TOOLS.values()))
    messages: list[Any] = [HumanMessage(PROMPT)]
    calls: list[tuple[str, str]] = []
    reasons: list[str] = []
    while True:
        answer = ask(bound, messages, stream=stream)
        assert isinstance(answer, AIMessage)
        assert not answer.invalid_tool_calls
        assert answer.usage_metadata
        reasons.append(answer.response_metadata["stop_reason"])
        if not answer.tool_calls:
            return {"final": answer.text, "calls": calls, "reasons": reasons}
        messages.append(answer)
        for call in answer.tool_calls:
            calls.append((call["name"], call["args"]["city"]))
            messages.append(ToolMessage(TOOLS[call["name"]](**call["args"]), tool_call_id=call["id"]))


def main() -> None:
    base_url = BASE_URL.removesuffix("/v1")
    model = ChatAnthropic(model="auto", base_url=base_url, api_key=KEY, max_retries=0, max_tokens=1000)
    heard = {
        "whole": loop(model, stream=False),
        "streamed": loop(model, stream=True),
        "structured": model.with_structured_output(Forecast).invoke("Say yes").model_dump(),
    }
    print(json.dumps(heard))


if __name__ == "__main__":
    main()
