"""Usage over HTTP: what the upstream said in the shapes that clients know, and null for what nobody said."""

import httpx
import pytest

from tests.api.servers import TOKEN, Gateway, Upstream, error_of, running_gateway
from tests.api.test_auth import jwt

DEVICE = "00000000-0000-4000-8000-000000000001"
ENDS = 4_102_444_800
PATHS = ("/v1/usage", "/v1/dashboard/billing/usage", "/v1/dashboard/billing/subscription", "/api/usage/token")


def test_the_pool_is_told_account_by_account(gateway_server: Gateway) -> None:
    said = gateway_server.web.get("/v1/usage").json()
    assert (said["object"], said["total_usage"]) == ("list", None)
    [entry] = said["data"]
    assert entry["object"] == "account.usage"
    assert entry["subscription"]["plan"] == "plus"
    assert entry["limits"] == [{"feature": "image_gen", "remaining": 40, "resets_at": "2100-01-01T00:00:00+00:00"}]
    assert TOKEN not in str(said)


def test_one_accounts_plan_is_told_in_openais_shape(gateway_server: Gateway) -> None:
    said = gateway_server.web.get("/v1/dashboard/billing/subscription").json()
    assert said["object"] == "billing_subscription"
    assert (said["plan"], said["active"]) == ({"title": "plus", "id": "chatgptplusplan"}, True)
    assert said["access_until"] == ENDS
    amounts = ("hard_limit_usd", "soft_limit_usd", "system_hard_limit_usd", "has_payment_method", "canceled")
    assert [said[name] for name in amounts] == [None] * len(amounts)


def test_of_several_accounts_none_speaks_for_all(upstream_server: Upstream) -> None:
    tokens = f"{TOKEN}-usage-1,{TOKEN}-usage-2"
    with running_gateway(upstream_server.environ(CHATGPT_ACCESS_TOKENS=tokens)) as gateway:
        said = gateway.web.get("/v1/dashboard/billing/subscription").json()
        assert (said["accounts"], said["plan"], said["access_until"]) == (2, None, None)
        assert len(gateway.web.get("/v1/usage").json()["data"]) == 2


@pytest.mark.parametrize(("ends", "expected"), [("soon", None), ("2100-01-01T00:00:00", None), (None, None)])
def test_a_time_that_cannot_be_read_is_null(upstream_server: Upstream, ends: str | None, expected: int | None) -> None:
    account = f"{TOKEN}-ends-{ends}".replace(":", "-")
    entry = {"account": {"plan_type": "free"}, "entitlement": {"expires_at": ends}}
    upstream_server.script(
        token=account, path="/accounts/check/v4-2023-04-27", status=200, body={"accounts": {"default": entry}}
    )
    with running_gateway(upstream_server.environ(CHATGPT_ACCESS_TOKENS=account)) as gateway:
        said = gateway.web.get("/v1/dashboard/billing/subscription").json()
        assert (said["access_until"], said["plan"]) == (expected, {"title": "free", "id": None})


def test_money_is_unknown(gateway_server: Gateway) -> None:
    said = gateway_server.web.get("/v1/dashboard/billing/usage").json()
    assert said == {"object": "list", "daily_costs": None, "total_usage": None}


def test_a_key_has_no_quota_and_no_end(gateway_server: Gateway) -> None:
    said = gateway_server.web.get("/api/usage/token").json()
    assert (said["code"], said["message"]) == (True, "ok")
    assert said["data"].pop("object") == "token_usage"
    assert set(said["data"].values()) == {None}


def test_an_own_token_is_told_when_it_ends(upstream_server: Upstream) -> None:
    headers = {"Authorization": f"Bearer {jwt(exp=ENDS)}"}
    with running_gateway(upstream_server.environ(ENABLE_EXTERNAL_TOKEN="true")) as gateway:
        answer = gateway.web.get("/api/usage/token", headers=headers)
        assert answer.json()["data"]["expires_at"] == ENDS
        assert int(answer.headers["x-isthmus-token-expires-in"]) > 1_000_000
        [entry] = gateway.web.get("/v1/usage", headers=headers).json()["data"]
        assert (entry["token_expires_at"], entry["condition"]) == (ENDS, None)


@pytest.mark.parametrize("path", PATHS)
def test_a_device_is_told_that_it_has_no_account(upstream_server: Upstream, path: str) -> None:
    with running_gateway(upstream_server.environ(ENABLE_EXTERNAL_TOKEN="true")) as gateway:
        answer = gateway.web.get(path, headers={"Authorization": f"Bearer {DEVICE}"})
        assert answer.status_code == 403
        assert error_of(answer)["message"] == "Usage requires a logged-in ChatGPT account."


@pytest.mark.parametrize("path", PATHS)
def test_it_needs_a_key(gateway_server: Gateway, path: str) -> None:
    assert httpx.get(f"{gateway_server.url}{path}", trust_env=False).status_code == 401
