"""The sentinel's endpoints; what they mean is in sentinel.py."""

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from core.loopback.directives import SentinelSwitches
from core.loopback.refusals import Refused, json_response
from core.loopback.sentinel import FinalizeRequest
from core.loopback.world import caller_of, world_of


class RequirementsRequest(Struct, frozen=True):
    p: str


async def prepare(request: Request) -> Response:
    world, caller = world_of(request), caller_of(request)
    token = await _requirements_token(request)
    answer = world.sentinel.prepare(caller, token, _ruled(request), world.clock())
    return json_response(answer)


async def finalize(request: Request) -> Response:
    try:
        body = msgspec.json.decode(await request.body(), type=FinalizeRequest)
    except msgspec.DecodeError as error:
        raise Refused(422, reason=str(error)) from error
    return json_response(world_of(request).sentinel.finalize(caller_of(request), body))


async def one_step(request: Request) -> Response:
    world, caller = world_of(request), caller_of(request)
    token = await _requirements_token(request)
    answer = world.sentinel.one_step(caller, token, _ruled(request), world.clock())
    return json_response(answer)


def _ruled(request: Request) -> SentinelSwitches | None:
    world, caller = world_of(request), caller_of(request)
    rule = world.take_rule(caller.key, request.url.path, for_sentinel=True)
    return rule.sentinel if rule else None


async def _requirements_token(request: Request) -> str:
    try:
        return msgspec.json.decode(await request.body(), type=RequirementsRequest).p
    except msgspec.DecodeError as error:
        raise Refused(422, reason=str(error)) from error
