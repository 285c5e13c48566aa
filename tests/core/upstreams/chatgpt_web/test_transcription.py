"""Writing down over the simulated service and a fake one: what is sent, what comes, which account is asked."""

from typing import Any

import pytest
from msgspec import Struct

from core.contracts import Context, Transcriber
from core.errors import ChallengeRequired, GatewayError, RateLimited, UpstreamError
from core.media import Blob
from core.multipart import FormFile, FormPart, read_form
from core.services import Transcript, Transcription, Upload
from tests.core.upstreams.chatgpt_web.worlds import OWNER, POOL, Fake, Loopback, Said, World, told

pytestmark = pytest.mark.anyio

TRANSCRIBE = "/transcribe"
RECORDING = Blob(b"Bom dia", "audio/mpeg")
CONTEXT = Context(id="a" * 24, created=1_790_000_000, principal=POOL)
HTML = {"content-type": "text/html"}


def wanted(**changes: Any) -> Transcription:
    recording = Upload("a.mp3", "audio/mpeg", RECORDING)
    return Transcription(**{"model": "whisper-1", "recording": recording, **changes})


async def transcribe(world: World, context: Context = CONTEXT, **changes: Any) -> Transcript:
    return await world.upstream.transcribe(wanted(**changes), context, world.transport)


async def test_it_is_a_transcriber() -> None:
    assert isinstance(Loopback().upstream, Transcriber)


async def test_a_recording_is_sent_as_a_form() -> None:
    world = Fake({TRANSCRIBE: told({"text": "Good morning"})})
    assert await transcribe(world, language="pt") == Transcript("Good morning")
    heard = world.asked(TRANSCRIBE)[0]
    assert heard.headers["content-length"] == str(len(heard.body))
    assert read_form(heard.body, heard.headers["content-type"]) == (
        FormPart("language", "pt"),
        FormPart("file", FormFile(b"Bom dia", "a.mp3", "audio/mpeg")),
    )


async def test_no_sentinel_and_no_turn_are_needed() -> None:
    world = Loopback()
    assert (await transcribe(world)).text == "Bom dia"
    assert await world.paths() == [TRANSCRIBE]


async def test_plain_text_will_do() -> None:
    world = Fake({TRANSCRIBE: Said(b"Good morning\n", 200, {"content-type": "text/plain"})})
    assert (await transcribe(world)).text == "Good morning"


async def test_what_the_service_does_not_take_is_named() -> None:
    transcript = await transcribe(Loopback(), prompt="Names: Ana", temperature=0.0)
    assert transcript.ignored == ("prompt", "temperature")


class Case(Struct, frozen=True):
    id: str
    said: Said
    error: type[GatewayError]
    status: int


CASES = [
    Case("a limit", told({"detail": "no"}, 429), RateLimited, 429),
    Case("a challenge", Said(b"<html>Just a moment...", 403, HTML), ChallengeRequired, 403),
    Case("a page in place of the text", Said(b"<html>Hello", 200, HTML), UpstreamError, 502),
    Case("a recording that cannot be read", told({"detail": "Bad audio"}, 400), UpstreamError, 400),
    Case("JSON without a text", told({"status": "queued"}), UpstreamError, 502),
    Case("a fault of theirs", told({"detail": "no"}, 500), UpstreamError, 503),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
async def test_a_refusal_is_told_as_what_it_is(case: Case) -> None:
    with pytest.raises(case.error) as raised:
        await transcribe(Fake({TRANSCRIBE: case.said}))
    assert raised.value.status == case.status


async def test_the_next_account_gets_the_recording_from_its_beginning() -> None:
    world = Fake({TRANSCRIBE: [told({"detail": "no"}, 429), told({"text": "Hi"})]}, "loopback-a;loopback-b")
    assert (await transcribe(world)).text == "Hi"
    first, second = world.asked(TRANSCRIBE)
    assert first.body == second.body
    assert first.headers["authorization"] != second.headers["authorization"]


async def test_a_caller_s_own_account_is_not_left() -> None:
    world = Fake({TRANSCRIBE: [told({"detail": "no"}, 429), told({"text": "Hi"})]}, "loopback-a")
    context = Context(id="a" * 24, created=1_790_000_000, principal=OWNER)
    with pytest.raises(RateLimited):
        await transcribe(world, context)
