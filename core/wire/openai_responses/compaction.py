"""Compaction: a long history becomes one item that stands for it in later requests.

The upstream has no compaction of its own, so the model is asked for a summary. The item's `encrypted_content` is that
summary, merely encoded: the client sends it back and could have written it itself, so there is nothing to protect.
"""

import base64
import binascii
import zlib

from msgspec import structs

from core.errors import InvalidRequest
from core.request import ChatRequest, Message, Text, ToolChoice

MARK = "isthmus1."
MAX_SUMMARY_BYTES = 1 << 22

INSTRUCTION = Message(
    "user",
    (
        Text(
            "Summarise this conversation for whoever goes on with it: the task, what was decided and done, what is "
            "open, and every name, path, number and quotation that is still needed. Write the summary and nothing else."
        ),
    ),
)


def pack(summary: str) -> str:
    """Return the content of a compaction item."""
    return MARK + base64.urlsafe_b64encode(zlib.compress(summary.encode())).decode()


def unpack(content: str, path: str) -> str:
    """Return the summary in a compaction item. Raises `InvalidRequest` for one that is not ours."""
    try:
        if not content.startswith(MARK):
            raise ValueError("it has no mark of ours")
        unpacker = zlib.decompressobj()
        data = base64.b64decode(content[len(MARK) :], altchars=b"-_", validate=True)
        summary = unpacker.decompress(data, MAX_SUMMARY_BYTES)
        if not unpacker.eof:
            raise ValueError("it is cut, or too long")
        return summary.decode()
    except (ValueError, binascii.Error, zlib.error) as error:
        raise InvalidRequest(f"{path} is not a compaction of this gateway", param=path) from error


def asks_for_summary(request: ChatRequest) -> ChatRequest:
    """Return the request that asks for a summary of what another one holds."""
    return structs.replace(
        request,
        messages=(*request.messages, INSTRUCTION),
        tools=(),
        tool_choice=ToolChoice("auto"),
        output_format=None,
        store=False,
    )


def compaction_item(base: str, summary: str) -> dict[str, str]:
    return {"type": "compaction", "id": f"cmp_{base}", "encrypted_content": pack(summary)}
