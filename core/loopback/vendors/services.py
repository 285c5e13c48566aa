"""One request to a simulated vendor that is no turn: the texts in it may hold a directive, as a message may."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from core.loopback.directives import Directive
from core.loopback.refusals import Json, Refused, json_response
from core.loopback.vendors.asked import Asked, Said, directive_for, prompt_of
from core.loopback.vendors.exchange import Vendor, admit, in_words_of, stopped
from core.loopback.world import World, call_of, world_of

T = TypeVar("T")


async def answer_service(
    request: Request, vendor: Vendor, type_: type[T], texts: Callable[[T], Sequence[str]], made: Callable[[T], Json]
) -> Response:
    """Answer as the last directive in the `texts` of the body says, else with what is `made` of it.

    `made` raises `Refused` for what the vendor would refuse; every refusal has the vendor's own shape.
    """
    try:
        admit(request, vendor)
        asked = await _read(request, type_)
        world = world_of(request)
        directive = _directive(world, texts(asked))
        if directive.status is not None:
            raise Refused(directive.status, directive.body, directive.headers)
        answer = json_response(made(asked))
        broken = stopped(world, directive, len(answer.body))
        if broken is None:
            await world.sleep(directive.first_delay_ms / 1000)
        return broken or answer
    except Refused as refused:
        raise in_words_of(vendor, refused) from refused


async def _read(request: Request, type_: type[T]) -> T:
    body = await request.body()
    try:
        call_of(request).body = msgspec.json.decode(body)
        return msgspec.json.decode(body, type=type_)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refused(400, reason=str(error)[:200]) from error


def _directive(world: World, texts: Sequence[str]) -> Directive:
    asked = Asked(model="", messages=tuple(Said("user", text) for text in texts))
    return directive_for(world, prompt_of(asked))
