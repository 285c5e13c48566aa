"""The simulated token service: what it gives, replaces and refuses."""

import httpx
import pytest

from core.loopback.tokens import COOKIE, LIFETIME_S
from tests.core.loopback.client import Service

pytestmark = pytest.mark.anyio

REFRESH = {"grant_type": "refresh_token", "client_id": "app_x", "refresh_token": "loopback-r"}


async def renew(service: Service, **changes: str) -> httpx.Response:
    return await service.web.post("/oauth/token", json=REFRESH | changes)


async def me(service: Service, token: str) -> httpx.Response:
    return await service.web.get("/backend-api/me", headers={"Authorization": f"Bearer {token}"})


async def test_a_refresh_token_is_worth_an_access_token_until_its_end(service: Service) -> None:
    said = (await renew(service)).json()
    assert (await me(service, said["access_token"])).is_success
    service.now += LIFETIME_S
    assert (await me(service, said["access_token"])).status_code == 401


async def test_a_form_is_taken_as_well(service: Service) -> None:
    assert (await service.web.post("/oauth/token", data=REFRESH)).is_success


async def test_a_refresh_token_is_good_for_one_use_and_its_replacement_for_the_next(service: Service) -> None:
    first = (await renew(service)).json()
    second = (await renew(service, refresh_token=first["refresh_token"])).json()
    assert first["access_token"] != second["access_token"]
    names = [(await me(service, said["access_token"])).json()["id"] for said in (first, second)]
    assert names[0] == names[1], "the account stays the same"
    for used in ("loopback-r", first["refresh_token"]):
        refused = await renew(service, refresh_token=used)
        assert (refused.status_code, refused.json()["error"]["code"]) == (401, "refresh_token_reused")


async def test_a_fixed_one_is_not_replaced(service: Service) -> None:
    for _ in range(2):
        assert "refresh_token" not in (await renew(service, refresh_token="loopback-fixed")).json()


async def test_a_reset_makes_tokens_good_again(service: Service) -> None:
    await renew(service)
    await service.web.post("/loopback/reset")
    assert (await renew(service)).is_success


@pytest.mark.parametrize(
    ("changes", "status"),
    [({"refresh_token": "other"}, 401), ({"client_id": ""}, 400), ({"grant_type": "password"}, 400)],
)
async def test_what_is_wrong_is_refused(service: Service, changes: dict[str, str], status: int) -> None:
    assert (await renew(service, **changes)).status_code == status


async def test_a_body_that_is_no_json_is_refused(service: Service) -> None:
    assert (await service.web.post("/oauth/token", content=b"{")).status_code == 400


async def test_a_rule_for_a_token_holds_for_all_of_its_line(service: Service) -> None:
    said = (await renew(service)).json()
    rule = {"token": "loopback-r", "status": 429, "headers": {"Retry-After": "7"}}
    await service.web.post("/loopback/script", json=rule)
    assert (await renew(service, refresh_token=said["refresh_token"])).headers["retry-after"] == "7"
    assert (await me(service, said["access_token"])).status_code == 429
    assert (await renew(service, refresh_token="loopback-other")).is_success


async def test_a_session_in_pieces_is_replaced_in_pieces(service: Service) -> None:
    answer = await service.web.get("/api/auth/session", headers={"Cookie": f"{COOKIE}.0=ab; {COOKIE}.1=cd"})
    assert (await me(service, answer.json()["accessToken"])).is_success
    names = [cookie.partition("=")[0] for cookie in answer.headers.get_list("set-cookie")]
    assert names == [f"{COOKIE}.0", f"{COOKIE}.1"]


async def test_a_session_in_one_cookie_that_is_too_long_is_refused(service: Service) -> None:
    answer = await service.web.get("/api/auth/session", headers={"Cookie": f"{COOKIE}={'x' * 4_001}"})
    assert answer.status_code == 431
