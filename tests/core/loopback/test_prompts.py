"""What the simulated model reads in a prompt, written out here by hand: no code of the gateway makes these texts."""

import pytest
from msgspec import Struct

from core.loopback.messages import Author, Content, SentMessage
from core.loopback.prompts import OfferedTool, Prompt, Result, read_prompt

TAG = "call_0a1b2c"
CONVENTION = f'A call is written like this:\n\n<{TAG} name="TOOL_NAME">{{"parameter": "value"}}</{TAG}>\n\nTools:\n'
WEATHER = '\n## get_weather\nTells the weather.\nParameters (JSON Schema): {"type":"object"}\n'
SATISFY = 'It must satisfy this JSON Schema:\n{"type":"object","properties":{"city":{"type":"string"}}}'
CITY = {"type": "object", "properties": {"city": {"type": "string"}}}

Said = tuple[str, str]
"""The role and the text of a message."""


def result(tool: str, body: str) -> Said:
    return ("user", f'<tool_result tool="{tool}" call_id="call_1">\n{body}\n</tool_result>')


def call(tool: str) -> Said:
    return ("assistant", f'<{TAG} name="{tool}">{{}}</{TAG}>')


def read(*said: Said) -> Prompt:
    return read_prompt([SentMessage("id", Author(role), Content("text", (text,))) for role, text in said])  # type: ignore[arg-type]


class Case(Struct, frozen=True):
    id: str
    said: tuple[Said, ...]
    field: str
    expected: object


CASES = [
    Case("no tools, no tag", (("user", "hello"),), "tag", ""),
    Case("the tag stands in the convention", (("system", CONVENTION + WEATHER),), "tag", TAG),
    Case("a convention in a user message is none", (("user", CONVENTION + WEATHER),), "tag", ""),
    Case(
        "of two conventions the first counts: the second may be pasted",
        (("system", CONVENTION + WEATHER), ("system", CONVENTION.replace(TAG, "call_ffffff"))),
        "tag",
        TAG,
    ),
    Case(
        "a tool has a name and a schema",
        (("system", CONVENTION + WEATHER),),
        "tools",
        (OfferedTool("get_weather", {"type": "object"}),),
    ),
    Case(
        "a heading in a description is no tool",
        (("system", CONVENTION + WEATHER.replace("the weather.", "it.\n\n## Usage\n\nOften.")),),
        "tools",
        (OfferedTool("get_weather", {"type": "object"}),),
    ),
    Case(
        "a heading in a schema is no tool",
        (("system", CONVENTION + WEATHER.replace('"object"', '"\\n## not_a_tool\\n"')),),
        "tools",
        (OfferedTool("get_weather", {"type": "\n## not_a_tool\n"}),),
    ),
    Case(
        "a schema may span lines",
        (("system", CONVENTION + WEATHER.replace('{"type":', '{\n  "type":')),),
        "tools",
        (OfferedTool("get_weather", {"type": "object"}),),
    ),
    Case(
        "a tool for free text has no schema",
        (("system", f"{CONVENTION}\n## patch (free text)\nApplies it.\n{WEATHER}"),),
        "tools",
        (OfferedTool("patch", None), OfferedTool("get_weather", {"type": "object"})),
    ),
    Case(
        "a schema that is no object stands for anything",
        (("system", CONVENTION + WEATHER.replace('{"type":"object"}', "true")),),
        "tools",
        (OfferedTool("get_weather", {}),),
    ),
    Case("nothing must be called", (("system", CONVENTION + WEATHER),), "must_call", False),
    Case(
        "some tool must be called",
        (("system", f"{CONVENTION}{WEATHER}- In this answer you MUST call at least one tool."),),
        "must_call",
        True,
    ),
    Case(
        "one tool must be called",
        (
            (
                "system",
                f"{CONVENTION}{WEATHER}- In this answer you MUST call the tool 'get_weather', and no other.",
            ),
        ),
        "forced",
        "get_weather",
    ),
    Case("free text is wanted", (("system", "Be brief."),), "wanted", None),
    Case(
        "any JSON object is wanted",
        (("system", "Answer with one JSON object and nothing else: no explanation, no code fence."),),
        "wanted",
        {},
    ),
    Case(
        "JSON of a schema is wanted, and tools are there besides",
        (
            (
                "system",
                f"{CONVENTION}{WEATHER}\nAnswer with one JSON value and nothing else: no code fence. {SATISFY}",
            ),
        ),
        "wanted",
        CITY,
    ),
    Case(
        "the last message is what was asked, without its reminders",
        (
            ("user", "first"),
            ("assistant", "yes"),
            ("user", "second\n\n(Reminder: to call a tool, write so.)"),
        ),
        "text",
        "second",
    ),
    Case("no results", (("user", "hello"),), "results", ()),
    Case(
        "results are those that came last, in their order",
        (
            ("user", "go"),
            call("a"),
            result("a", "1"),
            call("b"),
            call("c"),
            result("b", "2"),
            result("c", "3\n4"),
        ),
        "results",
        (Result("b", "2"), Result("c", "3\n4")),
    ),
    Case(
        "several results in one message",
        (("user", f"{result('a', '1')[1]}\n\n{result('b', '2')[1]}"),),
        "results",
        (Result("a", "1"), Result("b", "2")),
    ),
    Case(
        "a failed result is one",
        (("user", result("a", "no")[1].replace('">', '" failed="true">')),),
        "results",
        (Result("a", "no"),),
    ),
    Case("results before a new question are past", (result("a", "1"), ("user", "thanks")), "results", ()),
    Case("round 0 has no results", (("user", 'loopback: {"text": "a"}'),), "round", 0),
    Case(
        "results side by side are one round",
        (("user", 'loopback: {"text": "a"}'), call("a"), result("a", "1"), result("b", "2")),
        "round",
        1,
    ),
    Case(
        "calls between results make rounds",
        (("user", 'loopback: {"text": "a"}'), call("a"), result("a", "1"), call("b"), result("b", "2")),
        "round",
        2,
    ),
    Case(
        "results before the directive do not count",
        (
            ("user", "go"),
            call("a"),
            result("a", "1"),
            ("assistant", "ok"),
            ("user", 'loopback: {"text": "a"}'),
        ),
        "round",
        0,
    ),
    Case(
        "a correction adds no round",
        (
            ("user", 'loopback: {"text": "a"}'),
            call("a"),
            result("a", "1"),
            call("b"),
            ("user", "Write it again."),
        ),
        "round",
        1,
    ),
    Case(
        "what a tool answers is no directive",
        (("user", 'loopback: {"text": "a"}'), call("a"), result("a", 'loopback: {"text": "b"}')),
        "script",
        '{"text": "a"}',
    ),
    Case(
        "a directive behind a result in the same message begins anew",
        (("user", f'{result("a", "1")[1]}\nloopback: {{"text": "b"}}'),),
        "round",
        0,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_what_is_read(case: Case) -> None:
    assert getattr(read(*case.said), case.field) == case.expected
