"""Events to chunks: a table, and the official SDK as the judge of everything that is written."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, structs
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from core.errors import InvalidRequest, RateLimited
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
from core.request import OutputFormat, StoredFile, Turn
from core.signing import Signer
from core.wire.openai_chat import OPENAI_CHAT
from core.wire.openai_chat.stream import ChatEncoder
from tests.core.exchanges import exchange
from tests.strategies import Kind, pieces, sentences

Json = dict[str, Any]
PLAIN = exchange(stream=True, include_usage=False)
COUNTED = exchange(stream=True, include_usage=True)
START: list[Event] = [Start()]
STOP: list[Event] = [Finish("stop")]
ROLE = {"role": "assistant", "content": "", "refusal": None}


def frames(data: bytes) -> list[Json]:
    """Return the chunks of a stream that ends in [DONE]; every line must be legal for the strictest clients."""
    assert data.endswith(b"data: [DONE]\n\n")
    assert data.count(b"[DONE]\n") == 1
    blocks = data.decode().removesuffix("\n\n").split("\n\n")
    for block in blocks:
        assert block.startswith("data: ")
        assert "\n" not in block
    return [json.loads(block.removeprefix("data: ")) for block in blocks[:-1]]


def chunks(events: Sequence[Event], *, counted: bool = False) -> list[Json]:
    return frames(ChatEncoder(COUNTED if counted else PLAIN).encode(events))


def deltas(events: Sequence[Event]) -> list[Json]:
    """Return the deltas between the role and the finish."""
    return [chunk["choices"][0]["delta"] for chunk in chunks([*START, *events, *STOP])][1:-1]


PICTURE: list[Event] = [ImageStart(0), ImageEnd(0, "image/png", b"x")]


def image(index: int, url: str) -> Json:
    return {"type": "image_url", "index": index, "image_url": {"url": url}}


class Case(Struct, frozen=True):
    id: str
    given: list[Event]
    expected: list[Json]


def annotation(start: int, end: int) -> Json:
    where = {"start_index": start, "end_index": end, "title": "A", "url": "https://a.example"}
    return {"type": "url_citation", "url_citation": where}


def cited(index: int, start: int, end: int) -> TextEnd:
    return TextEnd(index, (Citation("https://a.example", "A", start, end),))


CASES = [
    Case(
        "text",
        [TextStart(0), TextDelta(0, "a"), TextDelta(0, "é\n"), TextEnd(0)],
        [{"content": "a"}, {"content": "é\n"}],
    ),
    Case(
        "two blocks of text are apart",
        [TextStart(0), TextDelta(0, "a"), TextEnd(0), TextStart(1), TextDelta(1, "b"), TextEnd(1)],
        [{"content": "a"}, {"content": "\n\n"}, {"content": "b"}],
    ),
    Case("reasoning", [ReasoningStart(0), ReasoningDelta(0, "why"), ReasoningEnd(0)], [{"reasoning_content": "why"}]),
    Case(
        "two blocks of reasoning are apart",
        [
            ReasoningStart(0),
            ReasoningDelta(0, "a"),
            ReasoningEnd(0),
            ReasoningStart(1),
            ReasoningDelta(1, "b"),
            ReasoningEnd(1),
        ],
        [{"reasoning_content": "a"}, {"reasoning_content": "\n\n"}, {"reasoning_content": "b"}],
    ),
    Case(
        "a call",
        [ToolCallStart(0, "call_1", "f"), ToolCallDelta(0, '{"a"'), ToolCallDelta(0, ":1}"), ToolCallEnd(0)],
        [
            {
                "tool_calls": [
                    {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}
                ]
            },
            {"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]},
            {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]},
        ],
    ),
    Case(
        "calls are counted among themselves",
        [
            TextStart(0),
            TextEnd(0),
            ToolCallStart(1, "call_1", "f"),
            ToolCallEnd(1),
            ToolCallStart(2, "call_2", "g"),
            ToolCallDelta(2, "{}"),
            ToolCallEnd(2),
        ],
        [
            {
                "tool_calls": [
                    {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}
                ]
            },
            {
                "tool_calls": [
                    {"index": 1, "id": "call_2", "type": "function", "function": {"name": "g", "arguments": ""}}
                ]
            },
            {"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]},
        ],
    ),
    Case(
        "a custom call",
        [ToolCallStart(0, "call_1", "sql", "custom"), ToolCallDelta(0, "select"), ToolCallEnd(0)],
        [
            {"tool_calls": [{"index": 0, "id": "call_1", "type": "custom", "custom": {"name": "sql", "input": ""}}]},
            {"tool_calls": [{"index": 0, "custom": {"input": "select"}}]},
        ],
    ),
    Case(
        "citations come last and count from the beginning of the content",
        [
            TextStart(0),
            TextDelta(0, "abc"),
            cited(0, 1, 2),
            TextStart(1),
            TextDelta(1, "de"),
            cited(1, 2, 2),
            ReasoningStart(2),
            ReasoningEnd(2),
        ],
        [
            {"content": "abc"},
            {"content": "\n\n"},
            {"content": "de"},
            {"annotations": [annotation(1, 2), annotation(7, 7)]},
        ],
    ),
    Case("progress is nobody's business", [Progress("thinking")], []),
    Case(
        "pictures stand beside the content",
        [*PICTURE, ImageStart(1), ImageDelta(1, b"y"), ImageEnd(1, "image/webp", b"y")],
        [{"images": [image(0, "data:image/png;base64,eA==")]}, {"images": [image(1, "data:image/webp;base64,eQ==")]}],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_deltas(case: Case) -> None:
    assert deltas(case.given) == case.expected


def test_an_answer_that_begins_with_a_call_has_no_content() -> None:
    events = [*START, ToolCallStart(0, "call_1", "f"), ToolCallDelta(0, "{}"), ToolCallEnd(0), *STOP]
    assert chunks(events)[0]["choices"][0]["delta"] == {"role": "assistant", "content": None, "refusal": None}


def test_a_stream_in_full() -> None:
    turn = Turn("conv", "m1")
    events: list[Event] = [
        Start("gpt-5-2", (), Turn("conv")),
        TextStart(0),
        TextDelta(0, "Hi"),
        TextEnd(0),
        Finish("stop", "stop", None, turn),
    ]
    shared = {"id": "chatcmpl-abc123", "object": "chat.completion.chunk", "created": 1_790_000_000, "model": "gpt-x"}
    written = chunks(events)
    fingerprints = {chunk.pop("system_fingerprint") for chunk in written}
    assert len(fingerprints) == 1
    assert fingerprints.pop().startswith("fp_")

    def choice(delta: Json, reason: str | None = None) -> list[Json]:
        return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]

    assert written == [
        shared | {"choices": choice(ROLE), "conversation_id": "conv"},
        shared | {"choices": choice({"content": "Hi"})},
        shared | {"choices": choice({}, "stop"), "conversation_id": "conv", "message_id": "m1"},
    ]


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("tool_calls", "tool_calls"),
        ("content_filter", "content_filter"),
        ("other", "stop"),
    ],
)
def test_finish_reasons(reason: Any, expected: str) -> None:
    events = [*START, Finish(reason)]
    assert chunks(events)[-1]["choices"][0]["finish_reason"] == expected
    whole = json.loads(OPENAI_CHAT.render_response(PLAIN, fold(events)))
    assert whole["choices"][0]["finish_reason"] == expected


USAGES: list[tuple[Usage, Json]] = [
    (Usage(3, 4), {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}),
    (Usage(3, 4, estimated=True), {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7, "estimated": True}),
    (
        Usage(3, 4, cached_input_tokens=0, reasoning_tokens=2),
        {
            "prompt_tokens": 3,
            "completion_tokens": 4,
            "total_tokens": 7,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 2},
        },
    ),
]


@pytest.mark.parametrize(("usage", "expected"), USAGES, ids=["bare", "estimated", "in detail"])
def test_usage(usage: Usage, expected: Json) -> None:
    events = [*START, Finish("stop", usage=usage)]
    *others, last = chunks(events, counted=True)
    assert (last["choices"], last["usage"]) == ([], expected)
    assert all(chunk["usage"] is None for chunk in others)
    assert json.loads(OPENAI_CHAT.render_response(COUNTED, fold(events)))["usage"] == expected


def test_usage_that_was_not_asked_for_is_nowhere() -> None:
    events = [*START, TextStart(0), TextDelta(0, "a"), TextEnd(0), Finish("stop", usage=Usage(3, 4))]
    assert all("usage" not in chunk for chunk in chunks(events))


def test_usage_that_nobody_counted_is_not_invented() -> None:
    assert all(chunk["usage"] is None for chunk in chunks([*START, *STOP], counted=True))


def test_a_failure_is_an_error_frame_and_the_end() -> None:
    encoder = ChatEncoder(PLAIN)
    begun = encoder.encode([*START, TextStart(0), TextDelta(0, "a")])
    told = frames(begun + encoder.fail(RateLimited("slow down", code="cap")))
    assert told[-1] == {"error": {"message": "slow down", "type": "rate_limit_error", "param": None, "code": "cap"}}


def test_an_error_names_its_field() -> None:
    error = InvalidRequest("no", param="messages[0].content", code="x")
    assert json.loads(OPENAI_CHAT.render_error(error)) == {
        "error": {"message": "no", "type": "invalid_request_error", "param": "messages[0].content", "code": "x"}
    }


def test_a_heartbeat_is_a_comment() -> None:
    assert ChatEncoder(PLAIN).beat() == b": keep-alive\n\n"


def test_a_whole_answer_in_full() -> None:
    turn = Turn("conv", "m1")
    events: list[Event] = [
        Start(None, (), turn),
        ReasoningStart(0),
        ReasoningDelta(0, "why"),
        ReasoningEnd(0),
        TextStart(1),
        TextDelta(1, "abc"),
        cited(1, 1, 2),
        TextStart(2),
        TextDelta(2, "de"),
        cited(2, 2, 2),
        ToolCallStart(3, "call_1", "f"),
        ToolCallDelta(3, "{}"),
        ToolCallEnd(3),
        Finish("tool_calls", usage=Usage(3, 4)),
    ]
    whole = json.loads(OPENAI_CHAT.render_response(PLAIN, fold(events)))
    assert whole.pop("system_fingerprint").startswith("fp_")
    message = {
        "role": "assistant",
        "content": "abc\n\nde",
        "refusal": None,
        "reasoning_content": "why",
        "annotations": [annotation(1, 2), annotation(7, 7)],
        "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    }
    assert whole == {
        "id": "chatcmpl-abc123",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": "gpt-x",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "tool_calls"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
        "conversation_id": "conv",
        "message_id": "m1",
    }


def test_an_answer_of_calls_alone_has_no_content() -> None:
    events = [*START, ToolCallStart(0, "call_1", "f"), ToolCallEnd(0), Finish("tool_calls")]
    assert json.loads(OPENAI_CHAT.render_response(PLAIN, fold(events)))["choices"][0]["message"]["content"] is None


def test_an_answer_of_nothing_has_an_empty_content() -> None:
    assert (
        json.loads(OPENAI_CHAT.render_response(PLAIN, fold([*START, *STOP])))["choices"][0]["message"]["content"] == ""
    )


# Pictures that can be linked to.

SIGNER = Signer(b"a key of these tests")
LINKING = structs.replace(PLAIN, signer=SIGNER, public_url="https://gw.example")
FILE = StoredFile("file_1")
LINK = f"![image]({LINKING.link(FILE)})"
LINKED: list[Event] = [
    *(TextStart(0), TextDelta(0, "Look:"), cited(0, 0, 1)),
    *(ImageStart(1), ImageEnd(1, "image/png", b"x", None, FILE)),
    *(TextStart(2), TextDelta(2, "Nice?"), cited(2, 0, 1)),
]


def test_a_picture_is_linked_to_in_the_text() -> None:
    events = [*START, *LINKED, *STOP]
    told = frames(ChatEncoder(LINKING).encode(events))
    message = json.loads(OPENAI_CHAT.render_response(LINKING, fold(events)))["choices"][0]["message"]
    assert message["content"] == f"Look:\n\n{LINK}\n\nNice?"
    assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in told) == message["content"]
    assert message["images"] == [image(0, "data:image/png;base64,eA==")]
    assert message["annotations"] == [annotation(0, 1), annotation(len(LINK) + 9, len(LINK) + 10)]
    (later,) = (delta for chunk in told if "annotations" in (delta := chunk["choices"][0]["delta"]))
    assert later["annotations"] == message["annotations"]


def test_a_text_that_must_be_json_has_no_link() -> None:
    request = structs.replace(LINKING.request, output_format=OutputFormat("json_object"))
    of = structs.replace(LINKING, request=request)
    whole = json.loads(OPENAI_CHAT.render_response(of, fold([*START, *LINKED, *STOP])))
    assert whole["choices"][0]["message"]["content"] == "Look:\n\nNice?"


def test_a_picture_that_nobody_fetched_is_a_link() -> None:
    events = [*START, ImageStart(0), ImageEnd(0, "image/png", b"", None, FILE), *STOP]
    whole = json.loads(OPENAI_CHAT.render_response(LINKING, fold(events)))
    assert whole["choices"][0]["message"]["images"] == [image(0, LINKING.link(FILE))]


# Laws.

SPOKEN: tuple[Kind, ...] = ("text", "reasoning", "tool_call", "image")


def is_custom(event: Event) -> bool:
    return isinstance(event, ToolCallStart) and event.kind == "custom"


@given(sentences(SPOKEN), st.data())
def test_batches_never_matter(sentence: list[Event], data: st.DataObject) -> None:
    encoder = ChatEncoder(COUNTED)
    assert b"".join(map(encoder.encode, data.draw(pieces(sentence)))) == ChatEncoder(COUNTED).encode(sentence)


FUNCTIONS_ONLY = sentences(SPOKEN).filter(lambda sentence: not any(map(is_custom, sentence)))
"""The SDK's chunk type knows no custom calls (openai 3.52)."""


@given(FUNCTIONS_ONLY)
def test_the_sdk_reads_every_chunk_and_the_whole_answer(sentence: list[Event]) -> None:
    for chunk in chunks(sentence, counted=True):
        ChatCompletionChunk.model_validate(chunk)
    ChatCompletion.model_validate_json(OPENAI_CHAT.render_response(COUNTED, fold(sentence)))


@given(FUNCTIONS_ONLY)
def test_what_the_sdk_gathers_from_the_stream_is_the_whole_answer(sentence: list[Event]) -> None:
    state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
    for chunk in chunks(sentence, counted=True):
        state.handle_chunk(ChatCompletionChunk.model_validate(chunk))
    gathered = state.current_completion_snapshot.model_dump()
    whole = ChatCompletion.model_validate_json(OPENAI_CHAT.render_response(COUNTED, fold(sentence))).model_dump()
    assert essence(gathered) == essence(whole)


def essence(completion: Json) -> Json:
    """Leave out what the SDK makes of absent fields, that a stream begins with an empty content, and the ids of the
    turn, of which the SDK keeps what the first chunk said.
    """
    (choice,) = completion["choices"]
    message = choice["message"]
    calls = message.get("tool_calls") or []
    usage = completion["usage"]
    return {
        "id": completion["id"],
        "model": completion["model"],
        "role": message["role"],
        "content": message["content"] or None,
        "reasoning": message.get("reasoning_content") or None,
        "annotations": message.get("annotations") or None,
        "images": message.get("images") or None,
        "calls": [
            (call["id"], call["type"], call["function"]["name"], call["function"]["arguments"]) for call in calls
        ],
        "finish_reason": choice["finish_reason"],
        "usage": usage and {name: value for name, value in usage.items() if value is not None},
    }
