"""The simulated Gemini: what it refuses as the real one does, and what it says."""

from typing import Any

import httpx
import pytest
from msgspec import Struct

from tests.api.servers import Upstream, data_frames, directive

Json = dict[str, Any]
KEY = {"x-goog-api-key": "loopback-k"}
CALL: Json = {"functionCall": {"name": "f", "args": {}}}
SIGNED: Json = {**CALL, "thoughtSignature": "c2ln"}
RESULT: Json = {"functionResponse": {"name": "f", "response": {"output": "ok"}}}


def turn(role: str, *parts: Json) -> Json:
    return {"role": role, "parts": list(parts)}


def ask(
    upstream: Upstream,
    contents: list[Json],
    method: str = "generateContent",
    model: str = "loopback-large",
    **fields: Any,
) -> httpx.Response:
    url = f"{upstream.url}/v1beta/models/{model}:{method}"
    return httpx.post(url, json={"contents": contents, **fields}, headers=KEY)


class Refusal(Struct, frozen=True):
    id: str
    contents: list[Json]
    says: str


REFUSALS = [
    Refusal("no contents", [], "contents is not specified"),
    Refusal("a turn without parts", [turn("user")], "must not be empty"),
    Refusal("a step whose first call has no signature", [turn("model", CALL, SIGNED)], "thought_signature"),
    Refusal("fewer results than calls", [turn("model", SIGNED, CALL), turn("user", RESULT)], "function response parts"),
    Refusal("results without calls", [turn("user", RESULT)], "function response parts"),
]


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.id)
def test_what_google_refuses_is_refused(upstream_server: Upstream, case: Refusal) -> None:
    error = ask(upstream_server, case.contents).json()["error"]
    assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
    assert case.says in error["message"]


@pytest.mark.parametrize(("model", "status"), [("gemini-2.5-pro", 200), ("gemini-3-pro", 400)])
def test_signatures_are_asked_for_from_gemini_3_on(upstream_server: Upstream, model: str, status: int) -> None:
    assert ask(upstream_server, [turn("model", CALL), turn("user", RESULT)], model=model).status_code == status


def test_a_stream_is_one_of_events_only(upstream_server: Upstream) -> None:
    hello = [turn("user", {"text": "Say hello"})]
    assert ask(upstream_server, hello, "streamGenerateContent").status_code == 400
    frames = data_frames(ask(upstream_server, hello, "streamGenerateContent?alt=sse").text)
    said = "".join(frame["candidates"][0]["content"]["parts"][0]["text"] for frame in frames)
    assert said == "Hello"


def test_the_first_of_several_calls_is_signed(upstream_server: Upstream) -> None:
    tools = [{"functionDeclarations": [{"name": "f"}]}]
    prompt = directive(calls=[{"name": "f"}, {"name": "f", "arguments": {"a": 1}}])
    [candidate] = ask(upstream_server, [turn("user", {"text": prompt})], tools=tools).json()["candidates"]
    parts = candidate["content"]["parts"]
    assert [part["functionCall"]["args"] for part in parts] == [{}, {"a": 1}]
    assert ["thoughtSignature" in part for part in parts] == [True, False]


def test_a_wrong_key_is_refused_in_googles_shape(upstream_server: Upstream) -> None:
    answer = httpx.get(f"{upstream_server.url}/v1beta/models", headers={"x-goog-api-key": "AIza"})
    assert (answer.status_code, answer.json()["error"]["status"]) == (401, "UNAUTHENTICATED")
