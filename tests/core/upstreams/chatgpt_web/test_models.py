"""The list of models: the service's own, remembered; the fixed one when it cannot be asked; never a failure."""

import pytest

from core.upstreams.chatgpt_web.models import KNOWN_MODELS
from tests.core.upstreams.chatgpt_web.worlds import Fake, Loopback, Said, told

pytestmark = pytest.mark.anyio

MODELS = "/models"
LISTED = told({"models": [{"slug": "gpt-9", "title": "GPT 9"}, {"slug": "auto"}, {"slug": "gpt-9"}]})


async def test_the_services_list_begins_with_auto_and_names_each_once() -> None:
    world = Fake({MODELS: LISTED})
    assert await world.upstream.model_names(world.transport) == ("auto", "gpt-9")


async def test_the_loopback_has_a_list() -> None:
    world = Loopback()
    assert "gpt-5-6" in await world.upstream.model_names(world.transport)
    await world.close()


REFUSALS = [
    told({"detail": "no"}, 401),
    told({}, 500),
    Said(b"<html>", 403, {"content-type": "text/html"}),
    told([]),
    told({"models": 7}),
]


@pytest.mark.parametrize("answer", REFUSALS, ids=lambda answer: f"{answer.status} {answer.body.decode()}")
async def test_a_failure_gives_the_fixed_list(answer: Said) -> None:
    world = Fake({MODELS: [answer, LISTED]})
    assert await world.upstream.model_names(world.transport) == KNOWN_MODELS
    assert len(world.asked(MODELS)) == 1


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
