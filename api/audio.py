"""Speech, transcription and translation (AU-52..58, JR-9, JR-10; docs/audio.md)."""

import re
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

from msgspec import structs
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.context import entered
from api.downloads import Passage, said_besides
from api.forms import Spooled, uploaded_form
from api.gateway import Gateway
from api.handlers import gateway_of
from api.middleware.intake import read_body
from api.middleware.sse import STREAM_HEADERS, ignored_header
from api.turns import take_turn
from core.contracts import Context, Speaker, Transcriber
from core.errors import GatewayError
from core.media import sniff
from core.media.wav import HEAD_BYTES, wav_seconds
from core.services import Download, Transcript, Transcription, Upload
from core.translation import MODEL, read_translation, translation_request
from core.wire.openai_audio.speech import parse_speech, render_delta, render_done, render_failure
from core.wire.openai_audio.transcripts import RecordingFields, Task, read_fields, render

MAX_RECORDING_BYTES = 50 << 20
"""AU-55."""

_SOUND = re.compile(r"(audio|video)/[a-z0-9.+-]+")
_TYPES_BY_NAME = {
    "aac": "audio/aac",
    "flac": "audio/flac",
    "m4a": "audio/mp4",
    "mp3": "audio/mpeg",
    "mp4": "audio/mp4",
    "mpeg": "audio/mpeg",
    "mpga": "audio/mpeg",
    "oga": "audio/ogg",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
    "wav": "audio/wav",
    "webm": "audio/webm",
}


async def speech(request: Request) -> "Passage | SpokenEvents":
    """Read a text aloud."""
    context, gateway = entered(request, "TTS"), gateway_of(request.scope)
    body = await read_body(request.scope, request.receive, gateway.settings.max_body_bytes)
    asked = parse_speech(body)
    speaker, model = gateway.router.offer(Speaker, asked.speech.model, context.principal)  # type: ignore[type-abstract]
    request.scope["upstream"] = speaker.name
    opened = speaker.speak(structs.replace(asked.speech, model=model), context, gateway.transport)
    return SpokenEvents(opened, asked.ignored) if asked.as_events else Passage(opened, asked.ignored)


async def transcriptions(request: Request) -> Response:
    """Write down what is said in a recording."""
    return await _written_down(request, "transcribe")


async def translations(request: Request) -> Response:
    """Write down in English what is said in a recording."""
    return await _written_down(request, "translate")


async def _written_down(request: Request, task: Task) -> Response:
    context, gateway = entered(request, "Transcription"), gateway_of(request.scope)
    async with uploaded_form(request, _limit_bytes(gateway)) as form:
        fields, file = read_fields(form.fields, task), form.required_file()
        transcriber, model = gateway.router.offer(Transcriber, fields.model, context.principal)  # type: ignore[type-abstract]
        request.scope["upstream"] = transcriber.name
        name, content, head = file.filename or "recording", Spooled(file), await _head(file)
        transcription = Transcription(
            model=model,
            recording=Upload(name, media_type(head, file.content_type, name), content),
            language=fields.language,
            prompt=fields.prompt,
            temperature=fields.temperature,
            translate=task == "translate",
        )
        transcript = await transcriber.transcribe(transcription, context, gateway.transport)
        duration_s = transcript.duration_s or wav_seconds(head, content.size)
        transcript = structs.replace(transcript, duration_s=duration_s)
    if task == "translate" and not transcript.translated:
        transcript = structs.replace(transcript, text=await _translated(transcript.text, request))
    return _answer(transcript, fields, task)


def _limit_bytes(gateway: Gateway) -> int:
    """Return how large a recording may be: what a gateway or its platform takes may be less than the service does."""
    return min(MAX_RECORDING_BYTES, gateway.settings.max_upload_bytes)


def media_type(head: bytes, declared: str | None, name: str) -> str:
    """Return what a recording is: as its sender says, or by its name, or by its first bytes."""
    said = (declared or "").partition(";")[0].strip().lower()
    if _SOUND.fullmatch(said):
        return said
    by_name = _TYPES_BY_NAME.get(name.rpartition(".")[2].lower())
    return by_name or sniff(head) or "application/octet-stream"


async def _head(file: UploadFile) -> bytes:
    await file.seek(0)
    return await file.read(HEAD_BYTES)


async def _translated(text: str, request: Request) -> str:
    """Return a transcript in English. Silence needs no translation."""
    if not text.strip():
        return text
    context: Context = request.scope["context"]
    targets = gateway_of(request.scope).router.resolve(MODEL, context.principal)
    response, _ = await take_turn(translation_request(text), targets, context, request.scope, request.receive)
    return read_translation(response)


def _answer(transcript: Transcript, fields: RecordingFields, task: Task) -> Response:
    body, kind = render(transcript, fields, task)
    ignored = tuple(dict.fromkeys((*fields.ignored, *transcript.ignored)))
    return Response(body, headers=ignored_header(ignored), media_type=kind)


class SpokenEvents:
    """Speech as a stream of events. Unlike bare bytes it can say that it failed in the middle."""

    def __init__(self, opened: AbstractAsyncContextManager[Download], ignored: Sequence[str]) -> None:
        self._opened = opened
        self._ignored = ignored

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False
        try:
            async with self._opened as download:
                async for data in download.chunks:
                    if not begun:
                        begun = True
                        await send(self._start(download))
                    await send({"type": "http.response.body", "body": render_delta(data), "more_body": True})
            if not begun:
                await send(self._start(download))
            last = render_done()
        except GatewayError as error:
            if not begun:
                raise
            last = render_failure(error)
            scope["error_kind"] = type(error).__name__
        await send({"type": "http.response.body", "body": last})

    def _start(self, download: Download) -> dict[str, object]:
        headers = [*STREAM_HEADERS, *said_besides(download, self._ignored)]
        return {"type": "http.response.start", "status": 200, "headers": headers}
