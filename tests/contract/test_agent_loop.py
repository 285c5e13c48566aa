"""An agent of several rounds over the official OpenAI SDK: a call, its result, two calls side by side, the answer."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionMessage

from tests.contract.agents import FINAL, TOOLS, Asked, Told, agent

Message = ChatCompletionMessage


def request(messages: list[Any], **others: Any) -> Any:
    return {"model": "auto", "messages": messages, "tools": TOOLS, **others}


def message_of(completion: ChatCompletion) -> Message:
    choice = completion.choices[0]
    assert choice.finish_reason == ("tool_calls" if choice.message.tool_calls else "stop")
    return choice.message


def whole(client: OpenAI, messages: list[Any]) -> Message:
    return message_of(client.chat.completions.create(**request(messages)))


def streamed(client: OpenAI, messages: list[Any]) -> Message:
    state = ChatCompletionStreamState()
    for chunk in client.chat.completions.create(**request(messages, stream=True)):
        state.handle_chunk(chunk)
    return message_of(state.get_final_completion())


def helped(client: OpenAI, messages: list[Any]) -> Message:
    with client.chat.completions.stream(**request(messages)) as stream:
        stream.until_done()
        return message_of(stream.get_final_completion())


async def whole_async(client: AsyncOpenAI, messages: list[Any]) -> Message:
    return message_of(await client.chat.completions.create(**request(messages)))


async def streamed_async(client: AsyncOpenAI, messages: list[Any]) -> Message:
    state = ChatCompletionStreamState()
    async for chunk in await client.chat.completions.create(**request(messages, stream=True)):
        state.handle_chunk(chunk)
    return message_of(state.get_final_completion())


async def helped_async(client: AsyncOpenAI, messages: list[Any]) -> Message:
    async with client.chat.completions.stream(**request(messages)) as stream:
        await stream.until_done()
        return message_of(await stream.get_final_completion())


def run(client: OpenAI, ask: Callable[[OpenAI, list[Any]], Message], prompt: str = "") -> Told:
    loop = agent(prompt)
    messages = next(loop)
    while True:
        try:
            messages = loop.send(ask(client, messages))
        except StopIteration as end:
            told: Told = end.value
            return told


async def run_async(client: AsyncOpenAI, ask: Callable[[AsyncOpenAI, list[Any]], Awaitable[Message]]) -> Told:
    loop = agent()
    messages = next(loop)
    while True:
        answer = await ask(client, messages)
        try:
            messages = loop.send(answer)
        except StopIteration as end:
            told: Told = end.value
            return told


def check(told: Told) -> None:
    assert told.names == [["get_weather"], ["get_weather", "get_time"]]
    assert [call.arguments["city"] for calls in told.rounds for call in calls] == [
        "Lisbon",
        'São "Tomé"\n🌍',
        "Oslo",
    ]
    assert told.texts == ["Let me look.", "", FINAL]
    assert len(set(told.ids)) == 3
    assert all(name.startswith("call_") and len(name) == len("call_") + 24 for name in told.ids)


@pytest.mark.parametrize("ask", [whole, streamed, helped])
def test_a_loop(client: OpenAI, ask: Callable[[OpenAI, list[Any]], Message]) -> None:
    check(run(client, ask))


@pytest.mark.anyio
@pytest.mark.parametrize("ask", [whole_async, streamed_async, helped_async])
async def test_a_loop_asynchronously(
    async_client: AsyncOpenAI, ask: Callable[[AsyncOpenAI, list[Any]], Awaitable[Message]]
) -> None:
    check(await run_async(async_client, ask))


@pytest.mark.parametrize("ask", [whole, streamed, helped])
def test_a_loop_without_a_script(client: OpenAI, ask: Callable[[OpenAI, list[Any]], Message]) -> None:
    told = run(client, ask, "How is the weather?")
    assert told.rounds == [[Asked(told.ids[0], "get_weather", {"city": "city"})]]
    assert told.texts[-1] == FINAL[: FINAL.index("Sunny")] + 'Sunny in city".'
