"""Events to Gemini's answers: parts of a stream, an array or one object, and their errors."""

import json
from typing import Any

import pytest
from hypothesis import given
from msgspec import Raw, Struct, structs

from core.contracts import Exchange
from core.errors import GatewayError, InvalidRequest, NotFound, ProtocolViolation, RateLimited, UpstreamUnavailable
from core.events import (
    Citation,
    Event,
    Finish,
    FinishReason,
    ImageEnd,
    ImageStart,
    Progress,
    ReasoningDelta,
    ReasoningEnd,
    ReasoningStart,
    Start,
    TextDelta,
    TextEnd,
    TextStart,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    Usage,
)
from core.fold import fold
from core.request import Opaque
from core.sse import FrameReader
from core.wire.gemini import GEMINI
from core.wire.gemini.requests import ALT, THOUGHTS
from tests.core.exchanges import exchange
from tests.strategies import sentences

TRUE = Raw(b"true")


def asking(*echo: str) -> Exchange:
    plain = exchange()
    return structs.replace(plain, request=structs.replace(plain.request, echo=dict.fromkeys(echo, TRUE)))


def streamed(events: list[Event], *echo: str) -> list[Any]:
    data = GEMINI.encoder(asking(*echo)).encode(events)
    return [json.loads(frame) for _, frame in FrameReader().feed(data)]


def whole(events: list[Event], *echo: str) -> Any:
    return json.loads(GEMINI.render_response(asking(*echo), fold(events)))


def parts_of(answers: list[Any]) -> list[Any]:
    return [part for answer in answers for part in answer["candidates"][0]["content"]["parts"]]


SIGNED = Opaque("gemini", b"c2ln")
SENTENCE: list[Event] = [
    Start("gpt-5"),
    ReasoningStart(0),
    ReasoningDelta(0, "hm"),
    ReasoningEnd(0, SIGNED),
    TextStart(1),
    TextDelta(1, "Hi"),
    TextDelta(1, " there"),
    TextEnd(1),
    ToolCallStart(2, "a", "f"),
    ToolCallDelta(2, '{"x"'),
    ToolCallDelta(2, ": 1}"),
    ToolCallEnd(2),
    ToolCallStart(3, "b", "sh", "custom"),
    ToolCallDelta(3, "ls"),
    ToolCallEnd(3),
    ImageStart(4),
    ImageEnd(4, "image/png", b"abc"),
    Finish("tool_calls", "tool_calls", Usage(3, 9, 1, 5)),
]
TEXT = {"text": "Hi there", "thoughtSignature": "c2ln"}
CALLS = [
    {"functionCall": {"id": "a", "name": "f", "args": {"x": 1}}},
    {"functionCall": {"id": "b", "name": "sh", "args": {"input": "ls"}}},
]
PICTURE = {"inlineData": {"mimeType": "image/png", "data": "YWJj"}}
COUNTS = {
    "promptTokenCount": 3,
    "candidatesTokenCount": 4,
    "thoughtsTokenCount": 5,
    "cachedContentTokenCount": 1,
    "totalTokenCount": 12,
}


def test_a_stream_is_told_in_parts() -> None:
    answers = streamed(SENTENCE)
    assert parts_of(answers) == [TEXT, *CALLS, PICTURE, {"text": ""}]
    assert [answer["candidates"][0].get("finishReason") for answer in answers] == [None] * 4 + ["STOP"]
    assert answers[-1]["usageMetadata"] == COUNTS
    assert all((answer["modelVersion"], answer["responseId"]) == ("gpt-x", "abc123") for answer in answers)


def test_a_whole_answer_is_one_candidate() -> None:
    answer = whole(SENTENCE)
    [candidate] = answer["candidates"]
    assert candidate["content"] == {"role": "model", "parts": [TEXT, *CALLS, PICTURE]}
    assert (candidate["finishReason"], answer["usageMetadata"], answer["responseId"]) == ("STOP", COUNTS, "abc123")


def test_thoughts_are_shown_to_those_who_asked() -> None:
    shown = {"text": "hm", "thought": True}
    assert parts_of(streamed(SENTENCE, THOUGHTS))[:2] == [shown, TEXT]
    assert parts_of([whole(SENTENCE, THOUGHTS)])[:2] == [shown, TEXT]


def test_a_signature_without_a_part_behind_it_has_one_of_its_own() -> None:
    events: list[Event] = [Start(), ReasoningStart(0), ReasoningEnd(0, SIGNED), Finish("stop")]
    last = {"text": "", "thoughtSignature": "c2ln"}
    assert parts_of(streamed(events)) == [last]
    assert parts_of([whole(events)]) == [last]


def test_the_seal_of_another_vendor_is_left_out() -> None:
    events: list[Event] = [Start(), ReasoningStart(0), ReasoningEnd(0, Opaque("anthropic", b"x")), Finish("stop")]
    assert parts_of(streamed(events)) == [{"text": ""}]
    assert parts_of([whole(events)]) == []


def test_sources_are_told_at_the_end_by_their_bytes() -> None:
    cited = (Citation("https://a.example", "A", 0, 4), Citation("https://a.example", "A", 5, 8))
    events: list[Event] = [
        Start(),
        TextStart(0),
        TextDelta(0, "ä"),
        TextEnd(0),
        TextStart(1),
        TextDelta(1, "Käse "),
        TextDelta(1, "ist"),
        TextEnd(1, cited),
        Finish("stop"),
    ]
    expected = {
        "groundingChunks": [{"web": {"uri": "https://a.example", "title": "A"}}],
        "groundingSupports": [
            {"segment": {"startIndex": 2, "endIndex": 7, "text": "Käse"}, "groundingChunkIndices": [0]},
            {"segment": {"startIndex": 8, "endIndex": 11, "text": "ist"}, "groundingChunkIndices": [0]},
        ],
    }
    assert streamed(events)[-1]["candidates"][0]["groundingMetadata"] == expected
    assert whole(events)["candidates"][0]["groundingMetadata"] == expected


class Ending(Struct, frozen=True):
    reason: FinishReason
    expected: dict[str, str]


ENDINGS = [
    Ending("stop", {"finishReason": "STOP"}),
    Ending("length", {"finishReason": "MAX_TOKENS"}),
    Ending("content_filter", {"finishReason": "SAFETY"}),
    Ending("other", {"finishReason": "OTHER", "finishMessage": "why"}),
]


@pytest.mark.parametrize("case", ENDINGS, ids=lambda case: case.reason)
def test_an_end_has_its_word(case: Ending) -> None:
    events: list[Event] = [Start(), Finish(case.reason, "why", Usage(1, 1, estimated=True))]
    for answer in (streamed(events)[-1], whole(events)):
        fields = {name: value for name, value in answer["candidates"][0].items() if name.startswith("finish")}
        assert fields == case.expected
        assert answer["usageMetadata"]["estimated"] is True


def test_arguments_that_are_no_object_have_no_place() -> None:
    events: list[Event] = [Start(), ToolCallStart(0, "a", "f"), ToolCallDelta(0, "[1"), ToolCallEnd(0), Finish("stop")]
    with pytest.raises(ProtocolViolation, match="'f'"):
        streamed(events)
    with pytest.raises(ProtocolViolation, match="'f'"):
        whole(events)


CUT: list[Event] = [
    *(Start(), TextStart(0), TextDelta(0, "Hi"), TextEnd(0)),
    *(ToolCallStart(1, "a", "f"), ToolCallDelta(1, '{"x": 1}'), ToolCallEnd(1), ToolCallStart(2, "b", "f")),
]


@pytest.mark.parametrize("said", ["", '{"city": "Lis'], ids=["before its arguments", "within them"])
@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_a_call_that_the_end_broke_off_is_left_out(said: str, reason: FinishReason) -> None:
    events: list[Event] = [*CUT, ToolCallDelta(2, said), ToolCallEnd(2), Progress("x"), Finish(reason)]
    told = [{"text": "Hi"}, {"functionCall": {"id": "a", "name": "f", "args": {"x": 1}}}]
    assert parts_of(streamed(events)) == [*told, {"text": ""}]
    assert parts_of([whole(events)]) == told
    assert streamed(events)[-1]["candidates"][0]["finishReason"] == whole(events)["candidates"][0]["finishReason"]


def test_a_call_without_arguments_is_told_when_something_follows_it() -> None:
    events: list[Event] = [*CUT, ToolCallEnd(2), Finish("tool_calls")]
    assert parts_of(streamed(events))[-2] == {"functionCall": {"id": "b", "name": "f", "args": {}}}
    assert parts_of([whole(events)])[-1] == {"functionCall": {"id": "b", "name": "f", "args": {}}}


def test_a_whole_call_does_not_wait_for_what_follows() -> None:
    encoder = GEMINI.encoder(asking())
    encoder.encode(CUT[:6])
    assert b"functionCall" in encoder.encode([ToolCallEnd(1)])


def test_what_follows_broken_arguments_does_not_hide_them() -> None:
    events: list[Event] = [*CUT, ToolCallDelta(2, "{"), ToolCallEnd(2), TextStart(3), TextEnd(3), Finish("length")]
    with pytest.raises(ProtocolViolation, match="'f'"):
        streamed(events)
    with pytest.raises(ProtocolViolation, match="'f'"):
        whole(events)


@given(sentences())
def test_an_array_has_what_the_events_have(sentence: list[Event]) -> None:
    encoder = GEMINI.encoder(asking(ALT))
    pieces = [encoder.beat()]
    for event in sentence:
        pieces += (encoder.encode([event]), encoder.beat())
    told = json.loads(b"".join(pieces))
    assert parts_of(told) == parts_of([each for event_by_event in [one_by_one(sentence)] for each in event_by_event])


def one_by_one(sentence: list[Event]) -> list[Any]:
    encoder = GEMINI.encoder(asking())
    frames = FrameReader().feed(b"".join(encoder.encode([event]) for event in sentence))
    return [json.loads(frame) for _, frame in frames]


def test_heartbeats_between_events_are_no_events() -> None:
    encoder = GEMINI.encoder(asking())
    data = encoder.beat() + encoder.encode(SENTENCE) + encoder.beat() * 3
    assert [json.loads(frame) for _, frame in FrameReader().feed(data)] == streamed(SENTENCE)


class Failure(Struct, frozen=True):
    id: str
    error: GatewayError
    code: int
    status: str
    details: list[dict[str, Any]] | None = None


TYPES = "type.googleapis.com/google.rpc."
FAILURES = [
    Failure(
        "a bad field",
        InvalidRequest("contents is empty", param="contents"),
        400,
        "INVALID_ARGUMENT",
        [
            {
                "@type": TYPES + "BadRequest",
                "fieldViolations": [{"field": "contents", "description": "contents is empty"}],
            }
        ],
    ),
    Failure(
        "a code",
        NotFound("no", code="model_not_found"),
        404,
        "NOT_FOUND",
        [{"@type": TYPES + "ErrorInfo", "reason": "MODEL_NOT_FOUND", "domain": "isthmus"}],
    ),
    Failure(
        "a wait",
        RateLimited("slow", retry_after_s=7),
        429,
        "RESOURCE_EXHAUSTED",
        [{"@type": TYPES + "RetryInfo", "retryDelay": "7.000s"}],
    ),
    Failure("an outage", UpstreamUnavailable("down"), 503, "UNAVAILABLE"),
    Failure("a status without a word of its own", UpstreamUnavailable("x", status=507), 507, "INTERNAL"),
]


@pytest.mark.parametrize("case", FAILURES, ids=lambda case: case.id)
def test_an_error_has_googles_shape(case: Failure) -> None:
    body = {"code": case.code, "message": case.error.message, "status": case.status}
    expected = {"error": {**body, **({"details": case.details} if case.details else {})}}
    assert json.loads(GEMINI.render_error(case.error)) == expected
    frames = b"data: " + GEMINI.render_error(case.error) + b"\n\n"
    assert GEMINI.encoder(asking()).fail(case.error) == frames
    assert GEMINI.fail_relayed(asking(), case.error) == frames


@pytest.mark.parametrize("told", [0, 8], ids=["before anything", "behind a part"])
def test_an_array_that_fails_is_still_an_array(told: int) -> None:
    encoder = GEMINI.encoder(asking(ALT))
    data = encoder.encode(SENTENCE[:told]) + encoder.fail(UpstreamUnavailable("down"))
    *_, last = json.loads(data)
    assert last["error"]["message"] == "down"
