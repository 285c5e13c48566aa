"""Writing down a recording: one upload, and the text that comes back (chatgpt-web reference, section 7)."""

from core.chatgpt.session import Session
from core.contracts import Context
from core.file_form import FileForm
from core.services import Transcript, Transcription
from core.wire.chatgpt_web.errors import unexpected_answer
from core.wire.chatgpt_web.recordings import read_transcript

MAX_TRANSCRIPT_BYTES = 1 << 24


async def transcribe(transcription: Transcription, context: Context, session: Session) -> Transcript:
    """Return what is said in a recording. Raises `UpstreamError`.

    The service takes the recording and its language, and tells the text alone.
    """
    form = FileForm(transcription.recording, {"language": transcription.language}, context.uuid("form"))
    headers = {"Content-Type": form.content_type}
    async with session.request("POST", "/transcribe", form, headers) as reply:
        if reply.status != 200:
            raise await session.refusal(reply)
        body, content_type = await reply.read(MAX_TRANSCRIPT_BYTES), reply.headers.get("content-type", "")
        if "text/html" in content_type:
            raise unexpected_answer(reply.status, reply.headers, body)
        return Transcript(read_transcript(body, content_type), ignored=_without_effect(transcription))


def _without_effect(transcription: Transcription) -> tuple[str, ...]:
    return tuple(name for name in ("prompt", "temperature") if getattr(transcription, name) is not None)
