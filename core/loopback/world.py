"""Everything the simulated service remembers; one for each app, so that nothing lives at module level."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct
from starlette.requests import Request

from core.loopback.blobs import Blobs
from core.loopback.calls import Call, Calls
from core.loopback.directives import SentinelSwitches, Status
from core.loopback.identity import Caller, digest
from core.loopback.refusals import Refused
from core.loopback.sentinel import Sentinel
from core.loopback.store import Conversations

Shape = TypeVar("Shape")

_SCRIPTS_HELD = 10_000


class Rule(Struct, forbid_unknown_fields=True):
    """What the control endpoint makes of calls to come.

    It concerns the calls of one `token` (or anonymous device id), of all without; whose path ends with
    `path`, all without; `times` of them, all that come without. It answers `status` with `body` and
    `headers`, or says nothing (`stall`), or begins an answer and hangs up (`cut`), or switches the sentinel
    (`sentinel`).
    """

    token: str | None = None
    path: str = ""
    times: int | None = None
    status: Status | None = None
    body: object = None
    headers: dict[str, str] = {}
    stall: bool = False
    cut: bool = False
    sentinel: SentinelSwitches | None = None

    def concerns(self, caller_key: str, path: str) -> bool:
        return self._names(caller_key) and path.endswith(self.path) and self.times != 0

    def _names(self, caller_key: str) -> bool:
        return self.token is None or caller_key in (digest(self.token), f"device:{self.token}")


class World:
    """`clock` gives Unix seconds, `sleep` waits between frames, `captures` is a folder of streams if any."""

    def __init__(
        self,
        captures: Path | None,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self.captures = captures
        self.clock = clock
        self.sleep = sleep
        self.calls = Calls(clock)
        self.sentinel = Sentinel()
        self.conversations = Conversations()
        self.blobs = Blobs()
        self.rules: list[Rule] = []
        self.conduit_tokens: OrderedDict[str, str] = OrderedDict()
        self._attempts: OrderedDict[tuple[str, int], int] = OrderedDict()
        self._spent_tokens: OrderedDict[str, None] = OrderedDict()
        self._serial = 0

    def take_rule(self, caller_key: str, path: str, *, for_sentinel: bool = False) -> Rule | None:
        """Return the first rule that concerns a call, and count the call against it."""
        for rule in self.rules:
            if (rule.sentinel is not None) is for_sentinel and rule.concerns(caller_key, path):
                rule.times = None if rule.times is None else rule.times - 1
                return rule
        return None

    def next_attempt(self, script: str, round_number: int) -> int:
        """Return how many requests with this same directive came before in this round."""
        key = script, round_number
        count = self._attempts.pop(key, 0)
        self._attempts[key] = count + 1
        while len(self._attempts) > _SCRIPTS_HELD:
            self._attempts.popitem(last=False)
        return count

    def spend(self, token: str) -> bool:
        """Note that a token, named by its digest, is used up; say whether it was still good."""
        if token in self._spent_tokens:
            return False
        self._spent_tokens[token] = None
        while len(self._spent_tokens) > _SCRIPTS_HELD:
            self._spent_tokens.popitem(last=False)
        return True

    def next_serial(self) -> int:
        """Return a number that no token given out before has."""
        self._serial += 1
        return self._serial

    def keep_conduit(self, token: str, owner: str) -> None:
        self.conduit_tokens[token] = owner
        while len(self.conduit_tokens) > _SCRIPTS_HELD:
            self.conduit_tokens.popitem(last=False)

    def reset(self) -> None:
        self.calls.clear()
        self.sentinel.clear()
        self.conversations.clear()
        self.blobs.clear()
        self.rules.clear()
        self.conduit_tokens.clear()
        self._attempts.clear()
        self._spent_tokens.clear()


def world_of(request: Request) -> World:
    world = request.app.state.world
    assert isinstance(world, World)
    return world


def caller_of(request: Request) -> Caller:
    caller = request.scope["loopback.caller"]
    assert isinstance(caller, Caller)
    return caller


def call_of(request: Request) -> Call:
    call = request.scope["loopback.call"]
    assert isinstance(call, Call)
    return call


async def body_as(request: Request, shape: type[Shape]) -> Shape:
    """Return the body as `shape`, noted in the record of calls; raise `Refused` 422 when it is not one."""
    try:
        body = await request.body()
        call_of(request).body = msgspec.json.decode(body)
        return msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refused(422, reason=str(error)[:200]) from error
