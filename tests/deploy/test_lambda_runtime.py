"""The package under AWS's own runtime client: every kind of event, two on one instance, a freeze between them."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from tests.api.servers import SIMULATED, Upstream, content, data_frames, directive, finish_reasons
from tests.deploy.lambda_events import (
    EVENTS,
    PICTURE,
    Request,
    Response,
    chat,
    function_url,
    link_in,
    load_balancer,
    read_answer,
)
from tests.deploy.lambda_function import Function, running_handler
from tests.deploy.lambda_wire import Wire

pytestmark = pytest.mark.deploy

PROBE = Path(__file__).parent / "probe"
PNG = b"\x89PNG"
MIB = 1024 * 1024

Event = Callable[[Request], dict[str, Any]]


@pytest.fixture(scope="module")
def function(lambda_folder: Path) -> Iterator[Function]:
    with running_handler(lambda_folder, SIMULATED) as running:
        yield running


@pytest.fixture(scope="module")
def probe(lambda_folder: Path) -> Iterator[Function]:
    with running_handler(lambda_folder, SIMULATED, "lambda_probe.handler", path=PROBE) as running:
        yield running


def ask(function: Function, event: Event, request: Request, limit_s: float = 30.0) -> Response:
    return read_answer(function.api.invoke(event(request), limit_s))


@pytest.mark.parametrize("event", EVENTS)
def test_a_chat_is_one_json_object(function: Function, event: Event) -> None:
    answer = ask(function, event, chat("Say hello"))
    assert (answer.status, answer.was_base64) == (200, False)
    assert answer.header("content-type") == "application/json"
    assert answer.json()["choices"][0]["message"]["content"] == "Hello"


@pytest.mark.parametrize("event", EVENTS)
def test_a_stream_is_one_legal_body(function: Function, event: Event) -> None:
    answer = ask(function, event, chat("Say hello", stream=True))
    frames = data_frames(answer.body.decode())
    assert (answer.status, answer.was_base64) == (200, False)
    assert answer.header("content-type").startswith("text/event-stream")
    assert content(frames) == "Hello"
    assert (finish_reasons(frames), frames[-1]) == (["stop"], "[DONE]")


class Refusal(Struct, frozen=True):
    id: str
    request: Request
    status: int
    code: str | None


REFUSALS = [
    Refusal(
        "a wrong key",
        Request("GET", "/v1/models", headers={"authorization": "Bearer sk-wrong"}),
        401,
        "invalid_api_key",
    ),
    Refusal("an unknown path", Request("GET", "/v1/nothing"), 404, None),
    Refusal("a body that is no JSON", Request("POST", "/v1/chat/completions", b'{"model":'), 400, None),
    Refusal(
        "a body over the limit",
        Request("POST", "/v1/chat/completions", b'"' + b"x" * 6_000_000 + b'"'),
        413,
        "request_too_large",
    ),
]


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.id)
def test_an_error_keeps_status_and_shape(function: Function, refusal: Refusal, event: Event) -> None:
    answer = ask(function, event, refusal.request)
    error = answer.json()["error"]
    assert (answer.status, answer.was_base64) == (refusal.status, False)
    assert error.keys() == {"message", "type", "param", "code"}
    assert refusal.code in (None, error["code"])


@pytest.mark.parametrize("event", EVENTS)
def test_speech_comes_as_base64(function: Function, event: Event) -> None:
    body = b'{"model":"tts-1","voice":"alloy","input":"Hello there."}'
    answer = ask(function, event, Request("POST", "/v1/audio/speech", body))
    assert (answer.status, answer.was_base64) == (200, True)
    assert answer.header("content-type").startswith("audio/")
    assert len(answer.body) > 0


@pytest.mark.parametrize("event", EVENTS)
def test_a_picture_is_behind_a_link_to_the_address_that_the_client_used(function: Function, event: Event) -> None:
    answer = ask(function, event, link_in(ask(function, event, PICTURE).body))
    assert (answer.status, answer.header("content-type"), answer.was_base64) == (200, "image/png", True)
    assert answer.body.startswith(PNG)


@pytest.mark.parametrize("event", EVENTS)
def test_bytes_come_as_base64_and_cookies_travel_both_ways(probe: Function, event: Event) -> None:
    answer = ask(probe, event, Request("GET", "/audio/mpeg/1000", cookies=("one=1", "two=2")))
    assert (answer.status, answer.was_base64, answer.body) == (200, True, b"\xff" * 1000)
    assert answer.header("x-cookies") == "one=1; two=2"
    assert sorted(answer.all("set-cookie")) == ["a=1", "b=2; Secure"]


class Size(Struct, frozen=True):
    id: str
    event: Event
    path: str
    fits: bool


SIZES = [
    Size("text just within 6 MiB", function_url, f"/application/json/{6 * MIB - 20_000}", fits=True),
    Size("text over 6 MiB", function_url, f"/application/json/{6 * MIB}", fits=False),
    Size("bytes that fit as base64", function_url, f"/audio/mpeg/{4_600_000}", fits=True),
    Size("bytes that do not fit as base64", function_url, f"/audio/mpeg/{4_800_000}", fits=False),
    Size("lines, each of which JSON writes as two", function_url, f"/text/event-stream/{4 * MIB}", fits=False),
    Size("bytes that say they are text", function_url, f"/audio/text//{4_800_000}", fits=False),
    Size("text within 1 MiB behind a load balancer", load_balancer, f"/application/json/{MIB - 20_000}", fits=True),
    Size("text over 1 MiB behind a load balancer", load_balancer, f"/application/json/{MIB}", fits=False),
]


@pytest.mark.parametrize("size", SIZES, ids=lambda size: size.id)
def test_an_answer_that_lambda_cannot_carry_is_an_error_of_ours(probe: Function, size: Size) -> None:
    invocation = probe.api.start(size.event(Request("GET", size.path)))
    answer = read_answer(invocation.answer())
    assert int(invocation.headers["content-length"]) <= (6 * MIB if size.event is function_url else MIB)
    if size.fits:
        assert answer.status == 200
    else:
        assert (answer.status, answer.json()["error"]["code"]) == (400, "response_too_large")


def test_a_failure_in_the_middle_keeps_its_status(probe: Function) -> None:
    answer = ask(probe, function_url, Request("GET", "/late"))
    assert answer.status == 504
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "event",
    [None, [], "warm", {}, {"version": "0", "source": "aws.events"}, {"requestContext": {"connectionId": "c"}}],
    ids=["null", "a list", "a string", "an empty object", "a schedule", "a WebSocket API"],
)
def test_an_event_that_is_not_http_is_left_alone(function: Function, event: object) -> None:
    assert function.api.invoke(event) == {"handled": False, "reason": "not an HTTP event"}


@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_ends_before_the_function_is_killed(function: Function, stream: bool) -> None:
    prompt = directive(text="word " * 200, delay_ms=100)
    began = time.monotonic()
    answer = ask(function, function_url, chat(prompt, stream=stream), limit_s=3.0)
    assert time.monotonic() - began < 3.0
    frames = data_frames(answer.body.decode()) if stream else [answer.json()]
    reasons = finish_reasons(frames) if stream else [frames[0]["choices"][0]["finish_reason"]]
    assert (answer.status, reasons) == (200, ["length"])


def test_a_client_cannot_set_the_deadline(function: Function) -> None:
    request = chat("Say hello")
    past = {"x-amzn-lambda-context": '{"deadline": 1}'}
    answer = ask(function, function_url, Request(request.method, request.path, request.body, past))
    assert answer.json()["choices"][0]["finish_reason"] == "stop"


@pytest.fixture
def wire(upstream_server: Upstream) -> Iterator[Wire]:
    with Wire(upstream_server.url) as wire:
        yield wire


@pytest.fixture(params=["CHATGPT_BASE_URL", "PROXY"], ids=["directly", "through a proxy"])
def wired(
    request: pytest.FixtureRequest, lambda_folder: Path, upstream_server: Upstream, wire: Wire
) -> Iterator[Function]:
    """A function whose every connection is on the wire: as the upstream's address, or as that of a proxy.

    The simulated upstream takes the request line of a proxy for its own.
    """
    with running_handler(lambda_folder, upstream_server.environ(**{request.param: wire.url})) as running:
        yield running


def test_an_instance_uses_its_connection_again(wired: Function, wire: Wire) -> None:
    assert ask(wired, function_url, chat("Say one")).status == 200
    opened = wire.connections
    assert ask(wired, function_url, chat("Say two")).status == 200
    assert wire.connections == opened > 0


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_connections_lost_while_frozen_cost_nothing(
    wired: Function, wire: Wire, upstream_server: Upstream, reset: bool
) -> None:
    assert ask(wired, function_url, chat("Say one")).status == 200
    turns = len(upstream_server.turns())
    with wired.frozen():
        wire.cut(reset)
    answer = ask(wired, function_url, chat("Say two"))
    assert (answer.status, answer.json()["choices"][0]["message"]["content"]) == (200, "Two")
    assert len(upstream_server.turns()) == turns + 1
