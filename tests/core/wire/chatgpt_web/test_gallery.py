"""Which pictures a turn has made, and whether one is still to come."""

from typing import Any

import pytest
from hypothesis import given
from msgspec import Struct, json

from core.errors import ProtocolViolation, UpstreamUnavailable
from core.events import Finish, ImageEnd, ImageStart, TextDelta, TextEnd
from core.grammar import check
from core.wire.chatgpt_web.answer import Sent
from core.wire.chatgpt_web.gallery import Gallery, Picture
from core.wire.chatgpt_web.stream import TurnDecoder, Verdict
from tests.core.wire.chatgpt_web.pictures import call, notice, picture, pointer
from tests.core.wire.chatgpt_web.streams import (
    COMPLETE,
    DONE,
    OPENING,
    add,
    append,
    bytewise,
    delta,
    finish,
    message,
    role,
    snapshot,
    text_of,
    typed,
    whole,
)
from tests.core.wire.chatgpt_web.test_stream import QUESTION, tree
from tests.strategies import JSON_VALUES

ASYNC = typed("conversation_async_status", async_status=7)
DETACHED = typed("server_ste_metadata", metadata={"resume_with_websockets": True, "turn_use_case": "image gen"})
END = COMPLETE + DONE
OURS = Sent(file_ids=frozenset({"file_ours"}))


class Case(Struct, frozen=True):
    """`finished` and `drafts` are file ids."""

    id: str
    stream: list[bytes]
    finished: tuple[str, ...] = ()
    drafts: tuple[str, ...] = ()
    verdict: Verdict = "answered"


CASES = [
    Case("a picture in the stream", [add(call()), add(picture("sediment://file_a"), 1), END], ("file_a",)),
    Case("an older kind of pointer", [add(picture("file-service://file-a")), END], ("file-a",)),
    Case("a pointer into a file", [add(picture("sediment://file_a#0.png")), END], ("file_a",)),
    Case("snapshots", [snapshot(call()), snapshot(picture("sediment://file_a")), DONE], ("file_a",)),
    Case(
        "of one call the last finished picture counts",
        [add(call()), *(add(picture(f"sediment://file_{name}", identity=name), 1) for name in "abc"), END],
        ("file_c",),
        ("file_a", "file_b"),
    ),
    Case(
        "a picture that was never finished is a draft",
        [
            add(picture("sediment://file_a", status="in_progress")),
            add(picture("sediment://file_b", identity="p2")),
            END,
        ],
        ("file_b",),
        ("file_a",),
    ),
    Case(
        "two calls give two pictures",
        [
            add(call("c1")),
            add(picture("sediment://file_a", identity="p1"), 1),
            add(call("c2"), 2),
            add(picture("sediment://file_b", identity="p2"), 3),
            END,
        ],
        ("file_a", "file_b"),
    ),
    Case(
        "one message may hold several",
        [add(picture("sediment://file_a", "sediment://file_b")), END],
        ("file_a", "file_b"),
    ),
    Case(
        "a picture that is shown again is one picture",
        [
            add(picture("sediment://file_a")),
            add(picture("sediment://file_a", identity="m2", **role("assistant")), 1),
            END,
        ],
        ("file_a",),
    ),
    Case(
        "a picture that comes by deltas",
        [
            add(picture(status="in_progress")),
            append([pointer("sediment://file_a")], "/message/content/parts"),
            delta("finished_successfully", p="/message/status", o="replace"),
            END,
        ],
        ("file_a",),
    ),
    Case(
        "a picture and a text about it",
        [add(picture("sediment://file_a")), add(message("Here")), finish(" it is."), END],
        ("file_a",),
    ),
    Case(
        "a picture that the turn sent is not its answer", [add(picture("sediment://file_ours")), END], (), (), "silent"
    ),
    Case("a picture of the user's is none", [add(picture("sediment://file_a", **role("user"))), END], (), (), "silent"),
    Case("a placeholder is none", [add(picture("sediment://file_upload")), END], (), (), "silent"),
    Case("another scheme is none", [add(picture("https://a.example/file_a")), END], (), (), "silent"),
    Case("a path is no id", [add(picture("sediment://../me")), END], (), (), "silent"),
    Case(
        "a picture for another tool is none",
        [add(picture("sediment://a", recipient="python", **role("assistant"))), END],
        (),
        (),
        "silent",
    ),
    Case(
        "a hidden picture is none",
        [add(picture("sediment://file_a", metadata={"is_visually_hidden_from_conversation": True})), END],
        (),
        (),
        "silent",
    ),
    Case("a picture that is being made", [add(call()), ASYNC, add(notice(), 1), DETACHED, END], (), (), "handed_off"),
    Case("a notice alone says that one is made", [add(notice()), END], (), (), "handed_off"),
    Case(
        "a draft alone says that one is made",
        [add(picture("sediment://file_a", status="in_progress")), END],
        (),
        ("file_a",),
        "handed_off",
    ),
    Case(
        "a text before the notice is not the answer",
        [add(whole("I am drawing it.")), add(notice(), 1), END],
        (),
        (),
        "handed_off",
    ),
    Case("a text after the notice is", [add(notice()), add(whole("I cannot."), 1), END]),
    Case(
        "an asynchronous turn may give its picture at once",
        [add(call()), ASYNC, add(notice(), 1), add(picture("sediment://file_a"), 2), DETACHED, END],
        ("file_a",),
    ),
    Case(
        "a turn that is handed off after a picture is followed",
        [add(picture("sediment://file_a")), typed("stream_handoff"), END],
        ("file_a",),
        (),
        "handed_off",
    ),
    Case("a stream that is cut off after the notice", [add(notice())], (), (), "cut"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_pictures_of_a_stream(case: Case) -> None:
    for chunks in ([OPENING, *case.stream], bytewise(OPENING + b"".join(case.stream))):
        decoder = TurnDecoder(OURS)
        events = [event for chunk in chunks for event in decoder.feed(chunk)]
        gallery = decoder.gallery()
        assert tuple(shown.file_id for shown in gallery.finished) == case.finished
        assert tuple(shown.file_id for shown in gallery.drafts) == case.drafts
        assert decoder.verdict() == case.verdict
        if case.verdict == "answered":
            check(events + decoder.close())


def test_a_picture_is_told_with_what_the_upstream_says_of_it() -> None:
    prompted = pointer("sediment://file_a", metadata={"dalle": {"prompt": "A cat, seen from above"}})
    told = picture(content={"content_type": "multimodal_text", "parts": ["words", prompted]})
    decoder = TurnDecoder()
    decoder.feed(add(told) + END)
    assert decoder.gallery() == Gallery((Picture("file_a", "p1", 7, "A cat, seen from above"),))


@pytest.mark.parametrize(("size", "title"), [(True, 7), (-1, ""), ("7", None), (None, [])])
def test_what_the_upstream_says_strangely_of_a_picture_is_not_told(size: object, title: object) -> None:
    parts = [pointer("sediment://file_a", size_bytes=size)]
    decoder = TurnDecoder()
    decoder.feed(
        add(
            picture(
                content={"content_type": "multimodal_text", "parts": parts},
                metadata={"image_gen_title": title},
            )
        )
    )
    assert decoder.gallery().finished == (Picture("file_a", "p1", None, None),)


def test_a_title_stands_in_for_the_prompt() -> None:
    decoder = TurnDecoder()
    decoder.feed(add(picture("sediment://file_a", metadata={"image_gen_title": "A cat"})))
    assert decoder.gallery().finished[0].prompt == "A cat"


def test_a_picture_stands_in_a_block_of_its_own_after_the_text() -> None:
    decoder = TurnDecoder()
    events = decoder.feed(b"".join([add(message("Here")), add(picture("sediment://file_a"), 1), END]))
    index, begun = decoder.open_picture()
    events += [*begun, ImageEnd(index, "image/png", b"png"), *decoder.close()]
    check(events)
    assert [type(event) for event in events[2:5]] == [TextDelta, TextEnd, ImageStart]
    finished = events[-1]
    assert isinstance(finished, Finish)
    assert finished.turn is not None
    assert finished.turn.message_id == "m1"


def test_an_answer_that_is_a_picture_is_named_by_its_message() -> None:
    decoder = TurnDecoder()
    events = decoder.feed(add(picture("sediment://file_a")) + END) + decoder.close()
    finished = events[-1]
    assert isinstance(finished, Finish)
    assert finished.turn is not None
    assert finished.turn.message_id == "p1"


# A stored conversation.

WAITING = b"".join([add(call()), ASYNC, add(notice(), 1), DETACHED, END])


def waiting() -> TurnDecoder:
    decoder = TurnDecoder()
    assert decoder.feed(WAITING) == []
    return decoder


def test_a_stored_conversation_is_looked_at_until_the_picture_is_there() -> None:
    decoder = waiting()
    for stored in (tree(QUESTION), tree(QUESTION, call(), notice())):
        assert decoder.feed_tree(stored) == []
        assert not decoder.over
    decoder.feed_tree(tree(QUESTION, call(), notice(), picture("sediment://file_a")))
    assert (decoder.over, decoder.verdict()) == (True, "answered")


def test_a_notice_may_become_the_picture() -> None:
    decoder = waiting()
    decoder.feed_tree(tree(QUESTION, call(), picture("sediment://file_a", identity="wait")))
    assert [shown.file_id for shown in decoder.gallery().finished] == ["file_a"]
    assert decoder.over


def test_a_picture_may_stand_beside_the_branch() -> None:
    stored = json.decode(tree(QUESTION, call(), notice()))
    beside = {"id": "n9", "message": picture("sediment://file_a"), "parent": "n1", "children": ["n1"]}
    stored["mapping"] |= {"n9": beside}
    for number in range(3):
        stored["mapping"][f"n{number}"]["children"] = [f"n{number + 1}", "n9", 7]
    decoder = waiting()
    decoder.feed_tree(json.encode(stored))
    assert decoder.over
    recalled = TurnDecoder()
    recalled.take_tree(stored)
    assert recalled.gallery().finished == ()


def test_a_text_that_is_being_written_about_a_picture_is_waited_for() -> None:
    decoder = waiting()
    shown = picture("sediment://file_a")
    for newest, said, over in ((message("Here"), "Here", False), (whole("Here it is."), " it is.", True)):
        assert text_of(decoder.feed_tree(tree(QUESTION, call(), notice(), shown, newest))) == said
        assert decoder.over is over


def test_a_text_in_place_of_a_picture_ends_the_waiting() -> None:
    decoder = waiting()
    events = decoder.feed_tree(tree(QUESTION, call(), notice(), whole("I cannot draw that.")))
    assert (text_of(events), decoder.verdict()) == ("I cannot draw that.", "answered")


def test_a_picture_that_never_came_is_an_error() -> None:
    with pytest.raises(UpstreamUnavailable, match="did not finish the picture"):
        waiting().close()


# Tasks.


def tasks(conversation: str = "conv", **fields: object) -> bytes:
    return json.encode({"tasks": [7, {"conversation_id": "another"}, {"conversation_id": conversation, **fields}]})


def refusal(text: str, **metadata: object) -> dict[str, Any]:
    return message(text, "t1", metadata=metadata)


TOLD = [
    tasks(status="running", image_gen_message=refusal("It is too busy.", is_error=True)),
    tasks(status="failed", image_gen_message=refusal("It is too busy.")),
    tasks("other", original_conversation_id="conv", status="failed", image_gen_message=refusal("It is too busy.")),
]


@pytest.mark.parametrize("told", TOLD)
def test_a_task_that_failed_says_why_there_is_no_picture(told: bytes) -> None:
    decoder = waiting()
    events = decoder.take_tasks(told) + decoder.close()
    check(events)
    assert text_of(events) == "It is too busy."


UNTOLD = [
    tasks(status="running"),
    tasks(status="completed", image_gen_message=refusal("Done.", is_error=False)),
    tasks("another", status="failed", image_gen_message=refusal("It is too busy.", is_error=True)),
]


@pytest.mark.parametrize("told", UNTOLD)
def test_other_tasks_say_nothing(told: bytes) -> None:
    decoder = waiting()
    assert decoder.take_tasks(told) == []
    assert decoder.verdict() == "handed_off"


@pytest.mark.parametrize("message", [None, 7, {}, refusal("")])
def test_a_task_that_fails_without_a_word_is_an_error(message: object) -> None:
    with pytest.raises(UpstreamUnavailable) as caught:
        waiting().take_tasks(tasks(status="failed", image_gen_message=message))
    assert (caught.value.status, caught.value.code) == (502, "image_generation_error")


@given(JSON_VALUES, JSON_VALUES)
def test_no_list_of_tasks_is_a_surprise(listed: object, entry: object) -> None:
    for said in (listed, {"tasks": listed}, {"tasks": [{"conversation_id": "conv", "image_gen_message": entry}]}):
        assert waiting().take_tasks(json.encode(said)) == []


def test_tasks_that_are_not_json_break_the_protocol() -> None:
    with pytest.raises(ProtocolViolation):
        waiting().take_tasks(b"<html>")
