"""The official OpenAI SDK through the Responses API: whole, raw events and its stream helper, in both colours."""

import json
from collections.abc import Awaitable, Callable
from typing import Any, cast

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.responses import Response
from pydantic import BaseModel

from tests.api.servers import directive
from tests.contract.agents import FINAL, ROUNDS, run_tool

Json = dict[str, Any]
Ask = Callable[..., Response]
AskAsync = Callable[..., Awaitable[Response]]

CITY: Json = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS: list[Json] = [
    {"type": "function", "name": name, "description": f"Is {name}.", "parameters": CITY, "strict": False}
    for name in ("get_weather", "get_time")
]
PATCH = '*** Begin Patch\n+ if a < b: "</b>"\n*** End Patch'
CUSTOM: Json = {"type": "custom", "name": "apply_patch", "description": "Takes a patch as it is."}


def whole(client: OpenAI, **request: Any) -> Response:
    return cast(Response, client.responses.create(model="auto", **request))


def raw(client: OpenAI, **request: Any) -> Response:
    heard, ended = "", []
    for event in client.responses.create(model="auto", stream=True, **request):
        if event.type == "response.output_text.delta":
            heard += event.delta
        elif event.type == "response.completed":
            ended.append(event.response)
    assert len(ended) == 1
    response = cast(Response, ended[0])
    assert response.output_text == heard
    return response


def helped(client: OpenAI, **request: Any) -> Response:
    with client.responses.stream(model="auto", **request) as stream:
        snapshots = [event.snapshot for event in stream if event.type == "response.output_text.delta"]
        response = stream.get_final_response()
    if snapshots:
        assert response.output_text.endswith(snapshots[-1])
    return response


async def whole_async(client: AsyncOpenAI, **request: Any) -> Response:
    return cast(Response, await client.responses.create(model="auto", **request))


async def raw_async(client: AsyncOpenAI, **request: Any) -> Response:
    stream = await client.responses.create(model="auto", stream=True, **request)
    ended = [event.response async for event in stream if event.type == "response.completed"]
    assert len(ended) == 1
    return cast(Response, ended[0])


async def helped_async(client: AsyncOpenAI, **request: Any) -> Response:
    async with client.responses.stream(model="auto", **request) as stream:
        await stream.until_done()
        return await stream.get_final_response()


WAYS = pytest.mark.parametrize("ask", [whole, raw, helped])
WAYS_ASYNC = pytest.mark.parametrize("ask", [whole_async, raw_async, helped_async])


@WAYS
def test_a_text(client: OpenAI, ask: Ask) -> None:
    response = ask(client, input="Say this is a test!", instructions="Be brief.")
    assert response.output_text == "This is a test!"
    assert response.status == "completed"
    assert response.usage is not None
    assert response.usage.total_tokens > 0


@pytest.mark.anyio
@WAYS_ASYNC
async def test_a_text_asynchronously(async_client: AsyncOpenAI, ask: AskAsync) -> None:
    response = await ask(async_client, input="Say this is a test!")
    assert response.output_text == "This is a test!"


@WAYS
def test_reasoning_and_sources(client: OpenAI, ask: Ask) -> None:
    response = ask(client, input=directive(text="Two seas.", reasoning="Counting.", tool_message="search"))
    reasoning, message = response.output
    assert reasoning.type == "reasoning"
    assert [summary.text for summary in reasoning.summary] == ["Counting."]
    assert message.type == "message"
    part = message.content[0]
    assert part.type == "output_text"
    assert [note.url for note in part.annotations if note.type == "url_citation"] == [
        "https://example.com/isthmus",
        "https://example.org/straits",
    ]


class Loop:
    """An agent's loop: `given` is what is asked next; all the history each time, or only what is new."""

    def __init__(self, by_id: bool) -> None:
        self._by_id = by_id
        self.given: list[Any] = [{"role": "user", "content": directive(rounds=ROUNDS)}]
        self.previous: Json = {}
        self.names: list[list[str]] = []

    def request(self) -> Json:
        return {"input": self.given, "tools": TOOLS, **self.previous}

    def take(self, response: Response) -> bool:
        """Run what is called; say whether there is more to ask."""
        calls = [item for item in response.output if item.type == "function_call"]
        outputs = [
            {
                "type": "function_call_output",
                "call_id": call.call_id,
                "output": run_tool(call.name, json.loads(call.arguments)),
            }
            for call in calls
        ]
        if calls:
            self.names.append([call.name for call in calls])
        if self._by_id:
            self.given, self.previous = [*outputs], {"previous_response_id": response.id}
        else:
            self.given = [*self.given, *(item.to_dict() for item in response.output), *outputs]
        return bool(calls)


@WAYS
def test_a_loop_of_tools(client: OpenAI, ask: Ask) -> None:
    loop = Loop(by_id=False)
    while loop.take(response := ask(client, **loop.request(), store=False)):
        assert len(loop.names) < 5
    assert loop.names == [["get_weather"], ["get_weather", "get_time"]]
    assert response.output_text == FINAL


@pytest.mark.anyio
@WAYS_ASYNC
async def test_a_loop_of_tools_asynchronously(async_client: AsyncOpenAI, ask: AskAsync) -> None:
    loop = Loop(by_id=False)
    while loop.take(response := await ask(async_client, **loop.request(), store=False)):
        assert len(loop.names) < 5
    assert loop.names == [["get_weather"], ["get_weather", "get_time"]]
    assert response.output_text == FINAL


@WAYS
def test_a_loop_of_tools_that_is_kept_upstream(client: OpenAI, ask: Ask) -> None:
    loop = Loop(by_id=True)
    loop.given = [{"role": "user", "content": directive(**cast(Json, ROUNDS[1]))}]
    assert loop.take(ask(client, **loop.request()))
    assert loop.names == [["get_weather", "get_time"]]
    response = ask(client, **loop.request())
    assert 'answered "Sunny in' in response.output_text
    assert 'answered "Noon in Oslo"' in response.output_text


@WAYS
def test_a_custom_tool(client: OpenAI, ask: Ask) -> None:
    script = directive(calls=[{"name": "apply_patch", "input": PATCH}])
    call = ask(client, input=script, tools=[CUSTOM, *TOOLS]).output[0]
    assert (call.type, getattr(call, "name", None), getattr(call, "input", None)) == (
        "custom_tool_call",
        "apply_patch",
        PATCH,
    )
    assert call.type == "custom_tool_call"
    output = {"type": "custom_tool_call_output", "call_id": call.call_id, "output": "Done"}
    given = [{"role": "user", "content": "Go"}, call.to_dict(), output]
    assert ask(client, input=given, tools=[CUSTOM]).output_text.endswith('apply_patch answered "Done".')


class Forecast(BaseModel):
    sky: str
    degrees: list[float]


def test_a_parsed_answer(client: OpenAI) -> None:
    script = directive(text='{"sky": "grey", "degrees": [1.5]}')
    parsed = client.responses.parse(model="auto", input=script, text_format=Forecast).output_parsed
    with client.responses.stream(model="auto", input=script, text_format=Forecast) as stream:
        streamed = stream.get_final_response().output_parsed
    assert parsed == streamed == Forecast(sky="grey", degrees=[1.5])


def test_a_response_and_its_like(client: OpenAI) -> None:
    begun = whole(client, input="Say one")
    assert client.responses.retrieve(begun.id).output_text == "One"
    items = list(client.responses.input_items.list(begun.id))
    assert [item.type for item in items] == ["message"]
    with pytest.raises(openai.BadRequestError):
        client.responses.cancel(begun.id)
    client.responses.delete(begun.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(begun.id)


def test_the_tokens_of_a_request_are_counted(client: OpenAI) -> None:
    counting = client.responses.input_tokens.with_raw_response
    plain = counting.count(model="auto", input="Say one")
    full = counting.count(model="auto", input="Say one", instructions="Be brief and kind.", tools=cast(Any, TOOLS))
    assert plain.headers["x-isthmus-estimated"] == "true"
    assert plain.parse().object == "response.input_tokens"
    assert full.parse().input_tokens > plain.parse().input_tokens + 10
    with pytest.raises(openai.BadRequestError) as caught:
        counting.count(model="auto", input="Say two", previous_response_id=whole(client, input="Say one").id)
    assert caught.value.param == "previous_response_id"


def test_a_compacted_history(client: OpenAI) -> None:
    asked: Any = [{"role": "user", "content": directive(text="Herons were counted.")}]
    compacted = client.responses.compact(model="auto", input=asked)
    given: Any = [*(item.to_dict() for item in compacted.output), {"role": "user", "content": "Say on"}]
    assert whole(client, input=given).output_text == "On"


@WAYS
def test_an_early_error_has_its_class(client: OpenAI, ask: Ask) -> None:
    with pytest.raises(openai.UnprocessableEntityError):
        ask(client, input=directive(status=422))
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, input="Go", previous_response_id="resp_odd")
    assert (caught.value.code, caught.value.param) == ("previous_response_not_found", "previous_response_id")


def test_a_late_failure_is_an_event(client: OpenAI) -> None:
    script = directive(text="Words that will not all arrive", delay_ms=20, error_after_chars=8)
    events = list(client.responses.create(model="auto", input=script, stream=True))
    last = events[-1]
    assert last.type == "response.failed"
    assert last.response.error is not None
    assert "unusual activity" in last.response.error.message
