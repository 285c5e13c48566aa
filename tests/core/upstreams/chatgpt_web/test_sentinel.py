"""The sentinel: two steps, one step as fallback, every signal of reference 2.5 in its exact words."""

import pytest
from msgspec import Struct

from core.errors import ChallengeRequired, UpstreamDenied, UpstreamError, UpstreamUnavailable
from core.events import Finish
from core.upstreams.chatgpt_web.proof import PROOF_MARK, REQUIREMENTS_MARK, USER_AGENT, read_config, verify
from tests.core.upstreams.chatgpt_web.worlds import (
    FINALIZE,
    ONE_STEP,
    PREPARE,
    TURN,
    Fake,
    Loopback,
    Said,
    directive,
    stream,
    told,
)
from tests.core.upstreams.chatgpt_web.worlds import USER_AGENT as OUR_NAME
from tests.core.wire.chatgpt_web.streams import DONE, add, text_of, whole

pytestmark = pytest.mark.anyio

TURNSTILE = {"openai-sentinel-turnstile-token": "from-a-browser"}
ANSWER = stream(add(whole("yes")), DONE)
PAGE = b"<!DOCTYPE html><title>Just a moment...</title><script>_cf_chl_opt={}</script>"
PROOF = {"required": True, "seed": "0.42", "difficulty": "0fffff"}
PREPARED = {"prepare_token": "prepared"}


async def test_two_steps_give_the_turn_its_headers() -> None:
    world = Fake(
        {PREPARE: told({"prepare_token": "p-1", "proofofwork": PROOF}), FINALIZE: told({"token": "t-1"}), TURN: ANSWER}
    )
    assert text_of(await world.ask("Hi")) == "yes"
    asked, finalized, turn = world.asked(PREPARE)[0], world.asked(FINALIZE)[0], world.asked(TURN)[0]
    assert read_config(asked.json["p"], REQUIREMENTS_MARK)[USER_AGENT] == OUR_NAME
    proof = finalized.json["proofofwork"]
    assert finalized.json == {"prepare_token": "p-1", "proofofwork": proof}
    assert len(verify(proof, "0.42", "0fffff", "fnv")) == 25
    sentinel = {name: value for name, value in turn.headers.items() if name.startswith("openai-sentinel-")}
    assert sentinel == {
        "openai-sentinel-chat-requirements-prepare-token": "p-1",
        "openai-sentinel-chat-requirements-token": "t-1",
        "openai-sentinel-proof-token": proof,
    }


async def test_without_a_proof_wanted_none_is_sent() -> None:
    world = Fake({TURN: ANSWER})
    await world.ask("Hi")
    assert world.asked(FINALIZE)[0].json == {"prepare_token": "prepared"}
    assert "openai-sentinel-proof-token" not in world.asked(TURN)[0].headers


@pytest.mark.parametrize("status", [404, 405])
async def test_where_there_are_no_two_steps_one_will_do(status: int) -> None:
    world = Fake({PREPARE: Said(status=status), ONE_STEP: told({"token": "t-1", "proofofwork": PROOF}), TURN: ANSWER})
    assert text_of(await world.ask("Hi")) == "yes"
    assert world.asked(FINALIZE) == []
    turn = world.asked(TURN)[0]
    assert turn.headers["openai-sentinel-chat-requirements-token"] == "t-1"
    assert "openai-sentinel-chat-requirements-prepare-token" not in turn.headers
    verify(turn.headers["openai-sentinel-proof-token"], "0.42", "0fffff", "sha3")
    assert turn.headers["openai-sentinel-proof-token"].startswith(PROOF_MARK)


@pytest.mark.parametrize("switches", [{}, {"two_step": False}, {"difficulty": "00ffff"}], ids=str)
async def test_the_loopback_verifies_the_proof(switches: dict[str, object]) -> None:
    world = Loopback()
    await world.rule(path="chat-requirements/prepare", sentinel=switches)
    await world.rule(path="chat-requirements", sentinel=switches)
    assert text_of(await world.ask("Say yes")) == "Yes"
    await world.close()


class Case(Struct, frozen=True):
    id: str
    answers: dict[str, Said]
    error: type[UpstreamError]
    message: str
    status: int
    scope: str = "account"


def required(name: str) -> dict[str, object]:
    return {name: {"required": True, "dx": "x"}}


SIGNALS = [
    Case(
        "turnstile is wanted",
        {PREPARE: told(PREPARED | required("turnstile"))},
        ChallengeRequired,
        "turnstile token is required",
        403,
    ),
    Case(
        "arkose is wanted",
        {PREPARE: told(PREPARED | required("arkose"))},
        ChallengeRequired,
        "arkose token is required",
        403,
    ),
    Case(
        "the so collector is wanted",
        {PREPARE: told(PREPARED | required("so"))},
        ChallengeRequired,
        "sentinel so token is required",
        403,
    ),
    Case(
        "a login is wanted",
        {PREPARE: told(PREPARED | {"force_login": True})},
        ChallengeRequired,
        "force login required",
        403,
    ),
    Case(
        "turnstile is wanted in one step",
        {PREPARE: Said(status=404), ONE_STEP: told({"token": "t"} | required("turnstile"))},
        ChallengeRequired,
        "turnstile token is required",
        403,
    ),
    Case(
        "prepare fails",
        {PREPARE: told({"detail": "oops"}, 500)},
        UpstreamUnavailable,
        "sentinel prepare failed: status=500 oops",
        503,
        "provider",
    ),
    Case(
        "prepare refuses our body",
        {PREPARE: told({"detail": "bad"}, 422)},
        UpstreamError,
        "sentinel prepare failed: status=422 bad",
        422,
        "request",
    ),
    Case(
        "finalize fails",
        {FINALIZE: told({"detail": "oops"}, 503)},
        UpstreamUnavailable,
        "sentinel finalize failed: status=503 oops",
        503,
        "provider",
    ),
    Case(
        "the one step fails",
        {PREPARE: Said(status=404), ONE_STEP: told({"detail": "oops"}, 500)},
        UpstreamUnavailable,
        "sentinel prepare failed: status=500 oops",
        503,
        "provider",
    ),
    Case(
        "prepare gives nothing to go on with",
        {PREPARE: told({})},
        UpstreamUnavailable,
        "missing prepared sentinel token",
        503,
        "provider",
    ),
    Case(
        "finalize gives no token",
        {FINALIZE: told({})},
        UpstreamUnavailable,
        "missing finalized sentinel token",
        503,
        "provider",
    ),
    Case(
        "the one step gives no token",
        {PREPARE: Said(status=404), ONE_STEP: told({})},
        UpstreamUnavailable,
        "missing finalized sentinel token",
        503,
        "provider",
    ),
    Case(
        "a proof that costs too much",
        {PREPARE: told(PREPARED | {"proofofwork": {"required": True, "seed": "0.42", "difficulty": "00000000"}})},
        UpstreamUnavailable,
        "proof token calculation failed",
        503,
        "provider",
    ),
    Case(
        "a proof without a seed",
        {PREPARE: told(PREPARED | {"proofofwork": {"required": True}})},
        UpstreamUnavailable,
        "proof token calculation failed",
        503,
        "provider",
    ),
    Case(
        "a challenge page at prepare",
        {PREPARE: Said(PAGE, 403, {"content-type": "text/html"})},
        ChallengeRequired,
        "upstream blocked by Cloudflare",
        403,
        "provider",
    ),
    Case(
        "a challenge page with a success",
        {PREPARE: Said(PAGE, 200, {"content-type": "text/html"})},
        ChallengeRequired,
        "upstream blocked by Cloudflare",
        403,
        "provider",
    ),
    Case(
        "an expired token",
        {PREPARE: told({"error": {"message": "expired", "code": "token_expired"}}, 401)},
        UpstreamDenied,
        "expired",
        502,
    ),
    Case(
        "an answer of another shape",
        {PREPARE: told([])},
        UpstreamError,
        "the answer of /sentinel/chat-requirements/prepare has an unknown shape",
        502,
        "provider",
    ),
    Case(
        "unusual activity",
        {TURN: told({"detail": "Unusual activity has been detected from your device. Try again later."}, 403)},
        ChallengeRequired,
        "Unusual activity has been detected from your device. Try again later.",
        403,
    ),
]


@pytest.mark.parametrize("case", SIGNALS, ids=lambda case: case.id)
async def test_signals(case: Case) -> None:
    world = Fake({TURN: ANSWER, **case.answers})
    events, error = await world.refused("Hi")
    assert events == []
    assert isinstance(error, case.error)
    assert (error.message, error.status, error.scope) == (case.message, case.status, case.scope)
    if TURN not in case.answers:
        assert world.asked(TURN) == []


async def test_a_turnstile_token_of_the_caller_is_passed_on() -> None:
    world = Fake({PREPARE: told(PREPARED | required("turnstile")), TURN: ANSWER})
    assert text_of(await world.ask("Hi", forward=TURNSTILE)) == "yes"
    assert world.asked(FINALIZE)[0].json["turnstile"] == "from-a-browser"
    assert world.asked(TURN)[0].headers["openai-sentinel-turnstile-token"] == "from-a-browser"


@pytest.mark.parametrize("path", [FINALIZE, TURN])
async def test_a_turnstile_token_that_is_not_taken_is_named(path: str) -> None:
    world = Fake(
        {
            PREPARE: told(PREPARED | required("turnstile")),
            TURN: ANSWER,
            path: told({"detail": "Unusual activity."}, 403),
        }
    )
    _, error = await world.refused("Hi", forward=TURNSTILE)
    assert (error.message, error.status) == ("turnstile token failed: Unusual activity.", 403)


async def test_a_turnstile_token_answers_no_other_check() -> None:
    world = Fake({PREPARE: told(PREPARED | required("turnstile") | required("arkose")), TURN: ANSWER})
    _, error = await world.refused("Hi", forward=TURNSTILE)
    assert error.message == "arkose token is required"


async def test_the_loopback_takes_the_callers_token_too() -> None:
    world = Loopback()
    script = directive(text="yes", sentinel={"turnstile": True})
    _, first = await world.refused(script)
    assert (first.message, first.status) == (
        "Unusual activity has been detected from your device. Try again later.",
        403,
    )
    _, second = await world.refused(script)
    assert second.message == "turnstile token is required"
    await world.rule(path="chat-requirements/prepare", sentinel={"turnstile": True})
    finish = (await world.ask(script, forward=TURNSTILE))[-1]
    assert isinstance(finish, Finish)
    await world.close()
