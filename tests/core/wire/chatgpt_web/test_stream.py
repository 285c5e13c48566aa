"""What each block of a turn's stream means, rule by rule (chatgpt-web reference, sections 3.4 to 3.10)."""

from typing import Any

import pytest
from msgspec import Struct, json

from core.errors import ChallengeRequired, ProtocolViolation, RateLimited, UpstreamError, UpstreamUnavailable
from core.events import (
    Citation,
    Event,
    Finish,
    Progress,
    ReasoningDelta,
    ReasoningEnd,
    ReasoningStart,
    Start,
    TextDelta,
    TextEnd,
    TextStart,
)
from core.grammar import check
from core.request import Turn
from core.wire.chatgpt_web.answer import REWRITTEN, Sent
from core.wire.chatgpt_web.stream import TurnDecoder
from tests.core.wire.chatgpt_web.streams import (
    COMPLETE,
    DONE,
    OPENING,
    TEXT,
    add,
    append,
    block,
    content,
    decode,
    delta,
    document,
    finish,
    message,
    reasoning_of,
    role,
    snapshot,
    text_of,
    typed,
    whole,
)

THOUGHT = "/message/content/thoughts/0/content"
HIDDEN: dict[str, Any] = {"metadata": {"is_visually_hidden_from_conversation": True}}


def thoughts(*items: tuple[str, str], **changes: object) -> dict[str, Any]:
    told = [{"summary": summary, "content": said} for summary, said in items]
    fields: dict[str, Any] = {"identity": "t1", **content("thoughts", thoughts=told), **changes}
    return message(**fields)


class Case(Struct, frozen=True):
    """`text` and `reasoning` are what the stream shows; `progress` how often it says that it was rewritten."""

    id: str
    given: list[bytes]
    text: str = ""
    reasoning: str = ""
    progress: int = 0


RULES = [
    Case(
        "a bare value goes on with the path and the operation before", [add(message()), append("a"), delta("b")], "ab"
    ),
    Case("a missing operation is that of the block before", [add(message()), append("a"), delta("b", p=TEXT)], "ab"),
    Case("a missing path is that of the block before", [add(message()), append("a"), delta("b", o="append")], "ab"),
    Case(
        "a missing channel is that of the block before",
        [add(message("", "x", **HIDDEN), 0), add(message(), 7), append("a"), delta("b")],
        "ab",
    ),
    Case(
        "an add right after an add may leave all out",
        [add(message("", "x", **HIDDEN)), delta(document(message()), c=1), append("a")],
        "a",
    ),
    Case(
        "a channel that is named again is gone back to",
        [add(message(), 0), add(message("", "x", **HIDDEN), 1), delta("a", p=TEXT, o="append", c=0), delta("b")],
        "ab",
    ),
    Case(
        "nulls in place of c, p and o inherit too",
        [add(message()), append("a"), delta("b", p=None, o=None, c=None)],
        "ab",
    ),
    Case(
        "a missing value appends nothing", [add(message()), append("a"), delta(p=TEXT, o="append"), append("b")], "ab"
    ),
    Case(
        "a patch without a path right after an add is at the root",
        [add(message()), delta([{"p": TEXT, "o": "append", "v": "whole"}], o="patch")],
        "whole",
    ),
    Case(
        "text in a patch is shown",
        [add(message()), append("a"), delta([{"p": TEXT, "o": "append", "v": "b"}], o="patch", p="")],
        "ab",
    ),
    Case(
        "parts of a patch inherit nothing from each other",
        [
            add(message()),
            delta([{"p": TEXT, "o": "append", "v": "a"}, {"v": "lost"}, {"p": TEXT, "v": "lost"}], o="patch", p=""),
        ],
        "a",
    ),
    Case(
        "after a patch an explicit operation goes on",
        [add(message()), delta([], o="patch", p=""), append("a"), delta("b")],
        "ab",
    ),
    Case(
        "after a patch a bare value is a patch, which a text is not",
        [add(message()), append("a"), delta([], o="patch", p=""), delta("lost")],
        "a",
    ),
    Case(
        "an operation on a path that does not exist is ignored",
        [add(message()), append("lost", "/message/none/here/0"), append("a")],
        "a",
    ),
    Case("an unknown operation is ignored", [add(message()), delta("lost", p=TEXT, o="invent"), append("a")], "a"),
    Case(
        "an operation on a channel that does not exist is ignored",
        [delta("lost", p=TEXT, o="append", c=3), add(message("a"))],
        "a",
    ),
    Case("an operation before any message is ignored", [append("lost"), add(message("a"))], "a"),
    Case("a replaced text that goes on is growth", [add(message("a")), delta("ab", p=TEXT, o="replace")], "ab"),
    Case(
        "a replaced text that differs is told as progress",
        [add(message("ab")), delta("xy", p=TEXT, o="replace")],
        "ab",
        progress=1,
    ),
    Case(
        "a text that goes on after being replaced is shown from there",
        [add(message("ab")), delta("xy", p=TEXT, o="replace"), append("z")],
        "abz",
        progress=1,
    ),
    Case(
        "a text cut short and told again is not repeated",
        [add(message("abc")), delta(1, p=TEXT, o="truncate"), append("bc"), delta("d")],
        "abcd",
    ),
    Case(
        "a text cut short and told otherwise is told as progress",
        [add(message("abc")), delta(1, p=TEXT, o="truncate"), append("x")],
        "abcx",
        progress=1,
    ),
    Case("a part that is added is shown", [add(message("a")), delta("b", p="/message/content/parts/-", o="add")], "ab"),
    Case(
        "a part that is added before the others is told as progress",
        [add(message("a")), delta("b", p="/message/content/parts/0", o="add")],
        "a",
        progress=1,
    ),
    Case(
        "parts appended as a list are shown", [add(message("a")), append(["b", "c"], "/message/content/parts")], "abc"
    ),
    Case("a part appended as a text is shown", [add(message("a")), append("b", "/message/content/parts")], "ab"),
    Case(
        "the second part grows",
        [
            add(message("a")),
            append(["b"], "/message/content/parts"),
            append("c", "/message/content/parts/1"),
            delta("d"),
        ],
        "abcd",
    ),
    Case(
        "the first of two parts does not grow into what was shown",
        [add(message("a")), append(["b"], "/message/content/parts"), append("c"), delta("d")],
        "ab",
        progress=2,
    ),
    Case(
        "a removed part leaves what was shown",
        [add(message("a")), delta(p="/message/content/parts/0", o="remove")],
        "a",
    ),
    Case(
        "a part of another kind than text shows nothing",
        [add(message()), append([{"content_type": "image_asset_pointer"}], "/message/content/parts"), append("a")],
        "a",
    ),
    Case(
        "tildes and slashes in keys are unescaped",
        [add(message("a")), delta("m", p="/message/metadata/a~1b~0c", o="add")],
        "a",
    ),
    Case(
        "a whole new message on the same channel takes its place",
        [add(message("", "x", **HIDDEN)), add(message("a", "m2")), append("b")],
        "ab",
    ),
    Case(
        "a document without a message leaves the channel empty",
        [add(message("a")), delta({"x": 1}, p="", o="add"), append("lost")],
        "a",
    ),
    Case(
        "a document that is none leaves the channel empty",
        [add(message("a")), delta(None, p="", o="replace"), append("lost")],
        "a",
    ),
    Case(
        "snapshots show what is new", [snapshot(message("a")), snapshot(message("ab")), snapshot(message("ab"))], "ab"
    ),
    Case(
        "a snapshot that rewrites is told as progress",
        [snapshot(message("ab")), snapshot(message("xy")), snapshot(message("xyz"))],
        "abz",
        progress=1,
    ),
    Case(
        "a snapshot that is behind the last one repeats nothing",
        [snapshot(message("abc")), snapshot(message("a")), snapshot(message("abcd"))],
        "abcd",
    ),
    Case(
        "the role of early 2023 stands on the message",
        [snapshot({"id": "m", "role": "assistant", "content": {"content_type": "text", "parts": ["a"]}})],
        "a",
    ),
    Case("thoughts are reasoning", [add(thoughts(("", ""))), append("a", THOUGHT), delta("b")], reasoning="ab"),
    Case(
        "a thought has a summary and a content",
        [add(thoughts(("Sum", ""))), append("up", THOUGHT), delta(".")],
        reasoning="Sum\nup.",
    ),
    Case(
        "thoughts are apart from each other",
        [add(thoughts(("", "a"))), append([{"summary": "B", "content": "b"}], "/message/content/thoughts")],
        reasoning="a\n\nB\nb",
    ),
    Case(
        "an earlier thought does not grow into what was shown",
        [add(thoughts(("", "a"), ("", "b"))), append("c", THOUGHT), delta("d")],
        reasoning="a\n\nb",
        progress=2,
    ),
    Case("the channel analysis is reasoning", [add(message("a", channel="analysis")), append("b")], reasoning="ab"),
    Case("the channel commentary is reasoning", [add(message("a", channel="commentary"))], reasoning="a"),
    Case("the channel final is the answer", [add(message("a", channel="final"))], "a"),
    Case(
        "reasoning and then the answer",
        [add(message("why", "t", channel="analysis")), add(message("a", channel="final"), 1)],
        "a",
        "why",
    ),
    Case("a hidden message is not shown", [add(message("lost", **HIDDEN)), append("lost")]),
    Case("a message without weight is not shown", [add(message("lost", weight=0.0)), append("lost")]),
    Case("a message to a tool is not shown", [add(message("lost", recipient="browser")), append("lost")]),
    Case("a mark that never came to its end", [add(message("【7"))], "【7"),
    Case("a message of a tool is not shown", [add(message("lost", **role("tool")))]),
    Case("a message of the user is not shown", [add(message("lost", **role("user")))]),
    Case("a message of the system is not shown", [add(message("lost", **role("system")))]),
    Case(
        "code is not shown",
        [add(message(**content("code", text="lost"))), append("lost", "/message/content/text"), delta("lost")],
    ),
    Case("what a tool put out is not shown", [add(message(**content("execution_output", text="lost")))]),
    Case("a recap of reasoning is not shown", [add(message(**content("reasoning_recap", content="lost")))]),
    Case(
        "the owner's instructions are never shown",
        [add(message(**content("user_editable_context", user_profile="lost", user_instructions="lost")))],
    ),
    Case(
        "the model's own context is never shown",
        [add(message(**content("model_editable_context", model_set_context="lost")))],
    ),
    Case("an input message is not shown", [typed("input_message", input_message=message("lost"))]),
    Case(
        "text of a multimodal message is shown",
        [add(message(**content("multimodal_text", parts=["a", {"x": 1}, "b"])))],
        "ab",
    ),
    Case("blocks of unknown types are ignored", [typed("news", message=message("lost")), block({}), block({"x": 1})]),
    Case("comments and empty blocks are ignored", [b": ping\n\n", b"data:\n\n", b"event: delta\n\n", b"data:   \n\n"]),
    Case("padding at the end of a line is ignored", [add(message("a")).replace(b"\n\n", b"      \n\n")], "a"),
]


@pytest.mark.parametrize("case", RULES, ids=lambda case: case.id)
def test_rules(case: Case) -> None:
    if b"[DONE]" in case.given[-1]:
        raise AssertionError("the end is added here")
    events = decode([OPENING, *case.given, add(whole("", "last"), 99), COMPLETE, DONE])
    check(events)
    assert (text_of(events), reasoning_of(events)) == (case.text, case.reasoning)
    assert events.count(Progress(REWRITTEN)) == case.progress


def test_a_simple_turn_is_this_sentence() -> None:
    stream = [
        OPENING,
        typed("resume_conversation_token", token="t", conversation_id="conv"),
        add(message()),
        append("Hel"),
        delta("lo"),
        finish("!"),
        COMPLETE,
        DONE,
    ]
    turn = Turn("conv", "m1")
    assert decode(stream) == [
        Start(None, (), turn),
        TextStart(0),
        TextDelta(0, "Hel"),
        TextDelta(0, "lo"),
        TextDelta(0, "!"),
        TextEnd(0),
        Finish("stop", "stop", None, turn),
    ]


def test_reasoning_and_an_answer_are_two_blocks() -> None:
    why = message("why", "t", channel="analysis", metadata={"model_slug": "gpt-x"})
    events = decode([add(why), add(whole("so", channel="final"), 1), DONE])
    assert events[:5] == [
        Start("gpt-x", (), Turn("conv")),
        ReasoningStart(0),
        ReasoningDelta(0, "why"),
        ReasoningEnd(0),
        TextStart(1),
    ]


def test_what_the_request_lost_is_named_at_the_start() -> None:
    decoder = TurnDecoder(ignored=("top_p",))
    assert decoder.feed(add(message("a")))[0] == Start(None, ("top_p",), Turn("conv", "m1"))


def test_the_resolved_model_is_named_before_the_asked_one() -> None:
    slugs = {"model_slug": "auto", "resolved_model_slug": "gpt-5-6"}
    assert decode([add(whole("a", metadata=slugs)), DONE])[0] == Start("gpt-5-6", (), Turn("conv", "m1"))


class End(Struct, frozen=True):
    id: str
    given: list[bytes]
    expected: Finish


TURN = Turn("conv", "m1")
ENDS = [
    End("stop is stop", [add(message("a")), finish(), DONE], Finish("stop", "stop", None, TURN)),
    End(
        "max_tokens is length",
        [add(message("a")), finish(kind="max_tokens"), DONE],
        Finish("length", "max_tokens", None, TURN),
    ),
    End(
        "interrupted is stop",
        [add(message("a")), finish(kind="interrupted"), DONE],
        Finish("stop", "interrupted", None, TURN),
    ),
    End(
        "an unknown reason is stop",
        [add(message("a")), finish(kind="skipped"), DONE],
        Finish("stop", "skipped", None, TURN),
    ),
    End("no reason is stop", [add(message("a")), finish(kind=None), DONE], Finish("stop", None, None, TURN)),
    End(
        "a reason that is no text is stop",
        [add(message("a")), finish(kind=None, finish_details={"type": 7}), DONE],
        Finish("stop", None, None, TURN),
    ),
    End(
        "the end of the bytes is an end once the answer ended",
        [add(message("a")), finish()],
        Finish("stop", "stop", None, TURN),
    ),
    End("a complete stream needs no DONE", [add(message("a")), finish(), COMPLETE], Finish("stop", "stop", None, TURN)),
    End("DONE ends an answer that does not say so itself", [add(message("a")), DONE], Finish("stop", None, None, TURN)),
    End("DONE without its blank line is DONE", [add(message("a")), b"data: [DONE]"], Finish("stop", None, None, TURN)),
    End("an answer may be empty", [add(whole("")), DONE], Finish("stop", None, None, TURN)),
    End(
        "a blocked answer is filtered",
        [add(message("a")), typed("moderation", moderation_response={"blocked": True}), DONE],
        Finish("content_filter", "moderation", None, TURN),
    ),
    End(
        "a blocked answer in the older form is filtered",
        [snapshot(message("a")), block({"moderation_response": {"blocked": True}, "is_completion": True}), DONE],
        Finish("content_filter", "moderation", None, TURN),
    ),
    End(
        "an answer that is blocked before its first word is filtered",
        [typed("moderation", moderation_response={"blocked": True})],
        Finish("content_filter", "moderation"),
    ),
    End(
        "a flag alone blocks nothing",
        [snapshot(whole("a")), block({"moderation_response": {"flagged": True, "blocked": False}})],
        Finish("stop", None, None, TURN),
    ),
    End(
        "what follows a block is not shown",
        [add(message("a")), typed("moderation", moderation_response={"blocked": True}), append("b"), finish("c"), DONE],
        Finish("content_filter", "moderation", None, TURN),
    ),
    End(
        "what follows the last word is left out",
        [add(message("a")), finish(), DONE, typed("error", error="late")],
        Finish("stop", "stop", None, TURN),
    ),
]


@pytest.mark.parametrize("case", ENDS, ids=lambda case: case.id)
@pytest.mark.parametrize("together", [True, False], ids=["in one read", "in a read each"])
def test_ends(case: End, together: bool) -> None:
    events = decode([b"".join(case.given)] if together else case.given)
    check(events)
    assert events[-1] == case.expected
    assert text_of(events) in ("", "a")


class Failure(Struct, frozen=True):
    id: str
    given: list[bytes]
    error: type[UpstreamError]
    message: str
    code: str | None = None


FAILURES = [
    Failure(
        "a refusal in place of a message",
        [block({"message": None, "error": "Unusual activity here"})],
        ChallengeRequired,
        "Unusual activity here",
    ),
    Failure("an error by its type", [typed("error", error="it broke")], UpstreamUnavailable, "it broke"),
    Failure("an error by its event name", [block({"message": "it broke"}, "error")], UpstreamUnavailable, "it broke"),
    Failure(
        "an error with a detail",
        [typed("error", detail={"message": "it broke", "code": "boom"})],
        UpstreamUnavailable,
        "it broke",
        "boom",
    ),
    Failure(
        "an error that is an object",
        [block({"error": {"message": "too many", "code": "rate_limit_exceeded"}})],
        RateLimited,
        "too many",
        "rate_limit_exceeded",
    ),
    Failure(
        "a model's cap",
        [typed("error", error={"message": "cap", "code": "model_cap_exceeded"})],
        RateLimited,
        "cap",
        "model_cap_exceeded",
    ),
    Failure(
        "an error in a delta document",
        [delta(document(None, error="it broke"), p="", o="add")],
        UpstreamUnavailable,
        "it broke",
    ),
    Failure(
        "an error code in a delta document",
        [delta(document(message(), error_code="boom"), p="", o="add")],
        UpstreamUnavailable,
        "the upstream reported an error without saying which",
        "boom",
    ),
    Failure(
        "an error that an operation sets",
        [add(message()), delta("it broke", p="/error", o="replace")],
        UpstreamUnavailable,
        "it broke",
    ),
    Failure(
        "an error that says nothing",
        [typed("error")],
        UpstreamUnavailable,
        "the upstream reported an error without saying which",
    ),
    Failure(
        "a system error in place of an answer",
        [add(message(**content("system_error", name="x", text="no tokens left"))), DONE],
        UpstreamUnavailable,
        "no tokens left",
    ),
    Failure(
        "no answer at all",
        [OPENING, COMPLETE, DONE],
        UpstreamUnavailable,
        "the upstream ended the turn without an answer",
    ),
    Failure(
        "an echo of the question only",
        [add(message("q", **role("user"))), DONE],
        UpstreamUnavailable,
        "the upstream ended the turn without an answer",
    ),
    Failure("no bytes", [], UpstreamUnavailable, "the upstream cut its stream off before the answer was whole"),
    Failure(
        "a stream without an end",
        [add(message("a"))],
        UpstreamUnavailable,
        "the upstream cut its stream off before the answer was whole",
    ),
    Failure(
        "reasoning that ends without an answer",
        [add(whole("why", channel="analysis", end_turn=False))],
        UpstreamUnavailable,
        "the upstream cut its stream off before the answer was whole",
    ),
    Failure(
        "a stream that ends within an event",
        [add(message("a")), append("b")[:-9]],
        UpstreamUnavailable,
        "the upstream cut its stream off before the answer was whole",
    ),
    Failure(
        "a delta that is not JSON",
        [b"event: delta\ndata: {\n\n"],
        ProtocolViolation,
        "a delta block of the upstream's stream cannot be read: it is not JSON",
    ),
    Failure(
        "a delta that is not an object",
        [b"event: delta\ndata: []\n\n"],
        ProtocolViolation,
        "a delta block of the upstream's stream cannot be read: a field has the wrong type",
    ),
    Failure(
        "a delta whose path is no text",
        [delta("a", p=7)],
        ProtocolViolation,
        "a delta block of the upstream's stream cannot be read: a field has the wrong type",
    ),
    Failure(
        "a block that is not JSON",
        [b"data: <html>\n\n"],
        ProtocolViolation,
        "a block of the upstream's stream cannot be read: it is not JSON",
    ),
    Failure(
        "a block that is not UTF-8",
        [b'data: {"x":"\xff"}\n\n'],
        ProtocolViolation,
        "a block of the upstream's stream cannot be read: it is not JSON",
    ),
    Failure(
        "a block that is not an object",
        [block([])],
        ProtocolViolation,
        "a block of the upstream's stream is not a JSON object",
    ),
    Failure(
        "an encoding that is unknown",
        [block("v2", "delta_encoding")],
        ProtocolViolation,
        "the upstream chose an unknown stream encoding 'v2'",
    ),
]


@pytest.mark.parametrize("case", FAILURES, ids=lambda case: case.id)
def test_failures(case: Failure) -> None:
    with pytest.raises(case.error) as caught:
        decode(case.given)
    assert (caught.value.message, caught.value.code) == (case.message, case.code)
    assert caught.value.upstream in ("chatgpt_web", "")
    assert caught.value.upstream_status is None


def test_what_came_before_a_failure_in_the_same_read_is_returned_first() -> None:
    decoder = TurnDecoder()
    assert text_of(decoder.feed(add(message("a")) + typed("error", error="late") + append("b"))) == "a"
    assert decoder.over
    assert decoder.failed
    for call in (decoder.end_of_stream, decoder.close):
        with pytest.raises(UpstreamUnavailable, match="late"):
            call()


# The history that was sent.


HISTORY = Sent(frozenset(["sent"]), frozenset(["I said this"]))


def test_an_echo_is_known_by_its_id() -> None:
    stream = [add(whole("anything", "sent")), add(whole("answer"), 1), DONE]
    assert text_of(decode(stream, HISTORY)) == "answer"


def test_an_echo_is_known_by_its_text() -> None:
    echoed = whole("I said this", "other", end_turn=None)
    assert text_of(decode([add(echoed), add(whole("answer"), 1), DONE], HISTORY)) == "answer"
    assert text_of(decode([snapshot(echoed), snapshot(whole("answer")), DONE], HISTORY)) == "answer"


def test_an_answer_that_repeats_the_history_word_for_word_is_shown() -> None:
    repeated = whole("I said this")
    assert text_of(decode([add(message()), append("I said"), finish(" this"), DONE], HISTORY)) == "I said this"
    assert text_of(decode([snapshot(repeated), DONE], HISTORY)) == "I said this"
    decoder = TurnDecoder(HISTORY)
    assert text_of(decoder.feed_tree(tree(QUESTION, repeated))) == "I said this"
    assert decoder.over


# Turns that take more than one stream.


def cut_for_length(identity: str = "m1") -> TurnDecoder:
    decoder = TurnDecoder()
    decoder.feed(
        b"".join([OPENING, add(message("", identity)), append("One, "), finish("two", "max_tokens"), COMPLETE, DONE])
    )
    assert decoder.verdict() == "truncated"
    assert decoder.message_id == identity
    decoder.go_on()
    return decoder


CONTINUATIONS = [
    Case("under a new id", [add(message("", "m2")), append(", three"), finish(".")], ", three."),
    Case("under the same id, from nothing", [add(message("", "m1")), append(", three"), finish(".")], ", three."),
    Case(
        "under the same id, with all of the text",
        [add(message("One, two", "m1")), append(", three"), finish(".")],
        ", three.",
    ),
    Case(
        "after an echo of the cut message",
        [
            add(message("One, two", "m1", status="finished_successfully")),
            add(message("", "m2"), 1),
            append(", three"),
            finish("."),
        ],
        ", three.",
    ),
    Case("whole at once", [add(whole(", three.", "m2"))], ", three."),
    Case("in snapshots", [snapshot(message(", th", "m2")), snapshot(whole(", three.", "m2"))], ", three."),
    Case(
        "in snapshots of all of the text",
        [snapshot(message("One, two, th", "m1")), snapshot(whole("One, two, three.", "m1"))],
        ", three.",
    ),
]


@pytest.mark.parametrize("case", CONTINUATIONS, ids=lambda case: case.id)
def test_a_continued_answer_is_one_block_of_text(case: Case) -> None:
    decoder = cut_for_length()
    events = decoder.feed(b"".join([OPENING, *case.given, COMPLETE, DONE])) + decoder.close()
    assert text_of(events) == case.text
    assert not any(isinstance(event, TextStart) for event in events)
    assert isinstance(events[-2], TextEnd)
    finished = events[-1]
    assert isinstance(finished, Finish)
    assert finished.reason == "stop"


def test_an_answer_may_be_continued_more_than_once() -> None:
    decoder = cut_for_length()
    decoder.feed(b"".join([add(message("", "m2")), append(", three"), finish("", "max_tokens"), DONE]))
    assert decoder.verdict() == "truncated"
    assert decoder.message_id == "m2"
    decoder.go_on()
    events = decoder.feed(b"".join([add(whole(", four.", "m3")), DONE])) + decoder.close()
    assert [type(event) for event in events] == [TextDelta, TextEnd, Finish]


def test_a_continuation_that_says_nothing_leaves_the_answer_cut() -> None:
    decoder = cut_for_length()
    decoder.feed(DONE)
    assert decoder.verdict() == "truncated"
    assert decoder.close()[-1] == Finish("length", "max_tokens", None, Turn("conv", "m1"))


def test_citations_of_both_halves_of_a_continued_answer_are_found() -> None:
    def marker(name: str) -> str:
        return f"\ue200cite\ue202{name}\ue201"

    def references(name: str) -> dict[str, object]:
        return {"matched_text": marker(name), "items": [{"url": f"https://{name}.example", "title": name}]}

    decoder = TurnDecoder()
    decoder.feed(
        b"".join(
            [
                add(message()),
                append("One" + marker("a")),
                finish("", "max_tokens", content_references=[references("a")]),
                DONE,
            ]
        )
    )
    decoder.go_on()
    events = (
        decoder.feed(
            b"".join(
                [
                    add(message("", "m2")),
                    append(", two" + marker("b")),
                    finish("", content_references=[references("b")]),
                    DONE,
                ]
            )
        )
        + decoder.close()
    )
    assert events[-2] == TextEnd(
        0, (Citation("https://a.example", "a", 3, 3), Citation("https://b.example", "b", 8, 8))
    )


def test_a_message_that_goes_on_after_another_has_citations_of_its_new_block_only() -> None:
    marker = "\ue200cite\ue202a\ue201"
    reference = {"matched_text": marker, "items": [{"url": "https://a.example", "title": "A"}]}
    stream = [
        add(message("one" + marker, metadata={"content_references": [reference]})),
        add(message("hm", "t", channel="analysis"), 1),
        delta(" two" + marker, p=TEXT, o="append", c=0),
        finish(),
        DONE,
    ]
    ends = [event for event in decode(stream) if isinstance(event, TextEnd)]
    cited = "https://a.example"
    assert ends == [TextEnd(0, (Citation(cited, "A", 3, 3),)), TextEnd(2, (Citation(cited, "A", 4, 4),))]


HANDED_OFF = [
    Case("a hand-off", [typed("stream_handoff", conversation_id="conv", options=[]), COMPLETE, DONE]),
    Case("a hand-off after some words", [add(message("One")), typed("stream_handoff"), COMPLETE, DONE]),
    Case(
        "statistics that tell of websockets",
        [typed("server_ste_metadata", metadata={"resume_with_websockets": True}), COMPLETE, DONE],
    ),
    Case(
        "statistics that tell of an asynchronous turn",
        [typed("server_ste_metadata", metadata={"streaming_async_status": True}), COMPLETE, DONE],
    ),
    Case("an asynchronous turn", [typed("conversation_async_status", async_status=7), COMPLETE, DONE]),
]


@pytest.mark.parametrize("case", HANDED_OFF, ids=lambda case: case.id)
def test_it_knows_when_the_answer_comes_by_another_way(case: Case) -> None:
    decoder = TurnDecoder()
    decoder.feed(b"".join(case.given))
    assert decoder.verdict() == "handed_off"


def test_statistics_of_websockets_after_an_answer_hand_nothing_off() -> None:
    stream = [add(message("a")), typed("server_ste_metadata", metadata={"resume_with_websockets": True}), DONE]
    assert decode(stream)[-1] == Finish("stop", None, None, TURN)


def test_after_a_hand_off_the_stream_goes_on_where_it_was() -> None:
    first = [
        OPENING,
        typed("resume_conversation_token", token="tok", conversation_id="conv"),
        add(message()),
        append("One"),
        b": ping\n\n",
        b"data:\n\n",
        typed("stream_handoff"),
        COMPLETE,
        DONE,
    ]
    decoder = TurnDecoder()
    events = decoder.feed(b"".join(first))
    assert (decoder.resume_token, decoder.conversation_id, decoder.events_seen) == ("tok", "conv", 6)
    decoder.reconnect()
    assert decoder.verdict() == "cut"
    events += decoder.feed(b"".join([append(", two"), delta(", three"), finish("."), COMPLETE, DONE]))
    events += decoder.close()
    check(events)
    assert text_of(events) == "One, two, three."


def test_a_replay_from_the_beginning_repeats_nothing() -> None:
    told = [OPENING, add(message()), append("One"), delta(", two")]
    decoder = TurnDecoder()
    events = decoder.feed(b"".join(told))
    decoder.reconnect()
    events += decoder.feed(b"".join([*told, delta(", three"), finish("."), DONE])) + decoder.close()
    check(events)
    assert text_of(events) == "One, two, three."
    assert Progress(REWRITTEN) not in events


def test_a_broken_event_at_the_end_of_a_stream_is_not_counted() -> None:
    decoder = TurnDecoder()
    decoder.feed(add(message("a")) + append("b")[:-9])
    assert decoder.end_of_stream() == []
    assert decoder.events_seen == 1
    assert decoder.verdict() == "cut"


def tree(*messages: dict[str, Any] | None) -> bytes:
    """Write a stored conversation whose messages answer each other in this order."""
    mapping: dict[str, object] = {"root": {"id": "root", "message": None, "parent": None, "children": ["n0"]}}
    for number, said in enumerate(messages):
        parent = f"n{number - 1}" if number else "root"
        mapping[f"n{number}"] = {"id": f"n{number}", "message": said, "parent": parent, "children": []}
    return json.encode({"mapping": mapping, "current_node": f"n{len(messages) - 1}", "conversation_id": "conv"})


QUESTION = message("q", "u1", **role("user"))


def test_a_stored_conversation_tells_the_rest_as_it_grows() -> None:
    decoder = TurnDecoder()
    events = decoder.feed(b"".join([add(message()), append("One, two"), typed("stream_handoff"), COMPLETE, DONE]))
    for stored in ("One", "One, two, three"):
        events += decoder.feed_tree(tree(message("old", "m0"), QUESTION, message(stored)))
        assert not decoder.over
    events += decoder.feed_tree(tree(QUESTION, message("lost", "x", **role("tool")), whole("One, two, three.")))
    assert decoder.over
    events += decoder.close()
    check(events)
    assert text_of(events) == "One, two, three."
    assert Progress(REWRITTEN) not in events


def test_only_what_answers_the_newest_question_is_read_from_a_stored_conversation() -> None:
    decoder = TurnDecoder()
    events = decoder.feed_tree(tree(whole("old", "m0"), QUESTION, thoughts(("", "why")), whole("new")))
    assert (text_of(events), reasoning_of(events)) == ("new", "why")


ODD_TREES = [
    b"{}",
    b"[]",
    b"null",
    b'{"mapping":[]}',
    b'{"mapping":{},"current_node":"x"}',
    b'{"mapping":{"x":{"parent":"x"}},"current_node":"x"}',
    b'{"mapping":{"x":7},"current_node":"x"}',
    b'{"mapping":{"x":{"message":7,"parent":["x"]}},"current_node":"x"}',
    b'{"mapping":{"x":{"message":{"author":{"role":"user"}},"children":["x","y",["z"]]},"y":7},"current_node":"x"}',
    b'{"mapping":{"x":{"message":{"author":{"role":"user"}},"children":7}},"current_node":"x"}',
]


@pytest.mark.parametrize("stored", ODD_TREES, ids=lambda stored: stored.decode())
def test_an_odd_tree_has_no_answer(stored: bytes) -> None:
    decoder = TurnDecoder()
    assert decoder.feed_tree(stored) == []
    assert not decoder.over


def test_a_tree_that_is_not_json_breaks_the_protocol() -> None:
    with pytest.raises(ProtocolViolation, match="it is not JSON"):
        TurnDecoder().feed_tree(b"<html>")


def test_a_message_id_is_that_of_the_last_text() -> None:
    decoder = TurnDecoder()
    events: list[Event] = decoder.feed(b"".join([add(message("a", "m1")), add(message("b", "m2"), 1)]))
    assert decoder.message_id == "m2"
    assert [type(event) for event in events] == [Start, TextStart, TextDelta, TextEnd, TextStart, TextDelta]
