"""Canonical events to Anthropic's events and to its message object: what clients cannot do without (clients, 1.4)."""

import json
from typing import Any

import pytest
from hypothesis import given
from msgspec import Raw, Struct, structs

from core.contracts import Exchange
from core.errors import (
    BodyTooLarge,
    Forbidden,
    GatewayError,
    InvalidRequest,
    NotFound,
    RateLimited,
    Unauthenticated,
    UpstreamDenied,
    UpstreamTimeout,
    UpstreamUnavailable,
)
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
from core.wire.anthropic import ANTHROPIC_MESSAGES
from core.wire.anthropic.opaque import sealed
from core.wire.anthropic.thinking import OMITTED, THINKING
from tests.core.exchanges import exchange
from tests.strategies import sentences

Json = dict[str, Any]


def asking(*echo: str) -> Exchange:
    """Return an exchange of a client that wants to see thinking, unless `echo` says what it wants."""
    wanted = dict.fromkeys(echo or (THINKING,), Raw(b"true"))
    return structs.replace(exchange(echo=wanted), dialect=ANTHROPIC_MESSAGES)


def frames(data: bytes) -> list[Json]:
    """Return the events, having checked that each is named twice and by one name."""
    found = []
    for block in data.decode().split("\n\n")[:-1]:
        name, body = block.split("\n")
        event = json.loads(body.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        found.append(event)
    return found


def encode(events: list[Event]) -> list[Json]:
    return frames(ANTHROPIC_MESSAGES.encoder(asking()).encode(events))


def blocks(events: list[Event]) -> list[Json]:
    """Return what stands between the beginning and the end of a message."""
    return encode([Start(), *events, Finish("stop")])[1:-2]


def whole(events: list[Event], reason: FinishReason = "stop") -> Json:
    told: Json = json.loads(ANTHROPIC_MESSAGES.render_response(asking(), fold([Start(), *events, Finish(reason)])))
    return told


def begun(index: int, **block: Any) -> Json:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, kind: str, **fields: Any) -> Json:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **fields}}


def ended(index: int) -> Json:
    return {"type": "content_block_stop", "index": index}


def test_a_stream_from_its_beginning_to_its_end() -> None:
    usage = Usage(10, 4, 3, 1)
    events = encode(
        [Start("m"), Progress("x"), TextStart(0), TextDelta(0, "Hi"), TextEnd(0), Finish("stop", None, usage)]
    )
    assert events == [
        {
            "type": "message_start",
            "message": {
                "id": "msg_abc123",
                "type": "message",
                "role": "assistant",
                "model": "gpt-x",
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": {"input_tokens": 0, "output_tokens": 0},
            },
        },
        begun(0, type="text", text=""),
        delta(0, "text_delta", text="Hi"),
        ended(0),
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {
                "input_tokens": 7,
                "output_tokens": 4,
                "cache_read_input_tokens": 3,
                "output_tokens_details": {"thinking_tokens": 1},
            },
        },
        {"type": "message_stop"},
    ]


class Case(Struct, frozen=True):
    """`streamed` are the events of the blocks, `content` is that of the whole message."""

    id: str
    events: list[Event]
    streamed: list[Json]
    content: list[Json]


CASES = [
    Case(
        "thoughts and their signature",
        [ReasoningStart(0), ReasoningDelta(0, "hm"), ReasoningEnd(0, sealed(signature="sig"))],
        [
            begun(0, type="thinking", thinking="", signature=""),
            delta(0, "thinking_delta", thinking="hm"),
            delta(0, "signature_delta", signature="sig"),
            ended(0),
        ],
        [{"type": "thinking", "thinking": "hm", "signature": "sig"}],
    ),
    Case(
        "thoughts of another vendor have no signature",
        [ReasoningStart(0), ReasoningDelta(0, "hm"), ReasoningEnd(0)],
        [
            begun(0, type="thinking", thinking="", signature=""),
            delta(0, "thinking_delta", thinking="hm"),
            ended(0),
        ],
        [{"type": "thinking", "thinking": "hm", "signature": ""}],
    ),
    Case(
        "thoughts of which there is only the signature",
        [ReasoningStart(0), ReasoningEnd(0, sealed(signature="sig"))],
        [
            begun(0, type="thinking", thinking="", signature=""),
            delta(0, "signature_delta", signature="sig"),
            ended(0),
        ],
        [{"type": "thinking", "thinking": "", "signature": "sig"}],
    ),
    Case(
        "hidden thoughts",
        [ReasoningStart(0), ReasoningEnd(0, sealed(data="xyz"))],
        [begun(0, type="redacted_thinking", data="xyz"), ended(0)],
        [{"type": "redacted_thinking", "data": "xyz"}],
    ),
    Case(
        "empty blocks are left out, and those after them count from 0",
        [ReasoningStart(0), ReasoningEnd(0), TextStart(1), TextEnd(1), TextStart(2), TextDelta(2, "a"), TextEnd(2)],
        [begun(0, type="text", text=""), delta(0, "text_delta", text="a"), ended(0)],
        [{"type": "text", "text": "a"}],
    ),
    Case(
        "a call",
        [ToolCallStart(0, "toolu_1", "get"), ToolCallDelta(0, '{"a":'), ToolCallDelta(0, " 1}"), ToolCallEnd(0)],
        [
            begun(0, type="tool_use", id="toolu_1", name="get", input={}),
            delta(0, "input_json_delta", partial_json='{"a":'),
            delta(0, "input_json_delta", partial_json=" 1}"),
            ended(0),
        ],
        [{"type": "tool_use", "id": "toolu_1", "name": "get", "input": {"a": 1}}],
    ),
    Case(
        "a call without arguments",
        [ToolCallStart(0, "c", "get"), ToolCallEnd(0)],
        [begun(0, type="tool_use", id="c", name="get", input={}), ended(0)],
        [{"type": "tool_use", "id": "c", "name": "get", "input": {}}],
    ),
    Case(
        "free text is the one member of an object",
        [ToolCallStart(0, "c", "sh", "custom"), ToolCallDelta(0, 'ls "a"\n'), ToolCallEnd(0)],
        [
            begun(0, type="tool_use", id="c", name="sh", input={}),
            delta(0, "input_json_delta", partial_json='{"input":"'),
            delta(0, "input_json_delta", partial_json='ls \\"a\\"\\n'),
            delta(0, "input_json_delta", partial_json='"}'),
            ended(0),
        ],
        [{"type": "tool_use", "id": "c", "name": "sh", "input": {"input": 'ls "a"\n'}}],
    ),
    Case(
        "a source stands behind its text",
        [TextStart(0), TextDelta(0, "Hi"), TextEnd(0, (Citation("https://a.example", "A", 0, 2),))],
        [
            begun(0, type="text", text=""),
            delta(0, "text_delta", text="Hi"),
            delta(
                0,
                "citations_delta",
                citation={
                    "type": "web_search_result_location",
                    "url": "https://a.example",
                    "title": "A",
                    "cited_text": "",
                    "encrypted_index": "",
                },
            ),
            ended(0),
        ],
        [
            {
                "type": "text",
                "text": "Hi",
                "citations": [
                    {
                        "type": "web_search_result_location",
                        "url": "https://a.example",
                        "title": "A",
                        "cited_text": "",
                        "encrypted_index": "",
                    }
                ],
            }
        ],
    ),
    Case(
        "a picture is text",
        [ImageStart(0), ImageEnd(0, "image/png", b"x")],
        [begun(0, type="text", text=""), delta(0, "text_delta", text="![image](data:image/png;base64,eA==)"), ended(0)],
        [{"type": "text", "text": "![image](data:image/png;base64,eA==)"}],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_blocks_are_written_so(case: Case) -> None:
    assert blocks(case.events) == case.streamed
    assert whole(case.events)["content"] == case.content


BROKEN: list[Event] = [ToolCallStart(0, "c", "get"), ToolCallDelta(0, '{"a": '), ToolCallEnd(0)]


def test_arguments_that_are_no_object_stand_in_one() -> None:
    """A message object must be JSON, whatever the model wrote."""
    assert whole(BROKEN)["content"][0]["input"] == {"input": '{"a": '}


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_a_call_that_the_end_broke_off_has_no_input(reason: FinishReason) -> None:
    [block] = whole(BROKEN, reason)["content"]
    assert (block["name"], block["input"]) == ("get", {})


def test_free_text_that_the_end_broke_off_is_told_as_far_as_it_came() -> None:
    free: list[Event] = [ToolCallStart(0, "c", "sh", "custom"), ToolCallDelta(0, "ls "), ToolCallEnd(0)]
    assert whole(free, "length")["content"][0]["input"] == {"input": "ls "}


class Shown(Struct, frozen=True):
    """What of two blocks of thinking, one signed and one hidden, is shown before a text."""

    id: str
    echo: tuple[str, ...]
    content: list[Json]


HIDDEN = {"type": "redacted_thinking", "data": "xyz"}
SHOWN = [
    Shown("to those who did not ask", ("another",), []),
    Shown("to those who asked", (THINKING,), [{"type": "thinking", "thinking": "hm", "signature": "sig"}, HIDDEN]),
    Shown(
        "to those who want its seals alone",
        (THINKING, OMITTED),
        [{"type": "thinking", "thinking": "", "signature": "sig"}, HIDDEN],
    ),
]


@pytest.mark.parametrize("case", SHOWN, ids=lambda case: case.id)
def test_thinking_is_shown(case: Shown) -> None:
    sentence: list[Event] = [
        *(Start(), ReasoningStart(0), ReasoningDelta(0, "hm"), ReasoningEnd(0, sealed(signature="sig"))),
        *(ReasoningStart(1), ReasoningEnd(1, sealed(data="xyz"))),
        *(ReasoningStart(2), ReasoningDelta(2, "unsigned") if OMITTED in case.echo else Progress("x"), ReasoningEnd(2)),
        *(TextStart(3), TextDelta(3, "Hi"), TextEnd(3), Finish("stop")),
    ]
    expected = [*case.content, {"type": "text", "text": "Hi"}]
    asked = asking(*case.echo)
    assert json.loads(ANTHROPIC_MESSAGES.render_response(asked, fold(sentence)))["content"] == expected
    told = accumulated(frames(ANTHROPIC_MESSAGES.encoder(asked).encode(sentence)))
    assert [{name: value for name, value in block.items() if name != "citations"} for block in told] == expected


class Ending(Struct, frozen=True):
    id: str
    finish: Finish
    reason: str
    stop_sequence: str | None = None


ENDINGS = [
    Ending("an ordinary end", Finish("stop", "stop"), "end_turn"),
    Ending("a limit", Finish("length", "max_output_tokens"), "max_tokens"),
    Ending("calls", Finish("tool_calls"), "tool_use"),
    Ending("a filter", Finish("content_filter"), "refusal"),
    Ending("anything else", Finish("other", "mood"), "end_turn"),
    Ending("a stop sequence", Finish("stop", "stop_sequence", stop_sequence="END"), "stop_sequence", "END"),
    Ending("a stop sequence that nobody named", Finish("stop", "stop_sequence"), "stop_sequence"),
    Ending("a stop sequence behind a call", Finish("tool_calls", "stop_sequence", stop_sequence="END"), "tool_use"),
    Ending("a pause of Anthropic's own tools", Finish("other", "pause_turn"), "pause_turn"),
    Ending("a full context", Finish("length", "model_context_window_exceeded"), "model_context_window_exceeded"),
    Ending("a word that does not fit its meaning", Finish("length", "pause_turn"), "max_tokens"),
]


@pytest.mark.parametrize("case", ENDINGS, ids=lambda case: case.id)
def test_why_it_ended(case: Ending) -> None:
    expected = {"stop_reason": case.reason, "stop_sequence": case.stop_sequence}
    assert encode([Start(), case.finish])[-2]["delta"] == expected
    told = json.loads(ANTHROPIC_MESSAGES.render_response(asking(), fold([Start(), case.finish])))
    assert {name: told[name] for name in expected} == expected


def test_an_estimate_says_that_it_is_one() -> None:
    events = encode([Start(), Finish("stop", None, Usage(1, 2, estimated=True))])
    assert events[-2]["usage"] == {"input_tokens": 1, "output_tokens": 2, "estimated": True}


def test_a_failure_closes_the_open_block_and_is_the_last_word() -> None:
    encoder = ANTHROPIC_MESSAGES.encoder(asking())
    encoder.encode([Start(), TextStart(0), TextDelta(0, "Hi")])
    error = UpstreamUnavailable("it is gone")
    told = {"type": "error", "error": {"type": "overloaded_error", "message": "it is gone"}}
    assert frames(encoder.fail(error)) == [ended(0), told]
    assert frames(ANTHROPIC_MESSAGES.fail_relayed(asking(), error)) == [told]


def test_a_heartbeat_is_a_ping() -> None:
    assert frames(ANTHROPIC_MESSAGES.encoder(asking()).beat()) == [{"type": "ping"}]


class Error(Struct, frozen=True):
    error: GatewayError
    kind: str


ERRORS = [
    Error(InvalidRequest("x"), "invalid_request_error"),
    Error(Unauthenticated("x"), "authentication_error"),
    Error(Forbidden("x"), "permission_error"),
    Error(NotFound("x"), "not_found_error"),
    Error(BodyTooLarge("x"), "request_too_large"),
    Error(RateLimited("x"), "rate_limit_error"),
    Error(UpstreamDenied("x"), "api_error"),
    Error(UpstreamUnavailable("x"), "overloaded_error"),
    Error(UpstreamTimeout("x"), "timeout_error"),
    Error(GatewayError("x"), "api_error"),
]


@pytest.mark.parametrize("case", ERRORS, ids=lambda case: type(case.error).__name__)
def test_an_error_has_anthropics_shape(case: Error) -> None:
    body = json.loads(ANTHROPIC_MESSAGES.render_error(case.error))
    assert body == {"type": "error", "error": {"type": case.kind, "message": "x"}}


def test_an_error_names_its_field_even_where_its_words_do_not() -> None:
    body = json.loads(ANTHROPIC_MESSAGES.render_error(InvalidRequest("it is too long", param="system")))
    assert body["error"]["message"] == "system: it is too long"


@given(sentences())
def test_every_block_is_opened_filled_and_closed_in_order(sentence: list[Event]) -> None:
    events = encode(sentence)
    opened = [event for event in events if event["type"] == "content_block_start"]
    assert [event["index"] for event in opened] == list(range(len(opened)))
    is_open = None
    for event in events[1:-2]:
        if event["type"] == "content_block_start":
            assert is_open is None
            is_open = event["index"]
        assert event["index"] == is_open
        if event["type"] == "content_block_stop":
            is_open = None
    assert is_open is None
    assert [events[0]["type"], events[-1]["type"]] == ["message_start", "message_stop"]


@given(sentences())
def test_a_stream_says_what_the_whole_message_says(sentence: list[Event]) -> None:
    told = json.loads(ANTHROPIC_MESSAGES.render_response(asking(), fold(sentence)))
    assert accumulated(encode(sentence)) == [
        {**block, "citations": block.get("citations", [])} for block in told["content"]
    ]


def accumulated(events: list[Json]) -> list[Json]:
    """Return the content that a client makes of a stream."""
    content: list[Json] = []
    pieces: list[str] = []
    for event in events:
        match event:
            case {"type": "content_block_start"}:
                content.append({**event["content_block"], "citations": []})
                pieces.clear()
            case {"delta": {"type": "text_delta", "text": text}}:
                content[-1]["text"] += text
            case {"delta": {"type": "thinking_delta", "thinking": text}}:
                content[-1]["thinking"] += text
            case {"delta": {"type": "signature_delta", "signature": signature}}:
                content[-1]["signature"] = signature
            case {"delta": {"type": "citations_delta", "citation": citation}}:
                content[-1]["citations"].append(citation)
            case {"delta": {"type": "input_json_delta", "partial_json": text}}:
                pieces.append(text)
            case {"type": "content_block_stop"} if pieces:
                content[-1]["input"] = json.loads("".join(pieces))
    return content
