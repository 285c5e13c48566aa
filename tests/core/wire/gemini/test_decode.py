"""Gemini's stream to events: captures, every kind of part, how it fails, and the laws of a decoder."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from msgspec import Raw, Struct, structs

from core.errors import (
    GatewayError,
    ProtocolViolation,
    RateLimited,
    UpstreamDenied,
    UpstreamRejected,
    UpstreamUnavailable,
)
from core.events import (
    Citation,
    Event,
    Finish,
    ImageEnd,
    ImageStart,
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
from core.fold import FoldedImage, FoldedText, Response, fold
from core.grammar import check
from core.request import Opaque, Reasoning, ToolCall
from core.wire.gemini import GEMINI
from core.wire.gemini.decode import GeminiDecoder
from core.wire.gemini.requests import THOUGHTS
from tests.core.exchanges import exchange
from tests.strategies import sentences

CAPTURES = Path(__file__).parents[3] / "captures" / "vendors"
EXPECTED = json.loads((CAPTURES / "expected.json").read_text())
FILES = sorted(path.name for path in CAPTURES.glob("gemini-*.jsonl"))


def decode(chunks: Sequence[bytes], custom: frozenset[str] = frozenset(), signs_texts: bool = True) -> list[Event]:
    decoder = GeminiDecoder("vendor", ("seed",), "call_x", custom, signs_texts)
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return [*events, *decoder.close()]


def frame(*parts: dict[str, Any], finish: str | None = None, **fields: Any) -> bytes:
    more = {"finishReason": finish} if finish else {}
    candidate = {"content": {"parts": list(parts), "role": "model"}, "index": 0, **more, **fields.pop("candidate", {})}
    return b"data: " + json.dumps({"candidates": [candidate], "modelVersion": "m", **fields}).encode() + b"\n\n"


def said(**fields: Any) -> bytes:
    return b"data: " + json.dumps(fields).encode() + b"\n\n"


def call(name: str = "f", **fields: Any) -> dict[str, Any]:
    return {"functionCall": {"name": name, **fields}}


END = frame({"text": ""}, finish="STOP")
START = Start("m", ("seed",))
PNG = b"\x89PNG\r\n\x1a\nrest"
PICTURE = {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(PNG).decode()}}


def sealed(text: str) -> Opaque:
    return Opaque("gemini", text.encode())


@pytest.mark.parametrize("name", FILES)
def test_a_capture_says_what_googles_own_client_read(name: str) -> None:
    lines = (CAPTURES / name).read_bytes().splitlines()
    response = fold(decode([b"data: " + line + b"\r\n\r\n" for line in lines]))
    expected = EXPECTED[name]["google_genai_3.4.0"]
    calls = [part for part in response.parts if isinstance(part, ToolCall)]
    signed = any(isinstance(part, Reasoning) and part.opaque for part in response.parts)
    usage = response.finish.usage
    assert text_of(response) == expected["text"]
    assert [(each.name, json.loads(each.arguments)) for each in calls] == [
        (each["name"], each["args"]) for each in expected["function_calls"]
    ]
    assert signed
    assert response.finish.raw_reason == expected["finish_reason"]
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens - (usage.reasoning_tokens or 0), usage.reasoning_tokens) == (
        expected["usage"]["prompt"],
        expected["usage"]["candidates"],
        expected["usage"]["thoughts"],
    )


class Case(Struct, frozen=True):
    id: str
    given: bytes
    expected: list[Event]


CASES = [
    Case(
        "text, its end, and counts of which each chunk has its own",
        frame({"text": "Hi"}, usageMetadata={"promptTokenCount": 3})
        + frame(
            {"text": " you"},
            finish="STOP",
            usageMetadata={
                "promptTokenCount": 3,
                "toolUsePromptTokenCount": 2,
                "candidatesTokenCount": 4,
                "thoughtsTokenCount": 5,
                "cachedContentTokenCount": 1,
            },
        ),
        [
            START,
            TextStart(0),
            TextDelta(0, "Hi"),
            TextDelta(0, " you"),
            TextEnd(0),
            Finish("stop", "STOP", Usage(5, 9, 1, 5)),
        ],
    ),
    Case(
        "a thought, its signature on the call behind it, two calls at once",
        frame({"text": "hm", "thought": True})
        + frame({**call(id="a", args={"x": 1}), "thoughtSignature": "c2ln"}, call("g"))
        + END,
        [
            START,
            ReasoningStart(0),
            ReasoningDelta(0, "hm"),
            ReasoningEnd(0, sealed("c2ln")),
            ToolCallStart(1, "a", "f"),
            ToolCallDelta(1, '{"x": 1}'),
            ToolCallEnd(1),
            ToolCallStart(2, "call_x_1", "g"),
            ToolCallDelta(2, "{}"),
            ToolCallEnd(2),
            Finish("tool_calls", "STOP"),
        ],
    ),
    Case(
        "a signature of a thought that is not shown, and one behind a text",
        frame({"text": "Hi"}) + frame({"text": "", "thoughtSignature": "c2ln"}, finish="STOP"),
        [
            START,
            TextStart(0),
            TextDelta(0, "Hi"),
            TextEnd(0),
            ReasoningStart(1),
            ReasoningEnd(1, sealed("c2ln")),
            Finish("stop", "STOP"),
        ],
    ),
    Case(
        "a signed thought ends with its signature",
        frame({"text": "hm", "thought": True, "thoughtSignature": "c2ln"}) + END,
        [
            START,
            ReasoningStart(0),
            ReasoningDelta(0, "hm"),
            ReasoningEnd(0, sealed("c2ln")),
            Finish("stop", "STOP"),
        ],
    ),
    Case(
        "a picture between texts",
        frame({"text": "a"}, PICTURE, {"text": "b"}) + END,
        [
            START,
            TextStart(0),
            TextDelta(0, "a"),
            TextEnd(0),
            ImageStart(1),
            ImageEnd(1, "image/png", PNG),
            TextStart(2),
            TextDelta(2, "b"),
            TextEnd(2),
            Finish("stop", "STOP"),
        ],
    ),
    Case(
        "code that was run is told as text",
        frame({"executableCode": {"language": "PYTHON", "code": "1"}}, {"codeExecutionResult": {"output": "2"}}) + END,
        [
            START,
            TextStart(0),
            TextDelta(0, "\n```python\n1\n```\n"),
            TextDelta(0, "\n```\n2\n```\n"),
            TextEnd(0),
            Finish("stop", "STOP"),
        ],
    ),
    Case(
        "sources have their places in characters, not bytes",
        frame({"text": "Käse ist gut"})
        + frame(
            {"text": ""},
            finish="STOP",
            candidate={
                "groundingMetadata": {
                    "groundingChunks": [{"web": {"uri": "https://a.example", "title": "A"}}, {}],
                    "groundingSupports": [
                        {"segment": {"endIndex": 5}, "groundingChunkIndices": [0, 1, 9]},
                        {"segment": {"startIndex": 5, "endIndex": 99}, "groundingChunkIndices": [0]},
                    ],
                }
            },
        ),
        [
            START,
            TextStart(0),
            TextDelta(0, "Käse ist gut"),
            TextEnd(0, (Citation("https://a.example", "A", 0, 4),)),
            Finish("stop", "STOP"),
        ],
    ),
    Case(
        "sources of a later text, and sources without a place",
        frame({"text": "ä"}, PICTURE, {"text": "bc"})
        + frame(finish="STOP", candidate={"groundingMetadata": {"groundingChunks": [{"web": {"uri": "u"}}]}}),
        [
            START,
            TextStart(0),
            TextDelta(0, "ä"),
            TextEnd(0),
            ImageStart(1),
            ImageEnd(1, "image/png", PNG),
            TextStart(2),
            TextDelta(2, "bc"),
            TextEnd(2, (Citation("u", "u", 0, 2),)),
            Finish("stop", "STOP"),
        ],
    ),
    Case(
        "cut for length",
        frame({"text": "a"}, finish="MAX_TOKENS"),
        [START, TextStart(0), TextDelta(0, "a"), TextEnd(0), Finish("length", "MAX_TOKENS")],
    ),
    Case("withheld", frame(finish="SAFETY"), [START, Finish("content_filter", "SAFETY")]),
    Case(
        "a reason nobody knows keeps its word",
        frame({"text": "a"}, finish="MOOD"),
        [START, TextStart(0), TextDelta(0, "a"), TextEnd(0), Finish("other", "MOOD")],
    ),
    Case(
        "a candidate that was not asked for is left out",
        frame({"text": "x"}, candidate={"index": 1}) + END,
        [START, Finish("stop", "STOP")],
    ),
    Case(
        "a candidate without content",
        said(modelVersion="m", candidates=[{"finishReason": "STOP"}]),
        [START, Finish("stop", "STOP")],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_stream_becomes_these_events(case: Case) -> None:
    assert decode([case.given]) == case.expected


def test_a_texts_signature_is_left_out_for_a_client_that_cannot_carry_it() -> None:
    data = frame({"text": "Hi", "thoughtSignature": "c2ln"}) + frame({**call(id="a"), "thoughtSignature": "Zm9v"}) + END
    parts = fold(decode([data], signs_texts=False)).parts
    assert parts == (FoldedText("Hi"), Reasoning("", sealed("Zm9v")), ToolCall("a", "f", "{}"))


@pytest.mark.parametrize(("arguments", "expected"), [({"input": "ls"}, "ls"), ({"x": 1}, '{"x": 1}')])
def test_a_custom_tool_is_called_with_free_text(arguments: Any, expected: str) -> None:
    [part] = fold(decode([frame(call(id="a", args=arguments)) + END], frozenset({"f"}))).parts
    assert part == ToolCall("a", "f", expected, "custom")


class Failing(Struct, frozen=True):
    id: str
    given: bytes
    error: type[GatewayError]
    says: str


def error(**fields: Any) -> bytes:
    return said(error=fields)


FAILING = [
    Failing("cut before its end", frame({"text": "Hi"}), UpstreamUnavailable, "cut its stream off"),
    Failing("nothing at all", b"", UpstreamUnavailable, "cut its stream off"),
    Failing("a refused prompt", said(promptFeedback={"blockReason": "SAFETY"}), UpstreamRejected, "SAFETY"),
    Failing("a call that failed", frame(finish="MALFORMED_FUNCTION_CALL"), UpstreamUnavailable, "MALFORMED_FUNCTION"),
    Failing(
        "why it failed",
        frame(finish="OTHER", candidate={"finishMessage": "bad luck"}),
        UpstreamUnavailable,
        "bad luck",
    ),
    Failing("an error in the stream", error(code=500, message="busy", status="INTERNAL"), UpstreamUnavailable, "busy"),
    Failing("a limit in the stream", error(code=429, message="slow"), RateLimited, "slow"),
    Failing("a bad request in the stream", error(code=400, message="no such thing"), UpstreamRejected, "no such"),
    Failing("a bad key in the stream", error(code=400, message="API key not valid."), UpstreamDenied, "key"),
    Failing("no JSON", b"data: {\n\n", ProtocolViolation, "it is not JSON"),
    Failing("a field of the wrong type", said(candidates=1), ProtocolViolation, "wrong type"),
    Failing("a call without a name", frame({"functionCall": {}}), ProtocolViolation, "without a name"),
    Failing(
        "a picture that is no base64",
        frame({"inlineData": {"mimeType": "image/png", "data": "!"}}),
        ProtocolViolation,
        "not base64",
    ),
    Failing(
        "a sound, for which there is no place",
        frame({"inlineData": {"mimeType": "audio/L16", "data": "AA=="}}),
        ProtocolViolation,
        "audio/L16",
    ),
]


@pytest.mark.parametrize("case", FAILING, ids=lambda case: case.id)
def test_a_stream_that_fails_says_so(case: Failing) -> None:
    with pytest.raises(case.error, match=case.says):
        decode([case.given])


def test_what_came_before_a_failure_is_given_first() -> None:
    decoder = GeminiDecoder("vendor")
    assert decoder.feed(frame({"text": "Hi"}) + b"data: {\n\n") == [Start("m"), TextStart(0), TextDelta(0, "Hi")]
    with pytest.raises(ProtocolViolation):
        decoder.feed(b"")
    with pytest.raises(ProtocolViolation):
        decoder.close()


@given(sentences())
def test_what_our_own_encoder_writes_is_read_back(sentence: list[Event]) -> None:
    """Texts that follow each other become one, and thoughts of other vendors lose their seals."""
    calls = [event for event in sentence if isinstance(event, ToolCallStart)]
    custom = frozenset(call.name for call in calls if call.kind == "custom")
    assume(not any(call.name in custom for call in calls if call.kind == "function"))
    assume(all(event.data for event in sentence if isinstance(event, ImageEnd)))
    written = fold(sentence)
    assume(written.finish.reason != "other" or calls or text_of(written))
    asked = exchange()
    asked = structs.replace(asked, request=structs.replace(asked.request, echo={THOUGHTS: Raw(b"true")}))
    events = decode([GEMINI.encoder(asked).encode(sentence)], custom)
    check(events)
    read_back = fold(events)
    pictures = [FoldedImage(each.media_type, each.data) for each in of_type(written, FoldedImage)]
    assert of_type(read_back, FoldedImage) == pictures
    assert of_type(read_back, ToolCall) == of_type(written, ToolCall)
    assert text_of(read_back) == text_of(written)
    assert "".join(each.text for each in of_type(read_back, Reasoning)) == "".join(
        each.text for each in of_type(written, Reasoning)
    )


def of_type(response: Response, kind: type[Any]) -> list[Any]:
    return [part for part in response.parts if isinstance(part, kind)]


def text_of(response: Response) -> str:
    return "".join(part.text for part in response.parts if isinstance(part, FoldedText))
