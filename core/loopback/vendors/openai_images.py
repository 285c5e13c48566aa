"""The simulated vendor's pictures: small PNGs in colours made from the prompt, whole or as a stream of events."""

import base64
from collections.abc import Iterator

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from core.loopback.directives import Directive, find_directive, parse_directive
from core.loopback.pictures import png
from core.loopback.refusals import Json, Refused, json_response
from core.loopback.streaming import FrameStream
from core.loopback.turns import Frame
from core.loopback.vendors.exchange import admit, in_words_of
from core.loopback.vendors.openai_chat import VENDOR
from core.loopback.world import call_of, world_of

_CREATED = 1_790_000_000
_TRUE = ("true", "1")


class ImageRequest(Struct, frozen=True):
    """The fields that are read. `pictures` counts what was sent to be edited."""

    model: str = ""
    prompt: str = ""
    n: int = 1
    stream: bool = False
    partial_images: int = 0
    pictures: int = 0


async def generate(request: Request) -> Response:
    """Answer `POST /v1/images/generations`."""
    body = await request.body()
    try:
        call_of(request).body = msgspec.json.decode(body)
        asked = msgspec.json.decode(body, type=ImageRequest)
    except (msgspec.DecodeError, RecursionError) as error:
        raise in_words_of(VENDOR, Refused(400, reason=str(error)[:200])) from error
    return _answer(request, asked, "image_generation")


async def edit(request: Request) -> Response:
    """Answer `POST /v1/images/edits` and `/variations`, which are forms."""
    async with request.form() as form:
        texts = {name: value for name, value in form.items() if isinstance(value, str)}
        files = [name for name, value in form.multi_items() if not isinstance(value, str)]
    call_of(request).body = {**texts, "files": files}
    asked = ImageRequest(
        texts.get("model", ""),
        texts.get("prompt", ""),
        int(texts.get("n", "1")),
        texts.get("stream") in _TRUE,
        int(texts.get("partial_images", "0")),
        len(files),
    )
    return _answer(request, asked, "image_edit")


def _answer(request: Request, asked: ImageRequest, kind: str) -> Response:
    try:
        admit(request, VENDOR)
        directive = parse_directive(find_directive(asked.prompt))
        if directive.status is not None:
            raise Refused(directive.status, directive.body, directive.headers)
        if not asked.model:
            raise Refused(400, reason="you must provide a model parameter")
        if kind == "image_edit" and not asked.pictures:
            raise Refused(400, reason="image is missing")
    except Refused as refused:
        raise in_words_of(VENDOR, refused) from refused
    world = world_of(request)
    if asked.stream:
        return FrameStream(_events(asked, kind, directive), world.calls, world.sleep)
    data = [{"b64_json": _picture(asked, number)} for number in range(asked.n)]
    return json_response({"created": _CREATED, "data": data, "output_format": "png", "usage": _usage(asked)})


def _events(asked: ImageRequest, kind: str, directive: Directive) -> Iterator[Frame]:
    for number in range(asked.partial_images):
        preview = {"b64_json": _picture(asked, -1 - number), "partial_image_index": number}
        yield _event(f"{kind}.partial_image", preview)
    if directive.cut_after_chars is not None:
        yield Frame(b"", then="cut")
        return
    yield _event(f"{kind}.completed", {"b64_json": _picture(asked, 0), "usage": _usage(asked)})


def _event(kind: str, fields: Json) -> Frame:
    facts = {"created_at": _CREATED, "size": "64x64", "quality": "low", "background": "opaque", "output_format": "png"}
    data = msgspec.json.encode({"type": kind, **facts, **fields})
    return Frame(b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n")


def _picture(asked: ImageRequest, number: int) -> str:
    return base64.b64encode(png(f"{asked.prompt}/{number}")).decode()


def _usage(asked: ImageRequest) -> Json:
    tokens = len(asked.prompt) // 4 + 1
    return {"input_tokens": tokens, "output_tokens": 196, "total_tokens": tokens + 196}
