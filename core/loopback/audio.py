"""Speech and transcription of the simulated service (reference chatgpt-web 7): silence of the length of what was said,
and the words of a recording that is really text.
"""

from collections.abc import Mapping

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from core.loopback.directives import SpeechSwitches, parse_directive
from core.loopback.files import storage_url
from core.loopback.messages import Message
from core.loopback.refusals import Refused, json_response
from core.loopback.sounds import MEDIA_TYPES, Container, silence
from core.loopback.streaming import FrameStream
from core.loopback.turns import Frame
from core.loopback.world import World, call_of, caller_of, world_of

_VOICES = frozenset(
    ("arbor", "breeze", "cove", "ember", "fathom", "glimmer", "juniper", "maple", "orbit", "sol", "spruce", "vale")
)
_FORMATS: Mapping[str, Container] = {"aac": "aac", "mp3": "mp3", "opus": "opus"}
_PIECE_BYTES = 1024


async def synthesize(request: Request) -> Response:
    """Read a stored answer aloud: one frame of silence for each of its characters."""
    world, asked = world_of(request), request.query_params
    call_of(request).body = dict(asked)
    conversation = world.conversations.stored(asked.get("conversation_id", ""), caller_of(request).key)
    node = conversation.nodes.get(asked.get("message_id", ""))
    if conversation.temporary or node is None or node.message is None or node.message.role != "assistant":
        raise Refused(404, {"detail": "Message not found"})
    if asked.get("voice") not in _VOICES or asked.get("format", "aac") not in _FORMATS:
        raise Refused(422, {"detail": "Unknown voice or format"})
    switches = parse_directive(conversation.prompt.script).speech or SpeechSwitches()
    container = switches.container or _FORMATS[asked.get("format", "aac")]
    sound = silence(container, _length(node.message))
    if switches.link:
        return json_response({"status": "success", "download_url": _stored(request, sound, container)})
    return _sound(world, sound, container, switches)


async def transcribe(request: Request) -> Response:
    """Write down a recording: the text that its bytes spell, or a sentence about it."""
    async with request.form() as form:
        file, language = form.get("file"), form.get("language")
        if not isinstance(file, UploadFile) or not file.size:
            raise Refused(422, {"detail": "There is no recording"})
        data = await file.read()
        call_of(request).body = {
            "file": file.filename,
            "media_type": file.content_type,
            "size": len(data),
            "language": language,
            "fields": sorted(form),
        }
        return json_response({"text": heard(data, file.filename or "")})


def _sound(world: World, sound: bytes, container: Container, switches: SpeechSwitches) -> Response:
    """Return the sound in pieces, as slowly as the directive says, or only the beginning of it."""
    end = len(sound) if switches.cut_after_bytes is None else min(switches.cut_after_bytes, len(sound))
    pieces = (sound[start : min(start + _PIECE_BYTES, end)] for start in range(0, end, _PIECE_BYTES))
    frames = [Frame(piece, switches.delay_ms) for piece in pieces]
    if switches.cut_after_bytes is not None:
        frames.append(Frame(b"", then="cut"))
    return FrameStream(frames, world.calls, world.sleep, MEDIA_TYPES[container])


def _stored(request: Request, sound: bytes, container: Container) -> str:
    """Put the sound into the storage; return its URL there."""
    blobs, owner = world_of(request).blobs, caller_of(request).key
    name = f"speech.{container}"
    blob = blobs.announce(owner, name, MEDIA_TYPES[container], "speech", len(sound), (None, None))
    blobs.put(blob, sound)
    return storage_url(request, blob)


def _length(message: Message) -> int:
    """Return how many characters a message says."""
    parts = message.content.get("parts")
    return sum(len(part) for part in parts if isinstance(part, str)) if isinstance(parts, list) else 0


def heard(data: bytes, name: str) -> str:
    """Return what a recording says: the text that its bytes spell, or a sentence about it."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return f"This is the loopback upstream of Isthmus, no model: {name} has {len(data)} bytes."
