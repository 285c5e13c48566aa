"""The simulated vendor's sound: silence as long as the text, and the words of a recording that is really text."""

from collections.abc import Mapping

from msgspec import Struct
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from core.loopback.audio import heard
from core.loopback.directives import find_directive, parse_directive
from core.loopback.refusals import Refused, json_response
from core.loopback.sounds import MEDIA_TYPES, Container, silence
from core.loopback.streaming import FrameStream
from core.loopback.turns import Frame
from core.loopback.vendors.exchange import admit, in_words_of
from core.loopback.vendors.openai_chat import VENDOR
from core.loopback.world import body_as, call_of, world_of

_FORMATS: Mapping[str, Container] = {"aac": "aac", "mp3": "mp3", "opus": "opus"}
_PIECE_BYTES = 1024


class SpeechRequest(Struct, frozen=True):
    model: str
    input: str
    voice: str
    response_format: str = "mp3"


async def speak(request: Request) -> Response:
    """Answer `POST /v1/audio/speech`; a directive in the text may refuse it or cut the sound off."""
    try:
        admit(request, VENDOR)
        asked = await body_as(request, SpeechRequest)
        directive = parse_directive(find_directive(asked.input))
        if directive.status is not None:
            raise Refused(directive.status, directive.body, directive.headers)
    except Refused as refused:
        raise in_words_of(VENDOR, refused) from refused
    container = _FORMATS.get(asked.response_format, "aac")
    sound = silence(container, len(asked.input))
    end = len(sound)
    if directive.speech is not None and directive.speech.cut_after_bytes is not None:
        end = directive.speech.cut_after_bytes
    frames = [Frame(sound[start : min(start + _PIECE_BYTES, end)]) for start in range(0, end, _PIECE_BYTES)]
    if end < len(sound):
        frames.append(Frame(b"", then="cut"))
    world = world_of(request)
    return FrameStream(frames, world.calls, world.sleep, MEDIA_TYPES[container])


async def transcribe(request: Request) -> Response:
    """Answer `POST /v1/audio/transcriptions` and `/translations`; a translation says that it is one."""
    try:
        admit(request, VENDOR)
        async with request.form() as form:
            file = form.get("file")
            if not isinstance(file, UploadFile):
                raise Refused(400, reason="file is missing")
            fields = {name: value for name, value in form.items() if isinstance(value, str)}
            call_of(request).body = {"file": file.filename, "media_type": file.content_type, **fields}
            text = heard(await file.read(), file.filename or "")
    except Refused as refused:
        raise in_words_of(VENDOR, refused) from refused
    return json_response({"text": f"In English: {text}" if request.url.path.endswith("translations") else text})
