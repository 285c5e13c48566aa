"""Secrets, claims, accounts and the choice among them."""

import base64
from collections import Counter
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from core.accounts import Account, Pool, PoolStatus, Principal, Secret, jwt_claims, user_of
from core.errors import Forbidden, GatewayError, RateLimited, UpstreamUnavailable

NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z


def jwt(**claims: object) -> str:
    """Return an unsigned token with these claims."""
    payload = base64.urlsafe_b64encode(msgspec.json.encode(claims)).decode().rstrip("=")
    return f"eyJhbGciOiJSUzI1NiJ9.{payload}.signature"


def account(name: str, **claims: object) -> Account:
    return Account(Secret(jwt(sub=name, **claims)))


class Clock:
    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


# Secrets


def test_a_secret_prints_as_dots_however_it_is_printed() -> None:
    secret = Secret("sk-hush")
    structs = (secret, Account(secret, proxy=secret), Principal("account", account=Account(secret)))
    for value in structs:
        for shown in (repr(value), str(value), f"{value}", f"{value!r:>40}", f"{value}"):
            assert "hush" not in shown


def test_a_secret_cannot_slip_into_json() -> None:
    with pytest.raises(TypeError):
        msgspec.json.encode(Secret("sk-hush"))


def test_secrets_with_the_same_text_are_the_same() -> None:
    assert Secret("sk-a") == Secret("sk-a")
    assert Secret("sk-a") != Secret("sk-b")
    assert Secret("sk-a") != "sk-a"
    assert len({Secret("sk-a"), Secret("sk-a"), Secret("sk-b")}) == 2


def test_a_secret_is_named_by_a_digest() -> None:
    assert Secret("sk-a").digest == Secret("sk-a").digest != Secret("sk-b").digest
    assert len(Secret("sk-a").digest) == 16


# Claims


class ClaimsCase(Struct, frozen=True):
    name: str
    token: str
    expected: dict[str, object]


def segment(data: bytes) -> str:
    return f"a.{base64.urlsafe_b64encode(data).decode()}.c"


CLAIMS = [
    ClaimsCase("a token gives its claims", jwt(exp=5, sub="u"), {"exp": 5, "sub": "u"}),
    ClaimsCase("padding may stand", segment(b'{"exp":5}'), {"exp": 5}),
    ClaimsCase("no text is no token", "", {}),
    ClaimsCase("two parts are no token", "a.b", {}),
    ClaimsCase("four parts are no token", jwt(exp=5) + ".x", {}),
    ClaimsCase("bytes that are not base64", "a.\x00\x01.c", {}),
    ClaimsCase("text outside ASCII", "a.é.c", {}),
    ClaimsCase("a lone surrogate", "a.\ud800.c", {}),
    ClaimsCase("bytes that are not JSON", segment(b"hello"), {}),
    ClaimsCase("bytes that are not UTF-8", segment(b'{"a":"\xff"}'), {}),
    ClaimsCase("JSON that is not an object", segment(b"[1]"), {}),
    ClaimsCase("JSON nested without end", segment(b'{"a":' + b"[" * 11_000), {}),
    ClaimsCase("a token beyond the limit", f"a.{'b' * 20_000}.c", {}),
]


@pytest.mark.parametrize("case", CLAIMS, ids=lambda case: case.name)
def test_claims(case: ClaimsCase) -> None:
    assert jwt_claims(case.token) == case.expected


@given(st.text() | st.builds(lambda data: segment(data), st.binary()))
def test_any_text_has_claims_or_none(text: str) -> None:
    assert isinstance(jwt_claims(text), dict)


class ExpiryCase(Struct, frozen=True):
    name: str
    token: str
    expected: float | None


EXPIRIES = [
    ExpiryCase("exp is the end", jwt(exp=1_800_000_000), 1_800_000_000.0),
    ExpiryCase("exp may have a fraction", jwt(exp=1.5), 1.5),
    ExpiryCase("a token that is no JWT does not say", "sess-123", None),
    ExpiryCase("no exp does not say", jwt(), None),
    ExpiryCase("exp as text does not say", jwt(exp="1800000000"), None),
    ExpiryCase("exp as truth does not say", jwt(exp=True), None),
    ExpiryCase("an exp beyond all numbers does not say", segment(b'{"exp":1' + b"0" * 400 + b"}"), None),
]


@pytest.mark.parametrize("case", EXPIRIES, ids=lambda case: case.name)
def test_expiry(case: ExpiryCase) -> None:
    assert Account(Secret(case.token)).expires_at == case.expected


# Accounts and principals


def test_the_digest_names_the_token_and_its_workspace() -> None:
    plain, again = Account(Secret("t")), Account(Secret("t"), proxy=Secret("http://p:1"))
    team = Account(Secret("t"), account_id="team")
    assert plain.digest == again.digest != team.digest
    assert len(plain.digest) == 16


def test_a_user_names_the_account_in_place_of_the_token() -> None:
    old, new = (jwt_of("user-1", exp=exp) for exp in (NOW, NOW + 1))
    named = Account(Secret(old), user="user-1")
    assert named.digest == Account(Secret(new), user="user-1").digest
    others = [
        Account(Secret(old)),  # a caller who brings the same token, or forges one
        Account(Secret(old), user="user-2"),
        Account(Secret(old), account_id="team", user="user-1"),
        Account(Secret("user-1"), account_id="home"),
    ]
    assert len({account.digest for account in (named, *others)}) == 1 + len(others)


def jwt_of(user: str, workspace: str = "home", **claims: object) -> str:
    claims["https://api.openai.com/auth"] = {"chatgpt_user_id": user, "chatgpt_account_id": workspace}
    return jwt(**claims)


class UserCase(Struct, frozen=True):
    name: str
    claims: object
    expected: str | None


USERS = [
    UserCase("the user of a workspace", {"chatgpt_user_id": "user-1", "chatgpt_account_id": "home"}, "user-1"),
    UserCase("by its other name", {"user_id": "user-1", "chatgpt_account_id": "home"}, "user-1"),
    UserCase("no workspace", {"chatgpt_user_id": "user-1"}, None),
    UserCase("a workspace alone", {"chatgpt_account_id": "home"}, None),
    UserCase("an empty user", {"chatgpt_user_id": "", "chatgpt_account_id": "home"}, None),
    UserCase("a user that is no text", {"chatgpt_user_id": 1, "chatgpt_account_id": "home"}, None),
    UserCase("claims of another form", "odd", None),
]


@pytest.mark.parametrize("case", USERS, ids=lambda case: case.name)
def test_users(case: UserCase) -> None:
    assert user_of({"https://api.openai.com/auth": case.claims}) == case.expected


def test_the_workspace_is_the_configured_one_else_the_tokens_own() -> None:
    token = Secret(jwt(**{"https://api.openai.com/auth": {"chatgpt_account_id": "home"}}))
    assert Account(token).workspace == "home"
    assert Account(token, account_id="team").workspace == "team"
    assert Account(Secret("opaque")).workspace is None
    assert Account(Secret(jwt(**{"https://api.openai.com/auth": "odd"}))).workspace is None


def test_only_an_access_token_says_when_it_ends() -> None:
    token = Secret(jwt(exp=NOW))
    assert Account(token).expires_at == NOW
    assert Account(token, kind="refresh").expires_at is None
    assert Account(token, kind="session").digest == Account(token).digest


def test_an_anonymous_device_is_told_what_needs_a_login() -> None:
    with pytest.raises(Forbidden, match=r"^TTS requires a logged-in ChatGPT account\.$"):
        Principal("anonymous", device_id="d").require_login("TTS")
    Principal("pool").require_login("TTS")


# The pool

sessions = st.text(max_size=20)
members = [account(f"user-{number}") for number in range(8)]


@given(sessions)
def test_every_instance_orders_the_accounts_alike(session: str) -> None:
    assert Pool(members).candidates(session) == Pool(members[::-1]).candidates(session)


@given(sessions, st.sampled_from(members))
def test_losing_an_account_moves_only_its_own_sessions(session: str, lost: Account) -> None:
    pool = Pool(members)
    before = pool.candidates(session)
    pool.retire(lost)
    assert pool.candidates(session) == [member for member in before if member != lost]


def test_sessions_spread_over_the_accounts() -> None:
    pool = Pool(members)
    first = Counter(pool.candidates(f"session {number}")[0].digest for number in range(800))
    assert len(first) == len(members)
    assert min(first.values()) > 50


def test_a_cooling_account_comes_back_at_the_stated_time() -> None:
    clock = Clock()
    pool = Pool(members[:1], clock)
    pool.cool(members[0], NOW + 60)
    assert pool.candidates("s") == []
    clock.now = NOW + 60
    assert pool.candidates("s") == members[:1]


def test_the_later_of_two_cooldowns_holds() -> None:
    clock = Clock()
    pool = Pool(members[:1], clock)
    pool.cool(members[0], NOW + 60)
    pool.cool(members[0], NOW + 10)
    clock.now = NOW + 30
    assert pool.candidates("s") == []


def test_an_expired_account_is_never_offered() -> None:
    ended, lasting = account("ended", exp=NOW), account("lasting", exp=NOW + 1)
    assert Pool([ended, lasting], Clock()).candidates("s") == [lasting]


def test_what_a_callers_own_account_did_is_not_remembered() -> None:
    pool, stranger = Pool(members[:1], Clock()), account("stranger")
    pool.cool(stranger, NOW + 60)
    pool.retire(stranger)
    assert pool.status() == PoolStatus(count=1, usable=1, expired=0, cooling=0, retired=0)
    assert pool.find(stranger.digest) is None


def test_an_account_is_found_by_its_digest_also_while_it_cools() -> None:
    pool = Pool(members, Clock())
    pool.cool(members[3], NOW + 60)
    assert pool.find(members[3].digest) == members[3]


def test_pools_share_nothing() -> None:
    one, other = Pool(members[:1]), Pool(members[:1])
    one.retire(members[0])
    assert other.candidates("s") == members[:1]


def test_what_one_service_says_of_an_account_the_other_does_not_know() -> None:
    clock = Clock()
    pool = Pool([account("a"), account("b")], clock)
    other = pool.apart()
    first, second = other.candidates("s")
    other.retire(first)
    other.cool(second, NOW + 60)
    assert (pool.status().usable, other.status().usable) == (2, 0)
    clock.now += 61
    assert other.candidates("s") == [second]


def test_a_workspace_leaves_only_its_accounts() -> None:
    team = Account(Secret("t"), account_id="team")
    pool = Pool([*members, team])
    assert pool.candidates("s", workspace="team") == [team]
    assert pool.status("team").count == 1
    assert pool.candidates("s", workspace="other") == []


class UnavailableCase(Struct, frozen=True):
    name: str
    expected: type[GatewayError]
    message: str
    retry_after_s: float | None = None
    expired: int = 0
    cooling_s: Sequence[float] = ()
    retired: int = 0
    ends_s: float | None = None


UNAVAILABLE = [
    UnavailableCase(
        "no account at all",
        UpstreamUnavailable,
        "access token pool is empty: 0 accounts, 0 expired, 0 cooling down, 0 retired",
    ),
    UnavailableCase(
        "only cooling accounts: the earliest end is the wait",
        RateLimited,
        "every account of the access token pool is cooling down: 2 accounts, 0 expired, 2 cooling down, 0 retired",
        retry_after_s=60.0,
        cooling_s=(60.0, 900.0),
    ),
    UnavailableCase(
        "an expired one and a cooling one: 503, with the wait that helps",
        UpstreamUnavailable,
        "access token pool is empty: 2 accounts, 1 expired, 1 cooling down, 0 retired",
        retry_after_s=60.0,
        expired=1,
        cooling_s=(60.0,),
    ),
    UnavailableCase(
        "a token that ends before its cooldown promises nothing",
        UpstreamUnavailable,
        "access token pool is empty: 1 account, 0 expired, 1 cooling down, 0 retired",
        cooling_s=(60.0,),
        ends_s=30.0,
    ),
    UnavailableCase(
        "only retired accounts",
        UpstreamUnavailable,
        "access token pool is empty: 2 accounts, 0 expired, 0 cooling down, 2 retired",
        retired=2,
    ),
]


@pytest.mark.parametrize("case", UNAVAILABLE, ids=lambda case: case.name)
def test_an_exhausted_pool_says_why(case: UnavailableCase) -> None:
    claims: dict[str, object] = {} if case.ends_s is None else {"exp": NOW + case.ends_s}
    expired = [account(f"expired-{number}", exp=NOW - 1) for number in range(case.expired)]
    cooling = [account(f"cooling-{number}", **claims) for number in range(len(case.cooling_s))]
    retired = [account(f"retired-{number}") for number in range(case.retired)]
    pool = Pool([*expired, *cooling, *retired], Clock())
    for member, wait_s in zip(cooling, case.cooling_s, strict=True):
        pool.cool(member, NOW + wait_s)
    for member in retired:
        pool.retire(member)
    error = pool.unavailable()
    assert type(error) is case.expected
    assert error.message == case.message
    assert error.retry_after_s == case.retry_after_s
    assert pool.status().usable == 0


def test_an_exhausted_pool_is_no_reason_to_try_another_account_of_it() -> None:
    error = Pool([]).unavailable()
    assert isinstance(error, UpstreamUnavailable)
    assert error.scope == "provider"


def test_every_member_has_its_condition() -> None:
    usable, expired, cooling = account("a"), account("b", exp=NOW - 1), account("c")
    pool = Pool([usable, expired, cooling, Account(Secret("d"), "team")], Clock())
    pool.cool(cooling, NOW + 5)
    pool.retire(pool.conditions("team")[0][0])
    assert [condition for _, condition in pool.conditions()] == ["usable", "expired", "cooling", "retired"]
    assert [member.account_id for member, _ in pool.conditions("team")] == ["team"]
