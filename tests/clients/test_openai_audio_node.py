"""The audio calls of the official OpenAI SDK for JavaScript, over real HTTP. Needs node."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from core.loopback.sounds import silence
from tests.api.servers import KEY, Gateway

pytestmark = pytest.mark.clients

TEXT = "The quick brown fox."
SLOW = 'loopback: {"speech": {"delay_ms": 20}}'


@pytest.fixture(scope="module")
def heard(socket_gateway: Gateway) -> dict[str, Any]:
    """Return what the SDK heard, all in one run of node."""
    command = ["node", "openai_audio.mjs", f"{socket_gateway.url}/v1", KEY]
    run = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def test_speech(heard: dict[str, Any]) -> None:
    sound = silence("mp3", len(TEXT))
    assert heard["speech"] == {"type": "audio/mpeg", "bytes": len(sound), "start": sound[:4].hex()}


def test_speech_as_it_comes(heard: dict[str, Any]) -> None:
    streamed = heard["streamed"]
    assert (streamed["type"], streamed["bytes"]) == ("audio/ogg", len(silence("opus", len(SLOW))))


def test_speech_as_events(heard: dict[str, Any]) -> None:
    assert heard["events"] == {"bytes": len(silence("mp3", len(TEXT))), "last": "speech.audio.done"}


def test_transcripts(heard: dict[str, Any]) -> None:
    transcripts = heard["transcripts"]
    assert (transcripts["json"], transcripts["text"]) == ("Say bom dia", "Say bom dia")
    assert transcripts["verbose"] == {
        "task": "transcribe",
        "language": None,
        "duration": 0,
        "text": "Say bom dia",
        "segments": [],
        "words": [],
    }
    assert transcripts["stream"] == [
        ["transcript.text.delta", "Say bom dia"],
        ["transcript.text.done", "Say bom dia"],
    ]


def test_a_translation(heard: dict[str, Any]) -> None:
    assert heard["transcripts"]["translation"] == "Bom dia"


class Case(Struct, frozen=True):
    name: str
    key: str
    raised: str
    status: int | None = None
    code: str | None = None
    param: str | None = None


CASES = [
    Case("an unknown voice", "voice", "BadRequestError", 400, None, "voice"),
    Case("a sound that is cut", "cut", "TypeError"),
    Case("a format with times", "format", "BadRequestError", 400, "invalid_response_format", "response_format"),
    Case("an empty recording", "empty", "BadRequestError", 400, "empty_file", "file"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_error_has_its_class(case: Case, heard: dict[str, Any]) -> None:
    error = heard["errors"][case.key]
    assert (error["name"], error["status"], error["code"], error["param"]) == (
        case.raised,
        case.status,
        case.code,
        case.param,
    )
