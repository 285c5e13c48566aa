"""Codex as an upstream: what it is told, which account answers, what moves on to the next one."""

import json
from typing import Any
from uuid import UUID

import pytest
from msgspec import Raw, Struct, structs

from core.accounts import Account, Principal, Secret
from core.contracts import Exchange, Target
from core.errors import Forbidden, NotFound, RateLimited, UpstreamDenied, UpstreamError, UpstreamRejected
from core.events import Event, Finish, Start, TextDelta, TextEnd, TextStart
from core.request import Message, Opaque, Reasoning, Text, Turn
from core.upstreams.codex import Codex
from core.wire.openai_responses.requests import WIRE
from tests.core.chatgpt.test_tokens import jwt
from tests.core.upstreams.chatgpt_web.worlds import ANONYMOUS, OWNER, POOL, USER_AGENT, Fake, Said, stream, told

pytestmark = pytest.mark.anyio

RESPONSES, MODELS = "/codex/responses", "/codex/models"
TOKENS = "loopback-a;loopback-b"


def event(kind: str, **fields: Any) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), json.dumps({"type": kind, **fields}).encode())


CREATED = event("response.created", response={"model": "gpt-5.5"})
TEXT = event("response.output_text.delta", delta="Hi")
COMPLETED = event("response.completed", response={"output": []})
ANSWER = stream(CREATED, TEXT, COMPLETED)
SAID: list[Event] = [Start("gpt-5.5"), TextStart(0), TextDelta(0, "Hi"), TextEnd(0), Finish("stop", "completed")]
SEALED = Message("assistant", (Reasoning("hm", Opaque(WIRE, b"gAAA")), Text("Hello")))


class World(Fake):
    """Codex over a service that says what it is told."""

    def __init__(self, *answers: Said, tokens: str = TOKENS, exchanged: Said | None = None) -> None:
        more = {"/oauth/token": exchanged} if exchanged else {}
        super().__init__({RESPONSES: list(answers) or ANSWER, **more}, tokens)
        self.codex = Codex(self.settings, self.pool)

    def of(self, *messages: Message | str, **fields: Any) -> Exchange:
        exchange = self.exchange(*(messages or ("Hi",)), **fields)
        return structs.replace(exchange, target=Target(self.codex, "gpt-5.5"))

    async def events(self, exchange: Exchange) -> list[Event]:
        return [event async for batch in self.codex.stream(exchange, self.transport) for event in batch]

    async def failure(self, exchange: Exchange) -> UpstreamError:
        with pytest.raises(UpstreamError) as raised:
            await self.events(exchange)
        return raised.value


async def test_the_gateway_says_who_it_is() -> None:
    world = World(tokens="loopback-a:team-1")
    assert await world.events(world.of()) == SAID
    [heard] = world.asked(RESPONSES)
    headers = heard.headers
    assert (headers["user-agent"], headers["originator"]) == (USER_AGENT, "isthmus")
    assert (headers["authorization"], headers["chatgpt-account-id"]) == ("Bearer loopback-a", "team-1")
    assert headers["accept"] == "text/event-stream"
    assert str(UUID(headers["session_id"])) == heard.json["prompt_cache_key"] == headers["session_id"]


async def test_a_connection_that_is_lost_behind_the_last_word_is_no_failure() -> None:
    world = World(structs.replace(ANSWER, cut=True))
    assert await world.events(world.of()) == SAID


async def test_the_workspace_is_the_tokens_own_when_no_other_is_named() -> None:
    token = jwt(**{"https://api.openai.com/auth": {"chatgpt_account_id": "workspace-7"}})
    world = World(tokens=token)
    await world.events(world.of())
    assert world.asked(RESPONSES)[0].headers["chatgpt-account-id"] == "workspace-7"


async def test_a_conversation_keeps_its_name_and_another_has_its_own() -> None:
    world = World()
    await world.events(world.of("Hi"))
    await world.events(world.of("Hi", Message("assistant", (Text("Hello"),)), "And?"))
    await world.events(world.of("Another"))
    await world.events(world.of("Hi", extras={"prompt_cache_key": Raw(b'"mine"')}))
    first, second, third, named = (heard.headers["session_id"] for heard in world.asked(RESPONSES))
    assert first == second
    assert len({first, third, named}) == 3


async def test_what_is_left_of_the_account_is_told_as_it_was_said() -> None:
    limits = {"x-codex-plan-type": "plus", "x-codex-primary-used-percent": "12.5", "x-request-id": "r"}
    answer = structs.replace(ANSWER, headers={**ANSWER.headers, **limits})
    world = World(answer)
    start = (await world.events(world.of()))[0]
    assert isinstance(start, Start)
    assert start.notes == (("codex-plan-type", "plus"), ("codex-primary-used-percent", "12.5"))


class Case(Struct, frozen=True):
    """What the first account meets; `cooling` and `retired` are what the pool then knows."""

    id: str
    answer: Said
    cooling: int = 0
    retired: int = 0


LIMIT = {"error": {"type": "usage_limit_reached", "message": "The usage limit has been reached"}}
SOON = {"error": {"code": "rate_limit_exceeded", "message": "Rate limit reached. Please try again in 1.3s."}}
NO_PLAN = {"error": {"type": "usage_not_included", "message": "Not in your plan."}}
NO_MODEL = {"detail": "The 'gpt-5.5' model is not supported when using Codex with a ChatGPT account."}
MOVES_ON = [
    Case("an expired token", told({"detail": "Unauthorized"}, 401), retired=1),
    Case("a usage limit with its end", told({"error": {**LIMIT["error"], "resets_in_seconds": 5321}}, 429), cooling=1),
    Case("a usage limit without its end", told(LIMIT, 429)),
    Case("a rate limit that says when", told(SOON, 429), cooling=1),
    Case("a plan without Codex", told(NO_PLAN, 429), retired=1),
    Case("a plan without the model", told(NO_MODEL, 400)),
    Case("a service that is not there", told({"detail": "Not Found"}, 404)),
    Case("a refusal", told({"detail": "Forbidden"}, 403)),
    Case(
        "a limit inside of the stream",
        stream(CREATED, event("response.failed", response={"error": {**LIMIT["error"], "resets_in_seconds": 9}})),
        cooling=1,
    ),
    Case("a refusal before the stream's first word", stream(event("error", error=NO_PLAN["error"])), retired=1),
]


@pytest.mark.parametrize("case", MOVES_ON, ids=lambda case: case.id)
async def test_before_the_first_word_the_next_account_is_tried(case: Case) -> None:
    world = World(case.answer, ANSWER)
    assert await world.events(world.of()) == SAID
    status = world.pool.status()
    assert (status.cooling, status.retired) == (case.cooling, case.retired)
    assert len({heard.headers["authorization"] for heard in world.asked(RESPONSES)}) == 2


class Stays(Struct, frozen=True):
    id: str
    answer: Said
    status: int
    code: str | None


TOO_LONG = {"error": {"code": "context_length_exceeded", "message": "Too long.", "type": "invalid_request_error"}}
OVERLOADED = "server_is_overloaded"
BUSY = {"detail": "Selected model is at capacity. Please try a different model."}
STAYS = [
    Stays("a request that is too long", told(TOO_LONG, 400), 400, "context_length_exceeded"),
    Stays("the same inside of the stream", stream(event("error", **TOO_LONG)), 400, "context_length_exceeded"),
    Stays("a parameter that is refused", told({"detail": "Unsupported parameter: x"}, 400), 400, None),
    Stays("a model at capacity", told(BUSY, 400), 503, None),
    Stays("an overload inside of the stream", stream(event("error", code=OVERLOADED)), 503, OVERLOADED),
    Stays("a service that fails", told({"detail": "Oops"}, 500), 503, None),
    Stays("an unknown error inside of the stream", stream(event("error", code="odd", message="?")), 502, "odd"),
    Stays("JSON in place of a stream", told({"detail": "Oops"}), 502, None),
    Stays("a page in place of a stream", Said(b"<html>", 200, {"content-type": "text/html"}), 502, None),
    Stays("a stream that is cut", stream(CREATED), 503, None),
]


@pytest.mark.parametrize("case", STAYS, ids=lambda case: case.id)
async def test_what_is_no_accounts_matter_is_told(case: Stays) -> None:
    world = World(case.answer, ANSWER)
    error = await world.failure(world.of())
    assert (error.status, error.code, error.upstream) == (case.status, case.code, "codex")
    assert len(world.asked(RESPONSES)) == 1


async def test_the_last_failure_is_told_with_its_wait() -> None:
    limit = told({"error": {**LIMIT["error"], "resets_in_seconds": 90}}, 429)
    world = World(limit, tokens="loopback-a")
    error = await world.failure(world.of())
    assert isinstance(error, RateLimited)
    assert (error.status, error.code) == (429, "usage_limit_reached")
    assert error.retry_after_s == pytest.approx(90, abs=2)


async def test_a_failure_in_the_middle_is_the_answers_end() -> None:
    world = World(stream(CREATED, TEXT, event("error", error=LIMIT["error"])), ANSWER)
    assert isinstance(await world.failure(world.of()), RateLimited)
    assert len(world.asked(RESPONSES)) == 1


class Owned(Struct, frozen=True):
    id: str
    answer: Said
    error: type[UpstreamError]
    status: int


OWNED = [
    Owned("a dead token", told({"detail": "Unauthorized"}, 401), UpstreamDenied, 401),
    Owned("a plan without Codex", told(NO_PLAN, 429), UpstreamDenied, 403),
    Owned("a plan without the model", told(NO_MODEL, 400), UpstreamRejected, 400),
]


@pytest.mark.parametrize("case", OWNED, ids=lambda case: case.id)
async def test_a_callers_own_account_is_theirs_to_mend(case: Owned) -> None:
    world = World(case.answer, ANSWER)
    error = await world.failure(world.of(principal=OWNER))
    assert (type(error), error.status) == (case.error, case.status)
    assert len(world.asked(RESPONSES)) == 1


async def test_what_is_learnt_here_says_nothing_of_the_web() -> None:
    world = World(told(NO_PLAN, 429), ANSWER)
    world.codex = Codex(world.settings, world.pool.apart())
    assert await world.events(world.of()) == SAID
    assert world.pool.status().usable == 2


STALE = told({"error": {"code": "invalid_encrypted_content", "message": "Could not be verified."}}, 400)


async def test_reasoning_that_the_account_does_not_know_is_left_behind() -> None:
    world = World(STALE, ANSWER)
    events = await world.events(world.of("Hi", SEALED, "And?"))
    assert events == [structs.replace(SAID[0], ignored=("reasoning.encrypted_content",)), *SAID[1:]]
    first, second = world.asked(RESPONSES)
    assert first.headers["authorization"] == second.headers["authorization"]
    kinds = [[item["type"] for item in heard.json["input"]] for heard in (first, second)]
    assert kinds == [["message", "reasoning", "message", "message"], ["message", "message", "message"]]


async def test_it_is_left_behind_once() -> None:
    world = World(STALE)
    error = await world.failure(world.of("Hi", SEALED, "And?"))
    assert (error.status, error.code) == (400, "invalid_encrypted_content")
    assert len(world.asked(RESPONSES)) == 2


async def test_a_device_without_an_account_has_no_codex() -> None:
    world = World()
    with pytest.raises(Forbidden):
        await world.events(world.of(principal=ANONYMOUS))


async def test_it_keeps_no_turns() -> None:
    world = World()
    for call in (world.codex.recall, world.codex.forget):
        with pytest.raises(NotFound):
            await call(Turn("c"), POOL, world.transport)


LIST = told({"models": [{"slug": "gpt-5.5", "visibility": "list"}, {"slug": "hidden", "visibility": "hide"}]})


@pytest.mark.parametrize(("wanted", "expected"), [("codex", ("gpt-5.5",)), ("auto", ("gpt-5.5",)), ("web", ())])
async def test_the_models_are_asked_for_where_the_service_is_wanted(wanted: str, expected: tuple[str, ...]) -> None:
    world = Fake({MODELS: LIST}, CHATGPT_UPSTREAM=wanted)
    codex = Codex(world.settings, world.pool)
    assert tuple(await codex.model_names(world.transport)) == expected
    assert [heard.headers["originator"] for heard in world.asked(MODELS)] == ["isthmus"] * len(expected)


async def test_without_an_account_there_are_no_models() -> None:
    world = Fake({MODELS: LIST}, tokens="", CHATGPT_UPSTREAM="codex")
    assert await Codex(world.settings, world.pool).model_names(world.transport) == ()


async def test_a_refresh_token_is_exchanged_first() -> None:
    token = jwt(**{"https://api.openai.com/auth": {"chatgpt_account_id": "workspace-7"}})
    owner = Principal("account", account=Account(Secret("loopback-refresh"), kind="refresh"))
    world = World(exchanged=told({"access_token": token, "expires_in": 3600}))
    assert await world.events(world.of(principal=owner)) == SAID
    headers = world.asked(RESPONSES)[0].headers
    assert (headers["authorization"], headers["chatgpt-account-id"]) == (f"Bearer {token}", "workspace-7")
