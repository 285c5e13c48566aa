"""Who gets in, as whom, and what the others are told."""

import base64
from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from starlette.types import Message, Receive, Scope, Send

from api.middleware.auth import Auth, Gate
from core.accounts import Account, Principal, Secret
from core.errors import Forbidden, GatewayError, NotConfigured, Unauthenticated
from core.settings import Settings

NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z
KEY, KEY_TWO, PREFIX = "sk-gateway-key", "0b1d6c1e-0000-4000-8000-000000000001", "private-prefix-"
DEVICE = "6F9619FF-8B86-4011-B42D-00CF4FC964FF"


def jwt(**claims: object) -> str:
    payload = base64.urlsafe_b64encode(msgspec.json.encode(claims)).decode().rstrip("=")
    return f"eyJhbGciOiJSUzI1NiJ9.{payload}.signature"


TOKEN, ENDED = jwt(exp=NOW + 1), jwt(exp=NOW)

KEYED = {"AUTH_TOKENS": f"{KEY},{KEY_TWO}", "CHATGPT_ACCESS_TOKENS": "pool-token-1,pool-token-2:team-1"}
PREFIXED = {"ACCESS_TOKEN_PREFIXES": f"{PREFIX},private-prefix-longer-"}
EXTERNAL = {"ENABLE_EXTERNAL_TOKEN": "true"}
EVERYTHING = KEYED | PREFIXED | EXTERNAL

Headers = tuple[tuple[str, str], ...]


def bearer(credential: str, **others: str) -> Headers:
    more = tuple((name.replace("_", "-"), value) for name, value in others.items())
    return (("authorization", f"Bearer {credential}"), *more)


def encoded(headers: Headers) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def gate(environ: dict[str, str]) -> Gate:
    return Gate(Settings.from_env(environ), clock=lambda: NOW)


class Case(Struct, frozen=True):
    name: str
    environ: dict[str, str]
    headers: Headers
    expected: Principal


def pool(key: str = KEY, workspace: str | None = None) -> Principal:
    return Principal("pool", key_digest=Secret(key).digest, workspace=workspace)


def own(token: str = TOKEN, workspace: str | None = None, door: str = "") -> Principal:
    return Principal("account", Account(Secret(token), workspace), key_digest=Secret(door).digest if door else "")


LONG = "rt_" + "r" * 62


def refresh(token: str = LONG, workspace: str | None = None, door: str = "") -> Principal:
    account = Account(Secret(token), workspace, kind="refresh")
    return Principal("account", account, key_digest=Secret(door).digest if door else "")


def anonymous(door: str = "") -> Principal:
    return Principal("anonymous", device_id=DEVICE.lower(), key_digest=Secret(door).digest if door else "")


CASES = [
    Case("a gateway key opens the pool", KEYED, bearer(KEY), pool()),
    Case(
        "every gateway key does, also one that looks like a device",
        EVERYTHING,
        bearer(KEY_TWO),
        pool(KEY_TWO),
    ),
    Case("Bearer may be left out", KEYED, (("Authorization", KEY),), pool()),
    Case("Bearer has no case", KEYED, (("authorization", f"bEARER   {KEY} "),), pool()),
    Case("a key may stand in x-api-key", KEYED, (("x-api-key", KEY),), pool()),
    Case("also there with Bearer", KEYED, (("X-Api-Key", f"Bearer {KEY}"),), pool()),
    Case("Authorization counts before x-api-key", KEYED, bearer(KEY, x_api_key="sk-other"), pool()),
    Case("an empty Authorization leaves the word to x-api-key", KEYED, bearer("", x_api_key=KEY), pool()),
    Case("a prefix and a token is the caller's own account", PREFIXED, bearer(PREFIX + TOKEN), own(door=PREFIX)),
    Case("behind a prefix any token will do", PREFIXED, bearer(PREFIX + "opaque"), own("opaque", door=PREFIX)),
    Case(
        "the longest prefix is the one",
        PREFIXED,
        bearer("private-prefix-longer-" + TOKEN),
        own(door="private-prefix-longer-"),
    ),
    Case("a device behind a prefix", PREFIXED, bearer(PREFIX + DEVICE), anonymous(PREFIX)),
    Case("a bare access token with the switch on", EXTERNAL, bearer(TOKEN), own()),
    Case("a device with the switch on", EXTERNAL, bearer(DEVICE), anonymous()),
    Case(
        "a key and a token is the caller's own account (AU-12)",
        KEYED,
        bearer(f"{KEY} {TOKEN}"),
        own(door=KEY),
    ),
    Case("a key and a device", KEYED, bearer(f"{KEY} {DEVICE}"), anonymous(KEY)),
    Case("a token and a workspace (AU-9)", EXTERNAL, bearer(f"{TOKEN},team-9"), own(workspace="team-9")),
    Case(
        "a blank after the comma does not matter",
        EXTERNAL,
        bearer(f"{TOKEN} , team-9"),
        own(workspace="team-9"),
    ),
    Case("nothing after the comma is no workspace", EXTERNAL, bearer(f"{TOKEN},"), own()),
    Case(
        "a workspace in ChatGPT-Account-ID",
        EXTERNAL,
        bearer(TOKEN, **{"ChatGPT-Account-ID": "t"}),
        own(workspace="t"),
    ),
    Case(
        "a workspace in Chatgpt-Account-Id",
        EXTERNAL,
        bearer(TOKEN, **{"Chatgpt-Account-Id": "t"}),
        own(workspace="t"),
    ),
    Case(
        "a workspace in Team-Account-ID",
        EXTERNAL,
        bearer(TOKEN, **{"Team-Account-ID": "t"}),
        own(workspace="t"),
    ),
    Case(
        "a workspace in X-ChatGPT-Account-ID",
        EXTERNAL,
        bearer(TOKEN, **{"X-ChatGPT-Account-ID": "t"}),
        own(workspace="t"),
    ),
    Case(
        "the header wins over the comma (AU-10)",
        EXTERNAL,
        bearer(f"{TOKEN},one", team_account_id="two"),
        own(workspace="two"),
    ),
    Case(
        "two account headers may agree",
        EXTERNAL,
        bearer(TOKEN, team_account_id="t", chatgpt_account_id="t"),
        own(workspace="t"),
    ),
    Case("an empty account header is none", EXTERNAL, bearer(TOKEN, team_account_id=" "), own()),
    Case(
        "a prefixed token with a workspace",
        PREFIXED,
        bearer(f"{PREFIX}{TOKEN},t"),
        own(workspace="t", door=PREFIX),
    ),
    Case("a key and a token with a workspace", KEYED, bearer(f"{KEY} {TOKEN},t"), own(workspace="t", door=KEY)),
    Case(
        "a key may choose among the pool's workspaces",
        KEYED,
        bearer(f"{KEY},team-1"),
        pool(workspace="team-1"),
    ),
    Case(
        "a long token behind a prefix is a refresh token (AU-11)", PREFIXED, bearer(PREFIX + LONG), refresh(door=PREFIX)
    ),
    Case("so it is after a key", KEYED, bearer(f"{KEY} {LONG}"), refresh(door=KEY)),
    Case("and by itself with the switch on", EXTERNAL, bearer(LONG), refresh()),
    Case(
        "a short token with a workspace is one too",
        PREFIXED,
        bearer(f"{PREFIX}opaque,t"),
        refresh("opaque", workspace="t", door=PREFIX),
    ),
    Case("64 characters are not long", PREFIXED, bearer(PREFIX + LONG[:64]), own(LONG[:64], door=PREFIX)),
    Case("a long JWT is an access token", EXTERNAL, bearer(f"{TOKEN}x,t"), own(f"{TOKEN}x", workspace="t")),
    Case("a key that is long is a key", {"AUTH_TOKENS": LONG} | EXTERNAL, bearer(LONG), pool(LONG)),
    Case("without a key, own accounts still get in", PREFIXED | EXTERNAL, bearer(TOKEN), own()),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_credential_is_a_principal(case: Case) -> None:
    assert gate(case.environ).principal(encoded(case.headers)) == case.expected


class Refusal(Struct, frozen=True):
    name: str
    environ: dict[str, str]
    headers: Headers
    expected: type[GatewayError]
    message: str
    code: str | None = None


ABSENT = (
    "You didn't provide an API key. You need to provide your API key in an Authorization header "
    "using Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
)
USE = "Use Authorization: Bearer <configured-prefix><real_access_token>."
WRONG = "Incorrect API key provided."
CLOSED = "no gateway key configured"
BAD_ID = "The account id must be 1 to 128 letters, digits, - and _."
ODD = "The header authorization must be printable ASCII, 16384 bytes at most."
TWICE = "The header authorization was sent more than once."


def wrong(name: str, environ: dict[str, str], headers: Headers) -> Refusal:
    return Refusal(name, environ, headers, Unauthenticated, WRONG, "invalid_api_key")


REFUSALS = [
    Refusal("no credential", KEYED, (), Unauthenticated, ABSENT),
    Refusal("Bearer and nothing else", KEYED, bearer(""), Unauthenticated, ABSENT),
    Refusal("a workspace and nothing else", KEYED, bearer(",team-1"), Unauthenticated, ABSENT),
    Refusal(
        "no credential where a prefix is configured",
        PREFIXED,
        (),
        Unauthenticated,
        f"{ABSENT} To use your own account: {USE}",
    ),
    Refusal(
        "a prefix alone",
        EVERYTHING,
        bearer(PREFIX),
        Unauthenticated,
        f"Invalid access token for access_token_prefix mode. {USE}",
        "invalid_api_key",
    ),
    wrong("a wrong key", KEYED, bearer("sk-other")),
    wrong("a key cut short", KEYED, bearer(KEY[:-1])),
    wrong("a key with something behind it", KEYED, bearer(KEY + "x")),
    wrong("a key in another case", KEYED, bearer(KEY.upper())),
    wrong("a wrong key and a token", KEYED, bearer(f"sk-other {TOKEN}")),
    wrong("a key in the wrong place", KEYED, bearer(f"{TOKEN} {KEY}")),
    wrong("three words", KEYED, bearer(f"{KEY} {TOKEN} {TOKEN}")),
    wrong("Bearer twice", KEYED, bearer(f"Bearer {KEY}")),
    wrong("another scheme", KEYED, (("authorization", f"Basic {KEY}"),)),
    wrong("a key as if it were a token is not sent upstream", EVERYTHING, bearer(PREFIX + KEY)),
    wrong("nor after another key", EVERYTHING, bearer(f"{KEY} {KEY_TWO}")),
    wrong("nor is a prefix", EVERYTHING, bearer(f"{KEY} {PREFIX}{TOKEN}")),
    wrong("a device with the switch off", KEYED, bearer(DEVICE)),
    wrong("text that is nothing", EVERYTHING, bearer("hello")),
    wrong("nor is it with a workspace", EVERYTHING, bearer("hello,team-1")),
    wrong("what looks like a mistyped key is not sent upstream", EVERYTHING, bearer("sk-" + "x" * 80)),
    wrong("a refresh token with the switch off", KEYED, bearer(LONG)),
    Refusal(
        "a bare access token with the switch off",
        KEYED,
        bearer(TOKEN),
        Unauthenticated,
        "external access token disabled (set ENABLE_EXTERNAL_TOKEN=true)",
        "invalid_api_key",
    ),
    Refusal(
        "an access token that has ended is not spent",
        EXTERNAL,
        bearer(ENDED),
        Unauthenticated,
        "The access token expired at 2026-01-01T00:00:00+00:00.",
        "token_expired",
    ),
    Refusal(
        "one that ended before all calendars",
        EXTERNAL,
        bearer(jwt(exp=-1e18)),
        Unauthenticated,
        "The access token expired.",
        "token_expired",
    ),
    Refusal("nothing configured, with a credential", {}, bearer(TOKEN), NotConfigured, CLOSED, "not_configured"),
    Refusal("nothing configured, without one", {}, (), NotConfigured, CLOSED, "not_configured"),
    Refusal(
        "accounts but no key: the pool stays closed",
        {"CHATGPT_ACCESS_TOKENS": "a"},
        bearer("a"),
        NotConfigured,
        CLOSED,
        "not_configured",
    ),
    Refusal(
        "own accounts only, and a key is tried",
        PREFIXED | EXTERNAL,
        bearer(KEY),
        NotConfigured,
        CLOSED,
        "not_configured",
    ),
    Refusal(
        "a key and a workspace that the pool does not have",
        KEYED,
        bearer(KEY, chatgpt_account_id="team-2"),
        Forbidden,
        "no account of this gateway acts in the workspace that was asked for",
        "workspace_unavailable",
    ),
    Refusal(
        "a key pasted twice, with a comma, is not echoed",
        KEYED,
        bearer(f"{KEY},{KEY}"),
        Forbidden,
        "no account of this gateway acts in the workspace that was asked for",
        "workspace_unavailable",
    ),
    Refusal(
        "a device and a workspace",
        EXTERNAL,
        bearer(f"{DEVICE},team-1"),
        Forbidden,
        "an anonymous device acts in no workspace: leave the account id out",
        "workspace_unavailable",
    ),
    Refusal(
        "an odd account id",
        EXTERNAL,
        bearer(TOKEN, team_account_id="a b"),
        Unauthenticated,
        BAD_ID,
        "invalid_account_id",
    ),
    Refusal(
        "a long account id", EXTERNAL, bearer(f"{TOKEN},{'a' * 129}"), Unauthenticated, BAD_ID, "invalid_account_id"
    ),
    Refusal("two commas", EXTERNAL, bearer(f"{TOKEN},a,b"), Unauthenticated, BAD_ID, "invalid_account_id"),
    Refusal(
        "two headers joined by a comma",
        KEYED,
        bearer(f"{KEY}, Bearer {KEY}"),
        Unauthenticated,
        BAD_ID,
        "invalid_account_id",
    ),
    Refusal(
        "two account headers that differ",
        EXTERNAL,
        bearer(TOKEN, team_account_id="a", chatgpt_account_id="b"),
        Unauthenticated,
        "The header chatgpt-account-id or team-account-id or x-chatgpt-account-id was sent more than once.",
        "invalid_account_id",
    ),
    Refusal(
        "two Authorization headers",
        KEYED,
        (*bearer("sk-other"), *bearer(KEY)),
        Unauthenticated,
        TWICE,
        "invalid_api_key",
    ),
    Refusal(
        "the same Authorization header twice",
        KEYED,
        (*bearer(KEY), *bearer(KEY)),
        Unauthenticated,
        TWICE,
        "invalid_api_key",
    ),
    Refusal("a control character", KEYED, bearer(f"{KEY}\x00"), Unauthenticated, ODD, "invalid_api_key"),
    Refusal("a tab", KEYED, bearer(f"{KEY}\t{TOKEN}"), Unauthenticated, ODD, "invalid_api_key"),
    Refusal("a line break", KEYED, bearer(f"{KEY}\r\nx: y"), Unauthenticated, ODD, "invalid_api_key"),
    Refusal("a letter outside ASCII", KEYED, bearer(f"{KEY}é"), Unauthenticated, ODD, "invalid_api_key"),
    Refusal("a very long value", EXTERNAL, bearer("eyJ" + "a" * 16_384), Unauthenticated, ODD, "invalid_api_key"),
]


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.name)
def test_a_refusal_says_why(case: Refusal) -> None:
    with pytest.raises(GatewayError) as caught:
        gate(case.environ).principal(encoded(case.headers))
    assert type(caught.value) is case.expected
    assert caught.value.message == case.message
    assert caught.value.code == case.code


names = st.sampled_from([b"authorization", b"Authorization", b"x-api-key", b"chatgpt-account-id", b"team-account-id"])
pieces = st.sampled_from([KEY, PREFIX, TOKEN, DEVICE, "Bearer", " ", ",", "x"]).map(str.encode)
values = st.binary(max_size=20) | st.lists(pieces, max_size=5).map(b"".join)


@given(st.lists(st.tuples(names, values), max_size=3))
def test_any_headers_give_a_principal_or_a_refusal(headers: Iterable[tuple[bytes, bytes]]) -> None:
    outcome = decide(headers)
    if isinstance(outcome, Principal):
        assert outcome.kind != "pool" or any(KEY.encode() in value for _, value in headers)
    else:
        assert not any(secret in outcome.message for secret in (KEY, PREFIX, TOKEN))


def decide(headers: Iterable[tuple[bytes, bytes]]) -> Principal | GatewayError:
    try:
        return gate(EVERYTHING).principal(headers)
    except (Unauthenticated, Forbidden) as error:
        return error


# The layer


async def call(scope: Scope, environ: dict[str, str] = KEYED) -> Scope | None:
    """Send one request through the layer; return the scope that the inner app saw, if it was reached."""
    reached: list[Scope] = []

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        reached.append(scope)

    async def receive() -> Message:
        raise AssertionError("the layer must not read the body")

    async def send(message: Message) -> None:
        raise AssertionError("the layer must not answer")

    await Auth(inner, Settings.from_env(environ))(scope, receive, send)
    return reached[0] if reached else None


def http(method: str, headers: Headers = ()) -> Scope:
    return {"type": "http", "method": method, "path": "/v1/models", "headers": encoded(headers)}


@pytest.mark.anyio
async def test_the_principal_stands_in_the_scope_before_the_body_is_read() -> None:
    scope = await call(http("POST", bearer(KEY)))
    assert scope is not None
    assert scope["principal"] == pool()


@pytest.mark.anyio
async def test_a_refused_request_goes_no_further() -> None:
    with pytest.raises(Unauthenticated):
        await call(http("POST"))


@pytest.mark.anyio
async def test_a_websocket_needs_a_credential_too() -> None:
    with pytest.raises(Unauthenticated):
        await call({"type": "websocket", "path": "/v1/responses", "headers": []})


@pytest.mark.anyio
@pytest.mark.parametrize("scope", [http("OPTIONS"), {"type": "lifespan"}], ids=["OPTIONS", "the lifespan"])
async def test_what_needs_no_credential(scope: Scope) -> None:
    reached = await call(scope)
    assert reached is not None
    assert "principal" not in reached


# How long an own token lasts.


async def answered(environ: dict[str, str], headers: Headers) -> dict[bytes, bytes]:
    """Return the headers of an answer given inside the layer."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-inner", b"1")]})
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> Message:
        raise AssertionError("nothing is read")

    scope: Scope = {"type": "http", "method": "GET", "headers": encoded(headers)}
    await Auth(inner, Settings.from_env(environ), lambda: NOW)(scope, receive, send)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    return dict(sent[0]["headers"])


LASTS = [
    ("an own token that says when it ends", EXTERNAL, jwt(exp=NOW + 90.9), b"90"),
    ("one that does not", EXTERNAL, jwt(sub="x"), None),
    ("a refresh token", EXTERNAL, LONG, None),
    ("a gateway key", KEYED, KEY, None),
]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("environ", "credential", "expected"), [row[1:] for row in LASTS], ids=[row[0] for row in LASTS]
)
async def test_an_answer_says_how_long_the_callers_own_token_lasts(
    environ: dict[str, str], credential: str, expected: bytes | None
) -> None:
    headers = await answered(environ, bearer(credential))
    assert headers.get(b"x-isthmus-token-expires-in") == expected
    assert headers[b"x-inner"] == b"1"
