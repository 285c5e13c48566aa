"""What is left of an account: what the service said, null for the rest, and asked for no more than once a minute."""

from typing import Any

import pytest
from msgspec import Struct, convert, to_builtins

from core.accounts import Principal
from core.chatgpt.sessions import Sessions
from core.contracts import Context
from core.errors import Forbidden, UpstreamError
from core.services import Limit, Subscription
from core.upstreams.chatgpt_web.usage import FRESH_S, UsageDesk
from core.wire.chatgpt_web.usage import Check
from tests.core.chatgpt.test_tokens import jwt
from tests.core.upstreams.chatgpt_web.worlds import ANONYMOUS, OWNER, POOL, Fake, Loopback, Said, told

pytestmark = pytest.mark.anyio

CHECK, INIT = "/accounts/check/v4-2023-04-27", "/conversation/init"
ENTITLED = {
    "subscription_plan": "chatgptplusplan",
    "has_active_subscription": True,
    "expires_at": "2026-12-01T00:00:00Z",
    "renews_at": None,
}
CHECKED = told({"accounts": {"default": {"account": {"plan_type": "plus"}, "entitlement": ENTITLED}}})
RESETS = "2026-04-25T11:31:36.168619+00:00"
LEFT = {"feature_name": "image_gen", "remaining": 118, "reset_after": RESETS}
BEGUN = told({"limits_progress": [LEFT], "model_limits": [{"any": 1}], "blocked_features": []})
DENIED = told({"detail": "no"}, 401)


def context(principal: Principal) -> Context:
    return Context(id="a" * 24, created=0, principal=principal)


async def usage(world: Fake | Loopback, principal: Principal = POOL) -> list[dict[str, Any]]:
    told = await world.upstream.usage(context(principal), world.transport)
    return [to_builtins(said) for said in told]


async def test_what_was_said_is_told_for_each_account_of_the_pool() -> None:
    world = Fake({CHECK: CHECKED, INIT: BEGUN}, "loopback-a;loopback-b")
    for said, account in zip(await usage(world), world.settings.accounts, strict=True):
        assert (said["account"], said["condition"], said["failures"]) == (account.digest, "usable", ())
        assert said["subscription"] == to_builtins(
            Subscription("plus", "chatgptplusplan", True, "2026-12-01T00:00:00Z", None)
        )
        assert said["limits"] == (to_builtins(Limit("image_gen", 118, RESETS)),)
        assert (said["model_limits"], said["blocked_features"]) == (({"any": 1},), ())
        assert said["as_of"] > 1_700_000_000


class Unknown(Struct, frozen=True):
    id: str
    answers: dict[str, Said]
    expected: dict[str, object]


UNKNOWN = [
    Unknown(
        "nothing said is null",
        {CHECK: told({"accounts": {}}), INIT: told({})},
        {"subscription": None, "limits": None, "model_limits": None, "blocked_features": None, "failures": ()},
    ),
    Unknown(
        "an account of which little is said",
        {
            CHECK: told({"accounts": {"x": {}}, "account_ordering": ["x"]}),
            INIT: told({"limits_progress": [{"feature_name": "f"}]}),
        },
        {
            "subscription": to_builtins(Subscription()),
            "limits": (to_builtins(Limit("f")),),
        },
    ),
    Unknown(
        "no limits are not unknown ones",
        {CHECK: CHECKED, INIT: told({"limits_progress": []})},
        {"limits": ()},
    ),
    Unknown(
        "half of it fails",
        {CHECK: told({"detail": "gone"}, 404), INIT: BEGUN},
        {"subscription": None, "failures": ("gone",), "blocked_features": ()},
    ),
    Unknown(
        "the other half has another shape",
        {CHECK: CHECKED, INIT: told([])},
        {"limits": None, "failures": ("the answer of /conversation/init has an unknown shape",)},
    ),
    Unknown(
        "all of it fails",
        {CHECK: told({"detail": "oops"}, 500), INIT: told({"detail": "oops"}, 500)},
        {"as_of": None, "subscription": None, "limits": None, "failures": ("oops",), "condition": "usable"},
    ),
]


@pytest.mark.parametrize("case", UNKNOWN, ids=lambda case: case.id)
async def test_what_was_not_said_is_null(case: Unknown) -> None:
    [said] = await usage(Fake(case.answers))
    assert {name: said[name] for name in case.expected} == case.expected


class Entry(Struct, frozen=True):
    id: str
    workspace: str | None
    accounts: tuple[str, ...]
    ordering: tuple[str, ...]
    expected: str | None


ENTRIES = [
    Entry("the workspace that was asked for", "b", ("a", "b", "default"), ("a",), "b"),
    Entry("which may not be there", "c", ("a", "default"), ("a",), None),
    Entry("the default one", None, ("a", "default"), ("a",), "default"),
    Entry("the first one", None, ("a", "b"), ("b", "a"), "b"),
    Entry("none", None, ("a",), (), None),
]


@pytest.mark.parametrize("case", ENTRIES, ids=lambda case: case.id)
def test_the_entry_of_the_account_is_chosen(case: Entry) -> None:
    plans = {name: {"account": {"plan_type": name}} for name in case.accounts}
    check = convert({"accounts": plans, "account_ordering": list(case.ordering)}, Check)
    entry = check.entry(case.workspace)
    assert (entry and entry.account and entry.account.plan_type) == case.expected


async def test_a_retired_account_is_listed_and_not_asked() -> None:
    world = Fake({CHECK: DENIED, INIT: DENIED})
    assert [said["failures"] for said in await usage(world)] == [("no",)]
    asked = len(world.heard)
    [said] = await usage(world)
    assert (said["condition"], said["as_of"], said["limits"]) == ("retired", None, None)
    assert len(world.heard) == asked


async def test_a_pools_account_is_asked_again_after_a_minute() -> None:
    now = 1_790_000_000.0
    world = Fake({CHECK: CHECKED, INIT: BEGUN})
    desk = UsageDesk(Sessions(world.settings, world.pool), world.pool, lambda: now)
    for later_s, calls in ((0.0, 1), (FRESH_S - 1, 1), (1.0, 2)):
        now += later_s
        [said] = await desk.told(POOL, world.transport)
        assert len(world.asked(CHECK)) == calls
        assert said.as_of is not None
        assert now - said.as_of < FRESH_S


async def test_a_caller_sees_their_own_account_and_is_asked_for_each_time() -> None:
    world = Fake({CHECK: CHECKED, INIT: BEGUN}, "loopback-a;loopback-b")
    for _ in range(2):
        [said] = await usage(world, OWNER)
        assert OWNER.account is not None
        assert (said["account"], said["condition"]) == (OWNER.account.digest, None)
    assert {heard.headers["authorization"] for heard in world.heard} == {"Bearer loopback-own"}
    assert len(world.asked(CHECK)) == 2


async def test_the_refusal_of_a_callers_own_account_is_told_as_such() -> None:
    with pytest.raises(UpstreamError) as caught:
        await usage(Fake({CHECK: DENIED, INIT: DENIED}), OWNER)
    assert caught.value.status == 401


async def test_a_key_for_one_workspace_sees_that_one() -> None:
    world = Fake({CHECK: CHECKED, INIT: BEGUN}, "loopback-a:one;loopback-a:two")
    [said] = await usage(world, Principal("pool", workspace="two"))
    assert said["account"] == world.settings.accounts[1].digest


async def test_a_device_has_no_account_to_tell_of() -> None:
    with pytest.raises(Forbidden):
        await usage(Fake({}), ANONYMOUS)


async def test_an_exchanged_account_says_when_its_access_token_ends() -> None:
    world = Loopback("", CHATGPT_REFRESH_TOKENS="loopback-usage")
    [said] = await usage(world)
    assert said["token_expires_at"] > said["as_of"]
    assert said["subscription"]["plan"] == "plus"
    assert said["limits"][0]["feature"] == "image_gen"
    await world.close()


async def test_the_workspace_of_an_exchanged_access_token_is_the_one_that_is_told() -> None:
    claims = {"https://api.openai.com/auth": {"chatgpt_account_id": "home"}}
    plans = {name: {"account": {"plan_type": plan}} for name, plan in (("default", "free"), ("home", "team"))}
    answers = {"/oauth/token": told({"access_token": jwt(**claims)}), CHECK: told({"accounts": plans}), INIT: BEGUN}
    [said] = await usage(Fake(answers, "", CHATGPT_REFRESH_TOKENS="refresh"))
    assert said["subscription"]["plan"] == "team"
