"""One turn: what is sent, the announcement, and the rest of an answer by continuing, resuming and polling."""

import asyncio
from typing import Any

import pytest
from msgspec import Struct

from core.errors import UpstreamError
from core.events import Event, Finish, Start, TextDelta, TextEnd, TextStart
from core.grammar import check
from core.request import Turn
from tests.core.upstreams.chatgpt_web.worlds import (
    ANNOUNCE,
    OLD_TURN,
    RESUME,
    TURN,
    Fake,
    Loopback,
    Said,
    directive,
    said,
    stream,
    told,
)
from tests.core.wire.chatgpt_web.streams import (
    COMPLETE,
    DONE,
    OPENING,
    add,
    append,
    finish,
    message,
    reasoning_of,
    text_of,
    typed,
    whole,
)
from tests.core.wire.chatgpt_web.test_stream import QUESTION, tree

pytestmark = pytest.mark.anyio

ANSWER = stream(add(whole("yes")), DONE)
TOKEN = typed("resume_conversation_token", token="resume-1", conversation_id="conv")
STORED = "/conversation/conv"


def finish_of(events: list[Event]) -> Finish:
    check(events)
    last = events[-1]
    assert isinstance(last, Finish)
    return last


def starts_of_text(events: list[Event]) -> int:
    return sum(isinstance(event, TextStart) for event in events)


# What is sent.


async def test_an_announced_turn_carries_its_token_and_one_trace() -> None:
    world = Fake({TURN: ANSWER})
    await world.ask("Hi")
    announced, turn = world.asked(ANNOUNCE)[0], world.asked(TURN)[0]
    assert announced.headers["x-conduit-token"] == "no-token"
    assert not any(name.startswith("openai-sentinel-") for name in announced.headers)
    assert announced.json["partial_query"]["content"]["parts"] == ["Hi"]
    assert turn.headers["x-conduit-token"] == "conduit"
    assert turn.headers["accept"] == "text/event-stream"
    assert turn.headers["x-oai-turn-trace-id"] == announced.headers["x-oai-turn-trace-id"]
    assert turn.json["client_prepare_state"] == "sent"


NO_CONDUITS = [
    told({}),
    told({"conduit_token": None}),
    told({"detail": "no"}, 403),
    told({}, 500),
    Said(b"<html>"),
    Said(status=404),
]


@pytest.mark.parametrize("answer", NO_CONDUITS, ids=lambda answer: f"{answer.status} {answer.body.decode()}")
async def test_an_announcement_that_fails_does_not_fail_the_turn(answer: Said) -> None:
    world = Fake({ANNOUNCE: answer, TURN: ANSWER})
    assert text_of(await world.ask("Hi")) == "yes"
    turn = world.asked(TURN)[0]
    assert "x-conduit-token" not in turn.headers
    assert turn.json["client_prepare_state"] == "none"


async def test_the_older_path_has_no_announcement() -> None:
    world = Fake({OLD_TURN: ANSWER}, CHATGPT_TURN_PATH="plain")
    assert text_of(await world.ask("Hi")) == "yes"
    assert world.asked(ANNOUNCE) == []
    assert world.asked(TURN) == []


class Kept(Struct, frozen=True):
    """`setting` is ENABLE_HISTORY, `store` the request's wish."""

    id: str
    setting: str
    store: bool | None
    temporary: bool


HISTORY = [
    Kept("by default a turn is temporary", "", None, True),
    Kept("a request may keep its turn", "", True, False),
    Kept("a request may say that it does not", "", False, True),
    Kept("a deployment may keep all", "true", None, False),
    Kept("a deployment that keeps all keeps these too", "true", False, False),
    Kept("a deployment may keep none", "false", True, True),
]


@pytest.mark.parametrize("case", HISTORY, ids=lambda case: case.id)
async def test_what_is_kept(case: Kept) -> None:
    world = Fake({TURN: ANSWER}, ENABLE_HISTORY=case.setting)
    await world.ask("Hi", store=case.store)
    assert world.asked(TURN)[0].json["history_and_training_disabled"] is case.temporary


async def test_the_ids_of_a_turn_come_out_and_go_back_in() -> None:
    world = Loopback(ENABLE_HISTORY="true")
    first = finish_of(await world.ask("Say one")).turn
    assert first is not None
    assert first.message_id
    events = await world.ask("Say two", continues=Turn(first.conversation_id, first.message_id))
    second = finish_of(events).turn
    assert second is not None
    assert second.conversation_id == first.conversation_id
    assert second.message_id != first.message_id
    sent = (await world.calls("/f/conversation"))[-1]["body"]
    assert (sent["conversation_id"], sent["parent_message_id"]) == (first.conversation_id, first.message_id)
    assert len(sent["messages"]) == 1
    await world.close()


async def test_what_was_ignored_is_named_at_the_start() -> None:
    start = (await Fake({TURN: ANSWER}).ask("Hi", temperature=0.5, top_p=1.0))[0]
    assert isinstance(start, Start)
    assert start.ignored == ("temperature", "top_p")


async def test_history_that_is_echoed_is_not_an_answer() -> None:
    world = Loopback()
    events = await world.ask("Hi", said("Hello, I am here.", "assistant"), directive(text="New.", echo_history=True))
    assert text_of(events) == "New."
    await world.close()


@pytest.mark.parametrize("encoding", ["delta", "snapshot"])
@pytest.mark.parametrize("form", ["analysis", "thoughts"])
async def test_both_encodings_tell_reasoning_and_answer(encoding: str, form: str) -> None:
    world = Loopback()
    events = await world.ask(directive(text="So. é🚀", reasoning="Because.", reasoning_form=form, encoding=encoding))
    check(events)
    assert text_of(events) == "So. é🚀"
    assert reasoning_of(events).endswith("Because.")
    await world.close()


async def test_a_search_is_cited() -> None:
    world = Loopback()
    events = await world.ask(directive(text="An isthmus is a strip of land.", tool_message="search", chunk_chars=1))
    assert text_of(events) == "An isthmus is a strip of land. "
    (end,) = (event for event in events if isinstance(event, TextEnd))
    assert [citation.url for citation in end.citations] == [
        "https://example.com/isthmus",
        "https://example.org/straits",
    ]
    await world.close()


async def test_a_blocked_answer_is_filtered() -> None:
    world = Loopback()
    events = await world.ask(directive(text="This is not allowed.", moderation_after_chars=8))
    assert (text_of(events), finish_of(events).reason) == ("This is ", "content_filter")
    await world.close()


async def test_a_batch_comes_for_each_read_that_tells_something() -> None:
    world = Loopback()
    batches = [
        batch async for batch in world.upstream.stream(world.exchange(directive(text="abcdefgh")), world.transport)
    ]
    assert all(batches)
    assert sum(isinstance(event, TextDelta) for batch in batches for event in batch) == 2
    await world.close()


# Continuing.


def cut(text: str, identity: str = "m1") -> Said:
    return stream(OPENING, add(message("", identity)), append(text), finish("", "max_tokens"), COMPLETE, DONE)


async def test_an_answer_that_is_cut_for_length_is_continued_in_the_same_block() -> None:
    world = Fake({TURN: [cut("One"), cut(", two", "m2"), stream(add(whole(", three.", "m3")), DONE)]})
    events = await world.ask("Count", store=True)
    assert text_of(events) == "One, two, three."
    assert starts_of_text(events) == 1
    assert finish_of(events).reason == "stop"
    first, second, third = (heard.json for heard in world.asked(TURN))
    assert first["action"] == "next"
    for continued, parent in ((second, "m1"), (third, "m2")):
        assert (continued["action"], continued["conversation_id"], continued["parent_message_id"]) == (
            "continue",
            "conv",
            parent,
        )
        assert "messages" not in continued
        assert continued["history_and_training_disabled"] is False
    assert len(world.asked(ANNOUNCE)) == 1


@pytest.mark.parametrize(("count", "turns", "text"), [("0", 1, "a"), ("1", 2, "aa"), ("2", 3, "aaa")])
async def test_it_is_continued_so_often_and_no_more(count: str, turns: int, text: str) -> None:
    world = Fake({TURN: [cut("a", f"m{number}") for number in range(9)]}, MAX_CONTINUE_COUNT=count)
    events = await world.ask("Count")
    assert (len(world.asked(TURN)), text_of(events)) == (turns, text)
    assert finish_of(events).reason == "length"


REFUSED = [
    told({"detail": "no"}, 403),
    told({"detail": "no"}, 429),
    told({}, 500),
    stream(OPENING),
    stream(OPENING, cut=True),
]


@pytest.mark.parametrize("answer", REFUSED, ids=lambda answer: f"{answer.status} {answer.cut}")
async def test_an_answer_that_cannot_be_continued_stays_cut(answer: Said) -> None:
    world = Fake({TURN: [cut("One"), answer], RESUME: Said(status=404)})
    events = await world.ask("Count")
    assert text_of(events) == "One"
    assert finish_of(events).reason == "length"


async def test_the_loopback_continues_too() -> None:
    world = Loopback()
    script = directive(attempts=[{"text": "One, ", "finish": "max_tokens"}, {"text": "two."}])
    events = await world.ask(script)
    assert (text_of(events), starts_of_text(events), finish_of(events).reason) == ("One, two.", 1, "stop")
    await world.close()


# Resuming and polling.


async def test_a_turn_that_is_handed_off_is_resumed_where_it_was() -> None:
    handed_off = stream(OPENING, TOKEN, add(message()), append("One"), typed("stream_handoff"), COMPLETE, DONE)
    world = Fake({TURN: handed_off, RESUME: stream(append(", two"), finish("."), COMPLETE, DONE)})
    events = await world.ask("Count")
    assert (text_of(events), finish_of(events).reason) == ("One, two.", "stop")
    resumed = world.asked(RESUME)[0]
    assert resumed.json == {"conversation_id": "conv", "offset": 6}
    assert resumed.headers["x-conduit-token"] == "resume-1"
    assert resumed.headers["x-oai-turn-trace-id"] == world.asked(TURN)[0].headers["x-oai-turn-trace-id"]
    assert world.pauses.taken == []


BEGUN = stream(OPENING, TOKEN, add(message()), append("One"), cut=True)
REST = stream(append(", two"), finish("."), DONE)


async def test_a_connection_that_is_lost_is_resumed() -> None:
    world = Fake({TURN: BEGUN, RESUME: REST})
    assert text_of(await world.ask("Count")) == "One, two."
    assert world.asked(RESUME)[0].json["offset"] == 4


async def test_a_stream_that_ends_within_an_event_is_resumed_before_it() -> None:
    whole_stream = OPENING + TOKEN + add(message()) + append("One") + append(", two")
    world = Fake({TURN: stream(whole_stream[:-20]), RESUME: REST})
    assert text_of(await world.ask("Count")) == "One, two."
    assert world.asked(RESUME)[0].json["offset"] == 4


async def test_a_resume_is_tried_again_with_growing_pauses() -> None:
    busy = [Said(status=status) for status in (409, 425, 429, 502, 504, 408)]
    handed_off = stream(TOKEN, add(message("One")), typed("stream_handoff"), COMPLETE, DONE)
    world = Fake({TURN: handed_off, RESUME: [*busy, REST]})
    assert text_of(await world.ask("Count")) == "One, two."
    assert world.pauses.taken == pytest.approx([0.3 * 1.5**n for n in range(6)])


async def test_a_resumed_stream_that_is_lost_is_resumed_again() -> None:
    world = Fake(
        {TURN: BEGUN, RESUME: [stream(append(", two"), cut=True), stream(append(", three"), finish("."), DONE)]}
    )
    assert text_of(await world.ask("Count")) == "One, two, three."
    assert [heard.json["offset"] for heard in world.asked(RESUME)] == [4, 5]


@pytest.mark.parametrize("status", [404, 410])
async def test_what_cannot_be_resumed_is_read_from_the_stored_conversation(status: int) -> None:
    handed_off = stream(TOKEN, add(message("One")), typed("stream_handoff"), COMPLETE, DONE)
    stored = [told({}, 404), Said(tree(QUESTION, message("One, two"))), Said(tree(QUESTION, whole("One, two.")))]
    world = Fake({TURN: handed_off, RESUME: Said(status=status), STORED: stored})
    events = await world.ask("Count", store=True)
    assert (text_of(events), finish_of(events).reason) == ("One, two.", "stop")
    assert world.pauses.taken == [3.0, 3.0, 3.0]


async def test_a_lost_turn_that_is_nowhere_to_be_found_is_an_error() -> None:
    world = Fake({TURN: BEGUN, RESUME: Said(status=404), STORED: told({}, 404)})
    events, error = await world.refused("Count", store=True)
    assert text_of(events) == "One"
    assert error.message == "chatgpt_web was cut off in the middle of its answer"
    assert len(world.pauses.taken) == 3


async def test_a_temporary_turn_that_is_lost_is_not_looked_for() -> None:
    world = Fake({TURN: BEGUN, RESUME: Said(status=404)})
    _, error = await world.refused("Count")
    assert error.status == 503
    assert world.asked(STORED) == []
    assert world.pauses.taken == []


async def test_a_connection_lost_before_anything_came_is_not_resumed() -> None:
    world = Fake({TURN: stream(cut=True)})
    events, error = await world.refused("Count")
    assert (events, error.status) == ([], 503)
    assert world.asked(RESUME) == []


FAILURES = [typed("error", error="it broke"), b"event: delta\ndata: nonsense\n\n"]


@pytest.mark.parametrize("failure", FAILURES, ids=["an error that the stream tells", "bytes that break the format"])
async def test_a_stream_that_fails_by_its_own_words_is_not_resumed(failure: bytes) -> None:
    world = Fake({TURN: stream(OPENING, TOKEN, add(message()), append("One"), failure, append("lost"))})
    events, error = await world.refused("Count", store=True)
    assert text_of(events) == "One"
    assert error.status == 502
    assert world.asked(RESUME) == world.asked(STORED) == []
    assert world.pauses.taken == []


async def test_a_resumed_stream_that_fails_by_its_own_words_is_not_resumed_again() -> None:
    world = Fake({TURN: BEGUN, RESUME: stream(typed("error", error="it broke"))})
    _, error = await world.refused("Count", store=True)
    assert error.message == "it broke"
    assert len(world.asked(RESUME)) == 1


@pytest.mark.parametrize("way", ["resume", "poll"])
async def test_the_loopback_hands_turns_off_too(way: str) -> None:
    world = Loopback()
    events = await world.ask(directive(text="One, two, three, four.", handoff=way), store=True)
    assert (text_of(events), finish_of(events).reason) == ("One, two, three, four.", "stop")
    assert [call["path"].endswith("/resume") for call in await world.calls() if call["status"] == 200][-1] == (
        way == "resume"
    )
    await world.close()


async def test_a_connection_that_the_loopback_cuts_is_an_error_after_its_text() -> None:
    world = Loopback()
    events, error = await world.refused(directive(text="One, two, three.", cut_after_chars=8))
    assert text_of(events) == "One, two"
    assert isinstance(error, UpstreamError)
    await world.close()


# Leaving.


async def test_whoever_stops_reading_leaves_nothing_behind() -> None:
    world = Loopback()

    async def read_one() -> Any:
        batches = world.upstream.stream(
            world.exchange(directive(text="x" * 100, stall_after_chars=50)), world.transport
        )
        async for batch in batches:
            if any(isinstance(event, TextDelta) for event in batch):
                break
        await batches.aclose()

    await read_one()
    await asyncio.sleep(0)
    (call,) = await world.calls("/f/conversation")
    assert call["disconnected_at"] is not None
    await world.close()


async def test_a_turn_that_fails_at_the_sentinel_leaves_no_task_behind() -> None:
    world = Loopback()
    await world.rule(path="/f/conversation/prepare", stall=True)
    await world.rule(path="chat-requirements/prepare", status=500)
    before = asyncio.all_tasks()
    _, error = await world.refused("Hi")
    assert error.message == "sentinel prepare failed: status=500 loopback status 500"
    assert asyncio.all_tasks() <= before
    await world.close()
