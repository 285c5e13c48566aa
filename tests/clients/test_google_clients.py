"""Google's own clients of the Gemini API over real HTTP: the SDK for Python and the one for JavaScript."""

import pytest

from tests.api.servers import Gateway
from tests.clients.runs import CALLS, FINAL, MADE, Json, run_node, run_python

pytestmark = pytest.mark.clients

TEST = "This is a test!"


@pytest.fixture(scope="module")
def python(socket_gateway: Gateway) -> Json:
    return run_python("google_genai.py", socket_gateway)


@pytest.fixture(scope="module")
def npm(socket_gateway: Gateway) -> Json:
    return run_node("google_genai.mjs", socket_gateway)


def test_the_python_sdk_hears_whole_and_streamed_answers(python: Json) -> None:
    assert (python["whole"], python["streamed"]) == (TEST, TEST)
    assert python["tokens"] > 0


def test_the_python_sdk_calls_its_functions(python: Json) -> None:
    assert python["loops"] == [{"calls": CALLS, "final": FINAL}] * 2


def test_the_python_sdk_reads_a_schema_counts_and_lists(python: Json) -> None:
    assert python["structured"] == MADE
    assert python["count"] > 0
    assert python["models"][0] == "models/auto"


def test_the_python_sdk_hears_of_failures(python: Json) -> None:
    assert python["key"] == {"name": "ClientError", "code": 401, "status": "UNAUTHENTICATED"}
    assert python["late"] == {"name": "ClientError", "code": 403, "status": "PERMISSION_DENIED"}


@pytest.mark.parametrize("way", ["whole", "streamed"])
def test_the_npm_sdk(npm: Json, way: str) -> None:
    assert npm[way] == {"text": TEST, "loop": {"final": FINAL, "calls": CALLS, "rounds": 3}}
    assert npm["count"] > 0


def test_the_npm_sdk_hears_of_failures(npm: Json) -> None:
    assert (npm["key"]["name"], npm["key"]["status"]) == ("ApiError", 401)
    assert npm["late"]["name"] == "ApiError"
    assert "PERMISSION_DENIED" in npm["late"]["told"]
