"""JSON that was asked for: what is let through, when, and what becomes of an answer that is none."""

import json

import pytest
from msgspec import Raw, Struct

from core.errors import UpstreamError
from core.events import Event, Finish, FinishReason, Start, TextDelta, TextEnd, TextStart
from core.fold import FoldedText, fold
from core.grammar import check
from core.request import OutputFormat, Tool, ToolCall
from core.tools.lifter import Lifter
from core.tools.protocol import Plan
from core.tools.structured import StructuredText
from core.wire.openai_chat import OPENAI_CHAT

OBJECT = OutputFormat("json_object")
SCHEMA = OutputFormat(
    "json_schema", "answer", Raw(b'{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}')
)
NUMBERS = OutputFormat("json_schema", "answer", Raw(b'{"type":"array","items":{"type":"number"}}'))
ANYTHING = OutputFormat("json_schema", "answer", Raw(b"{}"))


class Case(Struct, frozen=True):
    """An answer; what is let through of it, how much of that before its end, and how the reason begins if it fails."""

    id: str
    said: str
    shown: str
    before_end: str | None = None
    failure: str = ""
    output_format: OutputFormat = SCHEMA


CASES = [
    Case("an object passes", '{"a": 1}', '{"a": 1}'),
    Case("white space around it is left out", '\n {"a": 1}\n', '{"a": 1}'),
    Case("a fence around it is left out", '```json\n{"a": 1}\n```', '{"a": 1}'),
    Case("a fence of no language is left out", '```\n{"a": 1}\n```\n', '{"a": 1}'),
    Case("what stands behind it is left out", '{"a": 1}\nI hope this helps.', '{"a": 1}'),
    Case("prose before it is left out", 'Here you are: {"a": 1}', '{"a": 1}', before_end=""),
    Case("prose and a fence before it are left out", 'Sure!\n```json\n{"a": 1}\n```\nBye {', '{"a": 1}', before_end=""),
    Case("a slip is mended", '{"a": 1,}', '{"a": 1}'),
    Case("missing brackets are added", '{"a": 1', '{"a": 1}', before_end='{"a": '),
    Case("a list passes", "[1, 2.5]", "[1, 2.5]", output_format=NUMBERS),
    Case("a text passes where anything may", '"hello"', '"hello"', output_format=ANYTHING),
    Case("a number passes where anything may", "12", "12", before_end="", output_format=ANYTHING),
    Case("any object passes where any may", '{"b": []}', '{"b": []}', output_format=OBJECT),
    Case("an empty object passes where any may", "{}", "{}", output_format=OBJECT),
    Case("a list is no object", "[1]", "", failure="it holds no JSON value", output_format=OBJECT),
    Case("a list is not what an object was asked for", "[1]", "", failure="it holds no JSON value"),
    Case("prose is none", "I cannot say.", "", failure="it holds no JSON value"),
    Case("an empty answer is none", "", "", failure="it holds no JSON value"),
    Case("prose in brackets is none", "{a is one}", "", failure="it holds no JSON value"),
    Case("an empty object lacks what is required", "{}", "{}", failure="'a' is a required property"),
    Case("a wrong type is noticed", '{"a": "x"}', '{"a": "x"}', failure="a: 'x' is not of type 'integer'"),
    Case("a wrong type behind prose is not let through", 'So: {"a": "x"}', "", before_end="", failure="a: 'x' is not"),
    Case("a fault ends it", '{"a": 1, b}', '{"a": 1', failure="it is not JSON: 'b' stands where a key should"),
    Case("an end within a string is noticed", '{"a": "x', '{"a": "x', failure="it ends in the middle"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_json_is_let_through_and_judged_however_it_is_cut(case: Case) -> None:
    for chunks in ([case.said], list(case.said)):
        structured = StructuredText(case.output_format)
        before_end = "".join(structured.feed(chunk) for chunk in chunks)
        shown = before_end + structured.close()
        assert shown == case.shown
        assert structured.failure.startswith(case.failure)
        assert bool(structured.failure) is bool(case.failure)
        assert before_end == (case.shown if case.before_end is None else case.before_end)
        assert structured.raw == case.said
        assert structured.failure or json.loads(shown) is not None


class Answer(Struct, frozen=True):
    """Attempts of a model, and what comes of them: a text, or None for an error."""

    id: str
    attempts: tuple[str, ...]
    streamed: str | None
    whole: str | None
    finish: FinishReason = "stop"


ANSWERS = [
    Answer("a good answer", ('{"a": 1}',), '{"a": 1}', '{"a": 1}'),
    Answer("prose is asked for again", ("Sorry.", '{"a": 1}'), '{"a": 1}', '{"a": 1}'),
    Answer("prose is asked for again once", ("Sorry.", "No.", '{"a": 1}'), None, None),
    Answer(
        "what breaks the schema is asked for again while nothing was sent", ('{"a": "x"}', '{"a": 1}'), None, '{"a": 1}'
    ),
    Answer("a fault behind what was sent ends the stream", ('{"a": 1, b', '{"a": 1}'), None, '{"a": 1}'),
    Answer("a cut answer is not judged", ('{"a": 1, "b',), '{"a": 1, "b', '{"a": 1, "b', "length"),
    Answer("an answer that was withheld is not judged", ("I won't.",), "I won't.", "I won't.", "content_filter"),
]


@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("case", ANSWERS, ids=lambda case: case.id)
def test_an_answer_is_repaired_once_or_refused_honestly(case: Answer, streamed: bool) -> None:
    expected = case.streamed if streamed else case.whole
    for by_letter in (False, True):
        events, error = lifted(case, streamed, by_letter)
        if expected is None:
            assert isinstance(error, UpstreamError)
            assert (error.code, error.status) == ("schema_not_satisfied", 502)
        else:
            response = fold(events)
            assert error is None
            assert [part.text for part in response.parts if isinstance(part, FoldedText)] == [expected]
            assert response.finish.reason == case.finish


def lifted(case: Answer, streamed: bool, by_letter: bool) -> tuple[list[Event], UpstreamError | None]:
    lifter = Lifter(Plan("call_abcdef", {}, False, True, SCHEMA, ()), "0" * 24, streamed, 3)
    events: list[Event] = []
    for said in case.attempts:
        deltas: list[Event] = [TextDelta(0, piece) for piece in (said if by_letter else [said])]
        for event in (Start(), TextStart(0), *deltas, TextEnd(0), Finish(case.finish)):
            events += lifter.feed([event])
            if lifter.enough:
                break
        if lifter.again is None:
            break
        lifter.restart()
    if lifter.error is None:
        events += lifter.close()
    return events, lifter.error


@pytest.mark.parametrize("key", ["schema", "parameters"])
def test_a_schema_may_stand_under_either_name(key: str) -> None:
    """OM-4: a client's example nests it under `parameters`."""
    schema = {"name": "n", key: {"type": "object", "required": ["a"]}}
    response_format = {"type": "json_schema", "json_schema": schema}
    messages = [{"role": "user", "content": "x"}]
    body = json.dumps({"model": "auto", "messages": messages, "response_format": response_format})
    output_format = OPENAI_CHAT.parse_request(body.encode(), "application/json").output_format
    assert output_format is not None
    structured = StructuredText(output_format)
    structured.feed("{}")
    structured.close()
    assert structured.failure == "'a' is a required property"


@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
def test_a_text_before_a_call_is_no_json_and_stays(streamed: bool) -> None:
    said = ["Let me check. ", '<call_abcdef name="f">{"a":1}</call_abcdef>', " Done."]
    lifter = Lifter(Plan("call_abcdef", {"f": Tool("f")}, False, True, SCHEMA, ()), "0" * 24, streamed, 0)
    deltas = [TextDelta(0, piece) for piece in said]
    events = [*lifter.feed([Start(), TextStart(0), *deltas, TextEnd(0), Finish("stop")]), *lifter.close()]
    check(events)
    parts = fold(events).parts
    texts = [part.text for part in parts if isinstance(part, FoldedText)]
    calls = [part.arguments for part in parts if isinstance(part, ToolCall)]
    assert (texts, calls) == (["Let me check. ", " Done."], ['{"a":1}'])
