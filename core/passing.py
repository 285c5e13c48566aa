"""A client's own JSON body on its way to a vendor of the same format."""

from collections.abc import Sequence

from msgspec import Raw, json

from core.request import ChatRequest

_FIELDS = json.Decoder(dict[str, Raw])
_TRUE = Raw(b"true")


def passing_body(body: bytes, request: ChatRequest, model: str, of_streams: Sequence[str] = ()) -> bytes:
    """Return the body as it goes on: as it came, but for the vendor's name of the model.

    Where the gateway gives no streams, none is asked for; then the fields `of_streams` are left out.
    """
    fields = _FIELDS.decode(body)
    changed: dict[str, object] = {} if model == request.model else {"model": model}
    if not request.stream and fields.get("stream") == _TRUE:
        changed["stream"] = False
        for name in of_streams:
            fields.pop(name, None)
    return json.encode(fields | changed) if changed else body
