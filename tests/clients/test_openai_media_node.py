"""The official OpenAI SDK for JavaScript makes pictures, over real HTTP; `openai_media.mjs` does it. Needs node."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from tests.api.servers import KEY, Gateway

pytestmark = pytest.mark.clients

FOLDER = Path(__file__).parent


@pytest.fixture(scope="module")
def heard(socket_gateway: Gateway) -> dict[str, Any]:
    """Return what the SDK made, all in one run of node."""
    command = ["node", "openai_media.mjs", f"{socket_gateway.url}/v1", KEY]
    run = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout)
    return found


class Case(Struct, frozen=True):
    id: str
    key: str
    expected: Any


CASES = [
    Case("two pictures", "generate", [True, True]),
    Case("an edit of two pictures", "edit", [True]),
    Case("a variation", "variation", [True]),
    Case("a link that can be fetched", "link", {"type": "image/png", "png": True}),
    Case("a stream", "stream", [["image_generation.completed", True]]),
    Case("a streamed edit", "edited", [["image_edit.completed", True]]),
    Case("a picture in Responses", "response", [True]),
    Case("a picture in chat", "chat", [True]),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_what_came(case: Case, heard: dict[str, Any]) -> None:
    assert heard[case.key] == case.expected


@pytest.mark.parametrize("key", ["refused", "refused_stream"])
def test_a_refusal_has_its_words(key: str, heard: dict[str, Any]) -> None:
    name, code, message = heard[key]
    assert (name, code) == ("BadRequestError", "image_generation_error")
    assert "I can't draw that." in message
