"""One request to a simulated vendor and its answer, the same way for each of them: key, request, directive, frames."""

from collections.abc import Callable, Mapping
from uuid import uuid4

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from core.loopback.directives import Directive
from core.loopback.recordings import recording
from core.loopback.refusals import Json, Refused, json_response
from core.loopback.streaming import EVENT_STREAM, FrameStream
from core.loopback.turns import Frame, first_stop
from core.loopback.vendors.asked import Asked, directive_for, prompt_of
from core.loopback.vendors.telling import Answer, Writer, answer_to, frames
from core.loopback.world import World, call_of, world_of


class Vendor(Struct, frozen=True):
    """A vendor's own words.

    `read` gives what a body asks (raising msgspec's errors), `writer` makes the frames of an answer to such a body,
    `whole` the object of one that is not streamed. `refusal` is the error object for a status, a message and a kind;
    `key` finds the key in the headers.
    """

    read: Callable[[bytes, Request], Asked]
    writer: Callable[[Answer, bytes], Writer]
    whole: Callable[[Answer], Json]
    refusal: Callable[[int, str, str], Json]
    key: Callable[[Mapping[str, str]], str]
    media_type: str = EVENT_STREAM


KINDS = {400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}


async def answer_request(request: Request, vendor: Vendor) -> Response:
    """Answer a turn as its directive says; every refusal has the vendor's own shape."""
    try:
        return await _answer(request, vendor)
    except Refused as refused:
        raise in_words_of(vendor, refused) from refused


async def _answer(request: Request, vendor: Vendor) -> Response:
    admit(request, vendor)
    body = await request.body()
    world = world_of(request)
    try:
        call_of(request).body = msgspec.json.decode(body)
        asked = vendor.read(body, request)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refused(400, reason=str(error)[:200]) from error
    prompt = prompt_of(asked)
    directive = directive_for(world, prompt)
    if directive.status is not None:
        raise Refused(directive.status, directive.body, directive.headers)
    if directive.capture:
        return FrameStream(recording(world, directive), world.calls, world.sleep, vendor.media_type)
    answer = answer_to(directive, prompt, asked.model, uuid4().hex[:24], len(body))
    if not asked.stream:
        return _whole(world, vendor, directive, answer)
    told = frames(answer, directive, vendor.writer(answer, body))
    written = (frame for frame in told if frame.data or frame.then != "go on")
    return FrameStream(written, world.calls, world.sleep, vendor.media_type)


def _whole(world: World, vendor: Vendor, directive: Directive, answer: Answer) -> Response:
    """Return the whole answer, or what becomes of it when its directive stops it."""
    said = sum(len(block.text) for block in answer.blocks if block.kind == "text")
    return stopped(world, directive, said) or json_response(vendor.whole(answer))


def stopped(world: World, directive: Directive, length: int) -> Response | None:
    """Return what becomes of a whole answer of this length when its directive stops it; `None` when it does not."""
    stop = first_stop(directive, length)
    if stop is None or stop[1] == "moderation":
        return None
    if stop[1] == "error":
        raise Refused(500)
    broken = Frame(b'{"', directive.first_delay_ms, "stall" if stop[1] == "stall" else "cut")
    return FrameStream([broken], world.calls, world.sleep, "application/json")


def admit(request: Request, vendor: Vendor) -> None:
    """Raise `Refused` 401, in the vendor's shape, for a key that does not begin with `loopback`."""
    if not vendor.key(request.headers).startswith("loopback"):
        raise Refused(401, vendor.refusal(401, "Incorrect API key provided.", KINDS[401]))


def _is_ours(body: object) -> bool:
    """Say whether a body is the loopback's own about a directive, in ChatGPT's shape."""
    return isinstance(body, dict) and str(body.get("detail", "")).startswith("loopback directive")


def in_words_of(vendor: Vendor, refused: Refused) -> Refused:
    """Return a refusal in the vendor's own shape; one whose body a directive spells out stays as it is."""
    if refused.body is not None and not _is_ours(refused.body):
        return refused
    told = refused.body if isinstance(refused.body, dict) else {}
    message = str(told.get("detail") or refused.reason or f"loopback status {refused.status}")
    kind = KINDS.get(refused.status, "api_error")
    return Refused(refused.status, vendor.refusal(refused.status, message, kind), refused.headers, refused.reason)
