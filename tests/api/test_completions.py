"""`POST /v1/completions` through the whole gateway: translated to a chat, or passed to a vendor that has the call."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from openai import OpenAI, Stream
from openai.types import Completion

from tests.api.servers import KEY, SIMULATED, Gateway, data_frames, directive, error_of, running_gateway

ENVIRON = {
    **SIMULATED,
    "OPENAI_API_KEY": "loopback-vendor-key-4c1",
    "OPENAI_BASE_URL": "loopback://openai/v1",
    "UPSTREAMS": json.dumps(
        [
            {
                "name": "native",
                "kind": "openai",
                "base_url": "loopback://openai/v1",
                "key": "loopback-x",
                "capabilities": {"completions": True},
            }
        ]
    ),
}
MODELS = ["auto", "openai/loopback-large", "native/loopback-large"]


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with running_gateway(ENVIRON) as gateway:
        yield gateway


def complete(gateway: Gateway, **fields: Any) -> Any:
    return gateway.web.post("/v1/completions", json={"model": "auto", "prompt": "Say hello", **fields})


@pytest.mark.parametrize("model", MODELS)
def test_the_sdk_reads_a_whole_answer_and_a_stream(gateway: Gateway, model: str) -> None:
    with OpenAI(base_url=f"{gateway.url}/v1", api_key=KEY) as client:
        whole = client.completions.create(model=model, prompt="Say hello")
        stream: Stream[Completion] = client.completions.create(model=model, prompt="Say hello", stream=True)
        pieces = list(stream)
    assert (whole.object, whole.choices[0].text, whole.choices[0].finish_reason) == ("text_completion", "Hello", "stop")
    assert whole.usage is not None
    assert "".join(piece.choices[0].text for piece in pieces) == "Hello"
    assert pieces[-1].choices[0].finish_reason == "stop"


def test_a_vendor_that_has_the_call_gets_the_body_as_it_is(gateway: Gateway) -> None:
    answer = complete(gateway, model="native/loopback-large", suffix="!", stream=True)
    frames = data_frames(answer.text)
    assert "".join(choice["text"] for frame in frames[:-1] for choice in frame["choices"]) == "Hello!"
    assert frames[0]["system_fingerprint"] == "fp_loopback"


@pytest.mark.parametrize("model", MODELS[:2])
def test_what_a_chat_cannot_do_is_refused(gateway: Gateway, model: str) -> None:
    for fields in ({"suffix": "!"}, {"echo": True}, {"n": 2}, {"best_of": 2}, {"logprobs": 1}, {"prompt": ["a", "b"]}):
        [name] = fields
        answer = complete(gateway, **{"model": model, **fields})
        assert (answer.status_code, error_of(answer)["param"]) == (400, name)


def test_further_fields_go_to_a_vendor_and_are_named_elsewhere(gateway: Gateway) -> None:
    assert "x-isthmus-ignored-params" not in complete(gateway, model="openai/loopback-large", seed=7).headers
    assert "seed" in complete(gateway, seed=7).headers["x-isthmus-ignored-params"]


@pytest.mark.parametrize("model", MODELS[1:])
def test_a_stream_that_breaks_off_ends_legally(gateway: Gateway, model: str) -> None:
    prompt = directive(text="Hello there", cut_after_chars=5)
    frames = data_frames(complete(gateway, model=model, prompt=prompt, stream=True).text)
    assert ["error" in frame for frame in frames[-2:]] == [True, False]
    assert frames[-1] == "[DONE]"
