"""Codex CLI where its own format goes all the way: to the service behind it, and to a vendor that has the same API.

What it does is looked at, and what reached the upstream in its second request.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import Struct

from tests.api.servers import Gateway, Upstream, directive, running_gateway
from tests.clients.codex_runs import Codex

pytestmark = pytest.mark.clients

Json = dict[str, Any]
PATCH = "*** Begin Patch\n*** Add File: notes/hello.txt\n+made by a patch\n*** End Patch"


class Way(Struct, frozen=True):
    """Where the turns go: the environment, and the path that they arrive at."""

    id: str
    environ: dict[str, str]
    path: str


WAYS = [
    Way("the service behind Codex", {"CHATGPT_UPSTREAM": "codex"}, "/backend-api/codex/responses"),
    Way(
        "a vendor",
        {"OPENAI_API_KEY": "loopback-vendor", "MODEL_ROUTES": "gpt-*=openai/loopback-large"},
        "/v1/responses",
    ),
]


class Setting(Struct, frozen=True):
    codex: Codex
    upstream: Upstream
    path: str
    before: int

    def bodies(self) -> list[Json]:
        """Return what the upstream was asked since the test began."""
        return [call["body"] for call in self.upstream.log()[self.before :] if call["path"] == self.path]

    def outputs(self) -> list[str]:
        """Return what the tools answered, as the second request has it."""
        items = self.bodies()[1]["input"]
        return [str(item["output"]) for item in items if item["type"].endswith("_call_output")]


@pytest.fixture(params=WAYS, ids=lambda way: way.id)
def gateway_on(request: pytest.FixtureRequest, upstream_server: Upstream) -> Iterator[tuple[Gateway, str]]:
    way: Way = request.param
    environ = {"OPENAI_BASE_URL": f"{upstream_server.url}/v1", **way.environ}
    with running_gateway(upstream_server.environ(**environ)) as gateway:
        yield gateway, way.path


@pytest.fixture
def setting(gateway_on: tuple[Gateway, str], upstream_server: Upstream, tmp_path: Any) -> Setting:
    gateway, path = gateway_on
    return Setting(Codex(gateway.url, tmp_path), upstream_server, path, len(upstream_server.log()))


def shell(command: str) -> Json:
    return {"name": "exec_command", "arguments": {"cmd": command}}


def test_a_shell_command_gives_the_sealed_reasoning_back(setting: Setting) -> None:
    rounds = [{"reasoning": "I look.", "calls": [shell("echo one-$((40+2))")]}, {}]
    run = setting.codex.run(directive(rounds=rounds), model="gpt-5.5")
    assert "one-42" in run.text
    [output] = setting.outputs()
    assert "one-42" in output
    [thought] = [item for item in setting.bodies()[1]["input"] if item["type"] == "reasoning"]
    assert thought["encrypted_content"].startswith("loopback-sealed-")


def test_a_patch_is_applied(setting: Setting) -> None:
    call = {"name": "apply_patch", "input": PATCH}
    run = setting.codex.run(directive(rounds=[{"calls": [call]}, {"text": "Patched."}]), model="gpt-5.5")
    assert (setting.codex.work / "notes" / "hello.txt").read_text() == "made by a patch\n"
    assert run.text == "Patched."
    [offered] = [tool for tool in setting.bodies()[0]["tools"] if tool.get("name") == "apply_patch"]
    assert offered["format"]["syntax"] == "lark"


def test_a_failure_is_told(setting: Setting) -> None:
    script = {"text": "Words that will not all arrive", "delay_ms": 20, "cut_after_chars": 8}
    run = setting.codex.run(directive(**script), model="gpt-5.5")
    assert (run.returncode, run.text) == (1, "")
    failed = next(event for event in run.events if event["type"] == "turn.failed")
    assert "cut" in failed["error"]["message"]
