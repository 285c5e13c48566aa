"""Clients of the Messages API over real HTTP: Anthropic's npm SDK, the Vercel AI SDK, LangChain's ChatAnthropic."""

import pytest

from tests.api.servers import Gateway
from tests.clients.runs import CALLS, FINAL, MADE, Json, run_node, run_python

pytestmark = pytest.mark.clients

TEST = "This is a test!"


@pytest.fixture(scope="module")
def npm(socket_gateway: Gateway) -> Json:
    return run_node("anthropic.mjs", socket_gateway)


@pytest.fixture(scope="module")
def ai_sdk(socket_gateway: Gateway) -> Json:
    return run_node("ai_sdk_anthropic.mjs", socket_gateway)


@pytest.fixture(scope="module")
def langchain(socket_gateway: Gateway) -> Json:
    return run_python("langchain_messages.py", socket_gateway)


@pytest.mark.parametrize("way", ["whole", "helper"])
def test_the_npm_sdk(npm: Json, way: str) -> None:
    told = npm[way]
    assert (told["text"], told["loop"]) == (TEST, {"final": FINAL, "calls": CALLS, "rounds": 3})
    assert told["usage"]["output_tokens"] > 0


def test_the_npm_sdk_counts_and_lists(npm: Json) -> None:
    assert npm["count"] > 20
    assert npm["models"][0] == "auto"


def test_the_npm_sdk_hears_of_failures(npm: Json) -> None:
    assert npm["key"] == {"name": "AuthenticationError", "status": 401, "type": "authentication_error"}
    assert npm["late"]["type"] == "permission_error"


@pytest.mark.parametrize("way", ["whole", "streamed"])
def test_a_loop_of_the_vercel_ai_sdk(ai_sdk: Json, way: str) -> None:
    told = ai_sdk[way]
    assert (told["calls"], told["rounds"], told["final"]) == (CALLS, 3, FINAL)
    assert told["reasons"] == ["tool-calls", "tool-calls", "stop"]


def test_structured_output_of_the_vercel_ai_sdk(ai_sdk: Json) -> None:
    assert ai_sdk["structured"] == MADE


@pytest.mark.parametrize("way", ["whole", "streamed"])
def test_bound_tools_of_langchain(langchain: Json, way: str) -> None:
    told = langchain[way]
    assert (told["calls"], told["final"]) == (CALLS, FINAL)
    assert told["reasons"] == ["tool_use", "tool_use", "end_turn"]


def test_structured_output_of_langchain(langchain: Json) -> None:
    assert langchain["structured"] == MADE
