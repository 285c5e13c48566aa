"""The sound of a stored answer: asked for, found, and told what it really is (chatgpt-web reference, section 7)."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from urllib.parse import urlencode

from msgspec import Struct, json

from core.chatgpt.session import Session
from core.errors import MALFORMED_JSON, UpstreamUnavailable
from core.media import sniff
from core.services import Download, Speech
from core.transport import Reply
from core.upstreams.chatgpt_web.links import linked
from core.wire.chatgpt_web.errors import UPSTREAM, read_error, unexpected_answer

OWN_VOICES = (
    "arbor",
    "breeze",
    "cove",
    "ember",
    "fathom",
    "glimmer",
    "juniper",
    "maple",
    "orbit",
    "sol",
    "spruce",
    "vale",
)
VOICES = {
    "alloy": "cove",
    "ash": "fathom",
    "coral": "vale",
    "echo": "ember",
    "fable": "breeze",
    "onyx": "orbit",
    "nova": "maple",
    "sage": "glimmer",
    "shimmer": "juniper",
    **{name: name for name in OWN_VOICES},
}
"""OpenAI's names (AU-53), and the service's own."""

FORMATS = {"mp3": "mp3", "opus": "opus"}
"""What the service makes besides AAC, which stands in for all other formats (AU-54)."""

MEDIA_TYPES = {
    "mp3": ("audio/mpeg", "audio/mp3"),
    "opus": ("audio/ogg", "audio/opus"),
    "aac": ("audio/aac", "audio/aacp", "audio/x-aac", "audio/mp4"),
}
"""What each format may call itself; the first one is its usual name."""


class _Link(Struct, frozen=True):
    download_url: str | None = None
    url: str | None = None


@asynccontextmanager
async def sound(
    session: Session, conversation_id: str, message_id: str, speech: Speech
) -> AsyncGenerator[Download, None]:
    """Give the sound of a message as it comes; its first bytes are there. Raises `UpstreamError`."""
    query = {
        "message_id": message_id,
        "conversation_id": conversation_id,
        "voice": VOICES[speech.voice],
        "format": FORMATS.get(speech.format, "aac"),
    }
    path = f"/synthesize?{urlencode(query)}"
    async with AsyncExitStack() as opened:
        reply = await opened.enter_async_context(session.request("GET", path, accept="*/*"))
        if reply.status != 200:
            raise await session.refusal(reply)
        kind = reply.headers.get("content-type", "")
        if "text/html" in kind:
            raise unexpected_answer(reply.status, reply.headers, await reply.read())
        if "json" in kind:
            reply = await opened.enter_async_context(linked(session, _url(await reply.read())))
        async with aclosing(_pieces(reply)) as pieces:
            yield await _download(reply, pieces, speech)


def _url(body: bytes) -> str:
    try:
        link = json.decode(body, type=_Link)
    except MALFORMED_JSON as error:
        raise _no_sound("something that is no sound") from error
    url = link.download_url or link.url
    if url is None:
        raise _no_sound(read_error(body)[0] or "something that is no sound")
    return url


async def _pieces(reply: Reply) -> AsyncGenerator[bytes, None]:
    async for data in reply:
        yield data


async def _download(reply: Reply, pieces: AsyncGenerator[bytes, None], speech: Speech) -> Download:
    """Return the sound, of which the first bytes are there: they tell what it really is."""
    first = await anext(pieces, b"")
    if not first:
        raise _no_sound("nothing")
    declared = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    usual = MEDIA_TYPES[FORMATS.get(speech.format, "aac")][0]
    media_type = next(kind for kind in (sniff(first), declared, usual) if kind and kind.startswith("audio/"))
    size = reply.headers.get("content-length", "")
    return Download(
        media_type=media_type,
        chunks=_begun(first, pieces),
        size=int(size) if size.isdigit() else None,
        ignored=_without_effect(speech, media_type),
    )


async def _begun(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    yield first
    async for data in rest:
        yield data


def _without_effect(speech: Speech, media_type: str) -> tuple[str, ...]:
    is_honoured = {
        "response_format": media_type in MEDIA_TYPES.get(speech.format, ()),
        "speed": speech.speed in (None, 1),
        "instructions": speech.instructions is None,
    }
    return tuple(name for name, honoured in is_honoured.items() if not honoured)


def _no_sound(said: str) -> UpstreamUnavailable:
    message = f"the upstream was asked for speech and sent {said}"
    return UpstreamUnavailable(message, upstream=UPSTREAM, status=502, code="speech_unavailable")
