"""The simulated vendor's older Completions: a text goes on as a chat would answer it."""

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from core.loopback.refusals import Json
from core.loopback.vendors.asked import Asked, Said
from core.loopback.vendors.exchange import Vendor, answer_request
from core.loopback.vendors.openai_chat import ENDINGS, VENDOR, refusal, usage
from core.loopback.vendors.telling import Answer, Block, Ending

_CREATED = 1_790_000_000


class CompletionRequest(Struct, frozen=True):
    """The fields that are read; others are accepted, as the vendor does."""

    model: str
    prompt: str
    suffix: str = ""
    stream: bool | None = None


async def complete(request: Request) -> Response:
    """Answer `POST /v1/completions`."""
    return await answer_request(request, _VENDOR)


def _asked(body: bytes, request: Request) -> Asked:
    fields = msgspec.json.decode(body, type=CompletionRequest)
    return Asked(fields.model, (Said("user", fields.prompt),), bool(fields.stream))


class CompletionWriter:
    """Writes chunks of text; a suffix, which a chat could not have, ends them."""

    def __init__(self, answer: Answer, asked: bytes) -> None:
        self._answer = answer
        self._suffix = msgspec.json.decode(asked, type=CompletionRequest).suffix

    def opening(self) -> bytes:
        return b""

    def begin(self, index: int, block: Block) -> bytes:
        return b""

    def delta(self, index: int, block: Block, text: str) -> bytes:
        return self._chunk(text) if block.kind == "text" else b""

    def end(self, index: int, block: Block) -> bytes:
        return b""

    def closing(self, ending: Ending) -> bytes:
        return self._chunk(self._suffix, ENDINGS[ending]) + b"data: [DONE]\n\n"

    def error(self) -> bytes:
        failed = refusal(500, "The server had an error while processing your request.", "server_error")
        return b"data: " + msgspec.json.encode(failed) + b"\n\n"

    def _chunk(self, text: str, finish: str | None = None) -> bytes:
        return b"data: " + msgspec.json.encode(_object(self._answer, text, finish)) + b"\n\n"


def _whole(answer: Answer) -> Json:
    text = "".join(block.text for block in answer.blocks if block.kind == "text")
    return {**_object(answer, text, ENDINGS[answer.ending]), "usage": usage(answer)}


def _object(answer: Answer, text: str, finish: str | None) -> Json:
    choice: Json = {"text": text, "index": 0, "logprobs": None, "finish_reason": finish}
    shared: Json = {"id": f"cmpl-{answer.identity}", "object": "text_completion", "created": _CREATED}
    return {**shared, "model": answer.model, "choices": [choice], "system_fingerprint": "fp_loopback"}


_VENDOR = Vendor(read=_asked, writer=CompletionWriter, whole=_whole, refusal=refusal, key=VENDOR.key)
