"""What the simulated model says to tools, results and schemas, and how a directive scripts calls and rounds."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from msgspec import Struct

from tests.core.loopback.client import Service, user_message
from tests.core.loopback.test_prompts import CONVENTION, TAG, WEATHER, Said, call, result

pytestmark = pytest.mark.anyio

CITY = WEATHER.replace(
    '{"type":"object"}', '{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}'
)
TOOLS: Said = ("system", f"{CONVENTION}{CITY}\n## patch (free text)\nApplies it.")
FORCED: Said = ("system", f"{TOOLS[1]}\n- In this answer you MUST call the tool 'patch', and no other.")
SCHEMA: Said = (
    "system",
    (
        "Answer with one JSON value and nothing else. It must satisfy this JSON Schema:\n"
        '{"type":"object","properties":{"sum":{"type":"integer"}},"required":["sum"]}'
    ),
)
JSON: Said = ("system", "Answer with one JSON object and nothing else: no explanation, no code fence.")


def message(role: str, text: str) -> dict[str, object]:
    return user_message(text) | {"author": {"role": role}}


def scripted(**directive: object) -> Said:
    return ("user", f"loopback: {json.dumps(directive)}")


def written(name: str, between: str) -> str:
    return f'<{TAG} name="{name}">{between}</{TAG}>'


async def told(service: Service, *said: Said) -> str:
    heard = await service.turn("", messages=[message(role, text) for role, text in said])
    assert heard.status == 200, heard.raw
    return heard.spoken()


class Case(Struct, frozen=True):
    id: str
    said: tuple[Said, ...]
    answer: str


LOOPBACK = "This is the loopback upstream of Isthmus, no model: "

CASES = [
    Case(
        "the first tool is called, with arguments made from its schema",
        (TOOLS, ("user", "How is the weather?")),
        written("get_weather", '{"city": "city"}'),
    ),
    Case("the tool that must be called is", (FORCED, ("user", "Go")), written("patch", "\ninput of patch\n")),
    Case(
        "a result is quoted",
        (TOOLS, ("user", "Go"), call("get_weather"), result("get_weather", "Sunny")),
        f'{LOOPBACK}get_weather answered "Sunny".',
    ),
    Case(
        "several results are quoted",
        (TOOLS, ("user", "Go"), call("get_weather"), result("get_weather", "Sunny"), result("patch", "done")),
        f'{LOOPBACK}get_weather answered "Sunny", patch answered "done".',
    ),
    Case(
        "a tool that must be called is called after a result too",
        (FORCED, ("user", "Go"), call("patch"), result("patch", "done")),
        written("patch", "\ninput of patch\n"),
    ),
    Case(
        "a new question after a result is answered by a call",
        (TOOLS, call("get_weather"), result("get_weather", "Sunny"), ("user", "And tomorrow?")),
        written("get_weather", '{"city": "city"}'),
    ),
    Case("a schema is answered by JSON made from it", (SCHEMA, ("user", "Add")), '{"sum": 1}'),
    Case("any JSON object holds the plain answer", (JSON, ("user", "Say yes")), '{"answer": "Yes"}'),
    Case(
        "with tools and a schema the call comes first",
        (("system", f"{TOOLS[1]}\n{SCHEMA[1]}"), ("user", "Add")),
        written("get_weather", '{"city": "city"}'),
    ),
    Case(
        "and the JSON after the result",
        (
            ("system", f"{TOOLS[1]}\n{SCHEMA[1]}"),
            ("user", "Add"),
            call("get_weather"),
            result("get_weather", "1"),
        ),
        '{"sum": 1}',
    ),
    Case(
        "a reminder is not repeated",
        (JSON, ("user", "Say yes\n\n(Reminder: answer with JSON only, as instructed.)")),
        '{"answer": "Yes"}',
    ),
    Case(
        "calls are written with the prompt's tag",
        (TOOLS, scripted(calls=[{"name": "get_weather", "arguments": {"city": "Oslo", "days": [1, 2.5]}}])),
        written("get_weather", '{"city": "Oslo", "days": [1, 2.5]}'),
    ),
    Case(
        "calls follow the text and one another",
        (TOOLS, scripted(text="Look: ", calls=[{"name": "a"}, {"name": "patch", "input": "*** Begin"}])),
        f"Look: {written('a', '{}')}\n{written('patch', chr(10) + '*** Begin' + chr(10))}",
    ),
    Case(
        "arguments given as a string are said as they are",
        (TOOLS, scripted(calls=[{"name": "a", "arguments": '{"broken": '}])),
        written("a", '{"broken": '),
    ),
    Case(
        "the tag can be put into the text",
        (TOOLS, scripted(text='<{{tag}} name="a">{')),
        f'<{TAG} name="a">{{',
    ),
    Case("without tools the mark stays", (scripted(text="{{tag}}"),), "{{tag}}"),
    Case(
        "a directive without text or calls changes only how the fitting answer comes",
        (TOOLS, scripted(chunk_chars=1)),
        written("get_weather", '{"city": "city"}'),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
async def test_an_answer(service: Service, case: Case) -> None:
    assert await told(service, *case.said) == case.answer


ROUNDS = scripted(rounds=[{"calls": [{"name": "a"}]}, {"calls": [{"name": "b"}, {"name": "c"}]}, {"text": "final"}])


async def test_rounds_are_told_by_the_results_since_their_directive(service: Service) -> None:
    first = (TOOLS, ("user", "before"), call("x"), result("x", "0"), ROUNDS)
    second = (*first, call("a"), result("a", "1"))
    third = (*second, call("b"), call("c"), result("b", "2"), result("c", "3"))
    last = (*third, ("assistant", "final"), result("a", "1"))
    assert await told(service, *second) == written("b", "{}") + "\n" + written("c", "{}")
    assert await told(service, *first) == written("a", "{}")
    assert await told(service, *third) == "final"
    assert await told(service, *last) == "final"


async def test_a_round_may_have_attempts_of_its_own(service: Service) -> None:
    attempts = [{"text": "no"}, {"text": "yes"}]
    first = (TOOLS, scripted(rounds=[{"attempts": attempts}, {"attempts": attempts}]))
    second = (*first, call("a"), result("a", "1"))
    assert [await told(service, *first) for _ in range(2)] == ["no", "yes"]
    assert [await told(service, *second) for _ in range(2)] == ["no", "yes"]


async def test_a_continued_turn_keeps_its_tag_and_its_round(service: Service) -> None:
    cut = {"attempts": [{"text": '<{{tag}} name="a">{"b', "finish": "max_tokens"}, {"text": '": 1}</{{tag}}>'}]}
    said = [message(*TOOLS), message(*scripted(rounds=[{"text": "first"}, cut])), message(*result("a", "1"))]
    heard = await service.turn("", messages=said)
    assert heard.spoken() == f'<{TAG} name="a">{{"b'
    where = {"conversation_id": heard.conversation_id, "parent_message_id": heard.answer["id"]}
    rest = await service.turn("", action="continue", messages=[], **where)
    assert rest.spoken() == f'": 1}}</{TAG}>'


@pytest.mark.parametrize(
    "directive",
    [
        pytest.param({"calls": [{"name": "a"}]}, id="calls without tools"),
        pytest.param({"calls": [{"name": "a", "args": {}}]}, id="an unknown key of a call"),
        pytest.param({"calls": [{"arguments": {}}]}, id="a call without a name"),
        pytest.param({"calls": [{"name": "a", "arguments": {}, "input": ""}]}, id="arguments and an input"),
        pytest.param({"rounds": [{"rounds": [{"text": "a"}]}]}, id="rounds within rounds"),
        pytest.param({"attempts": [{"rounds": [{"text": "a"}]}]}, id="rounds within attempts"),
    ],
)
async def test_a_directive_that_cannot_be_followed_is_refused(service: Service, directive: Mapping[str, Any]) -> None:
    heard = await service.turn(directive)
    assert heard.status == 400
    assert json.loads(heard.raw)["detail"].startswith("loopback directive: ")
