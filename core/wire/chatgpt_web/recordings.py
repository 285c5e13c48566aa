"""What comes back when a recording was written down (chatgpt-web reference, section 7)."""

from msgspec import Struct, json

from core.errors import MALFORMED_JSON, ProtocolViolation
from core.wire.chatgpt_web.errors import UPSTREAM


class _Heard(Struct, frozen=True):
    text: str


def read_transcript(body: bytes, content_type: str) -> str:
    """Return the text of an answer: JSON with a `text`, or plain text. Raises `ProtocolViolation`."""
    try:
        if "json" not in content_type and not body.lstrip().startswith(b"{"):
            return body.decode().strip()
        return json.decode(body, type=_Heard).text
    except MALFORMED_JSON as error:
        raise ProtocolViolation("the transcript that the upstream sent cannot be read", upstream=UPSTREAM) from error
