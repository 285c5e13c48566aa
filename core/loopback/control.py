"""The control endpoints under `/loopback/`: how tests read what happened and script what comes."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from core.loopback.refusals import Refused, json_response
from core.loopback.world import Rule, world_of

_LONGEST_WAIT_S = 30.0


async def read_log(request: Request) -> Response:
    """Return the calls so far, in order.

    With `?disconnects=N` the answer waits until so many clients have hung up, `within_s` seconds (2) at most.
    """
    calls = world_of(request).calls
    wanted = _number(request, "disconnects", 0.0)
    if wanted:
        await calls.wait_for_disconnects(int(wanted), min(_number(request, "within_s", 2.0), _LONGEST_WAIT_S))
    return json_response(calls.all())


async def reset(request: Request) -> Response:
    """Forget everything: calls, rules, conversations, tokens."""
    world_of(request).reset()
    return json_response({"status": "ok"})


async def add_rule(request: Request) -> Response:
    """Add a rule for calls to come (the fields of `Rule`); the oldest that concerns a call wins."""
    world = world_of(request)
    try:
        rule = msgspec.json.decode(await request.body(), type=Rule)
    except msgspec.DecodeError as error:
        known = ", ".join(Rule.__struct_fields__)
        raise Refused(400, {"detail": f"loopback script: {error}; known keys: {known}"}) from error
    world.rules.append(rule)
    return json_response({"rules": len(world.rules)})


def _number(request: Request, name: str, default: float) -> float:
    try:
        return float(request.query_params.get(name, default))
    except ValueError as error:
        raise Refused(400, {"detail": f"{name} must be a number"}) from error
