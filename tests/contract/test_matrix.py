"""Every API that clients speak over every upstream: what each cell answers, streamed and whole, and how it fails.

A cell that cannot do a thing refuses it, by a row of `REFUSED` that names the field; nothing is left out in silence.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import Struct

from tests.api.servers import SIMULATED, Gateway, directive, error_of, running_gateway
from tests.contract.matrix_clients import CLIENTS, Attached, Client, Json, Made, Question, Told
from tests.media_samples import pdf, png, wav

WEATHER: Json = {
    "name": "get_weather",
    "description": "Tells the weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
SCHEMA: Json = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "degrees": {"type": "integer"}},
    "required": ["city", "degrees"],
    "additionalProperties": False,
}

UPSTREAMS = {
    "chatgpt_web": "gpt-5-6",
    "codex": "codex/gpt-5.5",
    "openai": "openai/loopback-large",
    "anthropic": "anthropic/claude-loopback",
    "gemini": "gemini/gemini-loopback",
}
ENVIRON = {
    **SIMULATED,
    "OPENAI_API_KEY": "loopback-openai",
    "OPENAI_BASE_URL": "loopback://openai/v1",
    "ANTHROPIC_API_KEY": "loopback-anthropic",
    "ANTHROPIC_BASE_URL": "loopback://anthropic",
    "GEMINI_API_KEY": "loopback-gemini",
    "GEMINI_BASE_URL": "loopback://gemini",
    "REFUSAL_RETRIES": "0",
}


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with running_gateway(ENVIRON) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def impatient() -> Iterator[Gateway]:
    with running_gateway(ENVIRON, IDLE_TIMEOUT_SECONDS="0.2") as gateway:
        yield gateway


@pytest.fixture(params=CLIENTS, ids=lambda client: client.name)
def client(request: pytest.FixtureRequest) -> Client:
    chosen: Client = request.param
    return chosen


@pytest.fixture(params=UPSTREAMS)
def upstream(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[True, False], ids=["stream", "whole"])
def stream(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def ask(gateway: Gateway, client: Client, upstream: str, question: Question, stream: bool) -> Told:
    told = client.ask(gateway.web, UPSTREAMS[upstream], question, stream)
    if told.status == 200:
        assert told.upstream == upstream
    return told


def call(city: str) -> Json:
    return {"name": "get_weather", "arguments": {"city": city}}


# What works.


def test_text(gateway: Gateway, client: Client, upstream: str, stream: bool) -> None:
    told = ask(gateway, client, upstream, Question("Say this is a test!"), stream)
    assert (told.status, told.text, told.finish, told.failure) == (200, "This is a test!", "stop", "")
    assert told.spent is not None
    assert told.spent.input > 0
    # The simulated vendors report a token for four characters; ChatGPT Web reports none, and they are estimated.
    assert told.spent.output == 4 or (upstream == "chatgpt_web" and 3 <= told.spent.output <= 8)
    assert told.spent.total in (None, told.spent.input + told.spent.output)


def test_one_call(gateway: Gateway, client: Client, upstream: str, stream: bool) -> None:
    told = ask(gateway, client, upstream, Question("How is the weather?", tools=(WEATHER,)), stream)
    [made] = told.calls
    assert (made.name, made.arguments, told.finish) == ("get_weather", {"city": "city"}, "tool_calls")
    assert made.id


def test_parallel_calls(gateway: Gateway, client: Client, upstream: str, stream: bool) -> None:
    scripted = directive(text="Let me look. ", calls=[call("Rome"), call("Oslo"), call("Bern")])
    told = ask(gateway, client, upstream, Question(scripted, tools=(WEATHER,)), stream)
    assert [made.arguments for made in told.calls] == [{"city": "Rome"}, {"city": "Oslo"}, {"city": "Bern"}]
    assert len({made.id for made in told.calls}) == 3
    assert (told.text.strip(), told.finish) == ("Let me look.", "tool_calls")


def test_a_round_of_results(gateway: Gateway, client: Client, upstream: str, stream: bool) -> None:
    made = tuple((Made("get_weather", {"city": city}, f"call_{city}"), weather) for city, weather in RESULTS)
    told = ask(gateway, client, upstream, Question("Weather?", rounds=(made,), tools=(WEATHER,)), stream)
    assert (told.calls, told.finish) == ((), "stop")
    assert all(f'get_weather answered "{weather}"' in told.text for _, weather in RESULTS)


RESULTS = (("Rome", "sunny"), ("Oslo", "snow"))


def test_structured_output(gateway: Gateway, client: Client, upstream: str, stream: bool) -> None:
    told = ask(gateway, client, upstream, Question("Weather in Rome?", schema=SCHEMA), stream)
    assert told.status == 200, told
    assert json.loads(told.text) == {"city": "city", "degrees": 1}


def test_reasoning(gateway: Gateway, client: Client, upstream: str, stream: bool) -> None:
    scripted = directive(reasoning="Let me think.", text="Done.")
    told = ask(gateway, client, upstream, Question(scripted, thinks=True), stream)
    assert (told.reasoning, told.text) == ("Let me think.", "Done.")


# What comes with a text, and who refuses it.

ATTACHED = {
    "a picture": Attached("image/png", png()),
    "a document": Attached("application/pdf", pdf()),
    "a sound": Attached("audio/wav", wav()),
    "a kept file": Attached("application/pdf", file_id="file-kept"),
}
UNKNOWN = {("a sound", "messages"), ("a kept file", "gemini")}
"""What an API has no words for: it is not asked."""

REFUSED = {
    "a sound": {
        "chat": "chatgpt_web codex anthropic",
        "responses": "chatgpt_web codex openai anthropic gemini",
        "gemini": "chatgpt_web codex anthropic",
    },
    "a kept file": {
        "chat": "chatgpt_web codex anthropic gemini",
        "responses": "chatgpt_web codex anthropic gemini",
        "messages": "chatgpt_web codex openai gemini",
    },
}
"""By API the upstreams that refuse a thing; docs/vendors.md says the same to users."""

PLACES = {
    "chat": "messages[0].content[1]",
    "responses": "input[0].content[1]",
    "messages": "messages[0].content[1]",
    "gemini": "contents[0].parts[1]",
}
"""What a refusal names: the field, as the client's own API calls it."""

ATTACHING = [(what, client) for what in ATTACHED for client in CLIENTS if (what, client.name) not in UNKNOWN]


@pytest.mark.parametrize(("what", "client"), ATTACHING, ids=lambda each: getattr(each, "name", each))
def test_what_comes_with_a_text_is_taken_or_refused(
    gateway: Gateway, client: Client, upstream: str, stream: bool, what: str
) -> None:
    told = ask(gateway, client, upstream, Question("What is this?", attached=ATTACHED[what]), stream)
    if upstream in REFUSED.get(what, {}).get(client.name, "").split():
        assert told.status == 400, told
        assert told.failure.startswith(PLACES[client.name])
    else:
        assert (told.status, told.failure) == (200, ""), told
        assert "With it came: " in told.text


class Wish(Struct, frozen=True):
    """A field of Chat Completions that some upstreams have a service for: the others name it, or refuse it."""

    id: str
    fields: Json
    ignored: str = ""
    refused: str = ""


WISHES = [
    Wish("a web search", {"function_web_search": True}, ignored="openai"),
    Wish("an interpreter of code", {"function_code_interpreter": True}, ignored="codex openai anthropic"),
    Wish("a picture to be made", {"function_image_gen": True}, refused="codex openai anthropic gemini"),
]


@pytest.mark.parametrize("wish", WISHES, ids=lambda wish: wish.id)
def test_a_service_is_given_named_or_refused(gateway: Gateway, upstream: str, wish: Wish) -> None:
    answer = gateway.chat("A bird, please", model=UPSTREAMS[upstream], **wish.fields)
    if upstream in wish.refused.split():
        assert (answer.status_code, error_of(answer)["param"]) == (400, "model")
        return
    assert answer.status_code == 200, answer.text
    ignored = answer.headers.get("x-isthmus-ignored-params", "")
    assert bool(ignored) is (upstream in wish.ignored.split()), ignored


# What fails.


class Fault(Struct, frozen=True):
    """A failure before the answer: what the upstream is told to do, and the status the client gets."""

    id: str
    keys: dict[str, Any]
    statuses: tuple[int, ...]


FAULTS = [
    Fault("a failing upstream", {"status": 500}, (502, 503)),
    Fault("a limited upstream", {"status": 429, "headers": {"retry-after": "7"}}, (429,)),
    Fault("a refused request", {"status": 400}, (400,)),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.id)
def test_a_failure_before_the_answer_keeps_its_status(
    gateway: Gateway, client: Client, upstream: str, stream: bool, fault: Fault
) -> None:
    # A cooled account would fail the next cell too: 429 is asked of the upstream that is not pooled.
    if fault.statuses == (429,) and upstream in ("chatgpt_web", "codex"):
        with running_gateway(ENVIRON) as alone:
            told = ask(alone, client, upstream, Question(directive(**fault.keys)), stream)
    else:
        told = ask(gateway, client, upstream, Question(directive(**fault.keys)), stream)
    assert told.status in fault.statuses, told
    assert told.failure


class Break(Struct, frozen=True):
    id: str
    keys: dict[str, Any]


SILENCE = Break("silence", {"stall_after_chars": 8})
BREAKS = [Break("cut", {"cut_after_chars": 8}), Break("an error in the stream", {"error_after_chars": 8}), SILENCE]


@pytest.mark.parametrize("broken", BREAKS, ids=lambda broken: broken.id)
def test_a_failure_within_the_answer_ends_it_legally(
    gateway: Gateway, impatient: Gateway, client: Client, upstream: str, stream: bool, broken: Break
) -> None:
    scripted = directive(text="Hello there, you.", **broken.keys)
    told = ask(impatient if broken is SILENCE else gateway, client, upstream, Question(scripted), stream)
    assert told.failure
    if stream:
        assert (told.status, told.text) == (200, "Hello th")
    else:
        assert told.status in (403, 502, 503, 504)
