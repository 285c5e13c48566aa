"""A Responses stream to events: captures, what Codex and compatible vendors do differently, and a decoder's laws."""

import base64
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, structs

from core.contracts import Encoder, Exchange
from core.errors import GatewayError, ProtocolViolation, RateLimited, UpstreamError, UpstreamUnavailable
from core.events import (
    Citation,
    Event,
    Finish,
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
from core.fold import FoldedText, Response, fold
from core.grammar import check
from core.request import Opaque, Reasoning, Tool, ToolCall
from core.vendor_errors import failure
from core.wire.openai_responses import OPENAI_RESPONSES
from core.wire.openai_responses.decode import ResponsesDecoder
from core.wire.openai_responses.requests import WIRE
from tests.core import exchanges
from tests.strategies import sentences

Json = dict[str, Any]

CAPTURES = Path(__file__).parents[3] / "captures"
EXPECTED = json.loads((CAPTURES / "vendors" / "expected.json").read_text())
FILES = sorted(path.name for path in (CAPTURES / "vendors").glob("openai-responses-*.sse"))
CODEX = CAPTURES / "chatgpt-web" / "codex_responses_gpt54_toolcall.sse"


def decoder(**fields: Any) -> ResponsesDecoder:
    return ResponsesDecoder("vendor", partial(failure, "vendor"), **fields)


def decode(chunks: Sequence[bytes]) -> list[Event]:
    """Return the events of a stream. What a failing one said before it failed is raised with the failure."""
    reader = decoder()
    events = [event for chunk in chunks for event in reader.feed(chunk)]
    return [*events, *reader.close()]


def read(data: bytes) -> Response:
    return fold(decode([data]))


def event(kind: str, **fields: Any) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), json.dumps({"type": kind, **fields}).encode())


def created(**fields: Any) -> bytes:
    return event("response.created", response={"model": "m", "output": [], **fields})


def added(index: int = 0, **item: Any) -> bytes:
    return event("response.output_item.added", output_index=index, item=item)


def done(index: int = 0, **item: Any) -> bytes:
    return event("response.output_item.done", output_index=index, item=item)


def text(delta: str, index: int = 0, part: int = 0) -> bytes:
    return event("response.output_text.delta", output_index=index, content_index=part, delta=delta, obfuscation="x")


def thought(delta: str, index: int = 0, part: int = 0) -> bytes:
    return event("response.reasoning_summary_text.delta", output_index=index, summary_index=part, delta=delta)


def arguments(delta: str, index: int = 0) -> bytes:
    return event("response.function_call_arguments.delta", output_index=index, delta=delta)


def message(*texts: str, **fields: Any) -> Json:
    return {"type": "message", "content": [{"type": "output_text", "text": each, **fields} for each in texts]}


def call(written: str = "", **fields: Any) -> Json:
    return {"type": "function_call", "call_id": "c1", "name": "f", "arguments": written, **fields}


def completed(**response: Any) -> bytes:
    return event("response.completed", response={"output": [], **response})


PNG = b"\x89PNG\r\n\x1a\nrest"
CUT = {"reason": "max_output_tokens"}
STOP = Finish("stop", "completed")
CALLED = Finish("tool_calls", "completed")
SEALED = Opaque(WIRE, b"gAAA")
HI: list[Event] = [Start("m"), TextStart(0), TextDelta(0, "Hi"), TextEnd(0)]


@pytest.mark.parametrize("name", FILES)
def test_a_capture_says_what_the_vendors_own_client_read(name: str) -> None:
    response = read((CAPTURES / "vendors" / name).read_bytes())
    [expected] = EXPECTED[name]["openai_python_3.52.0"]["responses"]
    calls = [part for part in response.parts if isinstance(part, ToolCall)]
    usage = response.finish.usage
    assert "".join(part.text for part in response.parts if isinstance(part, FoldedText)) == expected["text"]
    assert [(each.name, each.id, json.loads(each.arguments)) for each in calls] == [
        (item["name"], item["call_id"], item["arguments"]) for item in expected["items"] if "call_id" in item
    ]
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens) == (
        expected["usage"]["input_tokens"],
        expected["usage"]["output_tokens"],
    )
    assert response.finish.raw_reason == expected["status"]


def test_the_capture_of_codex_is_read() -> None:
    response = read(CODEX.read_bytes())
    thinking, said, called = response.parts
    assert thinking == Reasoning("", Opaque(WIRE, b"REDACTED_ENCRYPTED_CONTENT"))
    assert isinstance(said, FoldedText)
    assert said.text.startswith("执行 `whoami`")
    assert said.phase == "commentary"
    assert isinstance(called, ToolCall)
    assert (called.name, called.id) == ("shell_command", "call_CzUkZOKUGBlHR8WaYvUh3vdY")
    assert json.loads(called.arguments)["command"] == "whoami"
    assert response.finish == Finish("tool_calls", "completed", Usage(7908, 79, 7808, 13))


class Case(Struct, frozen=True):
    id: str
    given: bytes
    expected: list[Event]


CASES = [
    Case(
        "text, and usage at its end",
        created()
        + added(type="message")
        + text("H")
        + text("i")
        + done(**message("Hi"))
        + completed(
            usage={
                "input_tokens": 3,
                "input_tokens_details": {"cached_tokens": 2},
                "output_tokens": 1,
                "output_tokens_details": {"reasoning_tokens": 0},
            }
        ),
        [
            Start("m"),
            TextStart(0),
            TextDelta(0, "H"),
            TextDelta(0, "i"),
            TextEnd(0),
            Finish("stop", "completed", Usage(3, 1, 2, 0)),
        ],
    ),
    Case(
        "texts keep their phases",
        created()
        + added(type="message", phase="commentary")
        + text("Let me look.")
        + done(**message("Let me look."), phase="commentary")
        + done(1, **message("So."), phase="final_answer")
        + completed(),
        [
            Start("m"),
            TextStart(0, "commentary"),
            TextDelta(0, "Let me look."),
            TextEnd(0),
            TextStart(1, "final_answer"),
            TextDelta(1, "So."),
            TextEnd(1),
            STOP,
        ],
    ),
    Case(
        "reasoning keeps what the vendor sealed, and its parts are paragraphs",
        created()
        + added(type="reasoning", encrypted_content="early")
        + thought("h")
        + thought("m", part=1)
        + done(type="reasoning", encrypted_content="gAAA", summary=[{"type": "summary_text", "text": "h"}])
        + completed(),
        [
            Start("m"),
            ReasoningStart(0),
            ReasoningDelta(0, "h"),
            ReasoningDelta(0, "\n\nm"),
            ReasoningEnd(0, SEALED),
            STOP,
        ],
    ),
    Case(
        "reasoning that is only sealed is a block without words",
        created() + added(type="reasoning") + done(type="reasoning", encrypted_content="gAAA") + completed(),
        [Start("m"), ReasoningStart(0), ReasoningEnd(0, SEALED), STOP],
    ),
    Case(
        "reasoning of which nothing is told is no block",
        created() + added(type="reasoning") + done(type="reasoning", summary=[]) + completed(),
        [Start("m"), STOP],
    ),
    Case(
        "a vendor that thinks aloud is not heard twice",
        created()
        + event("response.reasoning_text.delta", output_index=0, content_index=0, delta="hm")
        + thought("summary")
        + done(type="reasoning", summary=[{"text": "summary"}])
        + completed(),
        [Start("m"), ReasoningStart(0), ReasoningDelta(0, "hm"), ReasoningEnd(0), STOP],
    ),
    Case(
        "a call arrives piece by piece",
        created() + added(**call()) + arguments('{"a"') + arguments(":1}") + done(**call('{"a":1}')) + completed(),
        [
            Start("m"),
            ToolCallStart(0, "c1", "f"),
            ToolCallDelta(0, '{"a"'),
            ToolCallDelta(0, ":1}"),
            ToolCallEnd(0),
            CALLED,
        ],
    ),
    Case(
        "a call in a namespace has both its names",
        created() + done(**call("{}", namespace="ns")) + completed(),
        [Start("m"), ToolCallStart(0, "c1", "ns.f"), ToolCallDelta(0, "{}"), ToolCallEnd(0), CALLED],
    ),
    Case(
        "a custom tool's input is free text",
        created()
        + added(type="custom_tool_call", call_id="c1", name="sh", input="")
        + event("response.custom_tool_call_input.delta", output_index=0, delta="ls")
        + done(type="custom_tool_call", call_id="c1", name="sh", input="ls")
        + completed(),
        [Start("m"), ToolCallStart(0, "c1", "sh", "custom"), ToolCallDelta(0, "ls"), ToolCallEnd(0), CALLED],
    ),
    Case(
        "items that overlap are put in order",
        created()
        + added(0, **call())
        + added(1, **call(call_id="c2", name="g"))
        + arguments("{", 1)
        + arguments("{}", 0)
        + arguments("}", 1)
        + done(1, **call("{}", call_id="c2", name="g"))
        + done(0, **call("{}"))
        + completed(),
        [
            Start("m"),
            ToolCallStart(0, "c1", "f"),
            ToolCallDelta(0, "{}"),
            ToolCallEnd(0),
            ToolCallStart(1, "c2", "g"),
            ToolCallDelta(1, "{"),
            ToolCallDelta(1, "}"),
            ToolCallEnd(1),
            CALLED,
        ],
    ),
    Case(
        "sources of a text that waits for its turn are kept",
        created()
        + added(0, **call())
        + text("Hi", 1)
        + done(1, **message("Hi", annotations=[{"type": "url_citation", "url": "https://a", "end_index": 2}]))
        + done(0, **call("{}"))
        + completed(),
        [
            Start("m"),
            ToolCallStart(0, "c1", "f"),
            ToolCallDelta(0, "{}"),
            ToolCallEnd(0),
            TextStart(1),
            TextDelta(1, "Hi"),
            TextEnd(1, (Citation("https://a", "https://a", 0, 2),)),
            CALLED,
        ],
    ),
    Case(
        "what the deltas left out is told by the item",
        created() + text("H") + done(**message("Hi", " you")) + completed(),
        [
            Start("m"),
            TextStart(0),
            TextDelta(0, "H"),
            TextDelta(0, "i"),
            TextEnd(0),
            TextStart(1),
            TextDelta(1, " you"),
            TextEnd(1),
            STOP,
        ],
    ),
    Case("items that only the last event tells", created() + completed(output=[message("Hi")]), [*HI, STOP]),
    Case(
        "the last event repeats what came, in any order",
        created() + done(3, **message("Hi")) + completed(output=[message("Hi")]),
        [*HI, STOP],
    ),
    Case(
        "an item that is never said to be done ends with the answer",
        created() + added(type="message") + text("Hi") + completed(),
        [*HI, STOP],
    ),
    Case(
        "a refusal is told as text",
        created()
        + event("response.refusal.delta", output_index=0, content_index=0, delta="Hi")
        + done(type="message", content=[{"type": "refusal", "refusal": "Hi"}])
        + completed(),
        [*HI, STOP],
    ),
    Case(
        "a picture is a block",
        created()
        + added(type="image_generation_call", status="in_progress")
        + done(type="image_generation_call", result=base64.b64encode(PNG).decode(), revised_prompt="a cat")
        + completed(),
        [Start("m"), ImageStart(0), ImageEnd(0, "image/png", PNG, "a cat"), STOP],
    ),
    Case(
        "an answer cut for length",
        created() + text("Hi") + event("response.incomplete", response={"incomplete_details": CUT}),
        [*HI, Finish("length", "max_output_tokens")],
    ),
    Case(
        "an answer cut for its content, by a reason nobody knows",
        created() + event("response.incomplete", response={"incomplete_details": {"reason": "mood"}}),
        [Start("m"), Finish("other", "mood")],
    ),
    Case(
        "limits and metadata are passed over, other items are progress",
        event("codex.rate_limits", rate_limits={"primary": {}}, delta=1)
        + created()
        + event("response.web_search_call.searching", output_index=0)
        + done(0, type="web_search_call", status="completed")
        + done(1, **message("Hi"))
        + completed(),
        [
            Start("m"),
            Progress("vendor did what has no place in an answer here: web_search_call"),
            TextStart(0),
            TextDelta(0, "Hi"),
            TextEnd(0),
            STOP,
        ],
    ),
    Case(
        "events without names are told by their type",
        b"".join(
            b"data: " + json.dumps(each).encode() + b"\n\n"
            for each in (
                {"type": "response.created", "response": {"model": "m"}},
                {"type": "response.output_text.delta", "delta": "Hi"},
                {"type": "response.completed", "response": {}},
            )
        )
        + b"data: [DONE]\n\n",
        [*HI, STOP],
    ),
    Case("nothing counts after the end", created() + completed() + text("x") + b"data: {\n\n", [Start("m"), STOP]),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_stream_becomes_these_events(case: Case) -> None:
    assert decode([case.given]) == case.expected


def test_what_the_upstream_said_in_its_headers_comes_with_the_start() -> None:
    reader = decoder(ignored=("stop",), notes=(("codex-plan-type", "plus"),))
    assert reader.feed(created() + completed())[0] == Start("m", ("stop",), notes=(("codex-plan-type", "plus"),))


class Failing(Struct, frozen=True):
    id: str
    given: bytes
    error: type[GatewayError]
    says: str


FAILING = [
    Failing("cut before its end", created() + text("Hi"), UpstreamUnavailable, "cut its stream off"),
    Failing("nothing at all", b"", UpstreamUnavailable, "cut its stream off"),
    Failing("only [DONE]", b"data: [DONE]\n\n", UpstreamUnavailable, "cut its stream off"),
    Failing(
        "an error event with an object",
        created() + event("error", error={"code": "rate_limit_exceeded", "message": "slow"}),
        RateLimited,
        "slow",
    ),
    Failing(
        "an error event that is flat", event("error", code="rate_limit_exceeded", message="slow"), RateLimited, "slow"
    ),
    Failing("an error event that says nothing", event("error"), UpstreamUnavailable, "without saying which"),
    Failing(
        "a failed response",
        created() + event("response.failed", response={"error": {"code": "server_error", "message": "busy"}}),
        UpstreamUnavailable,
        "busy",
    ),
    Failing(
        "a failed response without a reason", event("response.failed"), UpstreamUnavailable, "without saying which"
    ),
    Failing(
        "a completed response with an error",
        completed(error={"code": "server_error", "message": "busy"}),
        UpstreamUnavailable,
        "busy",
    ),
    Failing("no JSON", b"event: response.created\ndata: {\n\n", ProtocolViolation, "it is not JSON"),
    Failing("a field of the wrong type", event("response.created", response=1), ProtocolViolation, "wrong type"),
    Failing("a name that is no text", b"event: \xff\ndata: {}\n\n", ProtocolViolation, "cannot be read"),
    Failing("a call without a name", created() + added(**call(name="")), ProtocolViolation, "without a name"),
    Failing("arguments of no call", created() + arguments("{}"), ProtocolViolation, "had not begun"),
    Failing("arguments of a message", created() + text("x") + arguments("{}"), ProtocolViolation, "had not begun"),
    Failing(
        "a picture that is no data", done(type="image_generation_call", result="!"), ProtocolViolation, "not base64"
    ),
]


@pytest.mark.parametrize("case", FAILING, ids=lambda case: case.id)
def test_a_stream_that_fails_says_so(case: Failing) -> None:
    with pytest.raises(case.error, match=case.says):
        decode([case.given])


def test_nothing_is_said_before_the_first_item() -> None:
    """So a refusal inside of the stream can still be told with a status of its own (section 10.3)."""
    reader = decoder()
    assert reader.feed(created() + event("response.in_progress")) == []
    with pytest.raises(RateLimited):
        reader.feed(event("error", code="rate_limit_exceeded", message="slow"))


def test_what_came_before_a_failure_is_given_first() -> None:
    reader = decoder()
    assert reader.feed(created() + text("Hi") + b"event: error\ndata: {\n\n") == HI[:-1]
    with pytest.raises(ProtocolViolation):
        reader.feed(b"")
    with pytest.raises(ProtocolViolation):
        reader.close()


FRAMES = [
    frame + b"\n\n" for case in CASES for frame in case.given.split(b"\n\n") if frame and b".completed" not in frame
]


@given(st.lists(st.sampled_from(FRAMES), max_size=12))
def test_events_in_any_order_give_a_sentence_or_one_of_our_errors(frames: list[bytes]) -> None:
    try:
        events = decode([*frames, completed()])
    except UpstreamError:
        return
    check(events)


@given(sentences())
def test_what_our_own_encoder_writes_is_read_back(sentence: list[Event]) -> None:
    """All but what this format cannot say: empty blocks, previews, estimates, and what other vendors sealed."""
    encoder: Encoder = OPENAI_RESPONSES.encoder(of_tools(sentence))
    events = decode([encoder.encode(sentence)])
    check(events)
    written, read_back = fold(sentence), fold(events)
    assert spelt(read_back) == spelt(written)


def of_tools(sentence: list[Event]) -> Exchange:
    """Return an exchange that offers the tools that are called, so that dots in their names are no namespaces."""
    starts = [each for each in sentence if isinstance(each, ToolCallStart)]
    tools = tuple(Tool(start.name, start.kind) for start in starts)
    return structs.replace(exchanges.exchange(tools=tools), dialect=OPENAI_RESPONSES)


def spelt(response: Response) -> list[object]:
    """Return what an answer says, without what is empty."""
    parts: list[object] = []
    for part in response.parts:
        match part:
            case FoldedText(text, _) | Reasoning(text, _) if text:
                parts.append((type(part), text))
            case ToolCall():
                parts.append(part)
            case _:
                pass
    return parts
