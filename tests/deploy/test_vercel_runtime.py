"""The gateway under Vercel's own runtime: the one from PyPI over this checkout, and the one in the built function."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec import Struct
from openai import AsyncOpenAI, OpenAI

from tests.api.servers import (
    KEY,
    TOKEN,
    Upstream,
    chat_body,
    content,
    data_frames,
    directive,
    error_of,
    finish_reasons,
    running_upstream,
)
from tests.deploy.vercel_function import (
    DEADLINE_HEADER,
    Function,
    NotStarted,
    Program,
    built_function,
    deadline_in,
    running_function,
    runtime_over_checkout,
)

pytestmark = [pytest.mark.deploy, pytest.mark.anyio]

STREAMS = 50
WITHIN_S = 1.0
LONG = {"text": "word " * 2_000, "chunk_chars": 5, "delay_ms": 20}
PAUSE_MS = 200


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with running_upstream() as upstream:
        yield upstream


@pytest.fixture(scope="module", params=["the runtime over the checkout", "the built function"])
def program(request: pytest.FixtureRequest) -> Program:
    if request.param == "the built function":
        return built_function(request.getfixturevalue("vercel_function"))
    return runtime_over_checkout()


@pytest.fixture(scope="module")
def function(program: Program, upstream: Upstream) -> Iterator[Function]:
    """A deployed gateway over the simulated upstream. Tests leave no trace in it."""
    with running_function(program, upstream.environ()) as function:
        started = function.messages.of("server-started")[0]
        print(f"cold start: {started['initDuration']} ms, of which import {started['userInitDuration']} ms")
        yield function


def test_a_chat_is_answered(function: Function) -> None:
    with OpenAI(api_key=KEY, base_url=f"{function.url}/v1", max_retries=0) as client:
        messages: Any = chat_body("Say this is a test!")["messages"]
        answer = client.chat.completions.create(model="auto", messages=messages)
    assert answer.choices[0].message.content == "This is a test!"


def test_a_stream_arrives_in_pieces_as_they_are_written(function: Function) -> None:
    body = chat_body(directive(text="one two three four", chunk_chars=5, delay_ms=PAUSE_MS), stream=True)
    heard, times = b"", []
    with function.web.stream("POST", "/v1/chat/completions", json=body) as answer:
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        for data in answer.iter_raw():
            heard += data
            times.append(time.monotonic())
    frames = data_frames(heard.decode())
    assert (content(frames), finish_reasons(frames), frames[-1]) == ("one two three four", ["stop"], "[DONE]")
    assert times[-1] - times[0] > 2 * PAUSE_MS / 1000
    assert len(times) >= 4


def test_a_client_that_leaves_a_stream_frees_the_upstream(function: Function, upstream: Upstream) -> None:
    before = disconnects(upstream)
    body = chat_body(directive(**LONG), stream=True)
    with function.web.stream("POST", "/v1/chat/completions", json=body) as answer:
        assert next(answer.iter_raw())
    upstream.log(disconnects=before + 1, within_s=WITHIN_S)
    assert disconnects(upstream) == before + 1


def test_a_client_that_gives_up_waiting_frees_the_upstream(function: Function, upstream: Upstream) -> None:
    before = disconnects(upstream)
    with pytest.raises(httpx.ReadTimeout):
        function.web.post("/v1/chat/completions", json=chat_body(directive(**LONG)), timeout=0.5)
    upstream.log(disconnects=before + 1, within_s=WITHIN_S)
    assert disconnects(upstream) == before + 1


def disconnects(upstream: Upstream) -> int:
    return sum(call["disconnected_at"] is not None for call in upstream.turns())


class Deadline(Struct, frozen=True):
    """What a request gets whose function is to be ended after `PLATFORM_S`."""

    id: str
    script: dict[str, Any]
    stream: bool
    status: int


PLATFORM_S = 2.5
DEADLINES = [
    Deadline("a stream ends as cut for length", LONG, stream=True, status=200),
    Deadline("a whole answer ends as cut for length", LONG, stream=False, status=200),
    Deadline("a stream that has not begun ends with its status", {"first_delay_ms": 60_000}, stream=True, status=504),
    Deadline("an answer that has not begun ends with its status", {"first_delay_ms": 60_000}, stream=False, status=504),
]


@pytest.mark.parametrize("case", DEADLINES, ids=lambda case: case.id)
def test_an_answer_ends_legally_before_the_platform_ends_it(case: Deadline, function: Function) -> None:
    began = time.monotonic()
    answer = function.chat(directive(**case.script), headers=deadline_in(PLATFORM_S), stream=case.stream)
    assert time.monotonic() - began < PLATFORM_S
    assert answer.status_code == case.status, answer.text
    if case.status != 200:
        assert error_of(answer)["message"].startswith("the time for this answer ran out")
    elif case.stream:
        frames = data_frames(answer.text)
        assert (finish_reasons(frames), frames[-1]) == (["length"], "[DONE]")
        assert content(frames).startswith("word word ")
    else:
        assert answer.json()["choices"][0]["finish_reason"] == "length"


def test_a_deadline_that_cannot_be_read_is_no_deadline(function: Function) -> None:
    answer = function.chat("Say hello", headers={DEADLINE_HEADER: "soon"})
    assert answer.status_code == 200


@pytest.fixture
async def client(function: Function) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(api_key=KEY, base_url=f"{function.url}/v1", max_retries=0) as client:
        yield client


async def test_fifty_streams_at_once_are_told_apart(client: AsyncOpenAI, function: Function) -> None:
    async def listen(number: int) -> str:
        messages: Any = chat_body(directive(text=f"{number:03d} " * 20, chunk_chars=4, delay_ms=50))["messages"]
        stream = await client.chat.completions.create(model="auto", messages=messages, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    texts = await asyncio.gather(*(listen(number) for number in range(STREAMS)))
    assert texts == [f"{number:03d} " * 20 for number in range(STREAMS)]
    assert function.messages.most_at_once() >= STREAMS


def test_a_body_over_the_platforms_limit_is_refused_in_the_dialects_shape(function: Function) -> None:
    """Vercel refuses more than 4.5 MB itself; what gets through and is larger must not be cut or crash."""
    answer = function.chat("x" * 4_500_000)
    assert answer.status_code == 413
    assert "4500000 bytes" in error_of(answer)["message"]


def test_an_answer_may_be_larger_than_a_body(function: Function) -> None:
    answer = function.chat(directive(text="0123456789" * 1000, repeat=600, chunk_chars=100_000))
    assert answer.status_code == 200
    assert len(answer.json()["choices"][0]["message"]["content"]) == 6_000_000


def test_a_picture_is_behind_a_link_to_the_address_that_the_client_used(function: Function) -> None:
    body = {"prompt": "A heron", "response_format": "url"}
    headers = {"host": "isthmus.example", "x-forwarded-proto": "https"}
    answer = function.web.post("/v1/images/generations", json=body, headers=headers)
    link = answer.json()["data"][0]["url"]
    assert link.startswith("https://isthmus.example/v1/files/link_")
    assert function.web.get(link.removeprefix("https://isthmus.example")).content.startswith(b"\x89PNG")


def test_paths_reach_the_routes_as_they_were_sent(function: Function) -> None:
    assert function.web.get("/ping").json() == {"message": "pong"}
    assert function.web.get("/v1/models").json()["object"] == "list"
    assert "/v1/nothing" in error_of(function.web.get("/v1/nothing"))["message"]
    assert function.web.get("/pyproject.toml").status_code == 404


def test_each_request_is_one_line_of_the_platforms_log(function: Function) -> None:
    function.chat("Say hello", headers={"x-request-id": "asked-by-a-test"})
    assert function.messages.wait(lambda told: len(lines_of(told, "asked-by-a-test")) == 1, WITHIN_S)


def lines_of(messages: Any, request_id: str) -> list[str]:
    return [line for line in messages.logged() if request_id in line]


class Unset(Struct, frozen=True):
    """What a deployment says of itself while its variables are not all set."""

    id: str
    environ: dict[str, str]
    chat: str


UNSET = [
    Unset("nothing is set", {}, "no gateway key configured"),
    Unset("there is a key, but no account", {"AUTH_TOKENS": KEY}, "access token pool is empty"),
]


@pytest.mark.parametrize("case", UNSET, ids=lambda case: case.id)
def test_a_deployment_without_its_variables_says_so(case: Unset, program: Program) -> None:
    with running_function(program, case.environ) as function:
        answer = function.chat("Say hello")
        ready = function.web.get("/health/ready")
        health = function.web.get("/health").json()
    assert answer.status_code == 503
    assert case.chat in error_of(answer)["message"]
    assert ready.status_code == 503
    assert ready.json()["settings_seen"] == list(case.environ)
    assert (ready.json()["deployment"], health["loopback"]) == ("vercel", False)


def test_a_deployment_that_cannot_start_names_the_variable(program: Program) -> None:
    environ = {"AUTH_TOKENS": KEY, "CHATGPT_ACCESS_TOKENS": TOKEN, "HEARTBEAT_SECONDS": "often"}
    refused = pytest.raises(NotStarted, match="HEARTBEAT_SECONDS must be a number of seconds")
    with refused, running_function(program, environ):
        pass


def test_nothing_is_written_beside_the_code(vercel_function: Path, upstream: Upstream) -> None:
    """The platform's disk is read-only, but for /tmp."""
    before = sorted(vercel_function.rglob("*"))
    with running_function(built_function(vercel_function), upstream.environ()) as function:
        assert function.chat("Say hello").status_code == 200
    assert sorted(vercel_function.rglob("*")) == before
