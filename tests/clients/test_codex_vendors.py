"""Codex CLI over every vendor: what it says, what it does, and what each simulated vendor received of it.

test_codex.py has what is particular to Codex, over ChatGPT Web; test_codex_native.py what passes in its own format.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from tests.api.servers import Upstream, directive
from tests.clients.codex_runs import Codex
from tests.clients.received import MODELS, Received
from tests.clients.watched import Watched, watched_gateway

pytestmark = pytest.mark.clients

Json = dict[str, Any]

LITE = "gpt-6.1-sol"
"""A model name for which Codex sends no `tools`, but an `additional_tools` item with namespaces in it."""

SCRIPT = 'const ran = await tools.exec_command({cmd: "echo lite-$((40+2))"}); text(ran.output);'
PATCH = "*** Begin Patch\n*** Add File: hello.txt\n+made by a patch\n*** End Patch"


@pytest.fixture(scope="module", params=["codex", "openai", "anthropic", "gemini"])
def upstream(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def gateway(upstream_server: Upstream, upstream: str) -> Iterator[Watched]:
    """A gateway that sends all of Codex's models to one upstream: by their names Codex decides what it asks."""
    routes = {"MODEL_ROUTES": f"gpt-*={MODELS[upstream]}"}
    with watched_gateway(upstream_server.environ(**upstream_server.vendors(), **routes)) as gateway:
        yield gateway


@pytest.fixture
def codex(gateway: Watched, tmp_path: Path) -> Codex:
    gateway.forget()
    return Codex(gateway.url, tmp_path)


@pytest.fixture
def received(upstream_server: Upstream, upstream: str) -> Received:
    return Received(upstream_server, upstream)


def check_turns(gateway: Watched, count: int) -> None:
    """Check that there was nothing but so many turns, none of them repeated."""
    asked = [(asked.method, asked.path, asked.status) for asked in gateway.requests]
    assert asked == [("POST", "/v1/responses", 200)] * count


def shell(command: str) -> Json:
    return {"name": "exec_command", "arguments": {"cmd": command}}


def test_a_text_turn(codex: Codex, gateway: Watched, received: Received) -> None:
    run = codex.run(directive(text="A whole answer, and nothing but it."))
    assert (run.text, run.returncode) == ("A whole answer, and nothing but it.", 0)
    check_turns(gateway, 1)
    assert len(received.turns()) == 1


class Round(Struct, frozen=True):
    """A round of tools: `calls` by the model; the upstream must have received `outputs`, in that order."""

    id: str
    calls: list[Json]
    outputs: list[str]
    model: str = "gpt-5.1"


ROUNDS = [
    Round("a shell command", [shell("echo one-$((40+2))")], ["one-42"]),
    Round(
        "three commands in one answer",
        [shell(f"echo part-$(({number}0+2))") for number in (1, 2, 3)],
        ["part-12", "part-22", "part-32"],
    ),
    Round("a command that fails", [shell("echo oh-$((1+1)); exit 3")], ["exited with code 3"]),
    Round(
        "a function in a namespace",
        [{"name": "multi_agent_v1.close_agent", "arguments": {"target": "nobody"}}],
        ["invalid agent id nobody"],
    ),
    Round("a patch, as free text", [{"name": "apply_patch", "input": PATCH}], ["Success"], "gpt-5.5"),
    Round("JavaScript of the newest models", [{"name": "functions.exec", "input": SCRIPT}], ["lite-42"], LITE),
]


@pytest.mark.parametrize("case", ROUNDS, ids=lambda case: case.id)
def test_a_round_of_tools(case: Round, codex: Codex, gateway: Watched, received: Received) -> None:
    rounds = [{"reasoning": "I should look.", "text": "I look first.", "calls": case.calls}, {"text": "All done."}]
    run = codex.run(directive(rounds=rounds), model=case.model)
    assert [item["text"] for item in run.items("agent_message")] == ["I look first.", "All done."]
    assert run.returncode == 0
    check_turns(gateway, 2)
    assert len(received.turns()) == 2
    results = received.results(1)
    assert len(results) == len(case.outputs)
    for output, result in zip(case.outputs, results, strict=True):
        assert output in result


@pytest.fixture(scope="module")
def unrouted(upstream_server: Upstream) -> Iterator[Watched]:
    with watched_gateway(upstream_server.environ(**upstream_server.vendors())) as gateway:
        yield gateway


CROSSINGS = [("codex", "anthropic"), ("anthropic", "gemini"), ("gemini", "openai"), ("openai", "chatgpt_web")]


@pytest.mark.parametrize(("first", "second"), CROSSINGS)
def test_a_session_goes_on_with_another_vendor(
    first: str, second: str, unrouted: Watched, upstream_server: Upstream, tmp_path: Path
) -> None:
    # Codex sends again what came sealed from the first vendor: nobody else can open it, and some refuse it.
    codex = Codex(unrouted.url, tmp_path)
    unrouted.forget()
    rounds = [{"reasoning": "I should look.", "calls": [shell("echo deep-$((40+2))")]}, {"text": "The word is heron."}]
    assert codex.run(directive(rounds=rounds), model=MODELS[first]).text == "The word is heron."
    received = Received(upstream_server, second)
    again = codex.run(directive(text="Heron, I said."), model=MODELS[second], resume=True)
    assert again.text == "Heron, I said."
    check_turns(unrouted, 3)
    [turn] = received.turns()
    assert "deep-42" in received.results(0)[0]
    assert "The word is heron." in json.dumps(turn)
    assert json.dumps(turn).count("I should look.") == 1, "in the directive, and nowhere else"
