"""Speech and transcription of the simulated service (reference chatgpt-web 7)."""

from typing import Any

import httpx
import pytest
from msgspec import Struct

from core.loopback.sounds import MEDIA_TYPES, Container, silence
from tests.core.loopback.client import Heard, Service

pytestmark = pytest.mark.anyio

TEXT = "Say it again."
REPEAT = f"Repeat this exactly, please:\n\n{TEXT}"


async def stored(service: Service, prompt: str | dict[str, object]) -> Heard:
    return await service.turn(prompt, history_and_training_disabled=False)


async def read_aloud(service: Service, heard: Heard, **changes: str) -> httpx.Response:
    asked = {"message_id": heard.answer["id"], "conversation_id": heard.conversation_id, "voice": "cove"} | changes
    return await service.web.get("/backend-api/synthesize", params=asked)


@pytest.mark.parametrize("text", [TEXT, "two\n\nparagraphs", "Say lower"], ids=repr)
async def test_what_is_to_be_repeated_exactly_is(service: Service, text: str) -> None:
    heard = await service.turn(f"Repeat this exactly, please:\n\n{text}")
    assert heard.answer["content"]["parts"] == [text]


@pytest.mark.parametrize("container", ["aac", "mp3", "opus"])
async def test_a_stored_answer_sounds_as_long_as_it_is(service: Service, container: Container) -> None:
    answer = await read_aloud(service, await stored(service, REPEAT), format=container)
    assert (answer.status_code, answer.headers["content-type"]) == (200, MEDIA_TYPES[container])
    assert answer.content == silence(container, len(TEXT))


async def test_without_a_format_it_is_aac(service: Service) -> None:
    answer = await read_aloud(service, await stored(service, REPEAT))
    assert answer.headers["content-type"] == "audio/aac"


class Case(Struct, frozen=True):
    id: str
    changes: dict[str, str]
    status: int


CASES = [
    Case("no message", {"message_id": ""}, 404),
    Case("a message nobody wrote", {"message_id": "nobody"}, 404),
    Case("a conversation nobody had", {"conversation_id": "nobody"}, 404),
    Case("a voice nobody has", {"voice": "alloy"}, 422),
    Case("a format nobody makes", {"format": "wav"}, 422),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
async def test_what_cannot_be_read_aloud_is_refused(case: Case, service: Service) -> None:
    assert (await read_aloud(service, await stored(service, REPEAT), **case.changes)).status_code == case.status


async def test_the_question_is_not_read_aloud(service: Service) -> None:
    heard = await stored(service, REPEAT)
    tree = (await service.web.get(f"/backend-api/conversation/{heard.conversation_id}")).json()
    asked = tree["mapping"][heard.answer["id"]]["parent"]
    assert (await read_aloud(service, heard, message_id=asked)).status_code == 404


async def test_a_temporary_answer_is_not_read_aloud(service: Service) -> None:
    heard = await service.turn(REPEAT)
    assert (await read_aloud(service, heard)).status_code == 404


async def test_a_removed_answer_is_not_read_aloud(service: Service) -> None:
    heard = await stored(service, REPEAT)
    await service.web.patch(f"/backend-api/conversation/{heard.conversation_id}", json={"is_visible": False})
    assert (await read_aloud(service, heard)).status_code == 404


async def test_a_directive_says_how_it_sounds(service: Service) -> None:
    heard = await stored(service, {"text": "x" * 10, "speech": {"container": "mp3", "delay_ms": 250}})
    answer = await read_aloud(service, heard)
    assert answer.content == silence("mp3", 10)
    assert service.naps.taken == [0.25] * -(-len(answer.content) // 1024)


async def test_a_directive_cuts_the_sound(service: Service) -> None:
    heard = await stored(service, {"text": "x" * 10, "speech": {"cut_after_bytes": 1500}})
    with pytest.raises(httpx.RemoteProtocolError):
        await read_aloud(service, heard, format="mp3")


async def test_a_directive_gives_a_link_instead(service: Service) -> None:
    heard = await stored(service, {"text": "x" * 10, "speech": {"link": True}})
    link = (await read_aloud(service, heard, format="opus")).json()["download_url"]
    del service.web.headers["Authorization"]
    assert (await service.web.get(link)).content == silence("opus", 10)


async def test_a_recording_that_is_text_says_so(service: Service) -> None:
    files = {"file": ("a.mp3", "Olá".encode(), "audio/mpeg")}
    answer = await service.web.post("/backend-api/transcribe", files=files, data={"language": "pt"})
    assert answer.json() == {"text": "Olá"}
    heard: dict[str, Any] = (await service.log())[-1]["body"]
    assert heard == {
        "file": "a.mp3",
        "media_type": "audio/mpeg",
        "size": 4,
        "language": "pt",
        "fields": ["file", "language"],
    }


async def test_any_other_recording_is_described(service: Service) -> None:
    files = {"file": ("a.mp3", silence("mp3", 2), "audio/mpeg")}
    answer = await service.web.post("/backend-api/transcribe", files=files)
    assert answer.json()["text"].endswith("a.mp3 has 834 bytes.")


@pytest.mark.parametrize("files", [{"file": ("a.mp3", b"")}, {"other": ("a.mp3", b"Hi")}], ids=["empty", "missing"])
async def test_no_recording_is_refused(service: Service, files: dict[str, Any]) -> None:
    assert (await service.web.post("/backend-api/transcribe", files=files)).status_code == 422
