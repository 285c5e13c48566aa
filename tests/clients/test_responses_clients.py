"""Clients of the Responses API over real HTTP: the npm SDK, the Vercel AI SDK and the OpenAI Agents SDK."""

import pytest

from tests.api.servers import Gateway
from tests.clients.runs import CALLS, FINAL, MADE, Json, run_node, run_python
from tests.contract.agents import LOOPBACK

pytestmark = pytest.mark.clients

TEST = "This is a test!"


@pytest.fixture(scope="module")
def openai_js(socket_gateway: Gateway) -> Json:
    return run_node("openai_responses.mjs", socket_gateway)


@pytest.fixture(scope="module")
def ai_sdk(socket_gateway: Gateway) -> Json:
    return run_node("ai_sdk_responses.mjs", socket_gateway)


@pytest.fixture(scope="module")
def agents(socket_gateway: Gateway) -> Json:
    return run_python("agents_responses.py", socket_gateway)


@pytest.mark.parametrize("way", ["whole", "raw", "helper"])
def test_the_npm_sdk(openai_js: Json, way: str) -> None:
    told = openai_js[way]
    assert told["text"] == TEST
    assert told["loop"] == {"final": FINAL, "calls": CALLS, "rounds": 3}
    assert told["followed"] == ["One", "Two"]
    refused = told["refused"]
    assert (refused["name"], refused["status"], refused["code"]) == (
        "BadRequestError",
        400,
        "previous_response_not_found",
    )


def test_a_late_failure_is_an_event_for_the_npm_sdk(openai_js: Json) -> None:
    assert openai_js["late"] == "response.failed"


@pytest.mark.parametrize("way", ["whole", "streamed"])
def test_the_tool_loop_of_the_ai_sdk(ai_sdk: Json, way: str) -> None:
    told = ai_sdk[way]["stateless"]
    assert told == {"final": FINAL, "calls": CALLS, "reasons": ["tool-calls", "tool-calls", "stop"]}


@pytest.mark.parametrize("way", ["whole", "streamed"])
def test_the_tool_loop_of_the_ai_sdk_that_is_kept_upstream(ai_sdk: Json, way: str) -> None:
    # It refers to the first answer instead of repeating it, so the script of the first message is not sent again.
    told = ai_sdk[way]["kept"]
    assert told["final"] == f'{LOOPBACK}get_weather answered "Sunny in Lisbon".'
    assert (told["calls"], told["reasons"]) == (CALLS[:1], ["tool-calls", "stop"])


def test_texts_of_the_ai_sdk(ai_sdk: Json) -> None:
    assert ai_sdk["text"] == TEST
    assert ai_sdk["conversation"] == "More"
    assert ai_sdk["sourced"] == {
        "text": "Two seas. ",
        "sources": ["https://example.com/isthmus", "https://example.org/straits"],
        "thought": "Counting.",
    }
    assert ai_sdk["structured"] == {**MADE, "sky": "clear"}
    assert ai_sdk["forced"] == [["get_time", "city"]]


@pytest.mark.parametrize("way", ["whole", "streamed"])
def test_the_tool_loop_of_openai_agents(agents: Json, way: str) -> None:
    assert agents[way]["final"] == FINAL
    # It runs calls side by side, so their order is its own.
    assert agents[way]["calls"] == sorted(CALLS)


def test_texts_of_openai_agents(agents: Json) -> None:
    assert agents["text"] == TEST
    assert agents["structured"] == {"name": "name", "sky": "sky", "degrees": [1]}
    assert agents["forced"][0] == ["get_time", "city"]
    assert agents["streamed"]["ends"] == 3
