"""The official OpenAI SDK for Python, over real HTTP, against a gateway whose upstream crosses a socket too."""

from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import openai
import pytest
from msgspec import Struct
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionMessageParam

from tests.api.servers import KEY, TOKEN, Gateway, Upstream, directive, running_gateway

ANSWER = "This is a test!"


def messages(prompt: str = "Say this is a test!") -> list[ChatCompletionMessageParam]:
    return [{"role": "user", "content": prompt}]


def sdk(gateway: Gateway, key: str = KEY, max_retries: int = 0) -> OpenAI:
    return OpenAI(api_key=key, base_url=f"{gateway.url}/v1", max_retries=max_retries)


@pytest.fixture
def client(socket_gateway: Gateway) -> Iterator[OpenAI]:
    with sdk(socket_gateway) as client:
        yield client


@pytest.fixture
async def async_client(socket_gateway: Gateway) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(api_key=KEY, base_url=f"{socket_gateway.url}/v1", max_retries=0) as client:
        yield client


def test_a_whole_answer(client: OpenAI) -> None:
    completion = client.chat.completions.create(model="auto", messages=messages())
    choice = completion.choices[0]
    assert completion.object == "chat.completion"
    assert completion.id.startswith("chatcmpl-")
    assert completion.model == "auto"
    assert (choice.index, choice.finish_reason, choice.message.role) == (0, "stop", "assistant")
    assert (choice.message.content, choice.message.refusal, choice.message.tool_calls) == (ANSWER, None, None)
    assert completion.usage is not None
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens > 0
    assert completion.usage.model_extra == {"estimated": True}


def test_a_stream(client: OpenAI) -> None:
    chunks = list(client.chat.completions.create(model="auto", messages=messages(), stream=True))
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == ANSWER
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason] == ["stop"]
    assert all(chunk.usage is None for chunk in chunks)


def test_the_stream_helper(client: OpenAI) -> None:
    with client.chat.completions.stream(
        model="auto", messages=messages(), stream_options={"include_usage": True}
    ) as stream:
        kinds = [event.type for event in stream]
        completion = stream.get_final_completion()
    assert completion.choices[0].message.content == ANSWER
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage is not None
    assert kinds.count("content.done") == 1
    assert "content.delta" in kinds


def test_a_stream_and_a_whole_answer_agree(client: OpenAI) -> None:
    script = messages(directive(text="Wörter, слова, 言葉 🌍. " * 20, reasoning="Let me see."))
    whole = client.chat.completions.create(model="auto", messages=script)
    with client.chat.completions.stream(
        model="auto", messages=script, stream_options={"include_usage": True}
    ) as stream:
        for _ in stream:
            pass
        told = stream.get_final_completion()
    assert told.choices[0].message.content == whole.choices[0].message.content
    assert told.choices[0].finish_reason == whole.choices[0].finish_reason
    assert told.usage == whole.usage
    assert whole.choices[0].message.model_extra == {"reasoning_content": "Let me see."}


def test_the_raw_answer_has_the_request_id(client: OpenAI) -> None:
    answer = client.chat.completions.with_raw_response.create(
        model="auto", messages=messages(), extra_headers={"x-request-id": "from-the-sdk"}
    )
    assert answer.request_id == "from-the-sdk"
    assert answer.headers["x-isthmus-upstream"] == "chatgpt_web"


def test_the_models(client: OpenAI) -> None:
    models = list(client.models.list())
    assert models[0].id == "auto"
    assert {model.object for model in models} == {"model"}
    assert client.models.retrieve(models[1].id) == models[1]
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("no-such-model")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


@pytest.mark.anyio
async def test_a_whole_answer_asynchronously(async_client: AsyncOpenAI) -> None:
    completion = await async_client.chat.completions.create(model="auto", messages=messages())
    assert completion.choices[0].message.content == ANSWER


@pytest.mark.anyio
async def test_a_stream_asynchronously(async_client: AsyncOpenAI) -> None:
    stream = await async_client.chat.completions.create(model="auto", messages=messages(), stream=True)
    assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == ANSWER


@pytest.mark.anyio
async def test_the_stream_helper_asynchronously(async_client: AsyncOpenAI) -> None:
    async with async_client.chat.completions.stream(model="auto", messages=messages()) as stream:
        async for _ in stream:
            pass
        completion = await stream.get_final_completion()
    assert completion.choices[0].message.content == ANSWER


@pytest.mark.anyio
async def test_the_models_asynchronously(async_client: AsyncOpenAI) -> None:
    assert "auto" in [model.id async for model in async_client.models.list()]


class Case(Struct, frozen=True):
    """`script` is the directive of the one message; `request` replaces fields of the request."""

    name: str
    raises: type[openai.APIStatusError]
    script: dict[str, Any] = {}
    request: dict[str, Any] = {}
    key: str = KEY


CASES = [
    Case("a wrong key", openai.AuthenticationError, key="sk-wrong"),
    Case("no messages", openai.BadRequestError, request={"messages": []}),
    Case("more than one choice", openai.BadRequestError, request={"n": 2}),
    Case("a refused request", openai.UnprocessableEntityError, script={"status": 422}),
    Case("an upstream that blocks", openai.PermissionDeniedError, script={"status": 403}),
    Case("a conversation that is not there", openai.NotFoundError, script={"status": 404}),
    Case("an upstream in conflict", openai.ConflictError, script={"status": 409}),
    Case("a rate limit", openai.RateLimitError, script={"status": 429}),
    Case("an upstream that fails", openai.InternalServerError, script={"status": 500}),
]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_error_has_its_class(case: Case, stream: bool, socket_gateway: Gateway) -> None:
    request = {"model": "auto", "messages": messages(directive(**case.script)), "stream": stream} | case.request
    # An account of the caller's own: what happens to it teaches the shared gateway's pool nothing.
    key = f"{KEY} {TOKEN}-errors" if case.key == KEY else case.key
    with sdk(socket_gateway, key) as client, pytest.raises(case.raises) as caught:
        client.chat.completions.create(**cast(Any, request))
    assert caught.value.body is not None
    assert caught.value.type is not None
    assert caught.value.request_id


def test_the_sdk_waits_as_long_as_the_upstream_says_and_no_longer(upstream_server: Upstream) -> None:
    environ = upstream_server.environ()
    account = environ["CHATGPT_ACCESS_TOKENS"] + "-own"
    upstream_server.script(token=account, path="/f/conversation", status=429, times=1, headers={"Retry-After": "0.05"})
    with running_gateway(environ) as gateway, sdk(gateway, f"{KEY} {account}", max_retries=1) as client:
        completion = client.chat.completions.create(model="auto", messages=messages())
    assert completion.choices[0].message.content == ANSWER


@pytest.mark.parametrize(
    "script",
    [
        pytest.param({"cut_after_chars": 8}, id="a cut"),
        pytest.param({"error_after_chars": 8}, id="an error in the stream"),
        pytest.param({"stall_after_chars": 8}, id="silence"),
    ],
)
def test_a_late_failure_raises_in_the_middle_of_the_stream(script: dict[str, Any], upstream_server: Upstream) -> None:
    prompt = directive(text="Words that will not all arrive", delay_ms=20, **script)
    environ = upstream_server.environ(IDLE_TIMEOUT_SECONDS="0.3")
    with running_gateway(environ) as gateway, sdk(gateway) as client:
        stream = client.chat.completions.create(model="auto", messages=messages(prompt), stream=True)
        heard = [next(stream)]
        with pytest.raises(openai.APIError) as caught:
            heard.extend(stream)
    assert heard[0].choices[0].delta.role == "assistant"
    assert type(caught.value) is openai.APIError
    assert caught.value.message


def test_a_gateway_that_is_not_there_is_a_connection_error() -> None:
    with running_gateway() as gateway:
        pass
    with sdk(gateway) as client, pytest.raises(openai.APIConnectionError):
        client.models.list()
