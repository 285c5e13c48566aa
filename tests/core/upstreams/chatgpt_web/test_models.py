"""The list of models: the service's own, remembered; the fixed one when it cannot be asked; never a failure."""

import pytest

from core.upstreams.chatgpt_web.models import FRESH_S, KNOWN_MODELS, RETRY_S, ModelList
from tests.core.upstreams.chatgpt_web.worlds import Fake, Loopback, Said, told

pytestmark = pytest.mark.anyio

MODELS = "/models"
LISTED = told({"models": [{"slug": "gpt-9", "title": "GPT 9"}, {"slug": "auto"}, {"slug": "gpt-9"}]})


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def remembering(world: Fake, clock: Clock) -> ModelList:
    return ModelList(world.upstream._any_session, clock)


async def test_the_services_list_begins_with_auto_and_names_each_once() -> None:
    world = Fake({MODELS: LISTED})
    assert await world.upstream.model_names(world.transport) == ("auto", "gpt-9")


async def test_the_loopback_has_a_list() -> None:
    world = Loopback()
    assert "gpt-5-6" in await world.upstream.model_names(world.transport)
    await world.close()


async def test_a_list_is_asked_for_again_when_it_is_no_longer_fresh() -> None:
    clock, world = Clock(), Fake({MODELS: LISTED})
    models = remembering(world, clock)
    for later_s, calls in ((0.0, 1), (FRESH_S - 1, 1), (2.0, 2)):
        clock.now += later_s
        await models.names(world.transport)
        assert len(world.asked(MODELS)) == calls


REFUSALS = [
    told({"detail": "no"}, 401),
    told({}, 500),
    Said(b"<html>", 403, {"content-type": "text/html"}),
    told([]),
    told({"models": 7}),
]


@pytest.mark.parametrize("answer", REFUSALS, ids=lambda answer: f"{answer.status} {answer.body.decode()}")
async def test_a_failure_gives_the_fixed_list_and_is_remembered_for_a_while(answer: Said) -> None:
    clock, world = Clock(), Fake({MODELS: [answer, LISTED]})
    models = remembering(world, clock)
    assert await models.names(world.transport) == KNOWN_MODELS
    assert await models.names(world.transport) == KNOWN_MODELS
    clock.now += RETRY_S
    assert await models.names(world.transport) == ("auto", "gpt-9")


async def test_a_failure_leaves_the_list_that_was_known() -> None:
    clock, world = Clock(), Fake({MODELS: [LISTED, told({}, 500)]})
    models = remembering(world, clock)
    await models.names(world.transport)
    clock.now += FRESH_S
    assert await models.names(world.transport) == ("auto", "gpt-9")
    assert len(world.asked(MODELS)) == 2


async def test_without_an_account_the_fixed_list_is_all_there_is() -> None:
    world = Fake({MODELS: LISTED}, "")
    assert await world.upstream.model_names(world.transport) == KNOWN_MODELS
    assert world.heard == []


async def test_a_service_that_is_not_there_gives_the_fixed_list() -> None:
    world = Fake({}, CHATGPT_BASE_URL="loopback://nowhere")
    assert await world.upstream.model_names(world.transport) == KNOWN_MODELS


async def test_a_proxy_that_cannot_be_used_gives_the_fixed_list() -> None:
    world = Fake({}, CHATGPT_BASE_URL="https://chatgpt.invalid", PROXY="http://127.0.0.1:1")
    assert await world.upstream.model_names(world.transport) == KNOWN_MODELS
