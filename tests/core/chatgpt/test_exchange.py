"""Accounts that are given by a refresh or session token: exchanged, renewed, passed over, and never shown."""

import asyncio
import json

import pytest
from msgspec import Struct, structs

from core.accounts import Account, Principal, Secret
from core.chatgpt import exchange
from core.chatgpt.sessions import Sessions
from core.errors import ProtocolViolation, UpstreamError, UpstreamTimeout
from core.settings import Settings
from core.wire.chatgpt_web.tokens import COOKIE, LARGEST_COOKIE_CHARS
from tests.core.upstreams.chatgpt_web.worlds import TURN, Fake, Loopback, Said, stream, told
from tests.core.wire.chatgpt_web.streams import DONE, add, text_of, whole

pytestmark = pytest.mark.anyio

RENEW, OPEN = "/oauth/token", "/api/auth/session"
ANSWER = stream(add(whole("yes")), DONE)
DEAD = told({"error": {"message": "Sign in again.", "code": "refresh_token_reused"}}, 401)
DENIED = told({"detail": "no"}, 401)
PAGE = Said(b"<html>Just a moment... _cf_chl_opt</html>", 403, {"content-type": "text/html"})
OWN = Principal("account", account=Account(Secret("own-refresh"), kind="refresh"))


def renewed(number: int) -> Said:
    return told({"access_token": f"access-{number}", "refresh_token": f"refresh-{number}", "expires_in": 3600})


def signed_in(number: int, cookie: str = "") -> Said:
    return told({"accessToken": f"access-{number}"}, 200, **({"set-cookie": cookie} if cookie else {}))


def refreshing(
    answers: dict[str, Said | list[Said]], tokens: str = "refresh-0", access: str = "", **environ: str
) -> Fake:
    return Fake(
        {TURN: ANSWER, RENEW: [renewed(1), renewed(2)], **answers}, access, CHATGPT_REFRESH_TOKENS=tokens, **environ
    )


def bearers(world: Fake, path: str = TURN) -> list[str]:
    return [heard.headers["authorization"] for heard in world.asked(path)]


async def test_a_refresh_token_is_exchanged_for_the_turn_and_never_sent_to_the_service() -> None:
    world = refreshing({}, "refresh-0:team-1", CHATGPT_OAUTH_CLIENT_ID="app_client")
    for _ in range(2):
        assert text_of(await world.ask("Hi")) == "yes"
    [asked] = world.asked(RENEW)
    assert asked.json == {"client_id": "app_client", "grant_type": "refresh_token", "refresh_token": "refresh-0"}
    assert "authorization" not in asked.headers
    assert bearers(world) == ["Bearer access-1"] * 2
    others = [heard for heard in world.heard if heard.path != RENEW]
    assert {heard.headers["chatgpt-account-id"] for heard in others} == {"team-1"}
    assert not any("refresh-0" in str((heard.headers, heard.body)) for heard in others)


async def test_a_session_token_is_exchanged_and_the_one_that_takes_its_place_is_sent_next() -> None:
    long = "s" * (LARGEST_COOKIE_CHARS + 1)
    answers = {TURN: [DENIED, ANSWER], OPEN: [signed_in(1, f"{COOKIE}=next; Path=/"), signed_in(2)]}
    world = Fake(answers, "", CHATGPT_SESSION_TOKENS=long)
    assert text_of(await world.ask("Hi")) == "yes"
    first, second = world.asked(OPEN)
    assert first.headers["cookie"] == f"{COOKIE}.0={long[:-1]}; {COOKIE}.1=s"
    assert second.headers["cookie"] == f"{COOKIE}=next"
    assert bearers(world) == ["Bearer access-1", "Bearer access-2"]


async def test_the_account_keeps_its_name_and_its_device_over_exchanges() -> None:
    world = refreshing({TURN: [DENIED, ANSWER]})
    await world.ask("Hi")
    [account] = world.settings.accounts
    assert account.digest == Account(Secret("refresh-0")).digest
    assert len({heard.headers["oai-device-id"] for heard in world.heard if heard.path != RENEW}) == 1


async def test_a_refused_access_token_is_exchanged_anew_and_the_account_stays() -> None:
    world = refreshing({TURN: [DENIED, ANSWER]})
    assert text_of(await world.ask("Hi")) == "yes"
    assert bearers(world) == ["Bearer access-1", "Bearer access-2"]
    assert [heard.json["refresh_token"] for heard in world.asked(RENEW)] == ["refresh-0", "refresh-1"]
    assert world.pool.status().usable == 1


async def test_an_account_whose_new_access_token_is_refused_too_retires() -> None:
    world = refreshing({TURN: DENIED})
    _, error = await world.refused("Hi")
    assert (error.status, error.upstream_status) == (502, 401)
    assert len(world.asked(RENEW)) == 2
    assert world.pool.status().retired == 1


class Failure(Struct, frozen=True):
    """What an exchange is answered; `retired` and `cooling` are what the pool then knows."""

    id: str
    answer: Said
    retired: int = 0
    cooling: int = 0


FAILURES = [
    Failure("a token that was used before", DEAD, retired=1),
    Failure("a token that was never good", told({"error": "invalid_grant"}, 400), retired=1),
    Failure("a fault of the token service", told({}, 500)),
    Failure("a limit with its end", told({"detail": "no"}, 429, **{"retry-after": "30"}), cooling=1),
    Failure("a page", PAGE),
    Failure("an answer of another shape", told([])),
    Failure("a connection that breaks", Said(b"{", cut=True)),
]


@pytest.mark.parametrize("case", FAILURES, ids=lambda case: case.id)
async def test_when_an_exchange_fails_the_next_account_answers(case: Failure) -> None:
    world = refreshing({RENEW: case.answer}, access="access-other")
    for number in range(8):
        assert text_of(await world.ask(f"Hi {number}")) == "yes"
    assert set(bearers(world)) == {"Bearer access-other"}
    assert world.asked(RENEW), "the account was chosen first for one of the conversations"
    status = world.pool.status()
    assert (status.retired, status.cooling) == (case.retired, case.cooling)


async def test_a_session_that_is_over_retires_its_account() -> None:
    world = Fake({TURN: ANSWER, OPEN: told({})}, "", CHATGPT_SESSION_TOKENS="session")
    _, error = await world.refused("Hi")
    assert (error.status, error.code) == (502, "session_token_invalid")
    assert world.pool.status().retired == 1


async def test_a_refusal_that_repeats_the_token_is_told_without_it() -> None:
    said = told({"error": {"message": "Token refresh-0 was used.", "code": "refresh_token_reused"}}, 401)
    _, error = await refreshing({RENEW: said}).refused("Hi")
    assert error.message == "Token ... was used."


async def test_a_service_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "EXCHANGE_S", 0.01)
    world = refreshing({RENEW: Said(b"", cut=True)})

    async def silence(*_: object) -> None:
        await asyncio.Event().wait()

    world.service._apps["chatgpt"] = silence  # type: ignore[index]
    _, error = await world.refused("Hi")
    assert isinstance(error, UpstreamTimeout)


async def test_many_turns_at_once_share_one_exchange() -> None:
    world = Loopback("", CHATGPT_REFRESH_TOKENS="loopback-many")
    answers = await asyncio.gather(*(world.ask(f"Say yes {number}") for number in range(20)))
    assert {text_of(events)[:3] for events in answers} == {"Yes"}
    assert len(await world.calls(RENEW)) == 1
    await world.close()


# A caller's own.


async def test_a_callers_refresh_token_is_exchanged_for_their_turns_only() -> None:
    world = refreshing({}, "", access="access-pool")
    for _ in range(2):
        assert text_of(await world.ask("Hi", principal=OWN)) == "yes"
    assert [heard.json["refresh_token"] for heard in world.asked(RENEW)] == ["own-refresh"]
    assert bearers(world) == ["Bearer access-1"] * 2


@pytest.mark.parametrize(
    ("answers", "told_as"),
    [
        ({RENEW: DEAD}, (401, "Sign in again.", "refresh_token_reused")),
        ({TURN: DENIED}, (401, "no", None)),
        ({TURN: DENIED, RENEW: [renewed(1), DEAD]}, (401, "Sign in again.", "refresh_token_reused")),
    ],
    ids=["dead at once", "worth nothing", "dead when it is exchanged anew"],
)
async def test_the_refusal_of_a_callers_refresh_token_is_theirs_to_mend(
    answers: dict[str, Said | list[Said]], told_as: tuple[int, str, str | None]
) -> None:
    world = refreshing(answers, "", access="access-pool")
    _, error = await world.refused("Hi", principal=OWN)
    assert (error.status, error.message, error.code) == told_as
    assert world.pool.status().usable == 1


# What keeps a mistake of ours from showing a token.


async def test_a_session_that_is_not_ready_sends_nothing() -> None:
    world = refreshing({})
    [session] = Sessions(world.settings, world.pool).of(Principal("pool"), "", world.transport)
    with pytest.raises(RuntimeError, match="not ready"):
        session.headers({})


async def test_with_the_simulation_no_token_leaves_the_machine() -> None:
    settings = Settings.from_env(
        {"CHATGPT_BASE_URL": "loopback://chatgpt", "CHATGPT_AUTH_BASE_URL": "https://a.example"}
    )
    assert settings.auth_base_url == "loopback://chatgpt"
    assert structs.replace(settings, chatgpt_base_url="https://b.example").auth_base_url == "https://a.example"


# The calls by themselves.


async def test_an_exchange_of_a_callers_token_says_all_that_was_said() -> None:
    said = {
        "access_token": "a",
        "refresh_token": "b",
        "id_token": "c",
        "token_type": "d",
        "expires_in": 5,
        "scope": "e",
    }
    world = Fake({RENEW: told(said)})
    grant = await world.upstream.refresh(Secret("token"), world.transport)
    assert (grant.access_token, grant.successor, grant.id_token) == (Secret("a"), Secret("b"), Secret("c"))
    assert (grant.token_type, grant.expires_in_s, grant.scope) == ("d", 5, "e")


@pytest.mark.parametrize("answer", [told({}), told(None), Said(b"<html>", 200, {"content-type": "text/html"})])
async def test_an_exchange_without_a_token_is_a_violation(answer: Said) -> None:
    world = Fake({RENEW: answer})
    with pytest.raises(ProtocolViolation):
        await world.upstream.refresh(Secret("token"), world.transport)


async def test_a_session_that_is_refused_is_told() -> None:
    world = Fake({OPEN: Said(json.dumps({"detail": "token session-x is bad"}).encode(), 401)})
    with pytest.raises(UpstreamError) as caught:
        await world.upstream.renew_session(Secret("session-x"), world.transport)
    assert (caught.value.status, caught.value.message) == (401, "token ... is bad")
