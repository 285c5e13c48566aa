"""The package behind AWS's own Lambda Web Adapter: chunks as they are made, its deadline, a client that leaves."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.servers import SIMULATED, content, data_frames, directive, finish_reasons, running_upstream
from tests.deploy.lambda_events import EVENTS, PICTURE, Request, chat, function_url, link_in
from tests.deploy.lambda_function import Function, running_stream

pytestmark = pytest.mark.deploy

Event = Callable[[Request], dict[str, Any]]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def function(lambda_folder: Path) -> Iterator[Function]:
    with running_stream(lambda_folder, SIMULATED, free_port()) as running:
        yield running


def ask(function: Function, event: Event, request: Request, limit_s: float = 30.0) -> tuple[dict[str, Any], bytes]:
    prelude, body = function.api.start(event(request), limit_s).stream()
    return prelude, b"".join(body)


def test_the_adapter_is_an_extension(function: Function) -> None:
    assert function.api.extensions == ["lambda-adapter"]


@pytest.mark.parametrize("event", EVENTS)
def test_a_chat_is_one_json_object(function: Function, event: Event) -> None:
    prelude, body = ask(function, event, chat("Say hello"))
    assert (prelude["statusCode"], prelude["headers"]["content-type"]) == (200, "application/json")
    assert json.loads(body)["choices"][0]["message"]["content"] == "Hello"


@pytest.mark.parametrize("event", EVENTS)
def test_an_error_keeps_status_and_shape(function: Function, event: Event) -> None:
    prelude, body = ask(function, event, Request("GET", "/v1/models", headers={"authorization": "Bearer sk-wrong"}))
    assert prelude["statusCode"] == 401
    assert json.loads(body)["error"].keys() == {"message", "type", "param", "code"}


@pytest.mark.parametrize("event", EVENTS)
def test_speech_comes_as_bytes(function: Function, event: Event) -> None:
    speech = b'{"model":"tts-1","voice":"alloy","input":"Hello there."}'
    prelude, body = ask(function, event, Request("POST", "/v1/audio/speech", speech))
    assert prelude["statusCode"] == 200
    assert prelude["headers"]["content-type"].startswith("audio/")
    assert len(body) > 0


@pytest.mark.parametrize("event", EVENTS)
def test_a_picture_is_behind_a_link_to_the_address_that_the_client_used(function: Function, event: Event) -> None:
    _, told = ask(function, event, PICTURE)
    prelude, body = ask(function, event, link_in(told))
    assert (prelude["statusCode"], prelude["headers"]["content-type"]) == (200, "image/png")
    assert body.startswith(b"\x89PNG")


def test_chunks_arrive_as_they_are_made(function: Function) -> None:
    request = chat(directive(text="One two three four.", delay_ms=200), stream=True)
    prelude, body = function.api.start(function_url(request)).stream()
    moments, text = [], b""
    for piece in body:
        text += piece
        if b'"content":"' in piece:
            moments.append(time.monotonic())
    assert (prelude["statusCode"], prelude["headers"]["content-type"][:17]) == (200, "text/event-stream")
    assert content(data_frames(text.decode())) == "One two three four."
    assert len(moments) >= 4
    assert moments[-1] - moments[0] > 0.5


@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_ends_before_the_function_is_killed(function: Function, stream: bool) -> None:
    began = time.monotonic()
    _, body = ask(function, function_url, chat(directive(text="word " * 200, delay_ms=100), stream=stream), 3.0)
    assert time.monotonic() - began < 3.0
    if stream:
        frames = data_frames(body.decode())
        assert (finish_reasons(frames), frames[-1]) == (["length"], "[DONE]")
    else:
        assert json.loads(body)["choices"][0]["finish_reason"] == "length"


def test_a_client_cannot_set_the_deadline(function: Function) -> None:
    request = chat("Say hello")
    past = {"x-amzn-lambda-context": '{"deadline": 1}'}
    _, body = ask(function, function_url, Request(request.method, request.path, request.body, past))
    assert json.loads(body)["choices"][0]["finish_reason"] == "stop"


def test_a_lost_connection_ends_the_turn_upstream(lambda_folder: Path) -> None:
    """AWS itself lets a streaming function run on when its client leaves; what can be seen here is acted on."""
    with running_upstream() as upstream, running_stream(lambda_folder, upstream.environ(), free_port()) as function:
        invocation = function.api.start(function_url(chat(directive(text="word " * 500, delay_ms=50), stream=True)))
        _, body = invocation.stream()
        next(body)
        invocation.hang_up()
        upstream.log(disconnects=1, within_s=10)
        assert [call["disconnected_at"] is not None for call in upstream.turns()] == [True]
