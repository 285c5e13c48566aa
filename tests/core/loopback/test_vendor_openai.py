"""The simulated OpenAI: its SDK reads it, directives script it, a wrong key is refused, captures are replayed."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec import Struct
from openai import APIConnectionError, APIError, APIStatusError, AuthenticationError, OpenAI

from core.loopback import create_loopback
from tests.api.servers import serving

CAPTURES = Path(__file__).parents[2] / "captures" / "vendors"
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
TAGGED = (
    'Call a tool by writing <call_3f9a1c name="TOOL_NAME">{...}</call_3f9a1c>.\n\n'
    '## get_weather\nParameters (JSON Schema): {"type": "object", "properties": {"city": {"type": "string"}}}\n'
)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(create_loopback(CAPTURES)) as url:
        yield f"{url}/v1"


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=url, api_key="loopback-k", max_retries=0) as client:
        yield client


def said(text: str) -> Any:
    return [{"role": "user", "content": text}]


def scripted(**keys: object) -> Any:
    return said(f"loopback: {json.dumps(keys)}")


def told(client: OpenAI, messages: Any, **fields: Any) -> str:
    with client.chat.completions.stream(model="m", messages=messages, **fields) as stream:
        stream.until_done()
        return stream.get_final_completion().choices[0].message.content or ""


def test_a_stream_and_a_whole_answer_say_the_same(client: OpenAI) -> None:
    whole = client.chat.completions.create(model="m", messages=said("Say hello"))
    assert (whole.choices[0].message.content, whole.choices[0].finish_reason, whole.model) == ("Hello", "stop", "m")
    assert told(client, said("Say hello")) == "Hello"


def test_usage_comes_when_it_was_asked_for(client: OpenAI) -> None:
    asked: Any
    for asked, count in (({}, 0), ({"stream_options": {"include_usage": True}}, 1)):
        chunks: Any = client.chat.completions.create(model="m", messages=said("Say hello"), stream=True, **asked)
        assert sum(chunk.usage is not None for chunk in chunks) == count


def test_it_calls_tools_and_reads_their_results(client: OpenAI) -> None:
    messages = said("How is the weather?")
    with client.chat.completions.stream(model="m", messages=messages, tools=[WEATHER]) as stream:
        stream.until_done()
        first = stream.get_final_completion().choices[0]
    [call] = first.message.tool_calls or []
    assert (first.finish_reason, call.function.name) == ("tool_calls", "get_weather")
    assert json.loads(call.function.arguments).keys() == {"city"}
    result = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    answer = told(client, [*messages, first.message.to_dict(exclude_none=True), result], tools=[WEATHER])
    assert 'get_weather answered "sunny"' in answer


def test_it_writes_calls_as_text_where_a_prompt_tells_of_tools(client: OpenAI) -> None:
    answer = told(client, [{"role": "system", "content": TAGGED}, *said("How is the weather?")])
    assert answer.startswith('<call_3f9a1c name="get_weather">{')


def test_it_answers_in_the_form_that_is_asked_for(client: OpenAI) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    format_: Any = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    whole = client.chat.completions.create(model="m", messages=said("How many?"), response_format=format_)
    assert isinstance(json.loads(whole.choices[0].message.content or "")["n"], int)


class Case(Struct, frozen=True):
    id: str
    keys: dict[str, Any]
    error: type[APIError]


FAULTS = [
    Case("a status", {"status": 503}, APIStatusError),
    Case("an error in the stream", {"text": "Hello there", "error_after_chars": 5}, APIError),
    Case("a cut", {"text": "Hello there", "cut_after_chars": 5}, APIConnectionError),
]


@pytest.mark.parametrize("case", FAULTS, ids=lambda case: case.id)
def test_a_directive_makes_it_fail(client: OpenAI, case: Case) -> None:
    with pytest.raises((case.error, httpx.RemoteProtocolError)):
        told(client, scripted(**case.keys))


def test_a_directive_that_is_none_is_refused_in_its_own_shape(client: OpenAI) -> None:
    with pytest.raises(APIStatusError, match="known keys") as caught:
        told(client, scripted(colour="red"))
    assert caught.value.status_code == 400


def test_a_wrong_key_is_refused_everywhere(url: str) -> None:
    with OpenAI(base_url=url, api_key="sk-wrong", max_retries=0) as client:
        for call in (
            lambda: client.chat.completions.create(model="m", messages=said("Say hello")),
            lambda: client.completions.create(model="m", prompt="Say hello"),
            lambda: client.audio.speech.create(model="m", voice="v", input="Hello"),
            lambda: client.audio.transcriptions.create(model="m", file=("a.wav", b"Hello")),
            lambda: client.images.generate(model="m", prompt="a cat"),
            lambda: client.images.edit(model="m", prompt="a cat", image=("a.png", b"x")),
        ):
            with pytest.raises(AuthenticationError):
                call()


@pytest.mark.parametrize("name", ["openai-chat-text", "openai-chat-tool-call"])
def test_a_capture_is_replayed_byte_for_byte(client: OpenAI, name: str) -> None:
    answer = client.chat.completions.with_raw_response.create(model="m", messages=scripted(capture=name), stream=True)
    assert answer.http_response.read() == (CAPTURES / f"{name}.sse").read_bytes()


def test_the_older_completions(client: OpenAI) -> None:
    whole = client.completions.create(model="m", prompt="Say hello")
    assert (whole.choices[0].text, whole.choices[0].finish_reason, whole.object) == ("Hello", "stop", "text_completion")
    pieces = client.completions.create(model="m", prompt="Say hello", suffix="!", stream=True)
    assert "".join(piece.choices[0].text for piece in pieces) == "Hello!"


def test_its_sound_and_its_ears(client: OpenAI) -> None:
    assert client.audio.speech.create(model="m", voice="v", input="Hello").content[:2] == b"\xff\xfb"
    assert client.audio.transcriptions.create(model="m", file=("a.wav", b"Ola")).text == "Ola"
    key = {"authorization": "Bearer loopback-k"}
    file = {"file": ("a.wav", b"Ola")}
    translated = httpx.post(f"{client.base_url}audio/translations", files=file, headers=key, trust_env=False)
    assert translated.json() == {"text": "In English: Ola"}


def test_its_pictures(client: OpenAI) -> None:
    made = client.images.generate(model="m", prompt="a cat", n=2)
    assert all(base64.b64decode(picture.b64_json or "")[:4] == b"\x89PNG" for picture in made.data or ())
    assert len({picture.b64_json for picture in made.data or ()}) == 2
    events = client.images.generate(model="m", prompt="a cat", stream=True, partial_images=1)
    assert [event.type for event in events] == ["image_generation.partial_image", "image_generation.completed"]
    with pytest.raises(APIStatusError):
        client.images.edit(model="", prompt="a cat", image=("a.png", b"x"))
