"""A research: begun, waited for, its report found wherever it stands, or why there is none."""

import json
from typing import Any

import pytest
from hypothesis import given
from msgspec import Struct

from core.errors import RateLimited, UpstreamError, UpstreamUnavailable
from core.events import Citation, Start, TextEnd
from core.grammar import check
from core.wire.chatgpt_web.message import Message
from core.wire.chatgpt_web.research import Research, is_research_model, research
from core.wire.chatgpt_web.stream import TurnDecoder, Verdict
from tests.core.wire.chatgpt_web.computing import REPORT, research_call, spoken_widget, widget
from tests.core.wire.chatgpt_web.streams import COMPLETE, DONE, OPENING, add, message, text_of, typed, whole
from tests.strategies import JSON_VALUES

COMPLETED = {"status": "completed", "report_message": REPORT}
RUNNING = {"status": "running", "plan": {"title": "A plan"}}
END = COMPLETE + DONE
MARK = "\ue200cite\ue202turn0search0\ue201"


class Case(Struct, frozen=True):
    """`report` is the report's text."""

    id: str
    messages: list[dict[str, Any]]
    report: str | None = None
    awaited: bool = False
    failure: str | None = None


UNSURE = {"status": "completed", "report_message": {"content": {"parts": ["# Report"]}}}
LIVE: dict[str, Any] = {"tool_response_metadata": {"venus_widget_state": COMPLETED}, "widget_state": None}
CASES = [
    Case("no research", [whole("Hello")]),
    Case("another widget", [widget(COMPLETED, resolved_pineapple_uri="connectors://other")]),
    Case("another call", [message(recipient="api_tool.call_tool", content={"content_type": "code", "text": "{}"})]),
    Case("a call of it", [research_call()], awaited=True),
    Case("a widget that runs", [widget(RUNNING)], awaited=True),
    Case("a widget whose state is nothing", [research_call(), widget("nothing")], awaited=True),
    Case("a report in the metadata", [research_call(), widget(COMPLETED)], "# Report"),
    Case("a report in the text", [spoken_widget(COMPLETED)], "# Report"),
    Case("a report in a live widget", [widget(None, **LIVE)], "# Report"),
    Case("a state within a state", [widget({"widget_state": COMPLETED})], "# Report"),
    Case("a state that is no text", [widget(None, widget_state=COMPLETED)], "# Report"),
    Case(
        "a widget known by its name",
        [widget(COMPLETED, resolved_pineapple_uri="", resource_name="Deep Research App_start")],
        "# Report",
    ),
    Case("a report without a status of a research that is completed", [widget(UNSURE)], "# Report"),
    Case("a report without a status of one that runs", [widget(UNSURE | {"status": "running"})], awaited=True),
    Case(
        "a report that is being written",
        [widget(COMPLETED | {"report_message": REPORT | {"status": "in_progress"}})],
        awaited=True,
    ),
    Case("a report without words", [widget(COMPLETED | {"report_message": REPORT | {"content": {}}})], awaited=True),
    Case("a failure", [widget({"status": "failed"})], failure="failed"),
    Case("a failure in a text", [spoken_widget({"status": "cancelled"})], failure="cancelled"),
    Case("the user's own words are no widget", [spoken_widget(COMPLETED) | {"author": {"role": "user"}}]),
    Case(
        "a text that is no JSON",
        [spoken_widget(RUNNING) | {"content": {"parts": ["The latest state of the widget is: {"]}}],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_how_it_stands(case: Case) -> None:
    found = research([Message({"message": said}) for said in case.messages])
    text = found.report and found.report["content"]["parts"][0]
    assert (text, found.awaited, found.failure) == (case.report, case.awaited, case.failure)


def test_a_report_is_an_answer_in_the_place_of_its_widget() -> None:
    found = research([Message({"message": widget(COMPLETED, "w7")})])
    assert found.report is not None
    assert (found.report["id"], found.report["end_turn"], found.report["metadata"]) == ("w7", True, {})


@given(JSON_VALUES, JSON_VALUES)
def test_any_state_is_survived(state: object, report: object) -> None:
    for value in (state, {"report_message": report}, {"report_message": {"content": report, "metadata": state}}):
        for said in (widget(value), widget(None, widget_state=value), spoken_widget(value)):
            assert isinstance(research([Message({"message": said})]), Research)


MODELS = ["o3-deep-research", "o3-deep-research-2025-06-26", "o4-mini-deep-research"]


@pytest.mark.parametrize("name", MODELS)
def test_names_of_the_api(name: str) -> None:
    assert is_research_model(name)


@pytest.mark.parametrize("name", ["research", "o3", "gpt-5-6-thinking"])
def test_other_names_are_slugs(name: str) -> None:
    assert not is_research_model(name)


# In a turn.


def stored(*messages: dict[str, Any]) -> bytes:
    """Return a stored conversation of these messages, each below the one before."""
    names = [said["id"] for said in messages]
    parents = [None, *names[:-1]]
    mapping = {
        name: {"id": name, "message": said, "parent": parent}
        for name, said, parent in zip(names, messages, parents, strict=True)
    }
    return json.dumps({"mapping": mapping, "current_node": names[-1]}).encode()


def begun(*more: bytes) -> TurnDecoder:
    decoder = TurnDecoder()
    decoder.feed(b"".join((OPENING, add(research_call()), add(widget(RUNNING), 1), *more, END)))
    return decoder


VERDICTS: list[tuple[str, bytes, Verdict]] = [
    ("begun", b"", "handed_off"),
    ("begun with some words", add(whole("I begin.", "m0"), 2), "handed_off"),
]


@pytest.mark.parametrize(("more", "verdict"), [row[1:] for row in VERDICTS], ids=[row[0] for row in VERDICTS])
def test_a_turn_is_not_over_before_its_report(more: bytes, verdict: Verdict) -> None:
    decoder = begun(more)
    assert (decoder.verdict(), decoder.researches) == (verdict, True)
    with pytest.raises(UpstreamUnavailable, match="did not finish its research"):
        decoder.close()


def test_an_answer_has_begun_when_its_research_has() -> None:
    (start,) = begun().end_of_stream()
    assert isinstance(start, Start)
    assert start.turn is not None
    assert start.turn.conversation_id == "conv"


def test_the_report_is_the_end_of_the_answer() -> None:
    decoder = begun()
    events = decoder.end_of_stream() + decoder.feed_tree(stored(research_call(), widget(RUNNING)))
    assert not decoder.over
    report = REPORT | {
        "content": {"content_type": "text", "parts": ["# Report" + MARK]},
        "metadata": {"content_references": [{"matched_text": MARK, "url": "https://a.example", "title": "A"}]},
    }
    events += decoder.feed_tree(stored(research_call(), widget(COMPLETED | {"report_message": report})))
    assert (decoder.over, decoder.verdict(), decoder.message_id) == (True, "answered", "w1")
    events += decoder.close()
    check(events)
    (end,) = [event for event in events if isinstance(event, TextEnd)]
    assert (text_of(events), end.citations) == ("# Report", (Citation("https://a.example", "A", 8, 8),))


FAILURES: list[tuple[str, type[UpstreamError], int]] = [
    ("failed", UpstreamUnavailable, 502),
    ("rate_limited", RateLimited, 429),
]


@pytest.mark.parametrize(("status", "kind", "code"), FAILURES)
def test_a_research_that_fails(status: str, kind: type[UpstreamError], code: int) -> None:
    decoder = begun()
    decoder.end_of_stream()
    with pytest.raises(kind) as caught:
        decoder.feed_tree(stored(research_call(), widget({"status": status})))
    assert caught.value.status == code


def test_a_failure_within_the_stream_comes_after_what_was_said() -> None:
    decoder = TurnDecoder()
    stream = OPENING + add(whole("I begin.")) + add(widget({"status": "failed"}), 1) + END
    assert text_of(decoder.feed(stream)) == "I begin."
    with pytest.raises(UpstreamUnavailable, match="without a report: failed"):
        decoder.close()


def test_a_report_does_not_hide_a_failure_of_the_stream() -> None:
    decoder = TurnDecoder()
    stream = OPENING + add(whole("I begin.")) + add(widget(COMPLETED), 1) + typed("error")
    assert text_of(decoder.feed(stream)) == "I begin."
    with pytest.raises(UpstreamError):
        decoder.close()
