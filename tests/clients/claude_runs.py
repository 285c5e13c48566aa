"""Runs of Claude Code against a gateway: its environment, its command, and what came of it.

Where a stream is broken, Claude Code asks again without one and says nothing of it. Here it may not, nor does it retry
by its own timer, so that what fails is seen. It is given an environment of its own, and a home that is thrown away.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from msgspec import Struct

from tests.api.servers import KEY

CLAUDE = Path(__file__).parent / "claude" / "node_modules" / ".bin" / "claude"
TIMEOUT_S = 60

SWITCHES = {
    "CLAUDE_CODE_DISABLE_NONSTREAMING_FALLBACK": "1",
    "CLAUDE_CODE_MAX_RETRIES": "0",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_TELEMETRY": "1",
}


class Run(Struct, frozen=True):
    """What came of a run. `text` is the result, `told` all of the line that says it."""

    text: str
    told: dict[str, Any]
    returncode: int
    errors: str


class Claude:
    """Claude Code in a folder of its own, with a gateway in the place of Anthropic's API."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url = url
        self.home = folder / "home"
        self.work = folder / "work"
        for path in (self.home, self.work):
            path.mkdir(parents=True)

    def run(self, prompt: str, *options: str, model: str, tools: str = "Bash", **switches: str) -> Run:
        """Run one prompt to its end. `tools` need no permission; `switches` are variables besides the usual ones."""
        command = [str(CLAUDE), "-p", prompt, "--model", model, "--output-format", "json", "--allowedTools", tools]
        done = subprocess.run(
            [*command, *options],
            cwd=self.work,
            env=self._environ() | switches,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
        assert done.stdout, done.stderr
        told = json.loads(done.stdout)
        return Run(told.get("result", ""), told, done.returncode, done.stderr)

    def _environ(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "CLAUDE_CONFIG_DIR": str(self.home / ".claude"),
            "ANTHROPIC_BASE_URL": self._url,
            "ANTHROPIC_API_KEY": KEY,
            "TERM": "dumb",
        } | SWITCHES
