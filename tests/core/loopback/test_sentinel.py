"""The simulated sentinel: what it gives, what it refuses, and every way of scripting it."""

import base64
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from core.upstreams.chatgpt_web.proof import Scheme, requirements_token, solve
from tests.core.loopback.client import SENTINEL, Service, config

pytestmark = pytest.mark.anyio

DEVICE = "11111111-1111-4111-8111-111111111111"


def jwt(**claims: object) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJSUzI1NiI.{payload}.signature"


async def test_both_steps_open_a_turn(service: Service) -> None:
    assert (await service.turn("Say hi")).spoken() == "Hi"


@pytest.mark.parametrize("scheme", ["fnv", "sha3"])
async def test_the_one_step_form_takes_the_proof_with_the_turn(service: Service, scheme: Scheme) -> None:
    answer = (await service.web.post(SENTINEL, json={"p": requirements_token(config())})).json()
    proof = solve(answer["proofofwork"]["seed"], answer["proofofwork"]["difficulty"], config(), scheme)
    token = {"OpenAI-Sentinel-Chat-Requirements-Token": answer["token"]}
    assert (await service.turn("Say hi", token)).status == 403
    assert (await service.turn("Say hi", token | {"OpenAI-Sentinel-Proof-Token": proof})).spoken() == "Hi"


async def test_the_older_scheme_is_a_switch(service: Service) -> None:
    # With an easy difficulty a proof of one scheme would now and then be one of the other by chance.
    await service.script(sentinel={"scheme": "sha3", "difficulty": "000fff"})
    prepared = (await service.prepare()).json()
    assert await finalized(service, prepared, "fnv") == 403
    assert await finalized(service, prepared, "sha3") == 200


async def finalized(service: Service, prepared: dict[str, Any], scheme: Scheme) -> int:
    wanted = prepared["proofofwork"]
    proof = solve(wanted["seed"], wanted["difficulty"], config(), scheme)
    body = {"prepare_token": prepared["prepare_token"], "proofofwork": proof}
    return (await service.web.post(f"{SENTINEL}/finalize", json=body)).status_code


class Bad(NamedTuple):
    id: str
    token: str


BAD_TOKENS = [
    Bad("another mark", "gAAAAAB" + requirements_token(config())[7:]),
    Bad("no base64", "gAAAAAC!!!~S"),
    Bad("no JSON", "gAAAAACAAAA~S"),
    Bad("no list", "gAAAAAC" + base64.b64encode(b"{}").decode()),
    Bad("too few items", requirements_token(config()[:17])),
    Bad("another User-Agent", requirements_token([*config()[:4], "Mozilla/5.0", *config()[5:]])),
]


@pytest.mark.parametrize("bad", BAD_TOKENS, ids=lambda bad: bad.id)
async def test_a_bad_requirements_token_is_refused(service: Service, bad: Bad) -> None:
    answer = await service.prepare(bad.token)
    assert answer.status_code == 403
    assert answer.headers["x-loopback-reason"].startswith("requirements token") or "User-Agent" in bad.id


@pytest.mark.parametrize("proof", [None, "gAAAAAB~S", "gAAAAABwQ8Lk5FbGpA2NcR9dShT6gYjU7VxZ4DImUi~S"])
async def test_a_proof_that_is_none_is_refused(service: Service, proof: str | None) -> None:
    prepared = (await service.prepare()).json()
    body = {"prepare_token": prepared["prepare_token"], "proofofwork": proof}
    assert (await service.web.post(f"{SENTINEL}/finalize", json=body)).status_code == 403


async def test_a_turn_without_a_token_of_its_own_account_is_unusual_activity(service: Service) -> None:
    headers = await service.requirements()
    assert (await service.turn("hello", {})).status == 403
    service.web.headers["Authorization"] = "Bearer loopback-b"
    heard = await service.turn("hello", headers)
    assert (heard.status, b"Unusual activity" in heard.raw) == (403, True)


async def test_a_token_lives_540_seconds(service: Service) -> None:
    headers = await service.requirements()
    service.now += 539
    assert (await service.turn("hello", headers)).status == 200
    service.now += 1
    assert (await service.turn("hello", headers)).status == 403


class Case(NamedTuple):
    id: str
    switches: Mapping[str, object]
    path: str
    expected: Mapping[str, object]


CASES = [
    Case("difficulty", {"difficulty": "00ffff"}, "proofofwork", {"required": True, "difficulty": "00ffff"}),
    Case("no proof", {"proof": False}, "proofofwork", {"required": False}),
    Case("turnstile", {"turnstile": True}, "turnstile", {"required": True, "dx": "bG9vcGJhY2s="}),
    Case("arkose", {"arkose": True}, "arkose", {"required": True}),
    Case("so", {"so": True}, "so", {"required": True}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
async def test_a_switch_shows_in_the_answer(service: Service, case: Case) -> None:
    await service.script(sentinel=case.switches)
    shown = (await service.prepare()).json()[case.path]
    assert shown | case.expected == shown


async def test_force_login_shows_in_the_answer(service: Service) -> None:
    await service.script(sentinel={"force_login": True})
    assert (await service.prepare()).json()["force_login"] is True


async def test_status_403_is_a_challenge_page(service: Service) -> None:
    await service.script(sentinel={"status": 403})
    answer = await service.prepare()
    assert (answer.status_code, answer.headers["cf-mitigated"]) == (403, "challenge")
    assert answer.headers["content-type"].startswith("text/html")


async def test_other_statuses_fail_either_step(service: Service) -> None:
    await service.script(sentinel={"status": 429}, times=1)
    assert (await service.prepare()).status_code == 429
    await service.script(sentinel={"finalize_status": 500}, times=1)
    assert await finalized(service, (await service.prepare()).json(), "fnv") == 500


async def test_the_two_step_form_can_be_absent(service: Service) -> None:
    await service.script(sentinel={"two_step": False})
    assert (await service.prepare()).status_code == 404
    one_step = await service.web.post(SENTINEL, json={"p": requirements_token(config())})
    assert "token" in one_step.json()


async def test_the_token_can_be_left_out(service: Service) -> None:
    await service.script(sentinel={"no_token": True})
    with pytest.raises(KeyError, match="token"):
        await service.requirements()


@pytest.mark.parametrize("check", ["turnstile", "arkose", "so"])
async def test_an_extra_check_is_met_by_its_header_only(service: Service, check: str) -> None:
    await service.script(sentinel={check: True})
    headers = await service.requirements()
    assert (await service.turn("hello", headers)).status == 403
    assert (await service.turn("hello", headers | {f"OpenAI-Sentinel-{check}-Token": "x"})).status == 200


async def test_a_turnstile_token_may_come_with_finalize(service: Service) -> None:
    await service.script(sentinel={"turnstile": True, "proof": False})
    body = {"prepare_token": (await service.prepare()).json()["prepare_token"], "turnstile": "x"}
    token = (await service.web.post(f"{SENTINEL}/finalize", json=body)).json()["token"]
    assert (await service.turn("hello", {"OpenAI-Sentinel-Chat-Requirements-Token": token})).status == 200


async def test_a_directive_arms_the_sentinel_for_the_next_turn(service: Service) -> None:
    directive = {"sentinel": {"turnstile": True}, "text": "passed"}
    assert (await service.turn(directive)).status == 403
    assert (await service.prepare()).json()["turnstile"]["required"] is True
    assert (await service.prepare()).json()["turnstile"]["required"] is False


async def test_a_directive_is_answered_once_its_sentinel_is_passed(service: Service) -> None:
    directive = {"sentinel": {"difficulty": "00ffff"}, "text": "passed"}
    assert (await service.turn(directive)).status == 403
    assert (await service.turn(directive)).spoken() == "passed"


async def test_an_armed_sentinel_also_meets_the_one_step_fallback(service: Service) -> None:
    await service.turn({"sentinel": {"status": 429}})
    assert (await service.prepare()).status_code == 429
    fallback = await service.web.post(SENTINEL, json={"p": requirements_token(config())})
    assert fallback.status_code == 429
    assert (await service.prepare()).status_code == 200


async def test_an_armed_sentinel_concerns_its_own_account_only(service: Service) -> None:
    await service.turn({"sentinel": {"turnstile": True}})
    service.web.headers["Authorization"] = "Bearer loopback-b"
    assert (await service.prepare()).json()["turnstile"]["required"] is False


async def test_an_access_token_may_carry_its_sentinel(service: Service) -> None:
    service.web.headers["Authorization"] = f"Bearer {jwt(loopback_sentinel={'arkose': True})}"
    for _ in range(2):
        assert (await service.prepare()).json()["arkose"]["required"] is True


async def test_anonymous_devices_pass_unless_login_is_forced(service: Service) -> None:
    service.web.headers["Oai-Device-Id"] = DEVICE
    anonymous = SENTINEL.replace("backend-api", "backend-anon")
    body = {"p": requirements_token(config())}
    for switches, status in (({"proof": False}, 200), ({"proof": False, "force_login": True}, 403)):
        await service.script(sentinel=switches, token=DEVICE, times=1)
        answer = (await service.web.post(anonymous, json=body)).json()
        assert answer["persona"] == "chatgpt-noauth"
        token = {"OpenAI-Sentinel-Chat-Requirements-Token": answer["token"]}
        async with service.open_turn("hello", token, path="/backend-anon/f/conversation") as response:
            assert response.status_code == status
