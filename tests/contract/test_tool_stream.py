"""What a stream with calls looks like chunk by chunk, and that it leaves while the model is still writing."""

import json
from typing import Any

import openai
import pytest
from msgspec import Struct
from openai import OpenAI

from tests.api.servers import Upstream, directive
from tests.contract.agents import TOOLS

Json = dict[str, Any]

CALLS = [
    {"name": "get_weather", "arguments": {"city": "Lisbon"}},
    {"name": "get_time", "arguments": {"city": "Oslo"}},
]
OPENING = '<{{tag}} name="get_weather">'
ARGUMENTS = '{"city": "Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch", "days": [1, 2.50]}'


def stream(client: OpenAI, **keys: object) -> Any:
    request: Any = {
        "model": "auto",
        "messages": [{"role": "user", "content": directive(**keys)}],
        "tools": TOOLS,
    }
    return client.chat.completions.create(**request, stream=True)


class Piece(Struct, frozen=True):
    """What one chunk brings: a kind and, of a call, its index."""

    kind: str
    index: int | None = None


def pieces(chunks: Any) -> list[Piece]:
    """Return the order of things, runs of the same kind as one."""
    found: list[Piece] = []
    for chunk in chunks:
        piece = piece_of(chunk)
        if found[-1:] != [piece]:
            found.append(piece)
    return found


def piece_of(chunk: Any) -> Piece:
    if not chunk.choices:
        return Piece("usage")
    choice = chunk.choices[0]
    if choice.finish_reason:
        return Piece(choice.finish_reason)
    if choice.delta.tool_calls:
        (call,) = choice.delta.tool_calls
        return Piece("call" if call.id else "arguments", call.index)
    return Piece("role" if choice.delta.role else "text" if choice.delta.content else "nothing")


def test_the_order_of_a_stream(client: OpenAI) -> None:
    chunks = list(stream(client, text="Let me look.", calls=CALLS))
    assert pieces(chunks) == [
        Piece("role"),
        Piece("text"),
        Piece("call", 0),
        Piece("arguments", 0),
        Piece("call", 1),
        Piece("arguments", 1),
        Piece("tool_calls"),
    ]


def test_a_call_opens_with_its_name_and_no_arguments(client: OpenAI) -> None:
    chunks = list(stream(client, calls=CALLS))
    opened = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or () if call.id]
    assert [(call.type, call.function.name, call.function.arguments) for call in opened] == [
        ("function", "get_weather", ""),
        ("function", "get_time", ""),
    ]
    assert len({call.id for call in opened}) == 2


@pytest.mark.parametrize("chunk_chars", [1, 3, 1000])
def test_arguments_are_passed_on_as_they_are_written(client: OpenAI, chunk_chars: int) -> None:
    script = {"text": f"{OPENING}{ARGUMENTS}</{{{{tag}}}}>", "chunk_chars": chunk_chars}
    assert arguments_in(list(stream(client, **script))) == ARGUMENTS


def arguments_in(chunks: list[Any]) -> str:
    calls = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or ()]
    return "".join(call.function.arguments for call in calls)


def test_arguments_leave_while_the_model_is_silent_in_their_middle(client: OpenAI, upstream_server: Upstream) -> None:
    """The model never gets further than the middle of the arguments: what arrives has left before it finished."""
    written = '{"city": "Llanfair'
    position = len(OPENING.replace("{{tag}}", "call_012345")) + len(written)
    heard = ""
    impatient = client.with_options(timeout=10)
    with stream(impatient, text=f"{OPENING}{ARGUMENTS}", chunk_chars=1, stall_after_chars=position) as chunks:
        while heard != written:
            heard += arguments_in([next(chunks)])
        running = upstream_server.turns()[-1]
    assert running["ended_at"] is None


def test_arguments_leave_before_a_slow_model_has_finished(client: OpenAI, upstream_server: Upstream) -> None:
    chunks = stream(client, calls=CALLS[:1], chunk_chars=1, delay_ms=20)
    first = next(chunk for chunk in chunks if arguments_in([chunk]))
    running = upstream_server.turns()[-1]
    rest = list(chunks)
    ended = upstream_server.turns()[-1]
    assert running["ended_at"] is None
    assert ended["sequence"] == running["sequence"]
    assert ended["ended_at"] is not None
    assert json.loads(arguments_in([first, *rest])) == {"city": "Lisbon"}


def test_arguments_cut_for_length_are_continued_and_joined(client: OpenAI) -> None:
    head, tail = ARGUMENTS[:30], ARGUMENTS[30:]
    script = [{"text": f"{OPENING}{head}", "finish": "max_tokens"}, {"text": f"{tail}</{{{{tag}}}}>"}]
    chunks = list(stream(client, attempts=script))
    assert arguments_in(chunks) == ARGUMENTS
    assert pieces(chunks)[-1] == Piece("tool_calls")


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param({"cut_after_chars": 45}, id="a cut"),
        pytest.param({"error_after_chars": 45}, id="an error in the stream"),
    ],
)
def test_a_failure_within_a_call_raises(client: OpenAI, keys: Json) -> None:
    with pytest.raises(openai.APIError):
        list(stream(client, text=f"{OPENING}{ARGUMENTS}</{{{{tag}}}}>", delay_ms=1, **keys))


def test_arguments_that_break_off_end_the_stream_with_an_error(client: OpenAI) -> None:
    heard = []
    with pytest.raises(openai.APIError) as caught:
        heard.extend(stream(client, text=f'{OPENING}{{"city": oops}}</{{{{tag}}}}> and so on'))
    assert type(caught.value) is openai.APIError
    assert caught.value.message
