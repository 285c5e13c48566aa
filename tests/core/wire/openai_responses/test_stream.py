"""Events to the Responses sequence: tables of frames, and the published shapes and the SDK as judges of the rest."""

import json
from collections.abc import AsyncGenerator, Sequence
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw, Struct, structs
from openai import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from core.contracts import Exchange, Target, Upstream
from core.errors import ChallengeRequired, GatewayError, InvalidRequest, RateLimited, UpstreamTimeout
from core.events import (
    Citation,
    Event,
    Finish,
    ImageDelta,
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
from core.request import Opaque, Tool, Turn
from core.signing import Signer
from core.sse import COMMENT_FRAME
from core.transport import Transport
from core.wire.openai_responses import OPENAI_COMPACTION, OPENAI_RESPONSES
from core.wire.openai_responses.compaction import unpack
from core.wire.openai_responses.requests import COMPACTS, KEPT_ITEM, WIRE
from core.wire.openai_responses.stream import ResponsesEncoder
from tests.core import exchanges
from tests.core.wire.openai_responses.schemas import check_event, check_events, check_response
from tests.media_samples import as_base64, png
from tests.strategies import Kind, pieces, sentences

Json = dict[str, Any]

KINDS: tuple[Kind, ...] = ("text", "reasoning", "tool_call", "image")
SIGNER = Signer(b"a key of these tests")
SDK_EVENT: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)
FAILURE = UpstreamTimeout("it took too long")


def exchange(**fields: Any) -> Exchange:
    made = exchanges.exchange(stream=True, **{"store": False} | fields)
    return structs.replace(made, dialect=OPENAI_RESPONSES, signer=SIGNER)


PLAIN = exchange()


def events_of(data: bytes) -> list[Json]:
    """Return the events of a stream; each frame must have its name twice and one line of JSON."""
    events = []
    for block in data.decode().removesuffix("\n\n").split("\n\n"):
        if block.startswith(":"):
            continue
        name, line = block.split("\n")
        event = json.loads(line.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        events.append(event)
    return events


def encoded(sentence: Sequence[Event], of: Exchange = PLAIN) -> list[Json]:
    return events_of(ResponsesEncoder(of).encode(sentence))


def rendered(sentence: Sequence[Event], of: Exchange = PLAIN) -> Json:
    body: Json = json.loads(OPENAI_RESPONSES.render_response(of, fold(sentence)))
    return body


class Case(Struct, frozen=True):
    """Blocks, the kinds of event they become, and the items that stand at the end."""

    id: str
    blocks: list[Event]
    kinds: list[str]
    items: list[Json]
    reason: Any = "stop"


def ids(prefix: str, index: int) -> str:
    return f"{prefix}_abc123{index:02x}"


def message_item(index: int, text: str, annotations: Sequence[Json] = ()) -> Json:
    part = {"type": "output_text", "text": text, "annotations": list(annotations), "logprobs": []}
    return {"type": "message", "id": ids("msg", index), "role": "assistant", "status": "completed", "content": [part]}


TEXT_KINDS = ["output_item.added", "content_part.added", "output_text.delta", "output_text.done"]
TEXT_KINDS += ["content_part.done", "output_item.done"]
SOURCE = Citation("https://example.com/a", "A", 0, 2)
ANNOTATION = {"type": "url_citation", "start_index": 0, "end_index": 2, "url": SOURCE.url, "title": "A"}
CASES = [
    Case("no blocks at all", [], [], []),
    Case(
        "a text",
        [TextStart(0), TextDelta(0, "Hi"), TextEnd(0)],
        TEXT_KINDS,
        [message_item(0, "Hi")],
    ),
    Case(
        "a text on the way to an answer",
        [TextStart(0, "commentary"), TextDelta(0, "Hi"), TextEnd(0)],
        TEXT_KINDS,
        [{**message_item(0, "Hi"), "phase": "commentary"}],
    ),
    Case(
        "a text with a source",
        [TextStart(0), TextDelta(0, "Hi"), TextEnd(0, (SOURCE,))],
        [*TEXT_KINDS[:3], "output_text.annotation.added", *TEXT_KINDS[3:]],
        [message_item(0, "Hi", [ANNOTATION])],
    ),
    Case(
        "reasoning that its vendor sealed",
        [ReasoningStart(0), ReasoningDelta(0, "Hm"), ReasoningEnd(0, Opaque(WIRE, b"gAAA"))],
        [
            "output_item.added",
            "reasoning_summary_part.added",
            "reasoning_summary_text.delta",
            "reasoning_summary_text.done",
            "reasoning_summary_part.done",
            "output_item.done",
        ],
        [
            {
                "type": "reasoning",
                "id": ids("rs", 0),
                "summary": [{"type": "summary_text", "text": "Hm"}],
                "encrypted_content": "gAAA",
            }
        ],
    ),
    Case(
        "reasoning that is only sealed has no summary",
        [ReasoningStart(0), ReasoningEnd(0, Opaque(WIRE, b"gAAA"))],
        ["output_item.added", "output_item.done"],
        [{"type": "reasoning", "id": ids("rs", 0), "summary": [], "encrypted_content": "gAAA"}],
    ),
    Case(
        "what another vendor sealed stays here",
        [ReasoningStart(0), ReasoningEnd(0, Opaque("anthropic", b"sig"))],
        ["output_item.added", "output_item.done"],
        [{"type": "reasoning", "id": ids("rs", 0), "summary": []}],
    ),
    Case(
        "reasoning, then a text",
        [ReasoningStart(0), ReasoningDelta(0, "Hm"), ReasoningEnd(0), TextStart(1), TextDelta(1, "Hi"), TextEnd(1)],
        [
            "output_item.added",
            "reasoning_summary_part.added",
            "reasoning_summary_text.delta",
            "reasoning_summary_text.done",
            "reasoning_summary_part.done",
            "output_item.done",
            *TEXT_KINDS,
        ],
        [
            {"type": "reasoning", "id": ids("rs", 0), "summary": [{"type": "summary_text", "text": "Hm"}]},
            message_item(1, "Hi"),
        ],
    ),
    Case(
        "a function call",
        [ToolCallStart(0, "call_1", "look"), ToolCallDelta(0, '{"a":'), ToolCallDelta(0, "1}"), ToolCallEnd(0)],
        [
            "output_item.added",
            "function_call_arguments.delta",
            "function_call_arguments.delta",
            "function_call_arguments.done",
            "output_item.done",
        ],
        [
            {
                "type": "function_call",
                "id": ids("fc", 0),
                "call_id": "call_1",
                "name": "look",
                "status": "completed",
                "arguments": '{"a":1}',
            }
        ],
        reason="tool_calls",
    ),
    Case(
        "a custom call in a namespace",
        [ToolCallStart(0, "call_1", "functions.exec", "custom"), ToolCallDelta(0, "text(1)"), ToolCallEnd(0)],
        [
            "output_item.added",
            "custom_tool_call_input.delta",
            "custom_tool_call_input.done",
            "output_item.done",
        ],
        [
            {
                "type": "custom_tool_call",
                "id": ids("ctc", 0),
                "call_id": "call_1",
                "name": "exec",
                "namespace": "functions",
                "status": "completed",
                "input": "text(1)",
            }
        ],
        reason="tool_calls",
    ),
    Case(
        "a picture with a preview",
        [
            ImageStart(0),
            ImageDelta(0, png(1, 1)),
            ImageEnd(0, "image/png", png(2, 3), "A grey heron"),
        ],
        [
            "output_item.added",
            "image_generation_call.in_progress",
            "image_generation_call.generating",
            "image_generation_call.partial_image",
            "image_generation_call.completed",
            "output_item.done",
        ],
        [
            {
                "type": "image_generation_call",
                "id": ids("ig", 0),
                "status": "completed",
                "result": as_base64(png(2, 3)),
                "revised_prompt": "A grey heron",
                "output_format": "png",
                "size": "2x3",
            }
        ],
    ),
    Case("progress is not told", [Progress("searching")], [], []),
]
TOOLED = exchange(tools=(Tool("look"), Tool("functions.exec", "custom", grammar="start: /.+/", namespace="functions")))


def test_a_preview_says_what_is_true_of_it() -> None:
    previews = [ImageDelta(0, png(1, 1)), ImageDelta(0, b"?")]
    events = encoded([Start(), ImageStart(0), *previews, ImageEnd(0, "image/png", b"!"), Finish("stop")])
    first, second = (event for event in events if event["type"].endswith("partial_image"))
    known = {"partial_image_b64": as_base64(png(1, 1)), "output_format": "png", "size": "1x1"}
    assert first == {**_placed(first), "partial_image_index": 0, **known}
    assert second == {**_placed(second), "partial_image_index": 1, "partial_image_b64": "Pw=="}


def _placed(event: Json) -> Json:
    return {name: event[name] for name in ("type", "sequence_number", "item_id", "output_index")}


def test_a_picture_that_failed_is_told_as_failed() -> None:
    encoder = ResponsesEncoder(PLAIN)
    events = events_of(encoder.encode([Start(), ImageStart(0)]) + encoder.fail(FAILURE))
    check_events(events)
    assert events[-1]["response"]["output"] == [
        {"type": "image_generation_call", "id": ids("ig", 0), "status": "failed"}
    ]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_sequence(case: Case) -> None:
    sentence = [Start(), *case.blocks, Finish(case.reason)]
    events = encoded(sentence, TOOLED)
    check_events(events)
    kinds = [event["type"].removeprefix("response.") for event in events]
    assert kinds == ["created", "in_progress", *case.kinds, "completed"]
    assert events[-1]["response"]["output"] == case.items
    assert events[0]["response"]["output"] == []


class End(Struct, frozen=True):
    reason: Any
    status: str
    details: Json | None


ENDS = [
    End("stop", "completed", None),
    End("tool_calls", "completed", None),
    End("other", "completed", None),
    End("length", "incomplete", {"reason": "max_output_tokens"}),
    End("content_filter", "incomplete", {"reason": "content_filter"}),
]


@pytest.mark.parametrize("case", ENDS, ids=lambda case: case.reason)
def test_an_end(case: End) -> None:
    event = encoded([Start(), Finish(case.reason)])[-1]
    assert event["type"] == f"response.{case.status}"
    assert (event["response"]["status"], event["response"]["incomplete_details"]) == (case.status, case.details)


class Cut(Struct, frozen=True):
    """Two blocks, and the status of their items when the answer was cut within the second."""

    id: str
    blocks: list[Event]
    statuses: list[str | None]


SAYS: list[Event] = [TextStart(0), TextDelta(0, "Let me"), TextEnd(0)]
CUTS = [
    Cut("within a text", [TextStart(1), TextDelta(1, "Hi"), TextEnd(1)], ["completed", "incomplete"]),
    Cut(
        "within a call",
        [ToolCallStart(1, "c", "look"), ToolCallDelta(1, '{"a": '), ToolCallEnd(1)],
        ["completed", "incomplete"],
    ),
    Cut(
        "within a custom call",
        [ToolCallStart(1, "c", "patch", "custom"), ToolCallDelta(1, "+ a"), ToolCallEnd(1)],
        ["completed", "incomplete"],
    ),
    Cut(
        "within a thought, which has no status",
        [ReasoningStart(1), ReasoningDelta(1, "Hm"), ReasoningEnd(1)],
        ["completed", None],
    ),
    Cut(
        "within a text, of which the upstream went on to say nothing",
        [TextStart(1), TextDelta(1, "Hi"), TextEnd(1), Progress("busy")],
        ["completed", "incomplete"],
    ),
]


@pytest.mark.parametrize("reason", ["length", "content_filter"])
@pytest.mark.parametrize("case", CUTS, ids=lambda case: case.id)
def test_the_item_in_which_an_answer_was_cut_is_incomplete(case: Cut, reason: Any) -> None:
    events = encoded([Start(), *SAYS, *case.blocks, Finish(reason)], TOOLED)
    check_events(events)
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert [item.get("status") for item in done] == case.statuses
    assert events[-1]["response"]["output"] == done


def test_the_end_of_an_item_is_told_with_the_next_event() -> None:
    encoder = ResponsesEncoder(PLAIN)
    told = [events_of(encoder.encode(piece)) for piece in ([Start(), *SAYS], [ToolCallStart(1, "c", "look")])]
    kinds = [[event["type"].removeprefix("response.") for event in piece] for piece in told]
    assert kinds[0][-2:] == ["output_text.done", "content_part.done"]
    assert kinds[1] == ["output_item.done", "output_item.added"]


def test_usage_has_both_details_and_says_what_was_estimated() -> None:
    usage = encoded([Start(), Finish("stop", usage=Usage(10, 5, 4, 3, estimated=True))])[-1]["response"]["usage"]
    assert usage == {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 15,
        "estimated": True,
    }


def test_tools_are_repeated_as_sent_and_functions_in_full() -> None:
    sent: list[Json] = [
        {"type": "function", "name": "look", "parameters": {"type": "object"}},
        {"type": "custom", "name": "say", "format": {"type": "grammar", "syntax": "regex", "definition": ".+"}},
        {"type": "namespace", "name": "files", "tools": [{"type": "function", "name": "open"}]},
    ]
    repeated = encoded([Start(), Finish("stop")], exchange(echo={"tools": Raw(json.dumps(sent).encode())}))
    tools = repeated[0]["response"]["tools"]
    assert tools == [{**sent[0], "description": None, "strict": False}, *sent[1:]]


def test_the_requests_own_words_are_repeated() -> None:
    echo = {"metadata": Raw(b'{"a": "b"}'), "instructions": Raw(b'"Be brief."'), "temperature": Raw(b"null")}
    response = encoded([Start(), Finish("stop")], exchange(echo=echo))[-1]["response"]
    assert response["metadata"] == {"a": "b"}
    assert response["instructions"] == "Be brief."
    assert response["temperature"] == 1.0


def test_a_kept_turn_has_an_id_that_leads_to_it() -> None:
    turn = Turn("11111111-2222-4333-8444-555555555555", None, "digest", kept=True)
    response = encoded([Start(turn=turn), Finish("stop")])[0]["response"]
    assert response["store"] is True
    assert SIGNER.read_turn("resp", response["id"], PLAIN.principal, PLAIN.created).turn == turn


def test_the_items_of_a_kept_turn_lead_to_it_too() -> None:
    turn = Turn("11111111-2222-4333-8444-555555555555", None, "digest", kept=True)
    sentence: list[Event] = [Start(turn=turn), TextStart(0), TextDelta(0, "Hi"), TextEnd(0), Finish("stop")]
    response = encoded(sentence)[-1]["response"]
    named = KEPT_ITEM.fullmatch(response["output"][0]["id"])
    assert named is not None
    assert f"resp_{named['token']}" == response["id"]
    assert rendered(sentence)["output"] == response["output"]


def test_a_temporary_turns_id_names_nothing_upstream() -> None:
    response = encoded([Start(turn=Turn("conversation", None, "digest")), Finish("stop")])[0]["response"]
    assert response["store"] is False
    named = SIGNER.read_turn("resp", response["id"], PLAIN.principal, PLAIN.created).turn
    assert named == Turn(PLAIN.id)


@given(st.data())
def test_any_sentence_in_any_pieces_is_a_legal_stream(data: st.DataObject) -> None:
    sentence = data.draw(sentences(KINDS))
    encoder = ResponsesEncoder(PLAIN)
    events = events_of(b"".join(encoder.encode(piece) for piece in data.draw(pieces(sentence))))
    check_events(events)
    assert events == encoded(sentence)


@given(sentences(KINDS))
def test_stream_and_fold_agree(sentence: list[Event]) -> None:
    whole = rendered(sentence)
    check_response(whole)
    assert _without_id(encoded(sentence)[-1]["response"]) == _without_id(whole)


@given(sentences(KINDS))
def test_the_sdk_accumulates_the_whole_answer(sentence: list[Event]) -> None:
    state: ResponseStreamState[None] = ResponseStreamState(input_tools=omit, text_format=omit)
    events = encoded(sentence)
    for event in events:
        state.handle_event(SDK_EVENT.validate_python(event))
    items = rendered(sentence)["output"]
    assert accumulated(events) == items
    if events[-1]["type"] == "response.completed":
        assert state._completed_response is not None
        found = [item.to_dict() for item in state._completed_response.output]
        assert [_without_parsed(item) for item in found] == items


def _without_id(response: Json) -> Json:
    return {name: value for name, value in response.items() if name != "id"}


def _without_parsed(item: Json) -> Json:
    if item["type"] == "message":
        content = [{name: value for name, value in part.items() if name != "parsed"} for part in item["content"]]
        return {**item, "content": content}
    return {name: value for name, value in item.items() if name != "parsed_arguments"}


def accumulated(events: Sequence[Json]) -> list[Json]:
    """Return the items as a client sees them who reads what is added and the deltas, and of an end its status only."""
    items: list[Json] = []
    for event in events:
        match event["type"].removeprefix("response."):
            case "output_item.added":
                items.append({**event["item"]})
            case "content_part.added":
                items[-1]["content"] = [event["part"]]
            case "reasoning_summary_part.added":
                items[-1]["summary"] = [event["part"]]
            case "output_text.delta":
                items[-1]["content"][0]["text"] += event["delta"]
            case "output_text.annotation.added":
                items[-1]["content"][0]["annotations"].append(event["annotation"])
            case "reasoning_summary_text.delta":
                items[-1]["summary"][0]["text"] += event["delta"]
            case "function_call_arguments.delta":
                items[-1]["arguments"] += event["delta"]
            case "custom_tool_call_input.delta":
                items[-1]["input"] += event["delta"]
            case "output_item.done" if event["item"]["type"] == "image_generation_call":
                items[-1] = event["item"]
            case _:
                pass
    ends = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    return [
        {**item, "status": end["status"]} if "status" in item else item for item, end in zip(items, ends, strict=True)
    ]


# Failures and heartbeats.


@given(sentences(KINDS), st.data())
def test_a_failure_anywhere_ends_the_stream_once(sentence: list[Event], data: st.DataObject) -> None:
    told = data.draw(st.integers(0, len(sentence) - 1))
    encoder = ResponsesEncoder(PLAIN)
    events = events_of(encoder.encode(sentence[:told]) + encoder.fail(FAILURE))
    check_events(events)
    response = events[-1]["response"]
    assert events[-1]["type"] == "response.failed"
    assert (response["status"], response["error"]) == (
        "failed",
        {"code": "server_error", "message": "it took too long"},
    )


@given(sentences(KINDS), st.data())
def test_a_heartbeat_anywhere_is_an_event_of_the_stream(sentence: list[Event], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(sentence) - 1))
    encoder = ResponsesEncoder(PLAIN)
    told = encoder.encode(sentence[:place])
    beats = encoder.beat() + encoder.beat()
    events = events_of(told + beats + encoder.encode(sentence[place:]))
    check_events(events)
    for beat in events_of(beats):
        check_event(beat)
    assert [event["type"] for event in events_of(beats)][-1] == "response.in_progress"


def test_a_kept_turn_has_no_id_to_beat_with_before_it_is_known() -> None:
    encoder = ResponsesEncoder(exchange(store=True))
    assert encoder.beat() == COMMENT_FRAME
    turn = Turn("conversation", None, "digest", kept=True)
    events = events_of(encoder.encode([Start(turn=turn)]) + encoder.beat() + encoder.encode([Finish("stop")]))
    check_events(events)


class Vendor(exchanges.Silent):
    """An upstream whose own bytes pass."""

    def relays(self, exchange: Exchange) -> bool:
        return True

    def relay(self, exchange: Exchange, transport: Transport) -> AsyncGenerator[bytes, None]:
        raise NotImplementedError


RELAYED = Target(cast(Upstream, Vendor()), "m")


@pytest.mark.parametrize("change", [{"target": RELAYED}, {"fallbacks": (RELAYED,)}], ids=["target", "fallback"])
def test_a_vendors_own_stream_is_not_begun_by_a_heartbeat(change: dict[str, Any]) -> None:
    assert ResponsesEncoder(structs.replace(PLAIN, **change)).beat() == COMMENT_FRAME


CREATED = b'event: response.created\ndata: {"type":"response.created","response":{"id":"resp_7","model":"m"}}\n\n'


class Begun(Struct, frozen=True):
    """How a relayed stream began, and the id that its failure has."""

    id: str
    frames: bytes
    expected: str


BEGUN = [
    Begun("with a response", CREATED + b"data: {}\n\n", "resp_7"),
    Begun("with something else", b"event: codex.rate_limits\ndata: {}\n\n", "resp_abc123"),
    Begun("with a response without an id", b'data: {"response":{"id":1}}\n\n', "resp_abc123"),
    Begun("with a comment", b": hello\n\n", "resp_abc123"),
]


@pytest.mark.parametrize("case", BEGUN, ids=lambda case: case.id)
def test_the_failure_of_a_relayed_stream_is_about_the_same_response(case: Begun) -> None:
    [event] = events_of(OPENAI_RESPONSES.fail_relayed(PLAIN, FAILURE, case.frames))
    response = event["response"]
    assert (event["type"], response["id"], response["status"]) == ("response.failed", case.expected, "failed")
    assert response["error"] == {"code": "server_error", "message": "it took too long"}


class Code(Struct, frozen=True):
    id: str
    error: GatewayError
    code: str


CODES = [
    Code("a rate limit has the API's own code", RateLimited("slow", code="model_cap_exceeded"), "rate_limit_exceeded"),
    Code("an error without a code", UpstreamTimeout("late"), "server_error"),
    Code("an error of ours keeps its code", GatewayError("odd", code="internal_error"), "internal_error"),
    Code("a challenge", ChallengeRequired("no", code="upstream_challenge_required"), "upstream_challenge_required"),
]


@pytest.mark.parametrize("case", CODES, ids=lambda case: case.id)
def test_a_failed_response_has_a_code(case: Code) -> None:
    encoder = ResponsesEncoder(PLAIN)
    events = events_of(encoder.encode([Start()]) + encoder.fail(case.error))
    check_events(events)
    assert events[-1]["response"]["error"]["code"] == case.code


def test_an_early_error_has_openais_shape() -> None:
    body = json.loads(OPENAI_RESPONSES.render_error(InvalidRequest("odd", param="input[0].role", code="c")))
    assert body == {"error": {"message": "odd", "type": "invalid_request_error", "param": "input[0].role", "code": "c"}}


# Compaction.


COMPACTING = exchange(echo={COMPACTS: Raw(b"true")})
SUMMARY: list[Event] = [Start(), TextStart(0), TextDelta(0, "Much "), TextDelta(0, "done."), TextEnd(0), Finish("stop")]


def test_a_compaction_is_one_item_and_says_nothing_before_it_is_whole() -> None:
    events = encoded(SUMMARY, COMPACTING)
    check_events(events)
    kinds = [event["type"].removeprefix("response.") for event in events]
    assert kinds == ["created", "in_progress", "output_item.added", "output_item.done", "completed"]
    (item,) = events[-1]["response"]["output"]
    assert (item["type"], item["id"]) == ("compaction", ids("cmp", 0))
    assert unpack(item["encrypted_content"], "") == "Much done."
    assert rendered(SUMMARY, COMPACTING)["output"] == [item]


def test_a_compaction_that_fails_leaves_no_item() -> None:
    encoder = ResponsesEncoder(COMPACTING)
    events = events_of(encoder.encode(SUMMARY[:3]) + encoder.fail(FAILURE))
    check_events(events)
    assert events[-1]["response"]["output"] == []


def test_the_compact_endpoint_gives_an_object_of_its_own() -> None:
    usage = Finish("stop", usage=Usage(10, 5))
    body = json.loads(OPENAI_COMPACTION.render_response(PLAIN, fold([*SUMMARY[:-1], usage])))
    assert (body["object"], body["id"], body["created_at"]) == ("response.compaction", "resp_abc123", PLAIN.created)
    assert [unpack(item["encrypted_content"], "") for item in body["output"]] == ["Much done."]
    assert body["usage"]["total_tokens"] == 15
