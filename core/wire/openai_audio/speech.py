"""A speech request, and the events of speech that is streamed (AU-52..54, JR-9; OpenAI API reference, audio speech)."""

import base64
from typing import Annotated

from msgspec import Meta, Struct, json

from core.errors import GatewayError, InvalidRequest
from core.json_body import clean, decode, known, missing, read_top
from core.openai_words import render_error
from core.services import Speech

MAX_INPUT_CHARS = 4096
DEFAULT_MODEL, DEFAULT_VOICE, DEFAULT_FORMAT = "tts-1", "alloy", "mp3"
"""Ruling 6 has `alloy` over CH-5's `nova`."""

FORMATS = {name: name for name in ("mp3", "opus", "aac", "flac", "wav", "pcm")}
STREAM_FORMATS = {"audio": False, "sse": True}


class VoiceId(Struct, frozen=True):
    id: str


class SpeechBody(Struct, frozen=True):
    model: str | None = None
    input: str | None = None
    voice: str | VoiceId | None = None
    response_format: str | None = None
    speed: Annotated[float, Meta(ge=0.25, le=4)] | None = None
    instructions: str | None = None
    stream_format: str | None = None


class SpeechRequest(Struct, frozen=True):
    """What is to be said. `as_events` says that the sound is to come as events; `ignored` names fields nobody reads."""

    speech: Speech
    as_events: bool
    ignored: tuple[str, ...]


_BODY = json.Decoder(SpeechBody)


def parse_speech(body: bytes) -> SpeechRequest:
    """Raise `InvalidRequest`, naming the field, when the body is not understood."""
    top = read_top(body)
    fields = decode(_BODY, body, "")
    speech = Speech(
        model=clean(fields.model or DEFAULT_MODEL, "model"),
        text=_text(fields.input),
        voice=_voice(fields.voice),
        format=known(FORMATS, fields.response_format or DEFAULT_FORMAT, "response_format"),
        speed=fields.speed,
        instructions=fields.instructions or None,
    )
    as_events = known(STREAM_FORMATS, fields.stream_format or "audio", "stream_format")
    unread = tuple(name for name in top if name not in SpeechBody.__struct_fields__)
    return SpeechRequest(speech, as_events, unread)


def render_delta(data: bytes) -> bytes:
    """Return the event that carries a piece of sound."""
    return _frame({"type": "speech.audio.delta", "audio": base64.b64encode(data).decode()})


def render_done() -> bytes:
    """Return the last event. Its usage is null: nobody counted, and sound has no tokens that we could."""
    return _frame({"type": "speech.audio.done", "usage": None})


def render_failure(error: GatewayError) -> bytes:
    """Return the event that ends speech which could not be finished, as OpenAI's SDKs read it."""
    return b"data: " + render_error(error) + b"\n\n"


def _text(text: str | None) -> str:
    if text is None:
        raise missing("input")
    if not text.strip():
        raise InvalidRequest("input is empty: it must hold the text to be said", param="input")
    if len(text) > MAX_INPUT_CHARS:
        message = f"input has {len(text)} characters, but at most {MAX_INPUT_CHARS} can be said at once"
        raise InvalidRequest(message, param="input", code="string_above_max_length")
    return clean(text, "input")


def _voice(voice: str | VoiceId | None) -> str:
    return (voice.id if isinstance(voice, VoiceId) else voice) or DEFAULT_VOICE


def _frame(event: dict[str, object]) -> bytes:
    return b"data: " + json.encode(event) + b"\n\n"
