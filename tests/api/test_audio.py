"""Speech, transcription and translation by the official SDK over two sockets (AU-52..58, CH-5, JR-9, JR-10)."""

import base64
import io
import json
import socket
import wave
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from msgspec import Struct
from openai import OpenAI

from core.loopback.sounds import silence
from tests.api.servers import (
    KEY,
    PROMPT_MARK,
    SIMULATED,
    Gateway,
    Upstream,
    data_frames,
    directive,
    error_of,
    running_gateway,
    running_upstream,
)

TEXT = "The quick brown fox."
ROUTES = ["/v1/audio/transcriptions", "/v1/audio/translations"]
SLOW = directive(speech={"delay_ms": 20})
DEVICE = "00000000-0000-4000-8000-000000000001"


@pytest.fixture(scope="module")
def client(socket_gateway: Gateway) -> Iterator[OpenAI]:
    with OpenAI(api_key=KEY, base_url=f"{socket_gateway.url}/v1", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def own_upstream() -> Iterator[Upstream]:
    """An upstream of this module's own."""
    with running_upstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def gateway(own_upstream: Upstream) -> Iterator[Gateway]:
    with running_gateway(own_upstream.environ()) as gateway:
        yield gateway


@pytest.fixture
def upstream(own_upstream: Upstream) -> Upstream:
    """An upstream that remembers nothing: its log holds the test's own calls only."""
    httpx.post(f"{own_upstream.url}/loopback/reset", trust_env=False).raise_for_status()
    return own_upstream


def removed(upstream: Upstream) -> bool:
    """Say whether every conversation that was opened is removed, and there was one."""
    calls = upstream.log()
    opened = [call for call in calls if call["path"].endswith("/f/conversation") and call["status"] == 200]
    removals = [call for call in calls if call["method"] == "PATCH" and call["body"] == {"is_visible": False}]
    return len(opened) == len(removals) > 0


def wait_until_removed(upstream: Upstream) -> None:
    """Return when nothing is left behind; each look is a round trip, and there is an end to them."""
    for _ in range(3_000):
        if removed(upstream):
            return
    raise AssertionError("a conversation is left behind")


# Speech.


def test_the_sdk_gets_its_sound(client: OpenAI) -> None:
    answer = client.audio.speech.create(model="tts-1", voice="nova", input=TEXT)
    assert answer.response.headers["content-type"] == "audio/mpeg"
    assert "x-isthmus-ignored-params" not in answer.response.headers
    assert answer.read() == silence("mp3", len(TEXT))


def test_the_sdk_gets_its_sound_as_it_comes(client: OpenAI) -> None:
    speech = client.audio.speech.with_streaming_response
    with speech.create(model="tts-1", voice="alloy", input=SLOW, response_format="opus") as answer:
        pieces = list(answer.iter_bytes(1024))
    assert answer.headers["content-type"] == "audio/ogg"
    assert "content-length" not in answer.headers
    assert b"".join(pieces) == silence("opus", len(SLOW))


def test_what_has_no_effect_is_named(client: OpenAI) -> None:
    answer = client.audio.speech.create(
        model="tts-1", voice="alloy", input=TEXT, response_format="wav", speed=2, extra_body={"seed": 1}
    )
    assert answer.response.headers["content-type"] == "audio/aac"
    assert answer.response.headers["x-isthmus-ignored-params"] == "seed, response_format, speed"


def test_a_reading_that_differs_a_little_says_so(socket_gateway: Gateway) -> None:
    answer = socket_gateway.web.post("/v1/audio/speech", json={"input": directive(text=TEXT * 40)})
    assert (answer.status_code, answer.headers["x-isthmus-speech-text"]) == (200, "differs")


def test_a_reading_of_something_else_is_an_error(socket_gateway: Gateway) -> None:
    answer = socket_gateway.web.post("/v1/audio/speech", json={"input": directive(text="No.")})
    assert (answer.status_code, answer.headers["x-should-retry"]) == (502, "false")
    assert error_of(answer)["code"] == "speech_text_differs"


@pytest.mark.parametrize("stream_format", ["sse", "audio"])
def test_the_sound_may_come_as_events(stream_format: Any, client: OpenAI) -> None:
    answer = client.audio.speech.create(
        model="gpt-4o-mini-tts", voice="alloy", input=TEXT, stream_format=stream_format, instructions="Whisper."
    )
    assert answer.response.headers["x-isthmus-ignored-params"] == "instructions"
    sound = answer.read()
    if stream_format == "sse":
        assert answer.response.headers["content-type"] == "text/event-stream; charset=utf-8"
        *deltas, done = data_frames(sound.decode())
        assert {delta["type"] for delta in deltas} == {"speech.audio.delta"}
        assert done == {"type": "speech.audio.done", "usage": None}
        sound = b"".join(base64.b64decode(delta["audio"]) for delta in deltas)
    assert sound == silence("mp3", len(TEXT))


class Refusal(Struct, frozen=True):
    id: str
    body: dict[str, Any]
    param: str
    code: str | None = None


REFUSALS = [
    Refusal("no text", {"voice": "alloy"}, "input", "missing_required_parameter"),
    Refusal("a text too long", {"input": "x" * 4097}, "input", "string_above_max_length"),
    Refusal("an unknown voice", {"input": TEXT, "voice": "marin"}, "voice"),
    Refusal("an unknown format", {"input": TEXT, "response_format": "midi"}, "response_format"),
    Refusal("too fast", {"input": TEXT, "speed": 5}, "speed"),
]


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.id)
def test_a_refusal_of_speech_names_the_field(case: Refusal, socket_gateway: Gateway) -> None:
    answer = socket_gateway.web.post("/v1/audio/speech", json=case.body)
    assert answer.status_code == 400
    error = error_of(answer)
    assert (error["param"], error["code"]) == (case.param, case.code)


@pytest.mark.parametrize("stream_format", ["audio", "sse"])
def test_an_early_failure_keeps_its_status(stream_format: str, upstream: Upstream) -> None:
    upstream.script(path="/synthesize", status=429, headers={"retry-after": "7"})
    with running_gateway(upstream.environ()) as gateway:
        answer = gateway.web.post("/v1/audio/speech", json={"input": TEXT, "stream_format": stream_format})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert error_of(answer)["type"] == "rate_limit_error"
    assert removed(upstream)


def test_a_sound_that_is_cut_does_not_look_whole(upstream: Upstream, gateway: Gateway) -> None:
    heard = bytearray()

    def listen() -> None:
        text = directive(speech={"cut_after_bytes": 5000})
        with gateway.web.stream("POST", "/v1/audio/speech", json={"input": text}) as answer:
            assert answer.status_code == 200
            for piece in answer.iter_bytes():
                heard.extend(piece)

    with pytest.raises(httpx.RemoteProtocolError):
        listen()
    assert len(heard) == 5000
    assert removed(upstream)


def test_events_that_are_cut_say_so(upstream: Upstream, gateway: Gateway) -> None:
    text = directive(speech={"cut_after_bytes": 5000})
    answer = gateway.web.post("/v1/audio/speech", json={"input": text, "stream_format": "sse"})
    *deltas, last = data_frames(answer.text)
    assert sum(len(base64.b64decode(delta["audio"])) for delta in deltas) == 5000
    assert last["error"]["type"] == "overloaded_error"
    assert removed(upstream)


@pytest.mark.parametrize("hears", [True, False], ids=["after the first byte", "before the first byte"])
def test_a_listener_who_leaves_leaves_nothing_behind(hears: bool, upstream: Upstream, gateway: Gateway) -> None:
    if not hears:
        upstream.script(path="/synthesize", stall=True)
    host, _, port = gateway.url.removeprefix("http://").partition(":")
    body = json.dumps({"input": directive(speech={"delay_ms": 100})}).encode()
    head = f"POST /v1/audio/speech HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {KEY}\r\n"
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        if hears:
            assert connection.recv(16).startswith(b"HTTP/1.1 200")
        else:
            wait_for_call(upstream, "/synthesize")
    upstream.log(disconnects=1, within_s=1.0)
    assert [call["path"] for call in upstream.log() if call["disconnected_at"]] == ["/backend-api/synthesize"]
    wait_until_removed(upstream)


def wait_for_call(upstream: Upstream, ending: str) -> None:
    for _ in range(5_000):
        if any(call["path"].endswith(ending) for call in upstream.log()):
            return
    raise AssertionError(f"no call of {ending} has reached the upstream")


def test_the_deadline_leaves_nothing_behind(upstream: Upstream) -> None:
    upstream.script(path="/synthesize", stall=True)
    with running_gateway(upstream.environ(TURN_TIMEOUT_SECONDS="0.5")) as gateway:
        answer = gateway.web.post("/v1/audio/speech", json={"input": TEXT})
    assert answer.status_code == 504
    assert removed(upstream)


# Transcription and translation.


def recording(words: str = "Say bom dia") -> tuple[str, bytes, str]:
    """Return a recording for the simulated service, which hears text in its bytes."""
    return "a.mp3", words.encode(), "audio/mpeg"


def wav(seconds: float) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"\xff\xfe" * round(seconds * 8000))
    return out.getvalue()


def test_the_sdk_gets_its_transcript(client: OpenAI) -> None:
    assert client.audio.transcriptions.create(model="whisper-1", file=recording()).text == "Say bom dia"


def test_the_sdk_gets_its_transcript_as_text(client: OpenAI) -> None:
    text = client.audio.transcriptions.create(model="whisper-1", file=recording(), response_format="text")
    assert text == "Say bom dia"


def test_the_long_form_tells_what_the_recording_does(client: OpenAI) -> None:
    answer = client.audio.transcriptions.create(
        model="whisper-1", file=("a.wav", wav(1.25)), response_format="verbose_json", language="pt"
    )
    assert (answer.language, answer.duration, answer.segments, answer.words) == ("pt", 1.25, [], [])
    assert answer.text.endswith("a.wav has 20044 bytes.")


def test_the_long_form_invents_no_duration(client: OpenAI) -> None:
    answer = client.audio.transcriptions.create(model="whisper-1", file=recording(), response_format="verbose_json")
    assert answer.model_dump(include={"language", "duration"}) == {"language": None, "duration": 0}


def test_the_sdk_gets_its_transcript_as_a_stream(client: OpenAI) -> None:
    stream = client.audio.transcriptions.create(model="gpt-4o-transcribe", file=recording(), stream=True)
    assert [(event.type, getattr(event, "delta", None), getattr(event, "text", None)) for event in stream] == [
        ("transcript.text.delta", "Say bom dia", None),
        ("transcript.text.done", None, "Say bom dia"),
    ]


def test_what_has_no_effect_on_a_transcript_is_named(client: OpenAI) -> None:
    answer = client.audio.transcriptions.with_raw_response.create(
        model="whisper-1",
        file=recording(),
        prompt="x" * 1001,
        temperature=0.5,
        timestamp_granularities=["word"],
        include=["logprobs"],
    )
    ignored = answer.headers["x-isthmus-ignored-params"].split(", ")
    assert sorted(ignored) == ["include[]", "prompt", "temperature", "timestamp_granularities[]"]


# The SDK calls its own method deprecated.
DEPRECATED = pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")


@DEPRECATED
def test_a_translation_is_made_in_a_temporary_turn(upstream: Upstream, gateway: Gateway) -> None:
    with OpenAI(api_key=KEY, base_url=f"{gateway.url}/v1", max_retries=0) as client:
        assert client.audio.translations.create(model="whisper-1", file=recording()).text == "Bom dia"
    calls = [call["path"].removeprefix("/backend-api") for call in upstream.log()]
    assert (calls[0], calls[-1]) == ("/transcribe", "/f/conversation")
    turn = upstream.turns()[0]["body"]
    assert turn["history_and_training_disabled"] is True
    assert [message["author"]["role"] for message in turn["messages"]] == ["system", "user"]
    assert "English" in turn["messages"][0]["content"]["parts"][0]
    assert turn["messages"][1]["content"]["parts"] == ["Say bom dia"]


@DEPRECATED
def test_a_translation_has_the_other_shapes_too(client: OpenAI) -> None:
    text = client.audio.translations.create(model="whisper-1", file=recording(), response_format="text")
    assert text == "Bom dia"
    verbose = client.audio.translations.create(model="whisper-1", file=recording(), response_format="verbose_json")
    assert (verbose.language, verbose.text, verbose.duration) == ("english", "Bom dia", 0)


def test_a_translation_takes_no_language(socket_gateway: Gateway) -> None:
    form = {"data": {"language": "pt"}, "files": {"file": recording()}}
    answer = socket_gateway.web.post("/v1/audio/translations", **form)  # type: ignore[arg-type]
    assert answer.headers["x-isthmus-ignored-params"] == "language"


@pytest.mark.parametrize("script", [{"finish": "max_tokens"}, {"text": ""}], ids=["cut", "empty"])
def test_a_translation_that_is_not_whole_is_an_error(script: dict[str, Any], upstream: Upstream) -> None:
    words = directive(**{"text": "Good", **script})
    with running_gateway(upstream.environ(MAX_CONTINUE_COUNT="0")) as gateway:
        answer = gateway.web.post("/v1/audio/translations", files={"file": recording(words)})
    assert (answer.status_code, error_of(answer)["code"]) == (502, "translation_failed")


def test_a_translation_is_made_by_the_next_of_a_route(upstream: Upstream) -> None:
    down = {"name": "down", "kind": "openai", "base_url": "http://127.0.0.1:9/v1", "key": "k"}
    route = {"UPSTREAMS": json.dumps([down]), "MODEL_ROUTES": "auto=down,chatgpt_web"}
    with running_gateway(upstream.environ(**route)) as gateway:
        answer = gateway.web.post("/v1/audio/translations", files={"file": recording()})
    assert (answer.json(), answer.headers["x-isthmus-upstream"]) == ({"text": "Bom dia"}, "chatgpt_web")


def test_a_translation_that_fails_keeps_the_status(upstream: Upstream, gateway: Gateway) -> None:
    upstream.script(path="/f/conversation", status=429)
    assert gateway.web.post("/v1/audio/translations", files={"file": recording()}).status_code == 429


class Sent(Struct, frozen=True):
    """How a recording calls itself, and what the service is told that it is."""

    id: str
    name: str
    declared: str
    media_type: str
    data: bytes = b"Hello"


SENT = [
    Sent("its sender knows", "a.bin", "audio/x-m4a", "audio/x-m4a"),
    Sent("its sender knows more than is needed", "a.bin", "audio/webm; codecs=opus", "audio/webm"),
    Sent("a film has sound too", "a.webm", "video/webm", "video/webm"),
    Sent("its name tells", "a.M4A", "application/octet-stream", "audio/mp4"),
    Sent("its bytes tell", "a", "application/octet-stream", "audio/flac", b"fLaC\0\0\0\x22"),
    Sent("a type that is none does not count", "a.wav", "audio/\t evil", "audio/wav"),
    Sent("nothing tells", "a", "application/octet-stream", "application/octet-stream"),
]


@pytest.mark.parametrize("case", SENT, ids=lambda case: case.id)
def test_the_service_is_told_what_a_recording_is(case: Sent, upstream: Upstream, gateway: Gateway) -> None:
    answer = gateway.web.post(ROUTES[0], files={"file": (case.name, case.data, case.declared)})
    assert answer.status_code == 200
    heard = upstream.log()[-1]["body"]
    assert (heard["file"], heard["media_type"], heard["size"]) == (case.name, case.media_type, len(case.data))


class Bad(Struct, frozen=True):
    """`form` are the arguments of a post."""

    id: str
    form: dict[str, Any]
    code: str | None
    param: str | None = None


FORM = {"content-type": "multipart/form-data; boundary=a"}
BAD = [
    Bad("no form", {"json": {"file": "a"}}, "invalid_content_type"),
    Bad("no body at all", {}, "invalid_content_type"),
    Bad("no boundary", {"content": b"x", "headers": {"content-type": "multipart/form-data"}}, "parse_error"),
    Bad(
        "a broken form",
        {"content": b"x", "headers": {"content-type": "multipart/form-data; boundary=a"}},
        "parse_error",
    ),
    Bad("no file", {"data": {"model": "a"}, "files": {"other": b"x"}}, "missing_required_parameter", "file"),
    Bad("a file that is text", {"data": {"file": "a"}, "files": {"other": b"x"}}, "missing_required_parameter", "file"),
    Bad("two files", {"files": [("file", b"x"), ("file", b"y")]}, "parse_error", "file"),
    Bad("an empty file", {"files": {"file": ("a.mp3", b"")}}, "empty_file", "file"),
    Bad(
        "srt",
        {"data": {"response_format": "srt"}, "files": {"file": b"x"}},
        "invalid_response_format",
        "response_format",
    ),
    Bad(
        "vtt",
        {"data": {"response_format": "vtt"}, "files": {"file": b"x"}},
        "invalid_response_format",
        "response_format",
    ),
    Bad("too hot", {"data": {"temperature": "2"}, "files": {"file": b"x"}}, None, "temperature"),
]


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("case", BAD, ids=lambda case: case.id)
def test_a_bad_form_is_refused_politely(case: Bad, path: str, socket_gateway: Gateway) -> None:
    answer = socket_gateway.web.post(path, **case.form)
    assert answer.status_code == 400
    error = error_of(answer)
    assert (error["code"], error["param"]) == (case.code, case.param)


@pytest.mark.parametrize("path", [*ROUTES, "/v1/audio/speech"])
def test_an_anonymous_device_is_told_to_sign_in(path: str) -> None:
    with running_gateway(SIMULATED, ENABLE_EXTERNAL_TOKEN="true") as gateway:
        answer = gateway.web.post(path, headers={"Authorization": f"Bearer {DEVICE}"}, json={"input": TEXT})
    assert answer.status_code == 403
    error = error_of(answer)
    assert (error["code"], "requires a logged-in ChatGPT account" in error["message"]) == ("missing_access_token", True)


@pytest.mark.parametrize(("platform", "limit"), [({}, 50 << 20), ({"VERCEL": "1"}, 4_500_000)], ids=["any", "Vercel"])
def test_a_recording_that_is_too_large_is_refused_at_once(platform: dict[str, str], limit: int) -> None:
    with running_gateway(SIMULATED, **platform) as gateway:
        host, _, port = gateway.url.removeprefix("http://").partition(":")
        head = (
            f"POST {ROUTES[0]} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {KEY}\r\nConnection: close\r\n"
            f"Content-Type: multipart/form-data; boundary=a\r\nContent-Length: {limit + (2 << 20)}\r\n\r\n"
        )
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(head.encode())
            answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 413")
    assert f"larger than {limit} bytes".encode() in answer


def test_a_recording_is_the_same_at_the_other_end(upstream: Upstream, gateway: Gateway) -> None:
    """Beyond a megabyte it lies on disk meanwhile."""
    data = bytes(range(256)) * 12_000
    answer = gateway.web.post(ROUTES[0], files={"file": ("long.ogg", data, "audio/ogg")})
    assert answer.json()["text"].endswith(f"long.ogg has {len(data)} bytes.")


def test_what_was_said_is_not_logged(upstream: Upstream, gateway: Gateway) -> None:
    """The whole session's log is searched for these marks at its end."""
    cut = directive(speech={"cut_after_bytes": 100})
    assert PROMPT_MARK in cut
    with pytest.raises(httpx.RemoteProtocolError):
        gateway.web.post("/v1/audio/speech", json={"input": cut})
    upstream.script(path="/transcribe", status=500)
    assert gateway.web.post(ROUTES[0], files={"file": recording(PROMPT_MARK)}).status_code == 503
