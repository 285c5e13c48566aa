"""Runs the OpenAI Agents SDK, which speaks Responses, through a text and its loop of tools; prints what happened.

Usage: python agents_responses.py BASE_URL KEY PROMPT. It reads nothing of a stream but its last event.
"""

import asyncio
import json
import sys
from typing import Any

from agents import (  # type: ignore[import-not-found,unused-ignore]
    Agent,
    ModelSettings,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI
from pydantic import BaseModel

BASE_URL, KEY, PROMPT = sys.argv[1:]
CALLS: list[list[str]] = []


class Forecast(BaseModel):
    name: str
    sky: str
    degrees: list[int]


@function_tool  # type: ignore[untyped-decorator,unused-ignore]
def get_weather(city: str) -> str:
    CALLS.append(["get_weather", city])
    return f"Sunny in {city}"


@function_tool  # type: ignore[untyped-decorator,unused-ignore]
def get_time(city: str) -> str:
    CALLS.append(["get_time", city])
    return f"Noon in {city}"


def agent(client: AsyncOpenAI, **options: Any) -> "Agent[Any]":
    model = OpenAIResponsesModel("auto", openai_client=client)
    return Agent(name="Tester", instructions="Be brief.", model=model, **options)


async def whole(client: AsyncOpenAI) -> Any:
    CALLS.clear()
    told = await Runner.run(agent(client, tools=[get_weather, get_time]), PROMPT)
    return {"final": told.final_output, "calls": sorted(CALLS)}


async def streamed(client: AsyncOpenAI) -> Any:
    CALLS.clear()
    told = Runner.run_streamed(agent(client, tools=[get_weather, get_time]), PROMPT)
    kinds = [event.data.type async for event in told.stream_events() if event.type == "raw_response_event"]
    return {"final": told.final_output, "calls": sorted(CALLS), "ends": kinds.count("response.completed")}


async def text(client: AsyncOpenAI) -> Any:
    return (await Runner.run(agent(client), "Say this is a test!")).final_output


async def structured(client: AsyncOpenAI) -> Any:
    told = await Runner.run(agent(client, output_type=Forecast), "What is the forecast?")
    return told.final_output.model_dump()


async def forced(client: AsyncOpenAI) -> Any:
    CALLS.clear()
    settings = ModelSettings(tool_choice="get_time")
    chosen = agent(client, tools=[get_weather, get_time], model_settings=settings)
    await Runner.run(chosen, "Go")
    return CALLS


async def main() -> None:
    set_tracing_disabled(True)
    heard = {}
    async with AsyncOpenAI(base_url=BASE_URL, api_key=KEY, max_retries=0) as client:
        for way in (text, whole, streamed, structured, forced):
            heard[way.__name__] = await way(client)
    print(json.dumps(heard))


asyncio.run(main())
