"""Anthropic's stream to events: captures, what the vendor's own tools leave behind, and the laws of a decoder."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw, Struct, structs

from core.errors import (
    GatewayError,
    ProtocolViolation,
    RateLimited,
    UpstreamDenied,
    UpstreamError,
    UpstreamRejected,
    UpstreamUnavailable,
)
from core.events import (
    Citation,
    Event,
    Finish,
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
from core.request import ChatRequest, Reasoning, Tool, ToolCall
from core.tool_names import Names
from core.wire.anthropic import ANTHROPIC_MESSAGES
from core.wire.anthropic.decode import MessagesDecoder
from core.wire.anthropic.opaque import sealed
from core.wire.anthropic.thinking import THINKING
from tests.core.exchanges import exchange
from tests.strategies import sentences

CAPTURES = Path(__file__).parents[3] / "captures" / "vendors"
EXPECTED = json.loads((CAPTURES / "expected.json").read_text())
FILES = sorted(path.name for path in CAPTURES.glob("anthropic-*.sse"))
TOOLS = (Tool("sh", "custom"), Tool("files.read"))


def decode(chunks: Sequence[bytes]) -> list[Event]:
    """Return the events of a stream. What a failing one said before it failed is raised with the failure."""
    decoder = MessagesDecoder("vendor", Names(ChatRequest("m", (), tools=TOOLS)))
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return [*events, *decoder.close()]


def event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def begin(index: int, **block: Any) -> bytes:
    return event("content_block_start", index=index, content_block=block)


def delta(index: int, **fields: Any) -> bytes:
    return event("content_block_delta", index=index, delta=fields)


def end(index: int) -> bytes:
    return event("content_block_stop", index=index)


def closing(reason: str = "end_turn", **usage: Any) -> bytes:
    return event("message_delta", delta={"stop_reason": reason}, usage=usage or None) + event("message_stop")


STARTED = event("message_start", message={"model": "m", "usage": {"input_tokens": 3, "output_tokens": 1}})
HI = begin(0, type="text", text="") + delta(0, type="text_delta", text="Hi") + end(0)
TOLD: list[Event] = [Start("m"), TextStart(0), TextDelta(0, "Hi"), TextEnd(0)]
COUNTED = Usage(3, 1)


@pytest.mark.parametrize("name", FILES)
def test_a_capture_says_what_the_vendors_own_client_read(name: str) -> None:
    response = fold(decode([(CAPTURES / name).read_bytes()]))
    expected = EXPECTED[name]["anthropic_python_2.11.0"]
    text = "".join(part.text for part in response.parts if isinstance(part, FoldedText))
    calls = [{"id": call.id, "name": call.name, "input": json.loads(call.arguments)} for call in calls_of(response)]
    assert (text, calls, response.finish.raw_reason) == (
        expected["text"],
        expected["tool_uses"],
        expected["stop_reason"],
    )
    usage = response.finish.usage
    assert usage is not None
    assert {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens} == expected["usage"]


class Case(Struct, frozen=True):
    id: str
    given: bytes
    expected: list[Event]


CASES = [
    Case("text", STARTED + event("ping") + HI + closing(), [*TOLD, Finish("stop", "end_turn", COUNTED)]),
    Case(
        "counts at the end replace those at the beginning, and what a cache held was read too",
        event("message_start", message={"model": "m", "usage": {"input_tokens": 3, "cache_read_input_tokens": 5}})
        + HI
        + closing(output_tokens=9, cache_creation_input_tokens=7, output_tokens_details={"thinking_tokens": 4}),
        [*TOLD, Finish("stop", "end_turn", Usage(15, 9, 5, 4))],
    ),
    Case(
        "counts that nobody gave are not made up",
        event("message_start", message={"model": "m"}) + HI + closing(),
        [*TOLD, Finish("stop", "end_turn")],
    ),
    Case(
        "thoughts and their signature",
        STARTED
        + begin(0, type="thinking", thinking="", signature="")
        + delta(0, type="thinking_delta", thinking="hm")
        + delta(0, type="signature_delta", signature="sig")
        + end(0)
        + closing(),
        [
            Start("m"),
            ReasoningStart(0),
            ReasoningDelta(0, "hm"),
            ReasoningEnd(0, sealed(signature="sig")),
            Finish("stop", "end_turn", COUNTED),
        ],
    ),
    Case(
        "hidden thoughts",
        STARTED + begin(0, type="redacted_thinking", data="xyz") + end(0) + closing(),
        [
            Start("m"),
            ReasoningStart(0),
            ReasoningEnd(0, sealed(data="xyz")),
            Finish("stop", "end_turn", COUNTED),
        ],
    ),
    Case(
        "a call, its id as it is",
        STARTED
        + begin(0, type="tool_use", id="toolu_1", name="get", input={})
        + delta(0, type="input_json_delta", partial_json="")
        + delta(0, type="input_json_delta", partial_json='{"a":')
        + delta(0, type="input_json_delta", partial_json=" 1}")
        + end(0)
        + closing("tool_use"),
        [
            Start("m"),
            ToolCallStart(0, "toolu_1", "get"),
            ToolCallDelta(0, '{"a":'),
            ToolCallDelta(0, " 1}"),
            ToolCallEnd(0),
            Finish("tool_calls", "tool_use", COUNTED),
        ],
    ),
    Case(
        "which stop sequence ended it",
        STARTED
        + HI
        + event("message_delta", delta={"stop_reason": "stop_sequence", "stop_sequence": "END"})
        + event("message_stop"),
        [*TOLD, Finish("stop", "stop_sequence", COUNTED, stop_sequence="END")],
    ),
    Case(
        "a call behind which a vendor says end_turn",
        STARTED + begin(0, type="tool_use", id="t", name="get") + end(0) + closing(),
        [
            Start("m"),
            ToolCallStart(0, "t", "get"),
            ToolCallDelta(0, "{}"),
            ToolCallEnd(0),
            Finish("tool_calls", "end_turn", COUNTED),
        ],
    ),
    Case(
        "a call whose arguments come at once, of a tool that was sent under another name",
        STARTED + begin(0, type="tool_use", id="t", name="files_read", input={"a": 1}) + end(0) + closing("tool_use"),
        [
            Start("m"),
            ToolCallStart(0, "t", "files.read"),
            ToolCallDelta(0, '{"a": 1}'),
            ToolCallEnd(0),
            Finish("tool_calls", "tool_use", COUNTED),
        ],
    ),
    Case(
        "a call of a tool that takes free text",
        STARTED
        + begin(0, type="tool_use", id="t", name="sh", input={})
        + delta(0, type="input_json_delta", partial_json='{"input": "ls')
        + delta(0, type="input_json_delta", partial_json='\\n"}')
        + end(0)
        + closing("tool_use"),
        [
            Start("m"),
            ToolCallStart(0, "t", "sh", "custom"),
            ToolCallDelta(0, "ls\n"),
            ToolCallEnd(0),
            Finish("tool_calls", "tool_use", COUNTED),
        ],
    ),
    Case(
        "free text in another shape is given as it is",
        STARTED + begin(0, type="tool_use", id="t", name="sh", input={"command": "ls"}) + end(0) + closing("tool_use"),
        [
            Start("m"),
            ToolCallStart(0, "t", "sh", "custom"),
            ToolCallDelta(0, '{"command": "ls"}'),
            ToolCallEnd(0),
            Finish("tool_calls", "tool_use", COUNTED),
        ],
    ),
    Case(
        "blocks of Anthropic's own tools are left out, their sources are not",
        STARTED
        + begin(0, type="server_tool_use", id="srv", name="web_search", input={})
        + delta(0, type="input_json_delta", partial_json='{"query": "x"}')
        + end(0)
        + begin(1, type="web_search_tool_result", tool_use_id="srv", content=[])
        + end(1)
        + begin(2, type="text", text="")
        + delta(2, type="citations_delta", citation={"url": "https://a.example", "title": "A", "cited_text": "x"})
        + delta(2, type="citations_delta", citation={"type": "char_location", "document_index": 0})
        + delta(2, type="text_delta", text="Hi")
        + end(2)
        + closing(),
        [
            Start("m"),
            TextStart(0),
            TextDelta(0, "Hi"),
            TextEnd(0, (Citation("https://a.example", "A", 0, 2),)),
            Finish("stop", "end_turn", COUNTED),
        ],
    ),
    Case(
        "a second block waits for the first",
        STARTED
        + begin(0, type="text", text="a")
        + begin(1, type="text", text="b")
        + delta(0, type="text_delta", text="c")
        + end(0)
        + end(1)
        + closing(),
        [
            Start("m"),
            TextStart(0),
            TextDelta(0, "a"),
            TextDelta(0, "c"),
            TextEnd(0),
            TextStart(1),
            TextDelta(1, "b"),
            TextEnd(1),
            Finish("stop", "end_turn", COUNTED),
        ],
    ),
    Case(
        "an unknown event says nothing",
        STARTED + event("mood") + HI + closing(),
        [*TOLD, Finish("stop", "end_turn", COUNTED)],
    ),
    Case(
        "a block that was never ended ends with the message",
        STARTED + HI.removesuffix(end(0)) + closing(),
        [*TOLD, Finish("stop", "end_turn", COUNTED)],
    ),
    Case(
        "a vendor that leaves out the beginning and the last word",
        HI + event("message_delta", delta={"stop_reason": "end_turn"}) + b"data: [DONE]\n\n",
        [Start(), *TOLD[1:], Finish("stop", "end_turn")],
    ),
    Case(
        "nothing counts after the end",
        STARTED + HI + closing() + HI + event("error"),
        [*TOLD, Finish("stop", "end_turn", COUNTED)],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_stream_becomes_these_events(case: Case) -> None:
    assert decode([case.given]) == case.expected


@pytest.mark.parametrize("nothing", ["", None, [], {}], ids=repr)
def test_a_call_may_begin_with_nothing_of_any_kind(nothing: Any) -> None:
    """Compatible vendors begin it with an empty text."""
    pieces = delta(0, type="input_json_delta", partial_json='{"c":1}') + end(0)
    events = decode(
        [STARTED + begin(0, type="tool_use", id="t", name="get", input=nothing) + pieces + closing("tool_use")]
    )
    assert [event for event in events if isinstance(event, ToolCallDelta)] == [ToolCallDelta(0, '{"c":1}')]


REASONS = [
    ("end_turn", "stop"),
    ("stop_sequence", "stop"),
    ("max_tokens", "length"),
    ("model_context_window_exceeded", "length"),
    ("tool_use", "tool_calls"),
    ("refusal", "content_filter"),
    ("pause_turn", "other"),
    ("mood", "other"),
]


@pytest.mark.parametrize(("word", "reason"), REASONS)
def test_a_stop_reason_keeps_its_word(word: str, reason: str) -> None:
    finish = decode([STARTED + closing(word)])[-1]
    assert isinstance(finish, Finish)
    assert (finish.reason, finish.raw_reason) == (reason, word)


class Failing(Struct, frozen=True):
    id: str
    given: bytes
    error: type[GatewayError]
    says: str
    status: int


def stated(kind: str, message: str = "busy") -> bytes:
    return STARTED + event("error", error={"type": kind, "message": message})


FAILING = [
    Failing("cut before its end", STARTED + HI, UpstreamUnavailable, "cut its stream off", 503),
    Failing("nothing at all", b"", UpstreamUnavailable, "cut its stream off", 503),
    Failing("too much to do", stated("overloaded_error"), UpstreamUnavailable, "busy", 503),
    Failing("a failure of its own", stated("api_error"), UpstreamUnavailable, "busy", 502),
    Failing("an error of no kind", event("error"), UpstreamUnavailable, "without saying which", 502),
    Failing("a limit", stated("rate_limit_error"), RateLimited, "busy", 429),
    Failing("a refused request", stated("invalid_request_error"), UpstreamRejected, "busy", 400),
    Failing("a model that is not there", stated("not_found_error"), UpstreamRejected, "busy", 404),
    Failing("a refused key", stated("authentication_error", "sk-1 is wrong"), UpstreamDenied, "refused this", 502),
    Failing("no JSON", b"data: {\n\n", ProtocolViolation, "it is not JSON", 502),
    Failing("a field of the wrong type", b'data: {"type": 1}\n\n', ProtocolViolation, "wrong type", 502),
    Failing("a block without a place", event("content_block_start"), ProtocolViolation, "without saying which", 502),
    Failing("a block that begins twice", STARTED + begin(0, type="text") * 2, ProtocolViolation, "twice", 502),
    Failing("a call without a name", STARTED + begin(0, type="tool_use", id="x"), ProtocolViolation, "a name", 502),
]


@pytest.mark.parametrize("case", FAILING, ids=lambda case: case.id)
def test_a_stream_that_fails_says_so(case: Failing) -> None:
    with pytest.raises(case.error, match=case.says) as caught:
        decode([case.given])
    assert caught.value.status == case.status
    assert "sk-1" not in str(caught.value)


def test_what_came_before_a_failure_is_given_first() -> None:
    decoder = MessagesDecoder("vendor", Names(ChatRequest("m", ())), ("seed",))
    begun = begin(0, type="text") + delta(0, type="text_delta", text="Hi")
    assert decoder.feed(STARTED + begun + b"data: {\n\n") == [Start("m", ("seed",)), *TOLD[1:3]]
    with pytest.raises(ProtocolViolation):
        decoder.feed(b"")
    with pytest.raises(ProtocolViolation):
        decoder.close()


FRAMES = [
    STARTED,
    HI,
    begin(0, type="text"),
    begin(1, type="thinking"),
    end(0),
    end(1),
    end(2),
    closing(),
    event("ping"),
]
FRAMES += [
    begin(2, type="tool_use", id="t", name="sh"),
    delta(2, partial_json="{"),
    delta(0, text="a"),
    delta(1, thinking="b"),
]


@given(st.lists(st.sampled_from(FRAMES), max_size=12))
def test_whatever_order_events_come_in_a_sentence_is_legal_or_refused(frames: list[bytes]) -> None:
    try:
        check(decode(frames))
    except UpstreamError:
        return


@given(sentences(kinds=("text", "reasoning", "tool_call")))
def test_what_our_own_encoder_writes_is_read_back(sentence: list[Event]) -> None:
    """Empty blocks are not written; free text is an object here, for nobody offered such a tool."""
    asking = structs.replace(exchange(echo={THINKING: Raw(b"true")}), dialect=ANTHROPIC_MESSAGES)
    events = decode([ANTHROPIC_MESSAGES.encoder(asking).encode(sentence)])
    check(events)
    assert told(fold(events)) == told(fold(sentence))


def told(response: Response) -> list[object]:
    parts: list[object] = []
    for part in response.parts:
        if isinstance(part, ToolCall):
            text = part.arguments if part.kind == "function" else json.dumps({"input": part.arguments})
            parts.append((part.id, part.name, json.loads(text)))
        elif isinstance(part, FoldedText | Reasoning):
            parts.append(part.text)
    return [part for part in parts if part]


def calls_of(response: Response) -> list[ToolCall]:
    return [part for part in response.parts if isinstance(part, ToolCall)]
