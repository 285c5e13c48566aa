"""Access tokens had on demand: kept while fresh, exchanged once however many wait, replaced when refused."""

import asyncio
import base64
import json
from collections.abc import Callable

import pytest
from msgspec import Struct

from core.accounts import Account, AccountKind, Secret
from core.chatgpt.exchange import Exchanger, Way
from core.chatgpt.tokens import MARGIN_S, STRANGERS_HELD, UNKNOWN_LIFETIME_S, Tokens, fresh_until
from core.errors import UpstreamDenied, UpstreamUnavailable
from core.services import Grant
from core.settings import Settings
from core.transport import Timeouts, Transport

pytestmark = pytest.mark.anyio

NOW = 1_790_000_000.0
WAY = Way(Transport(timeouts=Timeouts(1, 1, 1), user_agent="test"))
MEMBER = Account(Secret("member"), kind="refresh")


def jwt(**claims: object) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJub25lIn0.{payload}.x"


class Service(Exchanger):
    """A token service that counts. It rotates tokens, and waits for `gate` if it is shut; `reached`: somebody asked."""

    def __init__(self, lifetime_s: float = 3_600.0, rotates: bool = True) -> None:
        super().__init__(Settings.from_env({}))
        self.asked: list[tuple[AccountKind, str]] = []
        self.lifetime_s = lifetime_s
        self.rotates = rotates
        self.failures: list[Exception] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.reached = asyncio.Event()

    async def exchange(self, kind: AccountKind, token: Secret, way: Way) -> Grant:
        self.asked.append((kind, token.reveal()))
        number = len(self.asked)
        self.reached.set()
        await self.gate.wait()
        if self.failures:
            raise self.failures.pop(0)
        successor = Secret(f"successor-{number}") if self.rotates else None
        return Grant(access_token=Secret(f"access-{number}"), successor=successor, expires_in_s=self.lifetime_s)


class World:
    def __init__(self, service: Service | None = None) -> None:
        self.now = NOW
        self.service = service or Service()
        self.tokens = Tokens(self.service, [MEMBER], lambda: self.now)

    async def bearer(self, account: Account = MEMBER) -> str:
        return (await self.tokens.bearer(account, WAY)).reveal()

    async def waiting(self, count: int) -> list["asyncio.Task[str]"]:
        """Return so many requests for the one token, all of them begun."""
        self.service.gate.clear()
        tasks = [asyncio.create_task(self.bearer()) for _ in range(count)]
        await self.service.reached.wait()
        await asyncio.sleep(0)
        return tasks


async def test_an_access_token_is_worth_itself() -> None:
    world = World()
    assert await world.bearer(Account(Secret("access"))) == "access"
    assert world.service.asked == []


async def test_a_token_is_exchanged_once_and_again_shortly_before_its_end() -> None:
    world = World()
    for later_s, expected in ((0.0, "access-1"), (3_600 - MARGIN_S - 1, "access-1"), (1.0, "access-2")):
        world.now += later_s
        assert await world.bearer() == expected
    assert world.service.asked == [("refresh", "member"), ("refresh", "successor-1")]


async def test_a_token_that_is_not_replaced_is_used_again() -> None:
    world = World(Service(rotates=False))
    await world.bearer()
    world.now += 3_600
    await world.bearer()
    assert world.service.asked == [("refresh", "member")] * 2


async def test_many_that_want_it_at_once_share_one_exchange() -> None:
    world = World()
    tasks = await world.waiting(50)
    world.service.gate.set()
    assert set(await asyncio.gather(*tasks)) == {"access-1"}
    assert len(world.service.asked) == 1


async def test_one_that_leaves_takes_nothing_from_the_others() -> None:
    world = World()
    first, second, third = await world.waiting(3)
    first.cancel()
    third.cancel()
    world.service.gate.set()
    assert await second == "access-1"
    outcomes = await asyncio.gather(first, third, return_exceptions=True)
    assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
    assert len(world.service.asked) == 1


async def test_when_all_have_left_what_was_exchanged_is_kept() -> None:
    world = World()
    [only] = await world.waiting(1)
    only.cancel()
    await asyncio.sleep(0)
    assert not only.done(), "it leaves when the exchange is over, so that nothing outlives the request"
    world.service.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await only
    assert await world.bearer() == "access-1"
    assert len(world.service.asked) == 1


async def test_a_failure_is_told_to_all_who_wait_and_not_remembered() -> None:
    world = World()
    world.service.failures = [UpstreamUnavailable("not now")]
    tasks = await world.waiting(3)
    world.service.gate.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [UpstreamUnavailable] * 3
    assert await world.bearer() == "access-2"


async def test_a_failure_keeps_the_replacement_of_the_token() -> None:
    world = World()
    await world.bearer()
    world.now += 3_600
    world.service.failures = [UpstreamDenied("no")]
    with pytest.raises(UpstreamDenied):
        await world.bearer()
    await world.bearer()
    assert [token for _, token in world.service.asked] == ["member", "successor-1", "successor-1"]


async def test_a_refused_access_token_is_replaced_once_however_many_had_it() -> None:
    world = World()
    refused = await world.tokens.bearer(MEMBER, WAY)
    renewed = [(await world.tokens.renewed(MEMBER, refused, WAY)).reveal() for _ in range(3)]
    assert renewed == ["access-2"] * 3
    assert await world.bearer() == "access-2"


async def test_accounts_of_one_token_share_its_exchange() -> None:
    world = World()
    for workspace in ("team-1", "team-2"):
        assert await world.bearer(Account(Secret("member"), workspace, kind="refresh")) == "access-1"
    assert await world.bearer(Account(Secret("member"), kind="session")) == "access-2"
    assert world.service.asked == [("refresh", "member"), ("session", "member")]


async def test_strangers_are_forgotten_the_longest_unused_first_and_members_never() -> None:
    world = World()
    strangers = [Account(Secret(f"own-{number}"), kind="refresh") for number in range(STRANGERS_HELD)]
    await world.bearer()
    for stranger in strangers:
        await world.bearer(stranger)
    await world.bearer(strangers[0])
    await world.bearer(Account(Secret("one more"), kind="refresh"))
    asked = len(world.service.asked)
    for remembered in (MEMBER, strangers[0], strangers[2]):
        await world.bearer(remembered)
    assert len(world.service.asked) == asked
    await world.bearer(strangers[1])
    assert len(world.service.asked) == asked + 1


def test_every_event_loop_has_an_exchange_of_its_own() -> None:
    async def left_behind(world: World) -> None:
        await world.waiting(1)

    async def again(world: World) -> str:
        world.service.gate = asyncio.Event()
        world.service.gate.set()
        return await world.bearer()

    service_of_first_loop = World()
    assert run(lambda: left_behind(service_of_first_loop)) is None
    assert run(lambda: again(service_of_first_loop)) == "access-2"


def run(main: Callable[[], object]) -> object:
    return asyncio.run(main())  # type: ignore[arg-type]


class Lifetime(Struct, frozen=True):
    id: str
    grant: Grant
    expected_s: float


def granted(token: str = "opaque", expires_in_s: float | None = None) -> Grant:
    return Grant(access_token=Secret(token), expires_in_s=expires_in_s)


LIFETIMES = [
    Lifetime("as its exp says", granted(jwt(exp=NOW + 10_000)), 10_000 - MARGIN_S),
    Lifetime("which counts before what was said", granted(jwt(exp=NOW + 10_000), 60), 10_000 - MARGIN_S),
    Lifetime("as was said", granted(expires_in_s=10_000), 10_000 - MARGIN_S),
    Lifetime("a short life has a short margin", granted(expires_in_s=100), 90),
    Lifetime("a while when nobody says", granted(), UNKNOWN_LIFETIME_S - MARGIN_S),
    Lifetime("not at all when it has ended", granted(jwt(exp=NOW - 5)), -5),
]


@pytest.mark.parametrize("case", LIFETIMES, ids=lambda case: case.id)
def test_an_access_token_is_fresh(case: Lifetime) -> None:
    assert fresh_until(case.grant, NOW) == NOW + case.expected_s
