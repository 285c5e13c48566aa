"""Runs of Codex CLI against a gateway: its configuration, its command, and what came of it.

Codex does not say when its answer was empty (its exit code is 0 then), so a run gives the text, the events and the
work folder to look at. It is given an environment of its own, and a home that is thrown away.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from msgspec import Struct

from tests.api.servers import KEY

CODEX = Path(__file__).parent / "codex" / "node_modules" / ".bin" / "codex"
TIMEOUT_S = 60

CONFIG = """\
model_provider = "isthmus"
approval_policy = "never"
sandbox_mode = "danger-full-access"
check_for_update_on_startup = false

[analytics]
enabled = false

[model_providers.isthmus]
name = "Isthmus"
base_url = "{url}/v1"
env_key = "ISTHMUS_API_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
stream_idle_timeout_ms = 20000
"""
"""docs/responses.md shows the same; the sandbox is off because the work folder of a test is thrown away."""

Json = dict[str, Any]


class Run(Struct, frozen=True):
    """What came of a run. `text` is the last message, `events` what `--json` printed."""

    text: str
    events: list[Json]
    returncode: int
    errors: str

    def items(self, kind: str) -> list[Json]:
        """Return the completed items of a kind."""
        items = [event["item"] for event in self.events if event["type"] == "item.completed"]
        return [item for item in items if item["type"] == kind]


class Codex:
    """Codex CLI in a folder of its own, with a gateway as its provider."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url = url
        self.home = folder / "home"
        self.work = folder / "work"
        for path in (self.home / ".codex", self.work):
            path.mkdir(parents=True)
        (self.home / ".codex" / "config.toml").write_text(CONFIG.format(url=url))

    def run(self, prompt: str, *options: str, model: str = "gpt-5.1", resume: bool = False) -> Run:
        """Run `codex exec` to its end; `resume` goes on with the last session."""
        last = self.home / "last.txt"
        last.unlink(missing_ok=True)
        command = [str(CODEX), "exec", *(["resume", "--last"] if resume else [])]
        command += ["--skip-git-repo-check", "--json", "-m", model, "-o", str(last), *options, prompt]
        done = subprocess.run(
            command,
            cwd=self.work,
            env=self._environ(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
        text = last.read_text() if last.exists() else ""
        return Run(text, _events(done.stdout), done.returncode, done.stderr)

    def run_built_in(self, prompt: str, *options: str, model: str = "gpt-5.5") -> Run:
        """Run with the provider that Codex brings itself, pointed at the gateway: it tries a WebSocket first."""
        pointed = ("-c", f'openai_base_url="{self._url}/v1"', "-c", 'model_provider="openai"')
        return self.run(prompt, *pointed, *options, model=model)

    def _environ(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "CODEX_HOME": str(self.home / ".codex"),
            "ISTHMUS_API_KEY": KEY,
            "CODEX_API_KEY": KEY,
            "TERM": "dumb",
            "RUST_LOG": os.environ.get("CODEX_LOG", "error"),
        }


def _events(output: str) -> list[Json]:
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]
