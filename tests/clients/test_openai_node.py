"""The official OpenAI SDK for JavaScript, over real HTTP; `openai.mjs` does the talking. Needs node."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from tests.api.servers import KEY, Gateway

pytestmark = pytest.mark.clients

FOLDER = Path(__file__).parent
ANSWER = "This is a test!"


@pytest.fixture(scope="module")
def heard(socket_gateway: Gateway) -> dict[str, Any]:
    """Return what the SDK heard, all in one run of node."""
    command = ["node", "openai.mjs", f"{socket_gateway.url}/v1", KEY]
    run = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def test_a_whole_answer(heard: dict[str, Any]) -> None:
    whole = heard["whole"]
    assert (whole["content"], whole["finish_reason"]) == (ANSWER, "stop")
    assert whole["usage"]["total_tokens"] > 0


def test_a_stream(heard: dict[str, Any]) -> None:
    assert heard["stream"] == {"role": "assistant", "content": ANSWER, "finish_reasons": ["stop"]}


def test_the_stream_helper(heard: dict[str, Any]) -> None:
    assert heard["helper"] == {"heard": ANSWER, "content": ANSWER, "usage": heard["whole"]["usage"]}


def test_the_models(heard: dict[str, Any]) -> None:
    assert heard["models"]["ids"][0] == heard["models"]["retrieved"] == "auto"


class Case(Struct, frozen=True):
    name: str
    key: str
    raised: str
    status: int | None = None
    code: str | None = None
    param: str | None = None
    kind: str | None = None


CASES = [
    Case("a wrong key", "key", "AuthenticationError", 401, "invalid_api_key", kind="authentication_error"),
    Case("more than one choice", "choices", "BadRequestError", 400, param="n", kind="invalid_request_error"),
    Case("an unknown role", "role", "BadRequestError", 400, param="messages[0].role", kind="invalid_request_error"),
    Case("an unknown model", "model", "NotFoundError", 404, "model_not_found", "model", "not_found_error"),
    Case("a failure in the middle of a stream", "late", "APIError", kind="permission_error"),
    Case("a failure in the middle of the helper's stream", "late_helper", "APIError", kind="permission_error"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_error_has_its_class(case: Case, heard: dict[str, Any]) -> None:
    error = heard["errors"][case.key]
    told = (error["name"], error["status"], error["code"], error["param"], error["type"])
    assert told == (case.raised, case.status, case.code, case.param, case.kind)
    assert error["message"]
