"""Runs a client of another language or another environment against a gateway, and returns what it printed."""

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.api.servers import KEY, Gateway, directive
from tests.contract.agents import FINAL, ROUNDS

FOLDER = Path(__file__).parent
PYTHON = FOLDER.parents[1] / ".venv-clients" / "bin" / "python"
"""The interpreter of the clients that are too heavy for the project's own environment."""

Json = dict[str, Any]

CALLS = [["get_weather", "Lisbon"], ["get_weather", 'São "Tomé"\n🌍'], ["get_time", "Oslo"]]
"""What the tools of a client are called with, in order, when it is given the prompt of `run`."""

MADE = {"name": "name", "sky": "clear", "degrees": [1]}
"""What the simulated model makes of a schema with these three fields."""

__all__ = ["CALLS", "FINAL", "MADE", "run_node", "run_python"]


def run_node(script: str, gateway: Gateway) -> Json:
    return run(["node", script], gateway)


def run_python(script: str, gateway: Gateway) -> Json:
    assert PYTHON.exists(), f"{PYTHON.parents[1].name} is missing: `make test-clients` makes it"
    return run([str(PYTHON), script], gateway)


def run(command: list[str], gateway: Gateway) -> Json:
    """Give the script the gateway, the key and a prompt that scripts an agent loop of three rounds."""
    arguments = [*command, f"{gateway.url}/v1", KEY, directive(rounds=ROUNDS)]
    done = subprocess.run(arguments, cwd=FOLDER, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    printed: Json = json.loads(done.stdout)
    return printed
