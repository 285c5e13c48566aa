"""Accounts, the record of calls, and the rules of the control endpoint."""

from typing import NamedTuple

import anyio
import httpx
import pytest

from tests.core.loopback.client import USER_AGENT, Service
from tests.core.loopback.test_sentinel import DEVICE, jwt

pytestmark = pytest.mark.anyio


class Credential(NamedTuple):
    id: str
    header: str
    status: int


CREDENTIALS = [
    Credential("a loopback token", "Bearer loopback", 200),
    Credential("a JWT without exp", f"Bearer {jwt()}", 200),
    Credential("a JWT that is still good", f"Bearer {jwt(exp=1_790_000_001)}", 200),
    Credential("a made-up JWT", "Bearer eyJ.a.b", 200),
    Credential("an expired JWT", f"Bearer {jwt(exp=1_790_000_000)}", 401),
    Credential("an empty token", "Bearer ", 401),
    Credential("another scheme", "Basic loopback", 401),
    Credential("a word", "Bearer sk-123", 401),
]


@pytest.mark.parametrize("credential", CREDENTIALS, ids=lambda credential: credential.id)
async def test_who_may_call(service: Service, credential: Credential) -> None:
    answer = await service.web.get("/backend-api/me", headers={"Authorization": credential.header})
    assert answer.status_code == credential.status
    if answer.status_code == 401:
        assert answer.json()["error"]["code"] == "token_expired"


@pytest.mark.parametrize(("device", "status"), [(DEVICE, 200), ("nobody", 401), ("", 401)])
async def test_anonymous_callers_need_a_device_id(service: Service, device: str, status: int) -> None:
    answer = await service.web.get("/backend-anon/models", headers={"Oai-Device-Id": device})
    assert answer.status_code == status
    assert status == 401 or [model["slug"] for model in answer.json()["models"]] == ["auto"]


@pytest.mark.parametrize(
    ("method", "path", "key"),
    [
        ("GET", "/backend-api/models", "default_model_slug"),
        ("GET", "/backend-api/me", "email"),
        ("GET", "/backend-api/accounts/check/v4-2023-04-27?timezone_offset_min=0", "accounts"),
        ("POST", "/backend-api/conversation/init", "limits_progress"),
        ("GET", "/backend-api/tasks", "tasks"),
    ],
)
async def test_side_calls_answer(service: Service, method: str, path: str, key: str) -> None:
    assert key in (await service.web.request(method, path)).json()


async def test_the_page_has_its_scripts_and_build(service: Service) -> None:
    page = (await service.web.get("/")).text
    assert "c/abc123/_" in page
    assert "data-build" in page


async def test_a_session_cookie_is_worth_a_token_and_rotates(service: Service) -> None:
    assert (await service.web.get("/api/auth/session")).json() == {}
    answer = await service.web.get("/api/auth/session", headers={"Cookie": "__Secure-next-auth.session-token=old"})
    token = answer.json()["accessToken"]
    assert "session-token=" in answer.headers["set-cookie"]
    assert (await service.web.get("/backend-api/me", headers={"Authorization": f"Bearer {token}"})).is_success


async def test_calls_are_recorded_in_order(service: Service) -> None:
    service.web.headers["ChatGPT-Account-ID"] = "workspace"
    await service.turn("hello")
    calls = await service.log()
    assert [call["path"].removeprefix("/backend-api/") for call in calls] == [
        "sentinel/chat-requirements/prepare",
        "sentinel/chat-requirements/finalize",
        "f/conversation",
    ]
    turn = calls[-1]
    assert (turn["account_id"], turn["user_agent"], turn["status"]) == ("workspace", USER_AGENT, 200)
    assert turn["sentinel_headers"] == ["openai-sentinel-chat-requirements-token"]
    assert turn["body"]["messages"][0]["content"]["parts"] == ["hello"]
    assert turn["disconnected_at"] is None
    assert len(turn["account"]) == 12
    assert "loopback-a" not in str(calls)


async def test_reset_forgets_everything(service: Service) -> None:
    heard = await service.turn("hello", history_and_training_disabled=False)
    await service.script(status=500)
    await service.web.post("/loopback/reset")
    assert await service.log() == []
    assert (await service.web.get(f"/backend-api/conversation/{heard.conversation_id}")).status_code == 404


async def test_a_rule_fails_the_calls_of_one_token_so_many_times(service: Service) -> None:
    await service.script(token="loopback-a", status=429, body={"detail": "slow"}, headers={"Retry-After": "3"}, times=2)
    other = await service.web.get("/backend-api/me", headers={"Authorization": "Bearer loopback-b"})
    assert other.status_code == 200
    statuses = [(await service.web.get("/backend-api/me")).status_code for _ in range(3)]
    assert statuses == [429, 429, 200]


async def test_a_rule_carries_body_and_headers(service: Service) -> None:
    await service.script(status=429, body={"detail": "slow"}, headers={"Retry-After": "3"})
    answer = await service.web.get("/backend-api/me")
    assert (answer.json(), answer.headers["retry-after"]) == ({"detail": "slow"}, "3")


async def test_a_rule_may_name_the_end_of_a_path(service: Service) -> None:
    await service.script(path="/f/conversation", status=503)
    assert (await service.turn("hello")).status == 503
    assert (await service.web.get("/backend-api/me")).status_code == 200


async def test_a_rule_may_stall_a_call(service: Service) -> None:
    await service.script(path="/me", stall=True)
    with pytest.raises(httpx.ReadTimeout):
        await service.web.get("/backend-api/me", timeout=0.01)
    assert (await service.log("?disconnects=1"))[-1]["disconnected_at"] == service.now


async def test_a_rule_may_cut_a_call_before_its_first_byte(service: Service) -> None:
    await service.script(path="/me", cut=True)
    with pytest.raises(httpx.RemoteProtocolError):
        await service.web.get("/backend-api/me")


async def test_an_unknown_rule_is_refused_with_the_known_keys(service: Service) -> None:
    answer = await service.script(statuss=500)
    assert (answer.status_code, "known keys: token, path" in answer.text) == (400, True)


async def test_waiting_for_disconnects_ends_with_the_time(service: Service) -> None:
    assert await service.log("?disconnects=1&within_s=0.001") == []
    assert (await service.web.get("/loopback/log?disconnects=many")).status_code == 400


@pytest.mark.parametrize(
    "directive",
    [{"text": "abcdef" * 100}, {"stall_after_chars": 0}],
    ids=["while deltas flow", "before the first delta"],
)
async def test_a_disconnect_is_seen(service: Service, directive: dict[str, object]) -> None:
    async with service.open_turn(directive) as response:
        async for _ in response.aiter_bytes():
            break
    turn = (await service.log("?disconnects=1"))[-1]
    assert (turn["path"], turn["disconnected_at"]) == ("/backend-api/f/conversation", service.now)


async def test_a_cancelled_client_is_a_disconnect(service: Service) -> None:
    headers = await service.requirements()
    reading = anyio.Event()

    async def read(scope: anyio.CancelScope) -> None:
        with scope:
            async with service.open_turn({"stall_after_chars": 0}, headers) as response:
                async for _ in response.aiter_bytes():
                    reading.set()

    scope = anyio.CancelScope()
    async with anyio.create_task_group() as group:
        group.start_soon(read, scope)
        await reading.wait()
        scope.cancel()
    assert (await service.log("?disconnects=1"))[-1]["disconnected_at"] == service.now
