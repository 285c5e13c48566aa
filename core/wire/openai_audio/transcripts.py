"""What a form says of a recording, and what was heard in the shapes of OpenAI's audio routes (AU-55..58, JR-10)."""

import re
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

from msgspec import Struct, json

from core.errors import InvalidRequest
from core.json_body import clean
from core.multipart import refuse_repeated
from core.openai_words import read_boolean
from core.services import Transcript

Task: TypeAlias = Literal["transcribe", "translate"]

DEFAULT_MODEL = "whisper-1"
MAX_PROMPT_CHARS = 1000
FORMATS = ("json", "text", "verbose_json")
"""`srt` and `vtt` need times, which the service does not tell (ruling 11)."""

EVENT_STREAM = "text/event-stream; charset=utf-8"
_MEDIA_TYPES = {"text": "text/plain; charset=utf-8"}

_READ = frozenset({"model", "response_format", "stream", "language", "prompt", "temperature"})

_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")


class RecordingFields(Struct, frozen=True):
    """The form but for its file. `ignored` names what was sent and has no effect."""

    model: str = DEFAULT_MODEL
    format: str = "json"
    stream: bool = False
    language: str | None = None
    prompt: str | None = None
    temperature: float | None = None
    ignored: tuple[str, ...] = ()


def read_fields(fields: Sequence[tuple[str, str]], task: Task) -> RecordingFields:
    """Raise `InvalidRequest`, naming the field."""
    refuse_repeated(name for name, _ in fields if name in _READ)
    sent = {name: value for name, value in fields if value}
    prompt = sent.get("prompt", "")
    stream = read_boolean(sent.get("stream", "false"), "stream")
    answer_format = _format(sent.get("response_format", "json"))
    return RecordingFields(
        model=clean(sent.get("model", DEFAULT_MODEL), "model"),
        format=answer_format,
        stream=stream and task == "transcribe",
        language=_language(sent.get("language")) if task == "transcribe" else None,
        prompt=clean(prompt[:MAX_PROMPT_CHARS], "prompt") or None,
        temperature=_temperature(sent.get("temperature")),
        ignored=_without_effect(sent, task, stream and answer_format != "json"),
    )


def render(transcript: Transcript, fields: RecordingFields, task: Task) -> tuple[bytes, str]:
    """Return the whole answer and its media type."""
    if fields.stream:
        return _events(transcript.text), EVENT_STREAM
    if fields.format == "text":
        return transcript.text.encode(), _MEDIA_TYPES["text"]
    answer = {"text": transcript.text} if fields.format == "json" else _verbose(transcript, fields, task)
    return json.encode(answer), "application/json"


def _verbose(transcript: Transcript, fields: RecordingFields, task: Task) -> dict[str, object]:
    """Return the shape of AU-56. A duration that nobody knows is 0 there, a language null."""
    return {
        "task": task,
        "language": "english" if task == "translate" else transcript.language or fields.language,
        "duration": transcript.duration_s or 0,
        "text": transcript.text,
        "segments": [],
        "words": [],
    }


def _events(text: str) -> bytes:
    """Return a whole transcript as its events: one piece of text, and the end (openai SDK, `transcript.text.*`)."""
    events: tuple[dict[str, object], ...] = (
        {"type": "transcript.text.delta", "delta": text},
        {"type": "transcript.text.done", "text": text},
    )
    return b"".join(b"data: " + json.encode(event) + b"\n\n" for event in events)


def _without_effect(sent: Mapping[str, str], task: Task, format_has_none: bool) -> tuple[str, ...]:
    read = _READ - {"language", "stream"} if task == "translate" else _READ
    cut = ["prompt"] if len(sent.get("prompt", "")) > MAX_PROMPT_CHARS else []
    format_ = ["response_format"] if format_has_none else []
    return (*(name for name in sent if name not in read), *cut, *format_)


def _format(name: str) -> str:
    if name not in FORMATS:
        message = (
            f"response_format is {name[:40]!r}, which is not among: {', '.join(FORMATS)} (there are no timestamps)"
        )
        raise InvalidRequest(message, param="response_format", code="invalid_response_format")
    return name


def _language(code: str | None) -> str | None:
    if code is not None and not _LANGUAGE.fullmatch(code):
        raise InvalidRequest(f"language is {code[:40]!r}, which is no ISO 639-1 code such as 'en'", param="language")
    return code


def _temperature(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise InvalidRequest(f"temperature is {text[:40]!r}, which is no number from 0 to 1", param="temperature")
    return value
