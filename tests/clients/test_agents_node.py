"""Agent loops and structured output of the npm clients, over real HTTP: the OpenAI SDK and the Vercel AI SDK."""

import pytest

from tests.api.servers import Gateway
from tests.clients.runs import CALLS, FINAL, MADE, Json, run_node

pytestmark = pytest.mark.clients

REASONS = ["tool-calls", "tool-calls", "stop"]


@pytest.fixture(scope="module")
def openai(socket_gateway: Gateway) -> Json:
    return run_node("tools.mjs", socket_gateway)


@pytest.fixture(scope="module")
def ai_sdk(socket_gateway: Gateway) -> Json:
    return run_node("ai_sdk.mjs", socket_gateway)


@pytest.mark.parametrize("way", ["runner", "streamed_runner", "by_hand", "streamed_by_hand"])
def test_a_loop_of_the_openai_sdk(openai: Json, way: str) -> None:
    told = openai[way]
    assert (told["calls"], told["rounds"], told["final"]) == (CALLS, 3, FINAL)


def test_the_streamed_runner_hears_every_word(openai: Json) -> None:
    assert openai["streamed_runner"]["heard"] == f"Let me look.{FINAL}"


@pytest.mark.parametrize("way", ["parsed", "streamed_parsed"])
def test_a_parsed_answer_of_the_openai_sdk(openai: Json, way: str) -> None:
    assert openai[way] == MADE


@pytest.mark.parametrize("way", ["whole", "streamed"])
@pytest.mark.parametrize("provider", ["openai", "compatible"])
def test_a_loop_of_the_vercel_ai_sdk(ai_sdk: Json, provider: str, way: str) -> None:
    told = ai_sdk[provider][way]
    assert (told["calls"], told["rounds"], told["final"], told["reasons"]) == (CALLS, 3, FINAL, REASONS)


@pytest.mark.parametrize("provider", ["openai", "compatible"])
def test_the_vercel_ai_sdk_hears_arguments_piece_by_piece(ai_sdk: Json, provider: str) -> None:
    assert ai_sdk[provider]["streamed"]["inputs"] > len(CALLS)


@pytest.mark.parametrize("provider", ["openai", "compatible"])
def test_structured_output_of_the_vercel_ai_sdk(ai_sdk: Json, provider: str) -> None:
    told = ai_sdk[provider]["structured"]
    assert (told["whole"], told["streamed"]) == (MADE, MADE)
    assert told["partials"] > 1


@pytest.mark.parametrize("provider", ["openai", "compatible"])
def test_a_forced_tool_of_the_vercel_ai_sdk(ai_sdk: Json, provider: str) -> None:
    assert ai_sdk[provider]["forced"] == [["get_time", "city"]]
