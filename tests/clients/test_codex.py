"""Codex CLI, not interactive, against the gateway over real HTTP. What it says and what it does is looked at: its exit
code is 0 for an empty answer too. The model is the simulated upstream, on a real port, so that its log can be read.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from tests.api.servers import Gateway, Upstream, directive, running_gateway
from tests.clients.codex_runs import Codex

pytestmark = pytest.mark.clients

Json = dict[str, Any]

LITE = "gpt-6.1-sol"
"""A model name for which Codex sends no `tools`, but an `additional_tools` item with namespaces in it."""

PATCH = "*** Begin Patch\n*** Add File: notes/hello.txt\n+made by a patch\n*** End Patch"
SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "string"}},
    "required": ["answer"],
    "additionalProperties": False,
}


@pytest.fixture
def codex_gateway(upstream_server: Upstream) -> Iterator[Gateway]:
    with running_gateway(upstream_server.environ()) as gateway:
        yield gateway


@pytest.fixture
def codex(codex_gateway: Gateway, tmp_path: Path) -> Codex:
    return Codex(codex_gateway.url, tmp_path)


@pytest.fixture
def said(upstream_server: Upstream) -> "Said":
    return Said(upstream_server)


class Said:
    """What reached the upstream since the test began."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._before = len(upstream.log())

    def turns(self) -> list[Json]:
        calls = self._upstream.log()[self._before :]
        return [call["body"] for call in calls if call["path"].endswith("/f/conversation")]

    def texts(self, turn: int) -> list[str]:
        """Return the texts of one turn's messages."""
        messages = self.turns()[turn]["messages"]
        return ["".join(map(str, message["content"]["parts"])) for message in messages]

    def last(self, turn: int) -> str:
        return self.texts(turn)[-1]


def shell(command: str) -> Json:
    return {"name": "exec_command", "arguments": {"cmd": command}}


def script(command: str) -> Json:
    """Return a call of the newest models' one tool: JavaScript that runs the shell."""
    source = f"const ran = await tools.exec_command({{cmd: {json.dumps(command)}}}); text(ran.output);"
    return {"name": "functions.exec", "input": source}


class Round(Struct, frozen=True):
    """A round of tools: `calls` by the model, each of which must have answered one of `outputs`."""

    id: str
    model: str
    calls: list[Json]
    outputs: list[str]


ROUNDS = [
    Round("a shell command", "gpt-5.1", [shell("echo one-$((40+2))")], ["one-42"]),
    Round(
        "three commands in one answer",
        "gpt-5.1",
        [shell(f"echo part-$(({number}0+2))") for number in (1, 2, 3)],
        ["part-12", "part-22", "part-32"],
    ),
    Round("a command that fails", "gpt-5.1", [shell("echo oh-$((1+1)); exit 3")], ["oh-2", "exited with code 3"]),
    Round("a command of a known model", "gpt-5.5", [shell("echo five-$((40+2))")], ["five-42"]),
    Round("JavaScript of the newest models", LITE, [script("echo lite-$((40+2))")], ["lite-42"]),
    Round(
        "a function in a namespace, of the newest models",
        LITE,
        [{"name": "collaboration.list_agents", "arguments": {}}],
        ['"agent_status"'],
    ),
    Round(
        "a function in a namespace",
        "gpt-5.1",
        [{"name": "multi_agent_v1.close_agent", "arguments": {"target": "nobody"}}],
        ["invalid agent id nobody"],
    ),
]


def test_a_text_turn(codex: Codex, said: Said) -> None:
    run = codex.run(directive(text="A whole answer, and nothing but it."))
    assert run.text == "A whole answer, and nothing but it."
    assert [item["text"] for item in run.items("agent_message")] == [run.text]
    assert len(said.turns()) == 1
    assert said.turns()[0]["history_and_training_disabled"] is True
    assert run.returncode == 0


@pytest.mark.parametrize("case", ROUNDS, ids=lambda case: case.id)
def test_a_round_of_tools(case: Round, codex: Codex, said: Said) -> None:
    run = codex.run(directive(rounds=[{"calls": case.calls}, {}]), model=case.model)
    assert len(said.turns()) == 2
    results = "".join(text for text in said.texts(1) if text.startswith("<tool_result "))
    assert results.count("<tool_result ") == len(case.calls)
    for output in case.outputs:
        assert output in results
    # The simulated model quotes what the tools answered.
    for output in case.outputs:
        assert output in run.text
    assert run.returncode == 0


def test_two_rounds_and_a_sentence_before_the_call(codex: Codex, said: Said) -> None:
    rounds = [
        {"text": "I look first.", "calls": [shell("echo first-$((1+1))")]},
        {"calls": [shell("echo second-$((2+2))")]},
        {"text": "All done."},
    ]
    run = codex.run(directive(rounds=rounds))
    assert [item["text"] for item in run.items("agent_message")] == ["I look first.", "All done."]
    assert "first-2" in said.last(1)
    assert "second-4" in said.last(2)


def test_a_patch_is_applied(codex: Codex, said: Said) -> None:
    call = {"name": "apply_patch", "input": PATCH}
    run = codex.run(directive(rounds=[{"calls": [call]}, {"text": "Patched."}]), model="gpt-5.5")
    assert (codex.work / "notes" / "hello.txt").read_text() == "made by a patch\n"
    assert run.text == "Patched."
    assert "begin_patch: " in said.texts(0)[0], "the grammar is shown to the model"
    assert "Success" in said.last(1)


def test_an_output_schema(codex: Codex, tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps(SCHEMA))
    attempts = [{"text": 'The answer is: {"answer": 42}'}, {"text": '```json\n{"answer": "42"}\n```'}]
    run = codex.run(directive(attempts=attempts), "--output-schema", str(schema))
    assert json.loads(run.text) == {"answer": "42"}


def test_a_session_is_resumed(codex: Codex, said: Said) -> None:
    # The directive is in the history that Codex sends again, so it scripts the second turn too.
    first = codex.run(directive(attempts=[{"text": "The word is heron."}, {"text": "Heron, I said."}]))
    assert first.text == "The word is heron."
    assert codex.run("Say it again", resume=True).text == "Heron, I said."
    texts = said.texts(1)
    assert "The word is heron." in texts
    assert texts.index("The word is heron.") < len(texts) - 1


def test_reasoning_comes_back_as_reasoning(codex: Codex) -> None:
    run = codex.run(directive(text="Four.", reasoning="Two and two."), "-c", "show_raw_agent_reasoning=true")
    assert [item["text"] for item in run.items("reasoning")] == ["Two and two."]
    assert run.text == "Four."


def test_the_built_in_provider_falls_back_from_its_websocket(codex: Codex, said: Said) -> None:
    run = codex.run_built_in(directive(rounds=[{"calls": [shell("echo inner-$((40+2))")]}, {}]))
    assert "inner-42" in run.text
    assert len(said.turns()) == 2


LONG = "for number in $(seq 1 1200); do echo line-$number; done"


def compacting(summary: str) -> str:
    """Script a run in which a command prints so much that Codex has its history compacted, and then goes on."""
    # Compaction leaves the user's message and the summary, so that the first round is met again.
    first = {"attempts": [{"calls": [shell(LONG)]}, {"text": "Went on."}]}
    return directive(rounds=[first, {"text": summary}])


COMPACT_AT = ("-c", "model_auto_compact_token_limit=13000", "-c", "tool_output_token_limit=20000")


def test_the_built_in_provider_has_its_history_compacted(codex: Codex, said: Said) -> None:
    run = codex.run_built_in(compacting("A list of lines was printed."), *COMPACT_AT)
    assert run.text == "Went on."
    question, answer = said.texts(1), said.texts(2)
    assert any("line-600" in text for text in question)
    assert question[-1].startswith("Summarise this conversation")
    assert "Summary of the conversation so far:\nA list of lines was printed." in answer
    assert not any("line-600" in text for text in answer)


def test_a_custom_provider_has_its_history_compacted(codex: Codex, said: Said) -> None:
    run = codex.run(compacting("Lines were printed, many of them."), *COMPACT_AT, model="gpt-5.5")
    assert run.text == "Went on."
    assert any("line-600" in text for text in said.texts(1))
    assert any("Lines were printed, many of them." in text for text in said.texts(2))
    assert not any("line-600" in text for text in said.texts(2))


class Failure(Struct, frozen=True):
    """A failure of the upstream; `says` is what Codex tells its user."""

    id: str
    script: Json
    says: str


FAILURES = [
    Failure("a refusal before the first word", {"status": 403}, "Unusual activity has been detected"),
    Failure("a rate limit", {"status": 429}, "429 Too Many Requests"),
    Failure("an upstream that fails", {"status": 500}, "503 Service Unavailable"),
    Failure(
        "an error in the middle of the answer",
        {"text": "Words that will not all arrive", "delay_ms": 20, "error_after_chars": 8},
        "Our systems have detected unusual activity",
    ),
    Failure(
        "a cut in the middle of the answer",
        {"text": "Words that will not all arrive", "delay_ms": 20, "cut_after_chars": 8},
        "cut",
    ),
]


@pytest.mark.parametrize("case", FAILURES, ids=lambda case: case.id)
def test_a_failure_is_told(case: Failure, codex: Codex) -> None:
    run = codex.run(directive(**case.script))
    assert run.returncode == 1
    assert run.text == ""
    failed = next(event for event in run.events if event["type"] == "turn.failed")
    assert case.says in failed["error"]["message"]
