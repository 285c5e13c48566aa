"""A client's own Images request on its way to a vendor that has these calls, and where the vendor's stream ends."""

from msgspec import Raw, json

from core.multipart import with_texts
from core.request import ChatRequest
from core.wire.openai_images.requests import NAMED, style_of

_FIELDS = json.Decoder(dict[str, Raw])


def can_pass(request: ChatRequest) -> bool:
    """Say whether a vendor's answer may be what the client reads: it has no events but its own, which are OpenAI's."""
    return not request.stream or NAMED not in request.echo or style_of(request) == "openai"


def passing_body(body: bytes, form_type: str | None, request: ChatRequest, model: str) -> bytes:
    """Return the body as it goes on, with the vendor's name of the model, streamed exactly if the client gets a stream.

    `form_type` is the content type of a form.
    """
    if form_type is not None:
        return with_texts(body, form_type, {"model": model, "stream": "true" if request.stream else None})
    fields = _FIELDS.decode(body)
    changed: dict[str, object] = {}
    if model != request.model or "model" not in fields:
        changed["model"] = model
    if (fields.get("stream") == Raw(b"true")) is not request.stream:
        changed["stream"] = request.stream
    return json.encode(fields | changed) if changed else body


def is_last(frames: bytes) -> bool:
    """Say whether a picture is finished; the stream has no other last word."""
    return b'.completed"' in frames
