"""Reading aloud over the simulated service and a fake one: what is asked, what comes, and that nothing stays behind."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from core.accounts import Principal
from core.contracts import Context, Speaker
from core.errors import GatewayError, InvalidRequest, UpstreamError
from core.loopback import create_loopback
from core.loopback.sounds import Container, silence
from core.services import Download, Speech
from core.upstreams.chatgpt_web.sound import OWN_VOICES, VOICES
from core.upstreams.chatgpt_web.speech import LEAST_LIKENESS, likeness
from tests.core.upstreams.chatgpt_web.worlds import (
    OWNER,
    POOL,
    TURN,
    Fake,
    Loopback,
    Said,
    World,
    directive,
    stream,
    told,
)
from tests.core.wire.chatgpt_web.streams import DONE, add, whole

pytestmark = pytest.mark.anyio

TEXT = "The quick brown fox jumps over the lazy dog, and nobody minds."
SYNTHESIZE = "/synthesize"
MP3 = silence("mp3", 4)


def context(principal: Principal = POOL) -> Context:
    return Context(id="a" * 24, created=1_790_000_000, principal=principal)


def wanted(text: str = TEXT, **changes: Any) -> Speech:
    return Speech(**{"model": "tts-1", "text": text, "voice": "alloy", "format": "mp3", **changes})


@asynccontextmanager
async def speaking(
    world: World, speech: Speech | None = None, principal: Principal = POOL
) -> AsyncGenerator[Download, None]:
    async with world.upstream.speak(speech or wanted(), context(principal), world.transport) as download:
        yield download


async def speak(world: World, speech: Speech | None = None, principal: Principal = POOL) -> tuple[Download, bytes]:
    """Return what is said of the sound, and the sound."""
    async with speaking(world, speech, principal) as download:
        return download, b"".join([piece async for piece in download.chunks])


async def refused(world: World, speech: Speech | None = None) -> GatewayError:
    with pytest.raises(GatewayError) as raised:
        await speak(world, speech)
    return raised.value


async def left_behind(world: Loopback) -> list[str]:
    """Return the conversations that the accounts still list."""
    accounts = [account.token.reveal() for account in world.settings.accounts]
    listed = []
    for token in accounts:
        answer = await world.web.get("/backend-api/conversations", headers={"Authorization": f"Bearer {token}"})
        listed += [item["id"] for item in answer.json()["items"]]
    return listed


async def removals(world: Loopback) -> list[Any]:
    return [call["body"] for call in await world.calls() if call["method"] == "PATCH"]


def fake(*sounds: Said, said: str = TEXT, tokens: str = "loopback-a") -> Fake:
    turn = stream(add(whole(said)), DONE)
    return Fake({TURN: turn, SYNTHESIZE: list(sounds), "/conversation/conv": told({"success": True})}, tokens)


def sound(data: bytes, media_type: str = "audio/mpeg", cut: bool = False) -> Said:
    return Said(data, 200, {"content-type": media_type} if media_type else {}, cut)


# What is asked.


async def test_it_is_a_speaker() -> None:
    assert isinstance(Loopback().upstream, Speaker)


async def test_the_text_is_repeated_in_a_turn_that_is_kept_and_removed_afterwards() -> None:
    world = Loopback()
    download, data = await speak(world)
    assert (download.media_type, data) == ("audio/mpeg", silence("mp3", len(TEXT)))
    assert (download.ignored, download.notes) == ((), ())
    turn = (await world.calls("/f/conversation"))[0]["body"]
    assert turn["history_and_training_disabled"] is False
    assert turn["model"] == "auto"
    assert turn["messages"][0]["content"]["parts"][0].endswith(f"\n\n{TEXT}")
    assert await removals(world) == [{"is_visible": False}]
    assert await left_behind(world) == []


async def test_history_that_is_kept_by_the_settings_holds_no_speech() -> None:
    world = Loopback(ENABLE_HISTORY="true")
    await speak(world)
    assert await left_behind(world) == []


async def test_another_model_than_a_speech_model_repeats_the_text_itself() -> None:
    world = Loopback()
    await speak(world, wanted(model="gpt-5-2"))
    assert (await world.calls("/f/conversation"))[0]["body"]["model"] == "gpt-5-2"


@pytest.mark.parametrize(("voice", "own"), VOICES.items())
async def test_every_voice_is_asked_for_by_the_service_s_own_name(voice: str, own: str) -> None:
    world = Loopback()
    await speak(world, wanted("Hi", voice=voice))
    assert (await world.calls(SYNTHESIZE))[0]["body"]["voice"] == own
    assert own in OWN_VOICES


async def test_an_unknown_voice_is_refused_before_anything_is_asked() -> None:
    world = Loopback()
    error = await refused(world, wanted(voice="marin"))
    assert isinstance(error, InvalidRequest)
    assert (error.param, "alloy, ash, coral" in error.message) == ("voice", True)
    assert await world.calls() == []


class Format(Struct, frozen=True):
    id: str
    asked: str
    container: Container
    media_type: str
    ignored: tuple[str, ...] = ()


FORMATS = [
    Format("mp3", "mp3", "mp3", "audio/mpeg"),
    Format("opus", "opus", "opus", "audio/ogg"),
    Format("aac", "aac", "aac", "audio/aac"),
    *(Format(name, name, "aac", "audio/aac", ("response_format",)) for name in ("flac", "wav", "pcm")),
]


@pytest.mark.parametrize("case", FORMATS, ids=lambda case: case.id)
async def test_the_type_is_that_of_the_sound_and_what_is_not_honoured_is_named(case: Format) -> None:
    world = Loopback()
    download, data = await speak(world, wanted("Hi", format=case.asked))
    assert (download.media_type, download.ignored) == (case.media_type, case.ignored)
    assert data == silence(case.container, 2)


class Knob(Struct, frozen=True):
    id: str
    changes: dict[str, Any]
    ignored: tuple[str, ...]


KNOBS = [
    Knob("the usual speed is what one gets", {"speed": 1.0}, ()),
    Knob("another speed is not", {"speed": 1.5}, ("speed",)),
    Knob("nobody heeds instructions", {"instructions": "Whisper."}, ("instructions",)),
    Knob(
        "all at once",
        {"speed": 2.0, "format": "wav", "instructions": "x"},
        ("response_format", "speed", "instructions"),
    ),
]


@pytest.mark.parametrize("case", KNOBS, ids=lambda case: case.id)
async def test_what_has_no_effect_is_named(case: Knob) -> None:
    download, _ = await speak(Loopback(), wanted("Hi", **case.changes))
    assert download.ignored == case.ignored


# What comes.


class Seen(Struct, frozen=True):
    """What the service declares and sends, and what is told of it."""

    id: str
    declared: str
    data: bytes
    media_type: str
    ignored: tuple[str, ...] = ()


CONTAINERS = [
    Seen("the bytes tell more than the header", "audio/mpeg", silence("aac", 3), "audio/aac", ("response_format",)),
    Seen("bytes that tell nothing leave it to the header", "audio/x-new", b"????", "audio/x-new", ("response_format",)),
    Seen("neither tells: it is what was asked for", "application/octet-stream", b"????", "audio/mpeg"),
    Seen("no header at all", "", b"????", "audio/mpeg"),
    Seen("a header with parameters", "audio/mpeg; codecs=mp3", b"????", "audio/mpeg"),
]


@pytest.mark.parametrize("case", CONTAINERS, ids=lambda case: case.id)
async def test_the_type_is_the_true_one(case: Seen) -> None:
    download, data = await speak(fake(sound(case.data, case.declared)))
    assert (download.media_type, download.ignored, data) == (case.media_type, case.ignored, case.data)


async def test_the_first_bytes_come_before_the_last_are_made() -> None:
    world = Loopback()
    text = f"{TEXT}\n" + directive(speech={"delay_ms": 1})
    async with speaking(world, wanted(text)) as download:
        first = await anext(download.chunks)
        assert (await world.calls(SYNTHESIZE))[0]["ended_at"] is None
        rest = [piece async for piece in download.chunks]
    assert len(rest) > 5
    assert first + b"".join(rest) == silence("mp3", len(text))


async def test_a_link_in_place_of_the_sound_is_followed_without_the_token() -> None:
    world = Loopback()
    text = directive(speech={"link": True})
    download, data = await speak(world, wanted(text, format="opus"))
    assert (download.media_type, data) == ("audio/ogg", silence("opus", len(text)))
    assert download.size == len(data)


async def test_a_link_to_the_service_itself_is_followed_with_the_token() -> None:
    link = told({"url": "/backend-api/sounds/1"})
    world = Fake({TURN: stream(add(whole(TEXT)), DONE), SYNTHESIZE: link, "/sounds/1": sound(MP3)})
    assert (await speak(world))[1] == MP3
    assert world.asked("/sounds/1")[0].headers["authorization"] == "Bearer loopback-a"


# What the model says.


async def test_a_model_that_says_something_else_is_asked_once_more() -> None:
    world = Loopback()
    text = f"{TEXT}\n" + directive(attempts=[{"text": "I would rather not."}, {}])
    download, data = await speak(world, wanted(text))
    assert (data, download.notes) == (silence("mp3", len(text)), ())
    turns = [call["body"] for call in await world.calls("/f/conversation")]
    assert len({turn["messages"][0]["id"] for turn in turns}) == 2
    assert await removals(world) == [{"is_visible": False}] * 2
    assert await left_behind(world) == []


async def test_speech_of_something_else_is_never_given() -> None:
    world = Loopback()
    error = await refused(world, wanted(f"{TEXT}\n" + directive(text="I would rather not.")))
    assert isinstance(error, UpstreamError)
    assert (error.status, error.code, error.scope) == (502, "speech_text_differs", "request")
    assert "I would rather not." in error.message
    assert await world.calls(SYNTHESIZE) == []
    assert await removals(world) == [{"is_visible": False}] * 2


async def test_speech_of_nearly_the_same_says_so() -> None:
    download, data = await speak(fake(sound(MP3), said=TEXT.replace("nobody", "no body")))
    assert (data, download.notes) == (MP3, (("speech-text", "differs"),))


class Likeness(Struct, frozen=True):
    id: str
    said: str
    low: float
    high: float


LIKENESSES = [
    Likeness("the same", TEXT, 1, 1),
    Likeness("other spaces", TEXT.replace(" ", "  ") + "\n", 1, 1),
    Likeness("one letter", TEXT.replace("quick", "quack"), LEAST_LIKENESS, 0.999),
    Likeness("one sentence in front", f"Sure, here is the text you wanted to hear: {TEXT}", 0.5, LEAST_LIKENESS),
    Likeness("half of it", TEXT[: len(TEXT) // 2], 0.5, LEAST_LIKENESS),
    Likeness("a refusal", "I'm sorry, but I can't help with that.", 0, 0.5),
    Likeness("nothing", "", 0, 0),
]


@pytest.mark.parametrize("case", LIKENESSES, ids=lambda case: case.id)
def test_texts_are_alike_as_far_as_they_are_heard(case: Likeness) -> None:
    assert case.low <= likeness(TEXT, case.said) <= case.high


def test_quotes_sound_alike() -> None:
    assert likeness("\u201cIt\u2019s\u201d", '"It\'s"') == 1


@given(st.text(), st.text())
def test_likeness_is_a_share(one: str, other: str) -> None:
    assert 0 <= likeness(one, other) == likeness(other, one) <= 1
    assert likeness(one, one) == 1


# What goes wrong: nothing stays behind.


class Failure(Struct, frozen=True):
    """`rule` scripts the simulated service, `script` the turn; `opened` says whether there was a conversation."""

    id: str
    status: int
    rule: dict[str, Any] = {}
    script: dict[str, Any] = {}
    code: str | None = None
    opened: bool = True


AT_SOUND: dict[str, Any] = {"path": SYNTHESIZE}
FAILURES = [
    Failure("the sound is refused", 404, AT_SOUND | {"status": 404}, code="conversation_not_found"),
    Failure("the sound fails", 503, AT_SOUND | {"status": 500}),
    Failure("the sound is rationed", 429, AT_SOUND | {"status": 429}),
    Failure("a page in place of the sound", 502, AT_SOUND | {"status": 200, "body": "<html>Hello</html>"}),
    Failure(
        "an error in place of the sound",
        502,
        AT_SOUND | {"status": 200, "body": {"detail": "No."}},
        code="speech_unavailable",
    ),
    Failure("a word in place of the sound", 502, AT_SOUND | {"status": 200, "body": ["No"]}, code="speech_unavailable"),
    Failure("a link that leads nowhere", 502, AT_SOUND | {"status": 200, "body": {"url": "/backend-api/nowhere"}}),
    Failure("no sound at all", 502, AT_SOUND | {"status": 200, "body": "", "headers": {"content-type": "audio/aac"}}),
    Failure("the sound is cut before its first byte", 503, AT_SOUND | {"cut": True}),
    Failure("the turn fails in the middle", 403, script={"error_after_chars": 4}),
    Failure("the turn is cut off", 503, script={"cut_after_chars": 4}),
    Failure("the turn is refused", 403, {"path": TURN, "status": 403}, opened=False),
    Failure("the sentinel refuses", 403, {"path": "/chat-requirements/prepare", "status": 403}, opened=False),
]


@pytest.mark.parametrize("case", FAILURES, ids=lambda case: case.id)
async def test_a_failure_keeps_its_status_and_leaves_no_conversation(case: Failure) -> None:
    world = Loopback()
    if case.rule:
        await world.rule(**case.rule)
    text = f"{TEXT}\n" + directive(**case.script) if case.script else TEXT
    error = await refused(world, wanted(text))
    assert error.status == case.status
    assert case.code is None or error.code == case.code
    assert await removals(world) == [{"is_visible": False}] * case.opened
    assert await left_behind(world) == []


async def test_a_sound_that_is_cut_is_an_error_after_what_came() -> None:
    world, heard = Loopback(), bytearray()
    text = f"{TEXT}\n" + directive(speech={"cut_after_bytes": 5000})

    async def listen() -> None:
        async with speaking(world, wanted(text)) as download:
            async for piece in download.chunks:
                heard.extend(piece)

    with pytest.raises(UpstreamError):
        await listen()
    assert len(heard) == 5000
    assert await left_behind(world) == []


async def test_whoever_stops_listening_leaves_nothing() -> None:
    world = Loopback()
    async with speaking(world, wanted(f"{TEXT}\n" + directive(speech={"delay_ms": 1}))) as download:
        await anext(download.chunks)
    assert await left_behind(world) == []
    assert (await world.calls(SYNTHESIZE))[0]["disconnected_at"] is not None


class Slow(Loopback):
    """A service whose first pause never ends; `pausing` is set when it is there."""

    def __init__(self) -> None:
        World.__init__(self, create_loopback(sleep=self._pause))
        self.web = httpx.AsyncClient(transport=self.service, base_url="loopback://chatgpt")
        self.pausing = asyncio.Event()

    async def _pause(self, seconds: float) -> None:
        self.pausing.set()
        await asyncio.Event().wait()


@pytest.mark.parametrize("script", [{"delay_ms": 1}, {"speech": {"delay_ms": 1}}], ids=["the turn", "the sound"])
async def test_whoever_leaves_while_nothing_comes_leaves_nothing(script: dict[str, Any]) -> None:
    world = Slow()
    work = asyncio.create_task(speak(world, wanted(f"{TEXT}\n" + directive(**script))))
    await world.pausing.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert await removals(world) == [{"is_visible": False}]
    assert await left_behind(world) == []


# Which account.


async def test_before_the_first_byte_the_next_account_is_asked() -> None:
    world = Loopback("loopback-a;loopback-b")
    await world.rule(path=SYNTHESIZE, status=429, times=1)
    _, data = await speak(world)
    assert data == silence("mp3", len(TEXT))
    turns = await world.calls("/f/conversation")
    assert len({call["account"] for call in turns}) == 2
    assert await left_behind(world) == []


async def test_a_caller_s_own_account_is_not_left() -> None:
    world = fake(told({"detail": "no"}, 429), sound(MP3), tokens="loopback-a;loopback-b")
    with pytest.raises(UpstreamError):
        await speak(world, principal=OWNER)
    assert {heard.headers["authorization"] for heard in world.heard} == {"Bearer loopback-own"}


async def test_an_answer_without_a_place_cannot_be_read_aloud() -> None:
    turn = json.dumps({"message": whole(TEXT), "error": None}).encode()
    world = Fake({TURN: stream(b"data: " + turn + b"\n\n", DONE)})
    assert (await refused(world)).status == 502
