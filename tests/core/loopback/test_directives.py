"""Every directive, driven through the wire as a client meets it."""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import anyio
import pytest

from core.loopback.directives import KNOWN_KEYS, SentinelSwitches
from core.loopback.messages import Author, Content, SentMessage
from core.loopback.prompts import read_prompt
from core.loopback.refusals import Refused
from tests.core.loopback.client import Heard, Service, user_message
from tests.core.loopback.conftest import RECORDED

pytestmark = pytest.mark.anyio

LONG = "The quick brown fox jumps over the lazy dog. Größe: 😀."


class Case(NamedTuple):
    id: str
    directive: Mapping[str, object]
    holds: Callable[[Heard], object]


def finish_type(heard: Heard) -> object:
    return heard.answer["metadata"].get("finish_details", {}).get("type")


CASES = [
    Case(
        "text is said whole and the turn ends",
        {"text": LONG},
        lambda heard: heard.spoken() == LONG and heard.answer["end_turn"] and heard.is_done,
    ),
    Case("text may be empty", {"text": ""}, lambda heard: heard.spoken() == "" and heard.answer["end_turn"]),
    Case(
        "a short text comes whole in the last patch",
        {"text": "Hi", "chunk_chars": 4},
        lambda heard: b'"o":"append","v":"Hi"},{' in heard.raw,
    ),
    Case(
        "chunk_chars sets the characters of each delta",
        {"text": "abcdef", "chunk_chars": 2},
        lambda heard: b'"v":"ab"}' in heard.raw and b'data: {"v":"cd"}' in heard.raw,
    ),
    Case(
        "reasoning is a message of the analysis channel before the answer",
        {"reasoning": "let me see", "text": "42"},
        lambda heard: (heard.spoken("analysis"), heard.spoken("final")) == ("let me see", "42"),
    ),
    Case(
        "reasoning can be thoughts",
        {"reasoning": "let me see", "reasoning_form": "thoughts", "text": "42"},
        lambda heard: heard.messages[2]["content"]["thoughts"][0]["content"] == "let me see",
    ),
    Case(
        "encoding snapshot repeats the whole message in every block",
        {"text": LONG, "encoding": "snapshot"},
        lambda heard: not heard.is_delta and heard.spoken() == LONG and heard.raw.count(b"The quick") > 5,
    ),
    Case(
        "reasoning in snapshots is its own message",
        {"reasoning": "let me see", "reasoning_form": "thoughts", "text": "42", "encoding": "snapshot"},
        lambda heard: b'"content":"let me s"' in heard.raw and heard.spoken("final") == "42",
    ),
    Case("finish is stop by default", {"text": "a"}, lambda heard: finish_type(heard) == "stop"),
    Case(
        "finish max_tokens says so",
        {"text": "a", "finish": "max_tokens"},
        lambda heard: finish_type(heard) == "max_tokens",
    ),
    Case(
        "finish none leaves the details out",
        {"text": "a", "finish": "none"},
        lambda heard: finish_type(heard) is None and heard.answer["end_turn"],
    ),
    Case(
        "status answers the call with an error and its usual body",
        {"status": 429},
        lambda heard: heard.status == 429 and json.loads(heard.raw)["detail"] == "Too many requests",
    ),
    Case(
        "body and headers go with the status",
        {"status": 503, "body": "<html>down</html>", "headers": {"Retry-After": "7"}},
        lambda heard: (heard.status, heard.raw) == (503, b"<html>down</html>"),
    ),
    Case(
        "cut_after_chars closes the connection after so many characters",
        {"text": LONG, "cut_after_chars": 10},
        lambda heard: heard.error == "RemoteProtocolError" and heard.spoken() == LONG[:10],
    ),
    Case(
        "a cut at 0 comes before the first delta",
        {"text": LONG, "cut_after_chars": 0},
        lambda heard: heard.error and heard.spoken() == "" and heard.answer["status"] == "in_progress",
    ),
    Case(
        "a cut beyond the end does not happen",
        {"text": "abc", "cut_after_chars": 4},
        lambda heard: heard.is_done and heard.spoken() == "abc",
    ),
    Case(
        "error_after_chars puts an error object in the stream",
        {"text": LONG, "error_after_chars": 5},
        lambda heard: "unusual activity" in heard.events[-1]["error"] and heard.spoken() == LONG[:5],
    ),
    Case(
        "moderation_after_chars blocks the answer",
        {"text": LONG, "moderation_after_chars": 5},
        lambda heard: heard.event("moderation")["moderation_response"]["blocked"] and heard.is_done,
    ),
    Case(
        "of two stops the earlier happens",
        {"text": LONG, "error_after_chars": 9, "cut_after_chars": 5},
        lambda heard: heard.error and heard.spoken() == LONG[:5],
    ),
    Case(
        "tool_message python shows a call and its output before the answer",
        {"text": "42", "tool_message": "python"},
        lambda heard: (
            [message["author"]["role"] for message in heard.messages[-3:]] == ["assistant", "tool", "assistant"]
            and heard.messages[-2]["content"] == {"content_type": "execution_output", "text": "42"}
        ),
    ),
    Case(
        "tool_message search ends in a citation whose reference spans its marker",
        {"text": "Land.", "tool_message": "search"},
        lambda heard: cited_span(heard) == "\ue200cite\ue202turn0search0\ue202turn0search1\ue201",
    ),
    Case(
        "tool_message image shows a picture by pointer",
        {"text": "Here.", "tool_message": "image"},
        lambda heard: heard.messages[-2]["content"]["parts"][0]["content_type"] == "image_asset_pointer",
    ),
    Case("capture is replayed byte for byte", {"capture": "recorded"}, lambda heard: heard.raw == RECORDED),
    Case(
        "an unknown capture is refused with the known ones",
        {"capture": "../recorded"},
        lambda heard: heard.status == 400 and b"known: recorded" in heard.raw,
    ),
    Case(
        "repeat says the text so often",
        {"text": "ab", "repeat": 1000},
        lambda heard: heard.spoken() == "ab" * 1000,
    ),
    Case(
        "an unknown key is refused with the known ones",
        {"texd": "a"},
        lambda heard: heard.status == 400 and all(key in heard.raw.decode() for key in KNOWN_KEYS),
    ),
    Case("a wrong type is refused", {"chunk_chars": "4"}, lambda heard: heard.status == 400),
    Case("a chunk of no characters is refused", {"chunk_chars": 0}, lambda heard: heard.status == 400),
    Case(
        "a text too long to make is refused",
        {"text": "a" * 1000, "repeat": 1_000_000},
        lambda heard: heard.status == 400,
    ),
]


def cited_span(heard: Heard) -> str:
    reference = heard.answer["metadata"]["content_references"][0]
    text = heard.spoken()
    assert b"turn0search0\\ue202" not in heard.raw[: heard.raw.index(b'"o":"patch"')]
    return text[reference["start_idx"] : reference["end_idx"]]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
async def test_directive(service: Service, case: Case) -> None:
    assert case.holds(await service.turn(case.directive))


@pytest.mark.parametrize("encoding", ["delta", "snapshot"])
async def test_supported_encodings_decide_without_a_directive(service: Service, encoding: str) -> None:
    heard = await service.turn("hello", supported_encodings=["v1"] if encoding == "delta" else [])
    assert heard.is_delta is (encoding == "delta")
    assert heard.is_done
    assert '"hello"' in heard.spoken()


async def test_the_usual_order_of_a_delta_stream(service: Service) -> None:
    heard = await service.turn({"text": "abcdefghi"}, history_and_training_disabled=False)
    assert [message["author"]["role"] for message in heard.messages] == ["system", "user", "assistant"]
    assert heard.messages[0]["metadata"]["is_visually_hidden_from_conversation"]
    assert heard.kinds == [
        "resume_conversation_token",
        "input_message",
        "title_generation",
        "message_marker",
        "message_marker",
        "server_ste_metadata",
        "message_stream_complete",
        "conversation_detail_metadata",
    ]


async def test_delays_are_waited_before_the_first_delta_and_between(service: Service) -> None:
    await service.turn({"text": "abcdef", "chunk_chars": 2, "first_delay_ms": 500, "delay_ms": 20})
    assert service.naps.taken == [0.5, 0.02, 0.02]


async def test_the_first_delay_comes_before_the_reasoning(service: Service) -> None:
    await service.turn({"reasoning": "hm", "text": "a", "first_delay_ms": 500})
    assert service.naps.taken == [0.5]


async def test_a_stalled_stream_stays_open_until_the_client_goes(service: Service) -> None:
    received = b""
    with anyio.fail_after(5):
        async with service.open_turn({"text": "abcdef", "stall_after_chars": 4}) as response:
            async for data in response.aiter_bytes():
                received += data
                if b'"v":"abcd"' in received:
                    break
    last = (await service.log("?disconnects=1"))[-1]
    assert last["disconnected_at"] == service.now


async def test_attempts_are_met_in_turn_and_the_last_repeats(service: Service) -> None:
    directive = {"attempts": [{"status": 500}, {"text": "second"}, {"text": "third"}]}
    heard = [await service.turn(directive) for _ in range(4)]
    assert [one.status for one in heard] == [500, 200, 200, 200]
    assert [one.spoken() for one in heard[1:]] == ["second", "third", "third"]


async def test_the_same_attempts_in_another_spelling_count_apart(service: Service) -> None:
    assert (await service.turn('loopback:{"attempts":[{"text":"a"},{"text":"b"}]}')).spoken() == "a"
    assert (await service.turn('loopback: {"attempts":[{"text":"a"},{"text":"b"}]}')).spoken() == "b"
    assert (await service.turn('loopback: {"attempts": [{"text":"a"},{"text":"b"}]}')).spoken() == "a"


async def test_only_the_last_message_is_echoed_unless_echo_history_asks_for_all(service: Service) -> None:
    async def echoed(directive: str) -> int:
        history = [user_message("one"), user_message("two"), user_message(directive)]
        heard = await service.turn("", messages=history)
        return sum(message["author"]["role"] == "user" for message in heard.messages)

    assert await echoed('loopback: {"text": "a"}') == 1
    assert await echoed('loopback: {"text": "a", "echo_history": true}') == 3


def said(texts: list[str]) -> list[SentMessage]:
    return [SentMessage("id", Author("user"), Content("text", (text,))) for text in texts]


class Place(NamedTuple):
    id: str
    texts: list[str]
    found: str


PLACES = [
    Place("no directive", ["hello"], ""),
    Place("the message's own text", ['loopback: {"text": "a"}'], '{"text": "a"}'),
    Place("no space after the colon", ['loopback:{"text": "a"}'], '{"text": "a"}'),
    Place("what follows the object is ignored", ['loopback: {"text": "a"} and more'], '{"text": "a"}'),
    Place("an earlier message goes on scripting", ['loopback: {"repeat": 2}', "thanks"], '{"repeat": 2}'),
    Place(
        "the last message with one counts",
        ['loopback: {"repeat": 2}', 'loopback: {"repeat": 3}'],
        '{"repeat": 3}',
    ),
    Place("a later line of a flattened history", ['User:\nloopback: {"repeat": 2}'], '{"repeat": 2}'),
    Place("words in the middle of a line are none", ['say loopback: {"repeat": 2}'], ""),
    Place("a line without an object is none", ["a yaml file\nloopback: true"], ""),
    Place("braces inside strings do not end it", ['loopback: {"text": "}"} x'], '{"text": "}"}'),
]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.id)
def test_where_a_directive_is_found(place: Place) -> None:
    assert read_prompt(said(place.texts)).script == place.found


@pytest.mark.parametrize("text", ["loopback: hello", "loopback: {", "loopback: [1]", "loopback:" + "[" * 100_000])
def test_what_begins_like_a_directive_must_be_one(text: str) -> None:
    with pytest.raises(Refused, match="400"):
        read_prompt(said([text]))


def test_every_switch_of_the_sentinel_has_a_default() -> None:
    assert SentinelSwitches() == SentinelSwitches(difficulty="0fffff", scheme=None, proof=True)


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ("Say this is a test!", "This is a test!"),
        ("Say this is a test", "This is a test"),
        (
            "one two three four five six seven eight nine",
            'This is the loopback upstream of Isthmus, no model: your message begins "one two three four five".',
        ),
    ],
)
async def test_plain_answers_are_deterministic(service: Service, prompt: str, answer: str) -> None:
    assert (await service.turn(prompt)).spoken() == answer


async def test_two_turns_at_once_do_not_mix(service: Service) -> None:
    heard: dict[int, Any] = {}

    async def ask(number: int) -> None:
        heard[number] = await service.turn({"text": f"{number}-" * 50})

    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(ask, number)
    assert {number: one.spoken() for number, one in heard.items()} == {n: f"{n}-" * 50 for n in range(20)}
