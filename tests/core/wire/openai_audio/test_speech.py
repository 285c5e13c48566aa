"""What a speech request may say (AU-52..54, JR-9), what is refused, and the events of a speech stream."""

import base64
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from core.errors import ClientError, InvalidRequest, UpstreamUnavailable
from core.services import Speech
from core.wire.openai_audio.speech import (
    SpeechBody,
    SpeechRequest,
    parse_speech,
    render_delta,
    render_done,
    render_failure,
)
from tests.strategies import JSON_VALUES

USUAL = Speech(model="tts-1", text="Hello", voice="alloy", format="mp3")


def parse(body: object) -> SpeechRequest:
    return parse_speech(body if isinstance(body, bytes) else json.dumps(body).encode())


class Case(Struct, frozen=True):
    """`expected` is what differs from the usual request."""

    id: str
    fields: dict[str, Any]
    expected: dict[str, Any]


CASES = [
    Case("the text alone is enough", {}, {}),
    Case("a model", {"model": "gpt-4o-mini-tts"}, {"model": "gpt-4o-mini-tts"}),
    Case("a voice by name", {"voice": "nova"}, {"voice": "nova"}),
    Case("a voice by id", {"voice": {"id": "cove"}}, {"voice": "cove"}),
    Case("a voice nobody knows yet is for the upstream to judge", {"voice": "marin"}, {"voice": "marin"}),
    *(Case(f"the format {name}", {"response_format": name}, {"format": name}) for name in ("opus", "aac", "flac")),
    *(Case(f"the format {name}", {"response_format": name}, {"format": name}) for name in ("wav", "pcm")),
    Case("the slowest", {"speed": 0.25}, {"speed": 0.25}),
    Case("the fastest", {"speed": 4}, {"speed": 4.0}),
    Case("how to say it", {"instructions": "Whisper."}, {"instructions": "Whisper."}),
    Case("an empty word on how to say it is none", {"instructions": ""}, {}),
    Case("what is null was not said", dict.fromkeys(("voice", "model", "speed", "response_format")), {}),
    Case("the longest text", {"input": "x" * 4096}, {"text": "x" * 4096}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_request_is_read(case: Case) -> None:
    asked = parse({"input": "Hello", **case.fields})
    expected = {name: getattr(USUAL, name) for name in USUAL.__struct_fields__} | case.expected
    assert asked == SpeechRequest(Speech(**expected), as_events=False, ignored=())


@pytest.mark.parametrize(("said", "as_events"), [("audio", False), ("sse", True), (None, False)])
def test_the_stream_format_decides_between_bytes_and_events(said: str | None, as_events: bool) -> None:
    assert parse({"input": "Hello", "stream_format": said}).as_events is as_events


def test_fields_that_nobody_reads_are_named() -> None:
    assert parse({"input": "Hello", "seed": 1, "user": "me"}).ignored == ("seed", "user")


MISSING = "missing_required_parameter"


class Refusal(Struct, frozen=True):
    id: str
    body: object
    param: str | None
    says: str
    code: str | None = None


REFUSALS = [
    Refusal("no text", {"voice": "alloy"}, "input", "Missing", MISSING),
    Refusal("an empty text", {"input": ""}, "input", "empty"),
    Refusal("a text of blanks", {"input": " \n"}, "input", "empty"),
    Refusal("a text too long", {"input": "x" * 4097}, "input", "4097 characters", "string_above_max_length"),
    Refusal("a text that is none", {"input": 7}, "input", "int"),
    Refusal("a NUL in the text", {"input": "a\0b"}, "input", "NUL"),
    Refusal("an unknown format", {"input": "a", "response_format": "midi"}, "response_format", "mp3, opus, aac"),
    Refusal("an unknown stream format", {"input": "a", "stream_format": "ws"}, "stream_format", "audio, sse"),
    Refusal("too slow", {"input": "a", "speed": 0.2}, "speed", "0.25"),
    Refusal("too fast", {"input": "a", "speed": 4.1}, "speed", "4"),
    Refusal("a voice object without an id", {"input": "a", "voice": {"name": "x"}}, "voice.id", "Missing", MISSING),
    Refusal("no JSON", b"input=Hello", None, "proper JSON", "invalid_json"),
    Refusal("a list", [], None, "array"),
]


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.id)
def test_a_refusal_names_the_field(case: Refusal) -> None:
    with pytest.raises(InvalidRequest) as raised:
        parse(case.body)
    assert (raised.value.param, raised.value.code) == (case.param, case.code)
    assert case.says in raised.value.message


@given(st.one_of(st.binary(), JSON_VALUES, st.dictionaries(st.sampled_from(SpeechBody.__struct_fields__), JSON_VALUES)))
def test_garbage_is_refused_politely(body: object) -> None:
    with contextlib.suppress(ClientError):
        parse(body)


@given(st.lists(st.binary(min_size=1)))
def test_the_events_carry_every_byte(pieces: list[bytes]) -> None:
    stream = b"".join(map(render_delta, pieces)) + render_done()
    events = [json.loads(block.removeprefix(b"data: ")) for block in stream.split(b"\n\n")[:-1]]
    sound = [base64.b64decode(event["audio"]) for event in events[:-1]]
    assert sound == pieces
    assert {event["type"] for event in events[:-1]} <= {"speech.audio.delta"}
    assert events[-1] == {"type": "speech.audio.done", "usage": None}


def test_a_failure_is_an_error_object() -> None:
    told = json.loads(render_failure(UpstreamUnavailable("cut off")).removeprefix(b"data: "))
    assert told["error"]["message"] == "cut off"
