"""A turn in the service's own words: what is added on the way there, and what comes back."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from msgspec import Struct

from core.accounts import Principal
from core.contracts import Context
from core.errors import GatewayError, InvalidRequest, UpstreamUnavailable
from core.loopback.identity import digest
from core.services import RawTurn
from tests.core.upstreams.chatgpt_web.worlds import (
    ANONYMOUS,
    EVENT_STREAM,
    OLD_TURN,
    OWNER,
    POOL,
    PREPARE,
    Fake,
    Loopback,
    Said,
    World,
    stream,
    told,
)

pytestmark = pytest.mark.anyio

TOKENS = "loopback-a;loopback-b;loopback-c"
BODY = b'{"action": "next",  "messages":[{"author":{"role":"user"}}], "unknown": 1.0}'
FRAMES = Said(b"data: anything at all\r\n\r\ntail", 200, EVENT_STREAM | {"cache-control": "no-cache", "x-other": "1"})
PAGE = Said(b"<html>Just a moment... _cf_chl_opt</html>", 403, {"content-type": "text/html"})
REFUSED = told({"detail": "no"}, 403)
LIMITED = told({"detail": "later"}, 429, **{"retry-after": "30"})


class Came(Struct, frozen=True):
    status: int
    headers: Mapping[str, str]
    body: bytes
    account: str | None


async def came(
    world: World,
    body: bytes = BODY,
    account: str | None = None,
    principal: Principal = POOL,
    forward: Mapping[str, str] | None = None,
    number: int = 0,
) -> Came:
    context = Context(id=f"{number:024}", created=0, principal=principal, forward=forward or {})
    async with world.upstream.raw(RawTurn(body, account), context, world.transport) as answer:
        data = b"".join([chunk async for chunk in answer.chunks])
        return Came(answer.status, answer.headers, data, answer.account)


async def test_the_body_and_the_answer_pass_untouched() -> None:
    world = Fake({OLD_TURN: FRAMES})
    answer = await came(world, forward={"openai-sentinel-turnstile-token": "t"})
    [asked] = world.asked(OLD_TURN)
    assert asked.body == BODY
    assert asked.headers["openai-sentinel-chat-requirements-token"] == "final"
    assert asked.headers["openai-sentinel-turnstile-token"] == "t"
    assert asked.headers["authorization"] == "Bearer loopback-a"
    assert (answer.status, answer.body) == (200, FRAMES.body)
    assert answer.headers == EVENT_STREAM | {"cache-control": "no-cache"}
    assert answer.account == world.settings.accounts[0].digest


async def test_json_in_place_of_a_stream_passes_too() -> None:
    assert (await came(Fake({OLD_TURN: told({"detail": "x"})}))).body == b'{"detail": "x"}'


async def test_an_empty_first_role_is_mended() -> None:
    world = Fake({OLD_TURN: FRAMES})
    await came(world, b'{"messages":[{"author":{"role":""}}]}')
    assert world.asked(OLD_TURN)[0].body == b'{"messages":[{"author":{"role":"user"}}]}'


async def test_an_anonymous_device_may_speak_raw() -> None:
    world = Fake({OLD_TURN: FRAMES})
    answer = await came(world, principal=ANONYMOUS)
    assert world.asked(OLD_TURN)[0].headers[":path"] == "/backend-anon/conversation"
    assert answer.account is None


async def test_what_is_no_json_object_asks_nobody() -> None:
    world = Fake({OLD_TURN: FRAMES})
    with pytest.raises(InvalidRequest):
        await came(world, b"[]")
    assert world.heard == []


# Refusals.


class Passed(Struct, frozen=True):
    id: str
    answer: Said


PASSED = [
    Passed("a request that is refused", told({"detail": "Flagged."}, 400)),
    Passed("what is not there", told({"detail": {"message": "x", "code": "conversation_not_found"}}, 404)),
    Passed("a body that is no turn", told({"detail": [{"loc": ["body"], "msg": "x"}]}, 422)),
    Passed("a fault of the service", told({"detail": "oops"}, 500)),
    Passed("a limit, with its Retry-After", LIMITED),
    Passed("a check in words", REFUSED),
]


@pytest.mark.parametrize("case", PASSED, ids=lambda case: case.id)
async def test_a_refusal_in_json_passes_as_it_is(case: Passed) -> None:
    answer = await came(Fake({OLD_TURN: case.answer}))
    assert (answer.status, answer.body) == (case.answer.status, case.answer.body)
    assert answer.headers.get("retry-after") == case.answer.headers.get("retry-after")


class Ours(Struct, frozen=True):
    id: str
    answers: dict[str, Said | list[Said]]
    expected: tuple[int, str]
    principal: Principal = POOL


OURS = [
    Ours("a page is never passed on", {OLD_TURN: PAGE}, (403, "upstream blocked by Cloudflare")),
    Ours(
        "nor one that pretends to be a success",
        {OLD_TURN: Said(b"<html>portal</html>", 200, {"content-type": "text/html"})},
        (502, "the upstream answered 200 with a web page"),
    ),
    Ours(
        "nor is text",
        {OLD_TURN: Said(b"no", 400, {"content-type": "text/plain"})},
        (400, "the upstream answered 400 without saying why"),
    ),
    Ours("the pool's token is not the caller's to mend", {OLD_TURN: told({"detail": "no"}, 401)}, (502, "no")),
    Ours("a refusal of the sentinel", {PREPARE: told({"detail": "no"}, 403)}, (403, "no")),
    Ours(
        "a check",
        {PREPARE: told({"prepare_token": "p", "arkose": {"required": True}})},
        (403, "arkose token is required"),
    ),
]


@pytest.mark.parametrize("case", OURS, ids=lambda case: case.id)
async def test_what_must_not_pass_is_an_error_of_ours(case: Ours) -> None:
    with pytest.raises(GatewayError) as caught:
        await came(Fake({OLD_TURN: FRAMES, **case.answers}), principal=case.principal)
    assert (caught.value.status, caught.value.message) == case.expected


async def test_the_refusal_of_the_callers_own_token_passes() -> None:
    answer = await came(Fake({OLD_TURN: told({"detail": "no"}, 401)}), principal=OWNER)
    assert (answer.status, answer.body) == (401, b'{"detail": "no"}')


async def test_an_answer_that_breaks_off_breaks_off_here() -> None:
    with pytest.raises(UpstreamUnavailable):
        await came(Fake({OLD_TURN: stream(b"data: half", cut=True)}))


# Accounts.


async def test_the_next_account_is_tried_and_the_last_refusal_passes() -> None:
    world = Fake({OLD_TURN: [REFUSED, FRAMES]}, TOKENS)
    assert (await came(world)).status == 200
    assert len({heard.headers["authorization"] for heard in world.asked(OLD_TURN)}) == 2
    world = Fake({OLD_TURN: REFUSED}, TOKENS)
    assert (await came(world)).body == REFUSED.body
    assert len(world.asked(OLD_TURN)) == 3


async def test_a_limit_cools_the_account() -> None:
    world = Fake({OLD_TURN: [LIMITED, FRAMES]}, TOKENS)
    await came(world)
    assert world.pool.status().cooling == 1


async def test_a_conversation_stays_with_its_account() -> None:
    world = Fake({OLD_TURN: FRAMES}, TOKENS)
    for number in range(4):
        await came(world, b'{"conversation_id":"c"}', number=number)
    assert len({heard.headers["authorization"] for heard in world.asked(OLD_TURN)}) == 1


async def test_the_caller_may_name_the_account() -> None:
    world = Fake({OLD_TURN: FRAMES}, TOKENS)
    for account in world.settings.accounts:
        assert (await came(world, account=account.digest)).account == account.digest
    said = [heard.headers["authorization"] for heard in world.asked(OLD_TURN)]
    assert said == [f"Bearer {account.token.reveal()}" for account in world.settings.accounts]


async def test_a_named_account_is_the_only_one_asked_and_learnt_about() -> None:
    world = Fake({OLD_TURN: LIMITED}, TOKENS)
    named = world.settings.accounts[1].digest
    assert (await came(world, account=named)).status == 429
    with pytest.raises(GatewayError) as caught:
        await came(world, account=named)
    assert (caught.value.status, caught.value.code) == (409, "account_unavailable")
    assert len(world.asked(OLD_TURN)) == 1


async def test_a_stranger_cannot_name_an_account_of_the_pool() -> None:
    world = Fake({OLD_TURN: FRAMES}, TOKENS)
    with pytest.raises(GatewayError) as caught:
        await came(world, account=world.settings.accounts[0].digest, principal=OWNER)
    assert caught.value.code == "account_unavailable"
    assert world.heard == []


# Against the simulation: the bytes are those that it sends.


def turn(**script: Any) -> bytes:
    parts = [f"loopback: {json.dumps(script)}"]
    message = {"id": "m" * 8, "author": {"role": "user"}, "content": {"content_type": "text", "parts": parts}}
    return json.dumps({"action": "next", "model": "auto", "messages": [message], "parent_message_id": "p"}).encode()


async def test_a_stream_of_the_simulation_can_be_told_from_none_that_came_directly() -> None:
    world = Loopback(TOKENS)
    answer = await came(world, turn(text="One two three", encoding="delta", reasoning="Hm."))
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.body.startswith(b"event: delta_encoding\n")
    assert answer.body.endswith(b"data: [DONE]\n\n")
    [call] = await world.calls(OLD_TURN)
    assert call["account"] in {digest(token) for token in TOKENS.split(";")}
    await world.close()
