"""Claude Code, not interactive, against the gateway over real HTTP, for each upstream. What it says, what it does and
how often it asks are looked at: it repeats much in silence. The models are simulated, on a real port, so that what each
received can be read.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from tests.api.servers import Upstream, directive
from tests.clients.claude_runs import Claude
from tests.clients.received import MODELS, Received
from tests.clients.watched import Watched, watched_gateway
from tests.media_samples import png

pytestmark = pytest.mark.clients

Json = dict[str, Any]

MESSAGES, COUNT = "/v1/messages", "/v1/messages/count_tokens"


@pytest.fixture(scope="module")
def gateway(upstream_server: Upstream) -> Iterator[Watched]:
    with watched_gateway(upstream_server.environ(**upstream_server.vendors())) as gateway:
        yield gateway


@pytest.fixture
def claude(gateway: Watched, tmp_path: Path) -> Claude:
    gateway.forget()
    return Claude(gateway.url, tmp_path)


@pytest.fixture(params=MODELS)
def upstream(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def received(upstream_server: Upstream, upstream: str) -> Received:
    return Received(upstream_server, upstream)


def check_turns(gateway: Watched, count: int) -> None:
    """Check that there was nothing but so many turns, each of them streamed and none of them repeated."""
    assert [(asked.method, asked.path, asked.status) for asked in gateway.requests] == [("POST", MESSAGES, 200)] * count
    assert all(asked.body["stream"] is True for asked in gateway.requests)


def bash(command: str) -> Json:
    return {"name": "Bash", "arguments": {"command": command, "description": "Runs it"}}


def test_a_text_turn(claude: Claude, gateway: Watched, received: Received, upstream: str) -> None:
    run = claude.run(directive(text="A whole answer, and nothing but it."), model=MODELS[upstream])
    assert (run.text, run.told["is_error"], run.returncode) == ("A whole answer, and nothing but it.", False, 0)
    assert run.told["usage"]["input_tokens"] > 1000
    check_turns(gateway, 1)
    assert len(received.turns()) == 1


class Round(Struct, frozen=True):
    """A round of tools: `calls` by the model; the upstream must have received `outputs`, in any order."""

    id: str
    calls: list[Json]
    outputs: list[str]


ROUNDS = [
    Round("a shell command", [bash("echo one-$((40+2))")], ["one-42"]),
    Round(
        "three commands in one answer",
        [bash(f"echo part-$(({number}0+2))") for number in (1, 2, 3)],
        ["part-12", "part-22", "part-32"],
    ),
    Round("a command that fails", [bash("echo oh-$((1+1)); exit 3")], ["oh-2"]),
]


@pytest.mark.parametrize("case", ROUNDS, ids=lambda case: case.id)
def test_a_round_of_tools(case: Round, claude: Claude, gateway: Watched, received: Received, upstream: str) -> None:
    rounds = [{"text": "I look first.", "calls": case.calls}, {"text": "All done."}]
    run = claude.run(directive(rounds=rounds), model=MODELS[upstream])
    assert (run.text, run.told["is_error"], run.returncode) == ("All done.", False, 0)
    check_turns(gateway, 2)
    assert len(received.turns()) == 2
    results = received.results(1)
    assert len(results) == len(case.outputs)
    for output in case.outputs:
        assert sum(output in result for result in results) == 1


def test_thoughts_before_a_call_go_back_or_are_left_out(
    claude: Claude, gateway: Watched, received: Received, upstream: str
) -> None:
    rounds = [{"reasoning": "I should look.", "calls": [bash("echo deep-$((40+2))")]}, {"text": "Seen."}]
    run = claude.run(directive(rounds=rounds), model=MODELS[upstream])
    assert (run.text, run.returncode) == ("Seen.", 0)
    check_turns(gateway, 2)
    assert "deep-42" in received.results(1)[0]
    # Once they stand in the directive.
    assert json.dumps(received.turns()[1]).count("I should look.") == (2 if upstream == "anthropic" else 1)


def test_a_picture_is_read(claude: Claude, gateway: Watched, upstream: str) -> None:
    (claude.work / "picture.png").write_bytes(png())
    call = {"name": "Read", "arguments": {"file_path": str(claude.work / "picture.png")}}
    run = claude.run(directive(rounds=[{"calls": [call]}, {}]), model=MODELS[upstream], tools="Read")
    assert run.returncode == 0
    assert "Read answered" in run.text
    assert "With it came: " in run.text or "(image)" in run.text
    check_turns(gateway, 2)


def test_a_tool_that_must_be_searched_for(claude: Claude, gateway: Watched, received: Received, upstream: str) -> None:
    search = {"name": "ToolSearch", "arguments": {"query": "select:WebFetch", "max_results": 1}}
    run = claude.run(directive(rounds=[{"calls": [search]}, {"text": "Found."}]), model=MODELS[upstream])
    assert (run.text, run.returncode) == ("Found.", 0)
    check_turns(gateway, 2)
    assert "WebFetch" in received.results(1)[0]


def test_structured_output(claude: Claude, gateway: Watched, upstream: str) -> None:
    schema = {"type": "object", "properties": {"answer": {"type": "integer"}}, "required": ["answer"]}
    call = {"name": "StructuredOutput", "arguments": {"answer": 42}}
    run = claude.run(
        directive(rounds=[{"calls": [call]}, {"text": "Done."}]),
        "--json-schema",
        json.dumps(schema),
        model=MODELS[upstream],
    )
    assert run.told["structured_output"] == {"answer": 42}
    check_turns(gateway, 1)


def test_the_context_is_counted(claude: Claude, gateway: Watched, upstream: str) -> None:
    run = claude.run("/context", model=MODELS[upstream])
    assert "## Context Usage" in run.text
    assert "| System tools |" in run.text
    assert {(asked.method, asked.path, asked.status) for asked in gateway.requests} == {("POST", COUNT, 200)}
    assert len(gateway.requests) > 10
    assert all(asked.answer.keys() == {"input_tokens"} for asked in gateway.requests)
    assert max(asked.answer["input_tokens"] for asked in gateway.requests) > 1000


def test_a_session_goes_on_with_another_vendor(claude: Claude, gateway: Watched, upstream_server: Upstream) -> None:
    # The first vendor's thoughts carry no signature of the second one's.
    first = directive(reasoning="A bird, I think.", text="The word is heron.")
    assert claude.run(first, model=MODELS["openai"]).text == "The word is heron."
    received = Received(upstream_server, "anthropic")
    again = claude.run(directive(text="Heron, I said."), "--continue", model=MODELS["anthropic"])
    assert again.text == "Heron, I said."
    check_turns(gateway, 2)
    [turn] = received.turns()
    assert "The word is heron." in json.dumps(turn["messages"])
    assert json.dumps(turn).count("A bird, I think.") == 1, "in the directive, and nowhere else"


@pytest.mark.parametrize("name", ["anthropic", "chatgpt_web"])
def test_a_session_is_compacted(name: str, claude: Claude, gateway: Watched, upstream_server: Upstream) -> None:
    # Claude Code repeats the directive until the summary takes its place: the second time it gives the summary.
    summary = "<analysis>Short.</analysis>\n<summary>A bird was named, at length.</summary>"
    attempts = [{"text": "The word is heron. " * 40}, {"text": summary}]
    claude.run(directive(attempts=attempts), model=MODELS[name])
    assert claude.run("/compact", "--continue", model=MODELS[name]).returncode == 0
    received = Received(upstream_server, name)
    assert claude.run(directive(text="Went on."), "--continue", model=MODELS[name]).text == "Went on."
    check_turns(gateway, 3)
    [turn] = received.turns()
    assert "A bird was named, at length." in json.dumps(turn)
    assert "The word is heron." not in json.dumps(turn)


def test_the_gateways_models_are_discovered(claude: Claude, gateway: Watched) -> None:
    claude.run(directive(text="Hi."), model=MODELS["openai"], CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY="1")
    [listed] = [asked for asked in gateway.requests if asked.path == "/v1/models"]
    assert (listed.method, listed.status) == ("GET", 200)
    assert {model["type"] for model in listed.answer["data"]} == {"model"}
    assert {"gpt-5-6", MODELS["openai"]} <= {model["id"] for model in listed.answer["data"]}


class Failure(Struct, frozen=True):
    """A failure of the upstream: what Claude Code is told, and how many requests it may make of it."""

    id: str
    script: Json
    says: str
    requests: int = 1


FAILURES = [
    Failure("a rate limit", {"status": 429, "headers": {"retry-after": "1"}}, "429"),
    Failure("an upstream that fails", {"status": 500}, "503"),
    # It drops its betas one by one before it believes a 400.
    Failure("a refused request", {"status": 400}, "400", 6),
    # It asks for the rest of an answer that broke off, three times.
    Failure("a cut in the middle", {"text": "Words that will not all arrive", "cut_after_chars": 8}, "", 4),
]


@pytest.mark.parametrize("case", FAILURES, ids=lambda case: case.id)
@pytest.mark.parametrize("name", ["anthropic", "openai"])
def test_a_failure_is_told(case: Failure, name: str, claude: Claude, gateway: Watched) -> None:
    run = claude.run(directive(**case.script), model=MODELS[name])
    assert run.told["is_error"] is True
    assert run.returncode == 1
    assert case.says in run.text
    assert 1 <= len(gateway.requests) <= case.requests
    assert all(asked.body["stream"] is True for asked in gateway.requests)
