"""LangChain's `bind_tools` and `with_structured_output` against the gateway; prints what happened as one JSON object.

Usage: python langchain_tools.py BASE_URL KEY PROMPT, with the packages of requirements-clients.lock.
"""

import json
import sys
from typing import Any, Literal

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage  # type: ignore[import-not-found,unused-ignore]
from langchain_openai import ChatOpenAI  # type: ignore[import-not-found,unused-ignore]
from pydantic import BaseModel, Field

BASE_URL, KEY, PROMPT = sys.argv[1:]
METHODS = ("json_schema", "function_calling", "json_mode")


class Forecast(BaseModel):
    """A forecast."""

    name: str = Field(description="of the place")
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
        reasons.append(answer.response_metadata["finish_reason"])
        if not answer.tool_calls:
            return {"final": answer.content, "calls": calls, "reasons": reasons}
        messages.append(answer)
        for call in answer.tool_calls:
            calls.append((call["name"], call["args"]["city"]))
            messages.append(ToolMessage(TOOLS[call["name"]](**call["args"]), tool_call_id=call["id"]))


def structured(model: Any, method: str) -> Any:
    shaped = model.with_structured_output(Forecast, method=method, include_raw=method == "json_mode")
    told = shaped.invoke("Say yes")
    return json.loads(told["raw"].content) if method == "json_mode" else told.model_dump()


def streamed_structure(model: Any) -> Any:
    *_, last = model.with_structured_output(Forecast).stream("What is the forecast?")
    return last.model_dump()


def forced(model: Any) -> list[str]:
    bound = model.bind_tools(list(TOOLS.values()), tool_choice="get_time")
    return [call["name"] for call in bound.invoke("Go").tool_calls]


def main() -> None:
    model = ChatOpenAI(model="auto", base_url=BASE_URL, api_key=KEY, max_retries=0, use_responses_api=False)
    heard = {
        "whole": loop(model, stream=False),
        "streamed": loop(model, stream=True),
        "forced": forced(model),
        "structured": {method: structured(model, method) for method in METHODS},
        "streamed_structure": streamed_structure(model),
    }
    print(json.dumps(heard))


if __name__ == "__main__":
    main()
