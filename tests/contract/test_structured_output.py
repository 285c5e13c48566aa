"""Structured output with the official OpenAI SDK: pydantic models in, parsed objects out, whole and streamed."""

from datetime import date
from enum import Enum
from typing import Any, Literal

import openai
import pytest
from openai import AsyncOpenAI, OpenAI, pydantic_function_tool
from pydantic import BaseModel, Field

from tests.api.servers import directive


class Kind(Enum):
    CITY = "city"
    VILLAGE = "village"


class Place(BaseModel):
    name: str
    kind: Kind
    population: int | None
    twin: "Place | None"


class Forecast(BaseModel):
    """Exercises references, enumerations, lists, optional fields and formats at once."""

    day: date
    where: Place
    degrees: list[float] = Field(min_length=2)
    sky: Literal["clear", "grey"]


class GetForecast(BaseModel):
    where: Place
    days: int = Field(ge=2)


MADE = {
    "day": "2026-01-31",
    "where": {"name": "name", "kind": "city", "population": 1, "twin": None},
    "degrees": [1, 1],
    "sky": "clear",
}
SCRIPTED = """{
  "day": "2026-11-21",
  "where": {"name": "Évora", "kind": "city", "population": null, "twin": null},
  "degrees": [1.5, -2], "sky": "grey"}"""
PROMPT: Any = [{"role": "user", "content": "What is the forecast?"}]


def scripted(**keys: object) -> Any:
    return [{"role": "user", "content": directive(**keys)}]


def check_made(forecast: Forecast | None) -> None:
    assert forecast is not None
    assert forecast.where.name == "name"
    assert forecast.model_dump(mode="json")["degrees"] == MADE["degrees"]
    assert forecast.sky == "clear"


def test_a_parsed_answer(client: OpenAI) -> None:
    completion = client.chat.completions.parse(model="auto", messages=PROMPT, response_format=Forecast)
    check_made(completion.choices[0].message.parsed)
    assert completion.choices[0].finish_reason == "stop"


@pytest.mark.anyio
async def test_a_parsed_answer_asynchronously(async_client: AsyncOpenAI) -> None:
    completion = await async_client.chat.completions.parse(model="auto", messages=PROMPT, response_format=Forecast)
    check_made(completion.choices[0].message.parsed)


def test_a_parsed_stream(client: OpenAI) -> None:
    with client.chat.completions.stream(model="auto", messages=PROMPT, response_format=Forecast) as stream:
        kinds = [event.type for event in stream]
        check_made(stream.get_final_completion().choices[0].message.parsed)
    assert kinds.count("content.done") == 1
    assert kinds.count("content.delta") > 3


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(SCRIPTED, id="as asked"),
        pytest.param(f"```json\n{SCRIPTED}\n```", id="in a code fence"),
        pytest.param(f"\n\n  {SCRIPTED}\n", id="with space around it"),
    ],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_what_the_model_wraps_around_json_is_taken_off(client: OpenAI, text: str, stream: bool) -> None:
    request: Any = {"model": "auto", "messages": scripted(text=text), "response_format": Forecast}
    if stream:
        with client.chat.completions.stream(**request) as told:
            completion = told.until_done().get_final_completion()
    else:
        completion = client.chat.completions.parse(**request)
    message = completion.choices[0].message
    assert message.content == SCRIPTED
    assert isinstance(message.parsed, Forecast)
    assert message.parsed.where.name == "Évora"


def test_an_answer_that_is_right_at_the_second_attempt(client: OpenAI) -> None:
    script = scripted(attempts=[{"text": "It will be fine."}, {"text": SCRIPTED}])
    completion = client.chat.completions.parse(model="auto", messages=script, response_format=Forecast)
    assert completion.choices[0].message.content == SCRIPTED


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("text", ["It will be fine.", '{"day": "never"}'], ids=["prose", "JSON of another form"])
def test_an_answer_that_is_never_right(client: OpenAI, text: str, stream: bool) -> None:
    schema = {"name": "forecast", "schema": {"type": "object", "required": ["sky"]}}
    request: Any = {
        "model": "auto",
        "messages": scripted(text=text),
        "response_format": {"type": "json_schema", "json_schema": schema},
        "stream": stream,
    }
    with pytest.raises(openai.APIError) as caught:
        list(client.chat.completions.create(**request))
    assert caught.value.code == "schema_not_satisfied"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_any_json_object(client: OpenAI, stream: bool) -> None:
    request: Any = {"model": "auto", "messages": [{"role": "user", "content": "Say yes"}]}
    request["response_format"] = {"type": "json_object"}
    if stream:
        chunks = list(client.chat.completions.create(**request, stream=True))
        content = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    else:
        content = client.chat.completions.create(**request).choices[0].message.content
    assert content == '{"answer": "Yes"}'


def test_parsed_arguments(client: OpenAI) -> None:
    tools = [pydantic_function_tool(GetForecast)]
    completion = client.chat.completions.parse(model="auto", messages=PROMPT, tools=tools)
    calls = completion.choices[0].message.tool_calls
    assert calls is not None
    arguments = calls[0].function.parsed_arguments
    assert isinstance(arguments, GetForecast)
    assert (arguments.days, arguments.where.kind) == (2, Kind.CITY)


def test_parsed_arguments_of_a_stream(client: OpenAI) -> None:
    tools = [pydantic_function_tool(GetForecast)]
    with client.chat.completions.stream(model="auto", messages=PROMPT, tools=tools) as stream:
        done = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
    assert [event.name for event in done] == ["GetForecast"]
    assert isinstance(done[0].parsed_arguments, GetForecast)
