"""What a form may say of a recording, what is refused, and the shapes of a transcript (AU-55..58, JR-10)."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from core.errors import ClientError, InvalidRequest
from core.services import Transcript
from core.wire.openai_audio.transcripts import RecordingFields, Task, read_fields, render

Fields = tuple[tuple[str, str], ...]


class Case(Struct, frozen=True):
    """`expected` is what differs from an empty form."""

    id: str
    fields: Fields
    expected: dict[str, Any]
    task: Task = "transcribe"


CASES = [
    Case("an empty form", (), {}),
    Case("a model", (("model", "gpt-4o-transcribe"),), {"model": "gpt-4o-transcribe"}),
    Case("a language", (("language", "pt"),), {"language": "pt"}),
    Case("a language with a region", (("language", "pt-BR"),), {"language": "pt-BR"}),
    Case("a prompt", (("prompt", "Names: Ana"),), {"prompt": "Names: Ana"}),
    Case("a prompt cut at its limit", (("prompt", "x" * 1001),), {"prompt": "x" * 1000, "ignored": ("prompt",)}),
    Case("a prompt at its limit", (("prompt", "x" * 1000),), {"prompt": "x" * 1000}),
    Case("a temperature", (("temperature", "0"),), {"temperature": 0.0}),
    Case("plain text", (("response_format", "text"),), {"format": "text"}),
    Case("the long form", (("response_format", "verbose_json"),), {"format": "verbose_json"}),
    Case("a stream", (("stream", "true"),), {"stream": True}),
    Case("a stream that is not wanted", (("stream", "False"),), {}),
    Case(
        "a stream has but one format",
        (("stream", "1"), ("response_format", "text")),
        {"stream": True, "format": "text", "ignored": ("response_format",)},
    ),
    Case("empty fields were not said", (("language", ""), ("temperature", ""), ("prompt", "")), {}),
    Case(
        "what nobody reads is named once",
        (("timestamp_granularities[]", "word"), ("timestamp_granularities[]", "segment"), ("include[]", "logprobs")),
        {"ignored": ("timestamp_granularities[]", "include[]")},
    ),
    Case("a translation has no language", (("language", "pt"),), {"ignored": ("language",)}, "translate"),
    Case("a translation is not streamed", (("stream", "true"),), {"ignored": ("stream",)}, "translate"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_form_is_read(case: Case) -> None:
    assert read_fields(case.fields, case.task) == RecordingFields(**case.expected)


class Refusal(Struct, frozen=True):
    id: str
    field: tuple[str, str]
    code: str | None = None


REFUSALS = [
    Refusal("srt", ("response_format", "srt"), "invalid_response_format"),
    Refusal("vtt", ("response_format", "vtt"), "invalid_response_format"),
    Refusal("a format nobody knows", ("response_format", "xml"), "invalid_response_format"),
    Refusal("a language in words", ("language", "Portuguese, please")),
    Refusal("a language that would break the form", ("language", "pt\r\n\r\n")),
    Refusal("a temperature in words", ("temperature", "hot")),
    Refusal("a temperature too high", ("temperature", "1.5")),
    Refusal("a temperature that is no number", ("temperature", "nan")),
    Refusal("a stream of perhaps", ("stream", "perhaps")),
    Refusal("a NUL in the prompt", ("prompt", "a\0b")),
]


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.id)
def test_a_refusal_names_the_field(case: Refusal) -> None:
    with pytest.raises(InvalidRequest) as raised:
        read_fields((case.field,), "transcribe")
    assert (raised.value.param, raised.value.code) == (case.field[0], case.code)


def test_a_field_that_is_read_comes_once() -> None:
    with pytest.raises(InvalidRequest, match="language comes more than once") as raised:
        read_fields((("language", ""), ("model", "m"), ("language", "pt")), "transcribe")
    assert (raised.value.param, raised.value.code) == ("language", "repeated_field")


NAMES = st.sampled_from(("model", "language", "prompt", "temperature", "response_format", "stream", "other"))


@given(st.lists(st.tuples(NAMES, st.text())))
def test_garbage_is_refused_politely(fields: list[tuple[str, str]]) -> None:
    with contextlib.suppress(ClientError):
        read_fields(fields, "transcribe")


class Shape(Struct, frozen=True):
    id: str
    fields: RecordingFields
    transcript: Transcript
    media_type: str
    expected: object
    task: Task = "transcribe"


VERBOSE = RecordingFields(format="verbose_json")
LONG: dict[str, Any] = {
    "task": "transcribe",
    "language": None,
    "duration": 0,
    "text": "Olá",
    "segments": [],
    "words": [],
}
SHAPES = [
    Shape("JSON", RecordingFields(), Transcript("Olá"), "application/json", {"text": "Olá"}),
    Shape("text", RecordingFields(format="text"), Transcript("Olá"), "text/plain; charset=utf-8", "Olá"),
    Shape("the long form of what nobody knows", VERBOSE, Transcript("Olá"), "application/json", LONG),
    Shape(
        "the long form of what is known",
        VERBOSE,
        Transcript("Olá", language="pt", duration_s=1.5),
        "application/json",
        LONG | {"language": "pt", "duration": 1.5},
    ),
    Shape(
        "the long form with the caller's word for the language",
        RecordingFields(format="verbose_json", language="gl"),
        Transcript("Olá"),
        "application/json",
        LONG | {"language": "gl"},
    ),
    Shape(
        "the long form of a translation",
        VERBOSE,
        Transcript("Hello", language="pt"),
        "application/json",
        LONG | {"task": "translate", "language": "english", "text": "Hello"},
        "translate",
    ),
]


@pytest.mark.parametrize("case", SHAPES, ids=lambda case: case.id)
def test_a_transcript_has_its_shape(case: Shape) -> None:
    body, media_type = render(case.transcript, case.fields, case.task)
    assert media_type == case.media_type
    assert (json.loads(body) if "json" in media_type else body.decode()) == case.expected


def test_a_stream_is_the_text_and_its_end() -> None:
    body, media_type = render(Transcript("Olá\n\nMundo"), RecordingFields(stream=True), "transcribe")
    events = [json.loads(block.removeprefix(b"data: ")) for block in body.split(b"\n\n")[:-1]]
    assert media_type.startswith("text/event-stream")
    assert events == [
        {"type": "transcript.text.delta", "delta": "Olá\n\nMundo"},
        {"type": "transcript.text.done", "text": "Olá\n\nMundo"},
    ]
