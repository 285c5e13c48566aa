"""LangChain and instructor, over real HTTP, in an environment of their own (requirements-clients.lock)."""

import pytest

from tests.api.servers import Gateway
from tests.clients.runs import CALLS, FINAL, MADE, Json, run_python

pytestmark = pytest.mark.clients

SCRIPTED = {"name": "Oslo", "sky": "grey", "degrees": [1.5]}


@pytest.fixture(scope="module")
def langchain(socket_gateway: Gateway) -> Json:
    return run_python("langchain_tools.py", socket_gateway)


@pytest.fixture(scope="module")
def instructor(socket_gateway: Gateway) -> Json:
    return run_python("instructor_models.py", socket_gateway)


@pytest.mark.parametrize("way", ["whole", "streamed"])
def test_bound_tools_of_langchain(langchain: Json, way: str) -> None:
    told = langchain[way]
    assert (told["calls"], told["final"]) == (CALLS, FINAL)
    assert told["reasons"] == ["tool_calls", "tool_calls", "stop"]


def test_a_forced_tool_of_langchain(langchain: Json) -> None:
    assert langchain["forced"] == ["get_time"]


@pytest.mark.parametrize(
    ("method", "made"), [("json_schema", MADE), ("function_calling", MADE), ("json_mode", {"answer": "Yes"})]
)
def test_structured_output_of_langchain(langchain: Json, method: str, made: Json) -> None:
    assert langchain["structured"][method] == made


def test_streamed_structured_output_of_langchain(langchain: Json) -> None:
    assert langchain["streamed_structure"] == MADE


@pytest.mark.parametrize("mode", ["TOOLS", "TOOLS_STRICT", "JSON_SCHEMA"])
def test_a_model_of_instructor(instructor: Json, mode: str) -> None:
    assert instructor["made"][mode] == MADE


@pytest.mark.parametrize("mode", ["JSON", "MD_JSON"])
def test_a_model_of_instructor_that_is_asked_for_in_the_prompt(instructor: Json, mode: str) -> None:
    assert instructor["scripted"][mode] == SCRIPTED


def test_a_streamed_model_of_instructor(instructor: Json) -> None:
    assert instructor["partial"] == MADE


def test_several_models_of_instructor_at_once(instructor: Json) -> None:
    assert instructor["parallel"] == [SCRIPTED, SCRIPTED]


def test_instructor_sends_an_answer_back_with_the_reason(instructor: Json) -> None:
    assert instructor["asked_again"] == SCRIPTED
