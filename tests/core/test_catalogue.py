"""The list of models over all upstreams: every id leads back to what it stands for."""

from collections.abc import Sequence
from typing import cast

import pytest
from msgspec import Struct

from core.accounts import Account, Principal, Secret
from core.catalogue import Offer, offers
from core.contracts import Upstream
from core.routing import Router
from core.transport import Timeouts, Transport
from core.vendors import ModelRoute, Vendor

pytestmark = pytest.mark.anyio

POOL = Principal("pool", key_digest="k")
OWN = Principal("account", account=Account(Secret("t")))
TRANSPORT = Transport(timeouts=Timeouts(1, 1, 1), user_agent="isthmus/test")


class Listing:
    """An upstream that has models and nothing else."""

    def __init__(self, name: str, *models: str) -> None:
        self.name = name
        self._models = models

    async def model_names(self, transport: Transport) -> Sequence[str]:
        return self._models


def router(*upstreams: Listing, routes: Sequence[ModelRoute] = (), default: str = "chatgpt_web") -> Router:
    by_name = {upstream.name: cast(Upstream, upstream) for upstream in upstreams}
    vendors = (
        Vendor("anthropic", "anthropic", "https://a.example", models=("claude*",)),
        Vendor("hub", "openai", "https://h.example/v1", models=("*/*",)),
    )
    kept = [vendor for vendor in vendors if vendor.name in by_name]
    return Router(by_name, kept, routes, default, own="chatgpt_web")


CHATGPT = Listing("chatgpt_web", "auto", "gpt-5")
ANTHROPIC = Listing("anthropic", "claude-x")
OPENAI = Listing("openai", "gpt-5", "gpt-4o")
HUB = Listing("hub", "meta/llama", "openai/gpt-4o", "anthropic/claude-x")


class Case(Struct, frozen=True):
    id: str
    router: Router
    expected: dict[str, str]
    principal: Principal = POOL


CASES = [
    Case("the default's names are plain", router(CHATGPT), {"auto": "chatgpt_web", "gpt-5": "chatgpt_web"}),
    Case("so are those a vendor claims", router(Listing("chatgpt_web"), ANTHROPIC), {"claude-x": "anthropic"}),
    Case(
        "a name that leads elsewhere has its upstream before it",
        router(CHATGPT, OPENAI),
        {"auto": "chatgpt_web", "gpt-5": "chatgpt_web", "openai/gpt-5": "openai", "openai/gpt-4o": "openai"},
    ),
    Case(
        "a name that looks like another upstream's too",
        router(Listing("chatgpt_web"), OPENAI, HUB),
        {
            "openai/gpt-5": "openai",
            "openai/gpt-4o": "openai",
            "meta/llama": "hub",
            "hub/openai/gpt-4o": "hub",
            "anthropic/claude-x": "hub",
        },
    ),
    Case(
        "the operator's own names come first, patterns are no names",
        router(
            CHATGPT,
            routes=(ModelRoute("fast", (("chatgpt_web", "auto"),)), ModelRoute("x-*", (("chatgpt_web", None),))),
        ),
        {"fast": "chatgpt_web", "auto": "chatgpt_web", "gpt-5": "chatgpt_web"},
    ),
    Case(
        "a model that no name leads to is not listed",
        router(CHATGPT, OPENAI, routes=(ModelRoute("*gpt*", (("chatgpt_web", "auto"),)),)),
        {"auto": "chatgpt_web"},
    ),
    Case(
        "without accounts ChatGPT Web has nothing for holders of a key",
        router(CHATGPT, OPENAI, default="openai"),
        {"gpt-5": "openai", "gpt-4o": "openai"},
    ),
    Case(
        "who comes with an account of their own sees its models alone",
        router(CHATGPT, OPENAI, default="openai", routes=(ModelRoute("fast", (("openai", None),)),)),
        {"auto": "chatgpt_web", "gpt-5": "chatgpt_web"},
        OWN,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
async def test_the_list_for_a_caller(case: Case) -> None:
    found = await offers(case.router, case.principal, TRANSPORT)
    assert found == [Offer(name, upstream) for name, upstream in case.expected.items()]
    for offer in found:
        assert case.router.resolve(offer.id, case.principal)[0].upstream.name == offer.upstream
