"""Code that ran and what came of it: shown as fenced reasoning, charts beside it, links to files in the text."""

from collections.abc import Sequence
from typing import Any

import pytest
from msgspec import Struct

from core.events import Citation, Event, ReasoningEnd, ReasoningStart, TextDelta, TextEnd
from core.grammar import check
from core.request import ChatRequest, Hints, Message, StoredFile, Text
from core.wire.chatgpt_web.answer import Sent
from core.wire.chatgpt_web.code import CODE_WORDS, FENCE, with_code_words
from core.wire.chatgpt_web.stream import TurnDecoder
from tests.core.wire.chatgpt_web.computing import charted, code, output
from tests.core.wire.chatgpt_web.pictures import call, picture
from tests.core.wire.chatgpt_web.streams import (
    COMPLETE,
    DONE,
    OPENING,
    add,
    append,
    bytewise,
    content,
    decode,
    delta,
    finish,
    message,
    reasoning_of,
    snapshot,
    text_of,
    whole,
)

CODE_TEXT = "/message/content/text"
HIDDEN: dict[str, Any] = {"metadata": {"is_visually_hidden_from_conversation": True}}
END = COMPLETE + DONE


def ran(text: str) -> str:
    return f"{FENCE}python\n{text}\n{FENCE}"


def printed(text: str) -> str:
    return f"{FENCE}text\n{text}\n{FENCE}"


class Case(Struct, frozen=True):
    """`shown` are the blocks of reasoning."""

    id: str
    given: list[bytes]
    shown: tuple[str, ...] = ()


CASES = [
    Case("code and its output", [add(code("6 * 7")), add(output("42"), 1)], (ran("6 * 7"), printed("42"))),
    Case(
        "code that grows",
        [add(code()), append("6 *", CODE_TEXT), delta(" 7"), add(output("42"), 1)],
        (ran("6 * 7"), printed("42")),
    ),
    Case(
        "code that grows within a patch",
        [add(code("6")), delta([{"p": CODE_TEXT, "o": "append", "v": " * 7"}], p="", o="patch")],
        (ran("6 * 7"),),
    ),
    Case(
        "output that grows",
        [add(output(status="in_progress")), append("4", CODE_TEXT), delta("2")],
        (printed("42"),),
    ),
    Case("code as the newest models call it", [add(message("6 * 7", recipient="python"))], (ran("6 * 7"),)),
    Case("code for the user to see", [add(code("1", tool="python_user_visible"))], (ran("1"),)),
    Case(
        "snapshots",
        [snapshot(code("6")), snapshot(code("6 * 7")), snapshot(output("42"))],
        (ran("6 * 7"), printed("42")),
    ),
    Case(
        "two runs",
        [add(code("1")), add(output("a"), 1), add(code("2", "c2"), 2), add(output("b", "o2"), 3)],
        (ran("1"), printed("a"), ran("2"), printed("b")),
    ),
    Case("no output, no block", [add(code("x = 1")), add(output(), 1)], (ran("x = 1"),)),
    Case("hidden code is not shown", [add(code("lost", **HIDDEN)), add(output("lost", **HIDDEN), 1)]),
    Case("code for no tool is not shown", [add(code("lost", tool="all"))]),
    Case("a canvas is not shown", [add(code("lost", tool="canmore.create_textdoc"))]),
    Case("a search is not shown", [add(code("lost", tool="web.run")), add(output("lost", tool="web.run"), 1)]),
    Case("a memory is not shown", [add(code("lost", tool="bio"))]),
    Case("another kind of result is not shown", [add(output() | content("text", parts=["lost"]))]),
    Case("output of nobody is not shown", [add(output("lost") | {"author": {"role": "tool"}})]),
    Case("output of a text for an author is not shown", [add(output("lost") | {"author": "tool", "role": "tool"})]),
]


def blocks(events: Sequence[Event]) -> tuple[str, ...]:
    """Return the text of each block of reasoning."""
    begins = [place for place, event in enumerate(events) if isinstance(event, ReasoningStart)]
    ends = [place for place, event in enumerate(events) if isinstance(event, ReasoningEnd)]
    return tuple(reasoning_of(events[begin:end]) for begin, end in zip(begins, ends, strict=True))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_what_ran_is_shown(case: Case) -> None:
    stream = [OPENING, *case.given, add(whole("Done.", "last"), 99), END]
    events = decode(stream)
    check(events)
    assert blocks(events) == case.shown
    assert text_of(events) == "Done."
    assert decode(bytewise(b"".join(stream))) == events


def test_an_echo_of_code_is_not_shown() -> None:
    stream = [OPENING, add(code("lost", "mine")), add(whole("Done.", "last"), 1), END]
    assert blocks(decode(stream, Sent(frozenset({"mine"})))) == ()


def test_code_in_a_stored_conversation_is_not_shown_twice() -> None:
    decoder = TurnDecoder()
    streamed = decoder.feed(OPENING + add(code("1")) + add(output("a"), 1))
    nodes = {"c1": code("1"), "o1": output("a"), "m1": whole("Done.")}
    parents = {"c1": None, "o1": "c1", "m1": "o1"}
    mapping = {name: {"id": name, "message": said, "parent": parents[name]} for name, said in nodes.items()}
    events = streamed + decoder.take_tree({"mapping": mapping, "current_node": "m1"}) + decoder.close()
    check(events)
    assert (blocks(events), text_of(events)) == ((ran("1"), printed("a")), "Done.")


# Charts.


def test_charts_are_no_pictures_that_were_asked_for() -> None:
    decoder = TurnDecoder()
    decoder.feed(OPENING + add(code("1")) + add(charted("file-service://file-a", "sediment://file_b"), 1))
    found = decoder.gallery()
    assert ([chart.file_id for chart in found.charts], found.finished, found.awaited) == (
        ["file-a", "file_b"],
        (),
        False,
    )


CHARTS = [
    ("of a result that is not whole", charted("file-service://file-a", status="in_progress"), 0),
    ("of a hidden result", charted("file-service://file-a") | {"weight": 0}, 0),
    ("shown as a picture", picture("sediment://file_a", author={"role": "tool", "name": "python"}), 1),
    ("twice the same", charted("file-service://file-a", "file-service://file-a"), 1),
    ("no pointer", charted("https://a.example/b.png"), 0),
    ("nothing at all", output(metadata={"aggregate_result": {"messages": [1, {"message_type": "image"}]}}), 0),
    ("no list", output(metadata={"aggregate_result": {"messages": "x"}}), 0),
]


@pytest.mark.parametrize(("said", "count"), [row[1:] for row in CHARTS], ids=[row[0] for row in CHARTS])
def test_a_chart(said: dict[str, object], count: int) -> None:
    decoder = TurnDecoder()
    decoder.feed(OPENING + add(said))
    assert len(decoder.gallery().charts) == count


def test_a_chart_does_not_end_a_turn_that_goes_on() -> None:
    decoder = TurnDecoder()
    mapping = {"o1": {"id": "o1", "message": charted("file-service://file-a"), "parent": None}}
    decoder.take_tree({"mapping": mapping, "current_node": "o1"})
    assert not decoder.over


def test_code_beside_a_picture_does_not_take_it_away() -> None:
    decoder = TurnDecoder()
    decoder.feed(
        OPENING + add(call()) + add(picture("sediment://file_a"), 1) + add(charted("file-service://file-b"), 2)
    )
    found = decoder.gallery()
    assert [shown.file_id for shown in (*found.finished, *found.charts)] == ["file_a", "file-b"]


# Links to files.

MARK = "\ue200cite\ue202turn0search0\ue201"
SOURCE = {"matched_text": MARK, "items": [{"url": "https://a.example", "title": "A"}]}


def with_links(*stream: bytes) -> tuple[list[Event], list[StoredFile]]:
    """Return the events of a stream whose links are `#` and a number, and the files they lead to."""
    files: list[StoredFile] = []

    def link(file: StoredFile) -> str:
        files.append(file)
        return f"#{len(files)}"

    decoder = TurnDecoder(account="acc", link=link)
    events = [event for data in stream for event in decoder.feed(data)] + decoder.close()
    check(events)
    return events, files


def test_a_file_in_the_text_becomes_a_link() -> None:
    events, files = with_links(OPENING, add(whole("See [it](sandbox:/mnt/data/a.csv).")), END)
    assert text_of(events) == "See [it](#1)."
    (file,) = files
    assert (file.conversation_id, file.message_id, file.path, file.account) == ("conv", "m1", "/mnt/data/a.csv", "acc")


def test_a_link_may_be_split_over_deltas() -> None:
    text = "See sandbox:/mnt/data/a.csv, please."
    stream = [OPENING, add(message()), append(text[0]), *map(delta, text[1:]), finish(), END]
    events, files = with_links(*stream)
    assert (text_of(events), len(files)) == ("See #1, please.", 1)


def test_a_link_may_be_split_over_a_continuation() -> None:
    decoder = TurnDecoder(link=lambda file: f"#{file.message_id}")
    cut = [OPENING, add(message("See sandbox:/mnt/da")), finish("ta/a", "max_tokens"), END]
    events = [event for data in cut for event in decoder.feed(data)]
    decoder.go_on()
    rest = [OPENING, add(message("", "m2")), append(".csv for"), finish(" it"), END]
    events += [event for data in rest for event in decoder.feed(data)] + decoder.close()
    assert text_of(events) == "See #m1 for it"


def test_citations_stand_where_they_do_in_the_text_that_is_shown() -> None:
    stream = [add(message("[it](sandbox:/mnt/data/a.csv) so" + MARK)), finish("", content_references=[SOURCE])]
    events, _ = with_links(OPENING, *stream, END)
    (end,) = [event for event in events if isinstance(event, TextEnd)]
    assert text_of(events) == "[it](#1) so"
    assert end.citations == (Citation("https://a.example", "A", 11, 11),)


def test_a_file_at_the_very_end_and_a_mark_behind_it() -> None:
    events, _ = with_links(OPENING, add(whole("sandbox:/mnt/data/a.csv" + MARK)), END)
    assert text_of(events) == "#1"
    events, _ = with_links(OPENING, add(whole("sandbox:/mnt/data/a.csv")), END)
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["#1"]


def test_code_keeps_its_paths() -> None:
    events, files = with_links(OPENING, add(code("'sandbox:/mnt/data/a.csv'")), add(whole("Done."), 1), END)
    assert (blocks(events), files) == ((ran("'sandbox:/mnt/data/a.csv'"),), [])


def test_without_a_conversation_there_is_no_link() -> None:
    stream = [OPENING, delta({"message": whole("sandbox:/mnt/data/a.csv")}, p="", o="add"), DONE]
    events, files = with_links(*stream)
    assert (text_of(events), files) == ("sandbox:/mnt/data/a.csv", [])


# Asking for it.


def test_code_is_asked_for_in_the_last_words_of_the_user() -> None:
    asked = (Message("user", (Text("Count"),), "Ada"), Message("assistant", (Text("Well"),)))
    request = ChatRequest("auto", asked, hints=Hints(code_interpreter=True))
    first, second = with_code_words(request).messages
    assert first == Message("user", (Text("Count"), Text(CODE_WORDS)), "Ada")
    assert second == asked[1]


@pytest.mark.parametrize("hints", [Hints(), Hints(code_interpreter=True)])
def test_where_nobody_asks_nothing_is_added(hints: Hints) -> None:
    request = ChatRequest("auto", (Message("system", (Text("Be brief"),)),), hints=hints)
    assert with_code_words(request) == request
