"""A vendor's chat stream to events: captures, what compatible vendors do differently, and the laws of a decoder."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from msgspec import Struct, structs

from core.contracts import Encoder
from core.errors import GatewayError, ProtocolViolation, RateLimited, UpstreamRejected, UpstreamUnavailable
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
from core.fold import FoldedText, Response, fold
from core.grammar import check
from core.request import ToolCall
from core.wire.openai_chat import OPENAI_CHAT
from core.wire.openai_chat.decode import ChatDecoder
from tests.core.exchanges import exchange
from tests.strategies import sentences

CAPTURES = Path(__file__).parents[3] / "captures" / "vendors"
EXPECTED = json.loads((CAPTURES / "expected.json").read_text())
FILES = sorted(path.name for path in CAPTURES.glob("openai-chat-*.sse"))


def decode(chunks: Sequence[bytes]) -> list[Event]:
    """Return the events of a stream. What a failing one said before it failed is raised with the failure."""
    decoder = ChatDecoder("vendor")
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return [*events, *decoder.close()]


def read(data: bytes) -> Response:
    return fold(decode([data]))


def frame(delta: Any = None, finish: str | None = None, **fields: Any) -> bytes:
    choices = [] if delta is None and finish is None else [{"index": 0, "delta": delta or {}, "finish_reason": finish}]
    return b"data: " + json.dumps({"model": "m", "choices": choices, **fields}).encode() + b"\n\n"


def call(index: int | None = 0, **fields: Any) -> dict[str, Any]:
    place = {} if index is None else {"index": index}
    return {"tool_calls": [{**place, **fields}]}


def arguments(text: str, index: int | None = 0) -> dict[str, Any]:
    return call(index, function={"arguments": text})


OPEN: dict[str, Any] = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}
WHOLE: dict[str, Any] = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
PIECE: dict[str, Any] = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{"}}
CALL_IN_PIECES: list[Event] = [
    Start("m"),
    ToolCallStart(0, "c1", "f"),
    ToolCallDelta(0, "{"),
    ToolCallDelta(0, "}"),
    ToolCallEnd(0),
    Finish("tool_calls", "tool_calls"),
]
TWO_CALLS: list[Event] = [
    Start("m"),
    ToolCallStart(0, "c1", "f"),
    ToolCallDelta(0, '{"a":1}'),
    ToolCallEnd(0),
    ToolCallStart(1, "c2", "f"),
    ToolCallDelta(1, '{"a":1}'),
    ToolCallEnd(1),
    Finish("tool_calls", "tool_calls"),
]
THINKING = {"type": "thinking", "thinking": [{"type": "text", "text": "m"}]}
END = frame(finish="stop")
CALLED = frame(finish="tool_calls")
DONE = b"data: [DONE]\n\n"
PNG = b"\x89PNG\r\n\x1a\nrest"


@pytest.mark.parametrize("name", FILES)
def test_a_capture_says_what_the_vendors_own_client_read(name: str) -> None:
    response = read((CAPTURES / name).read_bytes())
    expected = EXPECTED[name]["openai_python_3.52.0"]
    text = "".join(part.text for part in response.parts if isinstance(part, FoldedText))
    calls = [{"id": call.id, "name": call.name, "arguments": json.loads(call.arguments)} for call in calls_of(response)]
    usage = response.finish.usage
    assert (text, calls, response.finish.raw_reason) == (
        expected["text"],
        expected["tool_calls"],
        expected["finish_reason"],
    )
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens) == (
        expected["usage"]["prompt_tokens"],
        expected["usage"]["completion_tokens"],
    )


class Case(Struct, frozen=True):
    id: str
    given: bytes
    expected: list[Event]


CASES = [
    Case(
        "text, its finish, and usage behind it",
        frame({"role": "assistant", "content": ""})
        + frame({"content": "Hi"})
        + END
        + frame(
            usage={
                "prompt_tokens": 3,
                "completion_tokens": 1,
                "prompt_tokens_details": {"cached_tokens": 2},
                "completion_tokens_details": {"reasoning_tokens": 0},
            }
        )
        + DONE,
        [Start("m"), TextStart(0), TextDelta(0, "Hi"), TextEnd(0), Finish("stop", "stop", Usage(3, 1, 2, 0))],
    ),
    Case(
        "reasoning under either name stands before the text",
        frame({"reasoning_content": "h"}) + frame({"reasoning": "m"}) + frame({"content": "Hi"}) + END,
        [
            Start("m"),
            ReasoningStart(0),
            ReasoningDelta(0, "h"),
            ReasoningDelta(0, "m"),
            ReasoningEnd(0),
            TextStart(1),
            TextDelta(1, "Hi"),
            TextEnd(1),
            Finish("stop", "stop"),
        ],
    ),
    Case(
        "a content that is a list holds thoughts and text",
        frame({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "h"}], "closed": False}]})
        + frame({"content": [THINKING, {"type": "text", "text": "H"}]})
        + frame({"content": "i"})
        + END,
        [
            Start("m"),
            ReasoningStart(0),
            ReasoningDelta(0, "h"),
            ReasoningDelta(0, "m"),
            ReasoningEnd(0),
            TextStart(1),
            TextDelta(1, "H"),
            TextDelta(1, "i"),
            TextEnd(1),
            Finish("stop", "stop"),
        ],
    ),
    Case(
        "a call arrives piece by piece",
        frame(call(**OPEN)) + frame(arguments('{"a"')) + frame(arguments(":1}")) + CALLED + DONE,
        [
            Start("m"),
            ToolCallStart(0, "c1", "f"),
            ToolCallDelta(0, '{"a"'),
            ToolCallDelta(0, ":1}"),
            ToolCallEnd(0),
            Finish("tool_calls", "tool_calls"),
        ],
    ),
    Case(
        "a name that comes late, an id that never comes, no index: it is one call all the same",
        frame(arguments("{", None)) + frame(call(None, function={"name": "f"})) + frame(arguments("}", None)) + END,
        [
            Start("m"),
            ToolCallStart(0, "call_0", "f"),
            ToolCallDelta(0, "{"),
            ToolCallDelta(0, "}"),
            ToolCallEnd(0),
            Finish("tool_calls", "stop"),
        ],
    ),
    Case(
        "a second call ends a first one that is whole",
        frame(call(**OPEN))
        + frame(arguments("{}"))
        + frame(call(1, id="c2", function={"name": "g", "arguments": "{}"}))
        + CALLED,
        [
            Start("m"),
            ToolCallStart(0, "c1", "f"),
            ToolCallDelta(0, "{}"),
            ToolCallEnd(0),
            ToolCallStart(1, "c2", "g"),
            ToolCallDelta(1, "{}"),
            ToolCallEnd(1),
            Finish("tool_calls", "tool_calls"),
        ],
    ),
    Case(
        "calls that overlap are put in order",
        frame(call(**OPEN))
        + frame(call(1, id="c2", function={"name": "g", "arguments": "{"}))
        + frame(arguments("{}"))
        + frame(arguments("}", 1))
        + CALLED,
        [
            Start("m"),
            ToolCallStart(0, "c1", "f"),
            ToolCallDelta(0, "{}"),
            ToolCallEnd(0),
            ToolCallStart(1, "c2", "g"),
            ToolCallDelta(1, "{"),
            ToolCallDelta(1, "}"),
            ToolCallEnd(1),
            Finish("tool_calls", "tool_calls"),
        ],
    ),
    Case(
        "calls without an index are as many as their ids",
        frame(call(None, **WHOLE)) + frame(call(None, **{**WHOLE, "id": "c2"})) + CALLED,
        TWO_CALLS,
    ),
    Case(
        "calls of one index are as many as their ids",
        frame(call(**WHOLE)) + frame(call(**{**WHOLE, "id": "c2"})) + CALLED,
        TWO_CALLS,
    ),
    Case(
        "calls of one index without ids are as many as their arguments",
        frame(call(**{**WHOLE, "id": ""})) + frame(call(**{**WHOLE, "id": ""})) + CALLED,
        [
            event if not isinstance(event, ToolCallStart) else structs.replace(event, id=f"call_{event.index}")
            for event in TWO_CALLS
        ],
    ),
    Case(
        "a call after a text, at the place of one before it, is another one",
        frame(call(**WHOLE)) + frame({"content": "and"}) + frame(call(**{**WHOLE, "id": "c2"})) + CALLED,
        [
            *TWO_CALLS[:4],
            TextStart(1),
            TextDelta(1, "and"),
            TextEnd(1),
            ToolCallStart(2, "c2", "f"),
            ToolCallDelta(2, '{"a":1}'),
            ToolCallEnd(2),
            Finish("tool_calls", "tool_calls"),
        ],
    ),
    Case(
        "a call whose pieces repeat its name and its id is one",
        frame(call(**OPEN))
        + frame(call(**PIECE))
        + frame(call(**{**PIECE, "function": {"name": "f", "arguments": "}"}}))
        + CALLED,
        CALL_IN_PIECES,
    ),
    Case(
        "a piece without a name belongs to the call of its place, whatever id it has",
        frame(call(**OPEN)) + frame(call(id="x1", function={"arguments": "{"})) + frame(arguments("}")) + CALLED,
        CALL_IN_PIECES,
    ),
    Case(
        "the old function_call form",
        frame({"function_call": {"name": "f", "arguments": ""}})
        + frame({"function_call": {"arguments": "{}"}})
        + frame(finish="function_call"),
        [
            Start("m"),
            ToolCallStart(0, "call_0", "f"),
            ToolCallDelta(0, "{}"),
            ToolCallEnd(0),
            Finish("tool_calls", "function_call"),
        ],
    ),
    Case(
        "a custom tool's input is free text",
        frame(call(0, id="c1", type="custom", custom={"name": "sh", "input": "ls"})) + CALLED,
        [
            Start("m"),
            ToolCallStart(0, "c1", "sh", "custom"),
            ToolCallDelta(0, "ls"),
            ToolCallEnd(0),
            Finish("tool_calls", "tool_calls"),
        ],
    ),
    Case(
        "sources are told at the end of their text",
        frame({"content": "Hi"})
        + frame(
            {
                "annotations": [
                    {
                        "type": "url_citation",
                        "url_citation": {"url": "https://a.example", "title": "A", "start_index": 0, "end_index": 2},
                    }
                ]
            }
        )
        + END,
        [
            Start("m"),
            TextStart(0),
            TextDelta(0, "Hi"),
            TextEnd(0, (Citation("https://a.example", "A", 0, 2),)),
            Finish("stop", "stop"),
        ],
    ),
    Case(
        "a source whose place is null stands for the whole text",
        frame(
            {
                "content": "H",
                "annotations": [{"url_citation": {"url": "https://a.example", "start_index": None, "end_index": None}}],
            }
        )
        + frame({"content": "i"})
        + END,
        [
            Start("m"),
            TextStart(0),
            TextDelta(0, "H"),
            TextDelta(0, "i"),
            TextEnd(0, (Citation("https://a.example", "https://a.example", 0, 2),)),
            Finish("stop", "stop"),
        ],
    ),
    Case(
        "sources without a place stand for the whole text",
        frame({"content": "Hi"}, search_results=[{"url": "https://a.example"}])
        + frame({}, "stop", search_results=[{"url": "https://a.example"}]),
        [
            Start("m"),
            TextStart(0),
            TextDelta(0, "Hi"),
            TextEnd(0, (Citation("https://a.example", "https://a.example", 0, 2),)),
            Finish("stop", "stop"),
        ],
    ),
    Case(
        "a picture is a block",
        frame({"images": [{"image_url": {"url": "data:image/png;base64," + base64.b64encode(PNG).decode()}}]}) + END,
        [Start("m"), ImageStart(0), ImageEnd(0, "image/png", PNG), Finish("stop", "stop")],
    ),
    Case(
        "a refusal is told as text",
        frame({"refusal": "No."}) + END,
        [Start("m"), TextStart(0), TextDelta(0, "No."), TextEnd(0), Finish("stop", "stop")],
    ),
    Case(
        "a choice that was not asked for is left out",
        frame(
            {},
            "stop",
            choices=[{"index": 1, "delta": {"content": "x"}}, {"index": 0, "delta": {}, "finish_reason": "length"}],
        ),
        [Start("m"), Finish("length", "length")],
    ),
    Case(
        "a choice whose index is null is the one that was asked for",
        frame(choices=[{"index": None, "delta": {"content": "Hi"}, "finish_reason": "stop"}]),
        [Start("m"), TextStart(0), TextDelta(0, "Hi"), TextEnd(0), Finish("stop", "stop")],
    ),
    Case(
        "arguments that are an object are its JSON",
        frame(call(**{**OPEN, "function": {"name": "f", "arguments": {"a": [1, "x"]}}})) + CALLED,
        [
            Start("m"),
            ToolCallStart(0, "c1", "f"),
            ToolCallDelta(0, '{"a":[1, "x"]}'),
            ToolCallEnd(0),
            Finish("tool_calls", "tool_calls"),
        ],
    ),
    Case(
        "a call without arguments has none",
        frame(call(**OPEN)) + CALLED,
        [
            Start("m"),
            ToolCallStart(0, "c1", "f"),
            ToolCallDelta(0, "{}"),
            ToolCallEnd(0),
            Finish("tool_calls", "tool_calls"),
        ],
    ),
    Case(
        "counts may be written as fractions",
        END
        + frame(
            usage={
                "prompt_tokens": 3.0,
                "completion_tokens": 1.0,
                "prompt_tokens_details": {"cached_tokens": 2.0},
                "completion_tokens_details": {"reasoning_tokens": 0.0},
            }
        ),
        [Start("m"), Finish("stop", "stop", Usage(3, 1, 2, 0))],
    ),
    Case(
        "an event without data says nothing",
        b"data:\n\n" + frame({"content": "Hi"}) + b"data: \n\n" + END,
        [Start("m"), TextStart(0), TextDelta(0, "Hi"), TextEnd(0), Finish("stop", "stop")],
    ),
    Case(
        "a picture elsewhere is a link in the text",
        frame({"content": "Look."}) + frame({"images": [{"image_url": {"url": "https://a.example/x.png"}}]}) + END,
        [
            Start("m"),
            TextStart(0),
            TextDelta(0, "Look."),
            TextDelta(0, "\n\n![image](https://a.example/x.png)"),
            TextEnd(0),
            Finish("stop", "stop"),
        ],
    ),
    Case(
        "details of reasoning are shown where there is nothing else of it",
        frame({"reasoning": "h", "reasoning_details": [{"type": "reasoning.text", "text": "h"}]})
        + frame({"reasoning_details": [{"type": "reasoning.summary", "summary": "m"}]})
        + frame({"reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]})
        + frame({"content": "Hi", "reasoning_details": []})
        + END,
        [
            Start("m"),
            ReasoningStart(0),
            ReasoningDelta(0, "h"),
            ReasoningDelta(0, "m"),
            ReasoningEnd(0),
            TextStart(1),
            TextDelta(1, "Hi"),
            TextEnd(1),
            Finish("stop", "stop"),
        ],
    ),
    Case("a reason nobody knows keeps its word", frame({}, "mood"), [Start("m"), Finish("other", "mood")]),
    Case("a missing [DONE] after the finish is no failure", END, [Start("m"), Finish("stop", "stop")]),
    Case(
        "a [DONE] without a reason ends what was said",
        frame({"content": "Hi"}) + DONE,
        [Start("m"), TextStart(0), TextDelta(0, "Hi"), TextEnd(0), Finish("other")],
    ),
    Case(
        "a [DONE] without a reason ends calls too",
        frame(call(**WHOLE)) + DONE,
        [*TWO_CALLS[:4], Finish("tool_calls")],
    ),
    Case("nothing counts after [DONE]", END + DONE + frame({"content": "x"}), [Start("m"), Finish("stop", "stop")]),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_stream_becomes_these_events(case: Case) -> None:
    assert decode([case.given]) == case.expected


class Failing(Struct, frozen=True):
    id: str
    given: bytes
    error: type[GatewayError]
    says: str


FAILING = [
    Failing("cut before its finish", frame({"content": "Hi"}), UpstreamUnavailable, "cut its stream off"),
    Failing("nothing at all", b"", UpstreamUnavailable, "cut its stream off"),
    Failing("only [DONE]", DONE, UpstreamUnavailable, "cut its stream off"),
    Failing("a [DONE] behind nothing", frame({"content": ""}) + DONE, UpstreamUnavailable, "cut its stream off"),
    Failing("an error in the stream", b'data: {"error": {"message": "busy"}}\n\n', UpstreamUnavailable, "busy"),
    Failing("an error that is a text", b'data: {"error": "busy"}\n\n', UpstreamUnavailable, "busy"),
    Failing("a limit in the stream", b'data: {"error": {"code": 429, "message": "slow"}}\n\n', RateLimited, "slow"),
    Failing(
        "an error in the place of a chunk",
        frame({"content": "Hi"}) + b'data: {"object": "error", "message": "too long", "code": 400}\n\n',
        UpstreamRejected,
        "too long",
    ),
    Failing(
        "an error by the event's name",
        b'event: error\ndata: {"message": "boom"}\n\n',
        UpstreamUnavailable,
        "boom",
    ),
    Failing(
        "an error by the event's name that is no object",
        b'event: error\ndata: "boom"\n\n',
        UpstreamUnavailable,
        "boom",
    ),
    Failing("no JSON", b"data: {\n\n", ProtocolViolation, "it is not JSON"),
    Failing("a field of the wrong type", b'data: {"choices": 1}\n\n', ProtocolViolation, "wrong type"),
    Failing("a call without a name", frame(arguments("{}")) + CALLED, ProtocolViolation, "without a name"),
    Failing(
        "a picture that is no data", frame({"images": [{"image_url": {"url": "x"}}]}), ProtocolViolation, "picture"
    ),
]


@pytest.mark.parametrize("case", FAILING, ids=lambda case: case.id)
def test_a_stream_that_fails_says_so(case: Failing) -> None:
    with pytest.raises(case.error, match=case.says):
        decode([case.given])


def test_what_came_before_a_failure_is_given_first() -> None:
    decoder = ChatDecoder("vendor")
    assert decoder.feed(frame({"content": "Hi"}) + b"data: {\n\n") == [Start("m"), TextStart(0), TextDelta(0, "Hi")]
    with pytest.raises(ProtocolViolation):
        decoder.feed(b"")
    with pytest.raises(ProtocolViolation):
        decoder.close()


@given(sentences(kinds=("text", "reasoning", "tool_call")))
def test_what_our_own_encoder_writes_is_read_back(sentence: list[Event]) -> None:
    """Blocks of one kind become one text in this format; all of their text is kept, and the calls are the same."""
    encoder: Encoder = OPENAI_CHAT.encoder(exchange())
    events = decode([encoder.encode(sentence)])
    check(events)
    written, read_back = fold(sentence), fold(events)
    assert calls_of(read_back) == calls_of(written)
    assert text_of(read_back) == text_of(written)


def calls_of(response: Response) -> list[ToolCall]:
    return [part for part in response.parts if isinstance(part, ToolCall)]


def text_of(response: Response) -> str:
    """Return the answer's text without line ends: the encoder puts some between blocks."""
    return "".join(part.text for part in response.parts if isinstance(part, FoldedText)).replace("\n", "")
