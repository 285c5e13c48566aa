"""Which account answers, what moves on to the next one, and what never does."""

import pytest
from msgspec import Struct

from core.errors import RateLimited, UpstreamError
from core.loopback.identity import digest
from tests.core.upstreams.chatgpt_web.worlds import (
    ANONYMOUS,
    DEVICE,
    OWNER,
    PREPARE,
    TURN,
    USER_AGENT,
    Fake,
    Loopback,
    Said,
    stream,
    told,
)
from tests.core.wire.chatgpt_web.streams import DONE, add, append, message, text_of, typed, whole

pytestmark = pytest.mark.anyio

TOKENS = "loopback-a;loopback-b;loopback-c"
ANSWER = stream(add(whole("yes")), DONE)
CAP = {"detail": {"message": "Too many.", "code": "model_cap_exceeded", "clears_in": 9665}}
PAGE = Said(b"<html>Just a moment... _cf_chl_opt</html>", 403, {"content-type": "text/html"})


class Case(Struct, frozen=True):
    """What the first account meets; `cooling` and `retired` are what the pool then knows."""

    id: str
    answers: dict[str, list[Said]]
    cooling: int = 0
    retired: int = 0


MOVES_ON = [
    Case(
        "an expired token at the sentinel",
        {PREPARE: [told({"detail": "no"}, 401), told({"prepare_token": "p"})]},
        retired=1,
    ),
    Case("an expired token at the turn", {TURN: [told({"detail": "no"}, 401), ANSWER]}, retired=1),
    Case("a refusal", {TURN: [told({"detail": "Unusual activity."}, 403), ANSWER]}),
    Case(
        "a check",
        {PREPARE: [told({"prepare_token": "p", "turnstile": {"required": True}}), told({"prepare_token": "p"})]},
    ),
    Case("a limit with its end", {TURN: [told(CAP, 429), ANSWER]}, cooling=1),
    Case(
        "a limit with a Retry-After", {TURN: [told({"detail": "no"}, 429, **{"retry-after": "30"}), ANSWER]}, cooling=1
    ),
    Case("a limit without an end", {TURN: [told({"detail": "Only one message at a time."}, 429), ANSWER]}),
    Case("a refusal inside the stream", {TURN: [stream(typed("error", error="Unusual activity")), ANSWER]}),
    Case(
        "a limit inside the stream",
        {TURN: [stream(typed("error", error={"message": "x", "code": "model_cap_exceeded"})), ANSWER]},
    ),
]


@pytest.mark.parametrize("case", MOVES_ON, ids=lambda case: case.id)
async def test_before_the_first_event_the_next_account_is_tried(case: Case) -> None:
    world = Fake({TURN: ANSWER, **case.answers}, TOKENS)
    assert text_of(await world.ask("Hi")) == "yes"
    status = world.pool.status()
    assert (status.cooling, status.retired) == (case.cooling, case.retired)
    asked = [heard.headers["authorization"] for path in case.answers for heard in world.asked(path)]
    assert len(asked) == len(set(asked)) == 2


class Stays(Struct, frozen=True):
    id: str
    answers: dict[str, Said]
    status: int


STAYS = [
    Stays("a request that is refused", {TURN: told({"detail": "Flagged."}, 400)}, 400),
    Stays("a request that is too long", {TURN: told({"detail": "long"}, 413)}, 400),
    Stays("an unknown model", {TURN: told({"detail": {"message": "x", "code": "model_not_found"}}, 404)}, 404),
    Stays("a fault of the service", {TURN: told({"detail": "oops"}, 500)}, 503),
    Stays("a page in the way of everybody", {TURN: PAGE}, 403),
    Stays("an answer that is no stream", {TURN: told({"detail": "later"})}, 502),
    Stays("bytes that are no stream", {TURN: stream(b"data: nonsense\n\n")}, 502),
    Stays(
        "a page that pretends to be a success",
        {TURN: Said(b"<html>portal</html>", 200, {"content-type": "text/html"})},
        502,
    ),
]


@pytest.mark.parametrize("case", STAYS, ids=lambda case: case.id)
async def test_what_is_not_the_accounts_fault_tries_no_other(case: Stays) -> None:
    world = Fake(case.answers, TOKENS)
    _, error = await world.refused("Hi")
    assert error.status == case.status
    assert len(world.asked(TURN)) == 1
    assert world.pool.status().usable == 3


async def test_after_the_first_event_no_other_account_is_tried() -> None:
    broken = stream(add(message("half")), typed("error", error={"message": "cap", "code": "model_cap_exceeded"}))
    world = Fake({TURN: [broken, ANSWER]}, TOKENS)
    events, error = await world.refused("Hi")
    assert text_of(events) == "half"
    assert isinstance(error, RateLimited)
    assert len(world.asked(TURN)) == 1


async def test_a_stated_wait_cools_the_account_for_so_long() -> None:
    world = Fake({TURN: told(CAP, 429)})
    _, error = await world.refused("Hi")
    assert (error.status, error.retry_after_s, error.message) == (429, 9665, "Too many.")
    earliest = world.pool.status().earliest_s
    assert earliest is not None
    assert 9600 < earliest <= 9665


async def test_when_all_are_cooling_the_earliest_end_is_told() -> None:
    world = Fake({TURN: [told({"detail": "x", "clears_in": wait}, 429) for wait in (300, 100, 200)]}, TOKENS)
    _, error = await world.refused("Hi")
    assert isinstance(error, RateLimited)
    assert error.retry_after_s == pytest.approx(100, abs=5)
    assert (
        error.message
        == "every account of the access token pool is cooling down: 3 accounts, 0 expired, 3 cooling down, 0 retired"
    )


async def test_when_none_is_left_the_pool_says_why() -> None:
    world = Fake({TURN: told({"detail": "no"}, 401)}, TOKENS)
    _, error = await world.refused("Hi")
    assert error.status == 503
    assert error.message == "access token pool is empty: 3 accounts, 0 expired, 0 cooling down, 3 retired"


async def test_a_pool_of_nobody_is_empty() -> None:
    world = Fake({TURN: ANSWER}, "")
    _, error = await world.refused("Hi")
    assert (error.status, error.message) == (
        503,
        "access token pool is empty: 0 accounts, 0 expired, 0 cooling down, 0 retired",
    )
    assert world.heard == []


async def test_when_waiting_is_all_that_is_left_the_last_refusal_is_told() -> None:
    world = Fake({TURN: told({"detail": "Only one message at a time."}, 429)}, TOKENS)
    _, error = await world.refused("Hi")
    assert (error.status, error.message, error.retry_after_s) == (429, "Only one message at a time.", None)
    assert len(world.asked(TURN)) == 3


async def test_a_retired_account_is_not_asked_again() -> None:
    world = Fake({TURN: [told({"detail": "no"}, 401), ANSWER]}, "loopback-a;loopback-b")
    await world.ask("Hi")
    await world.ask("Hi")
    assert len({heard.headers["authorization"] for heard in world.asked(TURN)[1:]}) == 1


async def test_the_same_conversation_keeps_its_account() -> None:
    world = Fake({TURN: ANSWER}, TOKENS)
    for _ in range(3):
        await world.ask("Hi")
    assert len({heard.headers["authorization"] for heard in world.asked(TURN)}) == 1


async def test_different_beginnings_are_spread_over_the_accounts() -> None:
    world = Fake({TURN: ANSWER}, TOKENS)
    for number in range(20):
        await world.ask(f"Hi {number}")
    assert len({heard.headers["authorization"] for heard in world.asked(TURN)}) == 3


# The caller's own account, and none.


async def test_the_callers_own_account_is_used_and_no_other() -> None:
    world = Fake({TURN: ANSWER}, TOKENS)
    assert text_of(await world.ask("Hi", principal=OWNER)) == "yes"
    for heard in world.heard:
        assert heard.headers["authorization"] == "Bearer loopback-own"
        assert heard.headers["chatgpt-account-id"] == "team-1"


@pytest.mark.parametrize("status", [401, 403, 429])
async def test_the_refusal_of_the_callers_own_account_is_theirs_to_mend(status: int) -> None:
    world = Fake({TURN: told({"detail": "no"}, status)}, TOKENS)
    _, error = await world.refused("Hi", principal=OWNER)
    assert (error.status, error.message) == (status, "no")
    assert len(world.asked(TURN)) == 1
    assert world.pool.status().usable == 3


async def test_the_refusal_of_a_pools_account_is_not_a_401() -> None:
    _, error = await Fake({TURN: told({"detail": "no"}, 401)}).refused("Hi")
    assert (error.status, error.upstream_status) == (502, 401)


async def test_a_device_without_an_account_is_anonymous() -> None:
    world = Fake({TURN: ANSWER}, TOKENS)
    assert text_of(await world.ask("Hi", principal=ANONYMOUS)) == "yes"
    for heard in world.heard:
        assert heard.headers[":path"].startswith("/backend-anon/")
        assert heard.headers["oai-device-id"] == DEVICE
        assert "authorization" not in heard.headers
        assert "chatgpt-account-id" not in heard.headers


async def test_the_refusal_of_a_device_tries_no_account() -> None:
    world = Fake({PREPARE: told({"prepare_token": "p", "force_login": True})}, TOKENS)
    _, error = await world.refused("Hi", principal=ANONYMOUS)
    assert error.message == "force login required"
    assert all("authorization" not in heard.headers for heard in world.heard)


async def test_the_gateway_names_itself_and_nothing_else() -> None:
    world = Fake({TURN: ANSWER}, "loopback-a:team-9")
    await world.ask("Hi")
    for heard in world.heard:
        assert heard.headers["user-agent"] == USER_AGENT
        assert heard.headers["chatgpt-account-id"] == "team-9"
        assert "origin" not in heard.headers
        assert "referer" not in heard.headers
        assert not any(name.startswith("sec-") for name in heard.headers)


async def test_an_account_always_comes_from_the_same_device() -> None:
    world = Fake({TURN: ANSWER})
    await world.ask("Hi")
    await world.ask("Hello")
    assert len({heard.headers["oai-device-id"] for heard in world.heard}) == 1


async def test_accounts_fail_over_at_the_loopback_too() -> None:
    world = Loopback("loopback-a;loopback-b")
    await world.rule(token="loopback-a", path="/f/conversation", status=429, body=CAP)
    await world.rule(token="loopback-b", path="/f/conversation", status=429, body=CAP, times=0)
    for number in range(4):
        assert text_of(await world.ask(f"Say yes {number}")) == f"Yes {number}"
    answered = [call for call in await world.calls("/f/conversation") if call["status"] == 200]
    assert {call["account"] for call in answered} == {digest("loopback-b")}
    await world.close()


async def test_a_cooling_account_is_asked_again_when_its_time_is_over() -> None:
    world = Fake({TURN: [told({"detail": "x", "clears_in": 0}, 429), ANSWER]})
    _, error = await world.refused("Hi")
    assert isinstance(error, UpstreamError)
    assert text_of(await world.ask("Hi")) == "yes"


async def test_words_before_an_append_are_not_lost_when_the_next_account_answers() -> None:
    world = Fake({TURN: [told({"detail": "no"}, 403), stream(add(message()), append("a"), append("b"), DONE)]}, TOKENS)
    assert text_of(await world.ask("Hi")) == "ab"
