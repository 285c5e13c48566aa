"""Which upstreams answer for a model name: routes, prefixes, claims, the default; and for whom."""

from collections import Counter
from typing import Literal, cast

import pytest
from msgspec import Struct, structs

from core.accounts import Account, Principal, Secret
from core.contracts import FileKeeper, Upstream
from core.errors import Forbidden, NotConfigured
from core.request import ChatRequest, Hints, Image, Message, Text, Tool, ToolResult, Turn
from core.routing import Router, offering
from core.vendors import ModelRoute, Vendor


class Named:
    def __init__(self, name: str) -> None:
        self.name = name


VENDORS = (
    Vendor("anthropic", "anthropic", "https://a.example", models=("claude*",)),
    Vendor("east", "openai", "https://e.example/v1", models=("m-*",)),
    Vendor("west", "openai", "https://w.example/v1", models=("m-*",), weight=3),
    Vendor("hub", "openai", "https://h.example/v1", models=("*/*",)),
)
UPSTREAMS = {name: cast(Upstream, Named(name)) for name in ("chatgpt_web", *(vendor.name for vendor in VENDORS))}
ROUTES = (
    ModelRoute("fast-*", (("east", "small"), ("chatgpt_web", None))),
    ModelRoute("claude-old", (("chatgpt_web", "auto"),)),
)
ROUTER = Router(UPSTREAMS, VENDORS, ROUTES)
POOL = Principal("pool", key_digest="k")
OWN = Principal("account", account=Account(Secret("t")))


class Case(Struct, frozen=True):
    id: str
    model: str
    expected: tuple[tuple[str, str], ...]


CASES = [
    Case("a name that nobody claims goes to the default as it is", "gpt-5", (("chatgpt_web", "gpt-5"),)),
    Case("a route gives its targets in order", "fast-x", (("east", "small"), ("chatgpt_web", "fast-x"))),
    Case("a route wins over a vendor's claim", "claude-old", (("chatgpt_web", "auto"),)),
    Case("a prefix names the upstream", "east/any", (("east", "any"),)),
    Case("only the first part of a name is the prefix", "hub/meta/llama", (("hub", "meta/llama"),)),
    Case("a prefix that is no upstream is part of the name", "meta/llama", (("hub", "meta/llama"),)),
    Case("a vendor claims the names of its family", "claude-sonnet", (("anthropic", "claude-sonnet"),)),
    Case("patterns tell upper from lower case", "Claude", (("chatgpt_web", "Claude"),)),
    Case("a prefix alone is a name", "east/", (("hub", "east/"),)),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_name_leads_to_its_targets(case: Case) -> None:
    targets = ROUTER.resolve(case.model, POOL)
    assert tuple((target.upstream.name, target.model) for target in targets) == case.expected


def test_vendors_that_claim_one_name_share_the_sessions_by_weight() -> None:
    firsts = Counter(ROUTER.resolve("m-1", POOL, f"session {number}")[0].upstream.name for number in range(1000))
    assert 650 < firsts["west"] < 850
    assert firsts["east"] + firsts["west"] == 1000


def test_a_session_keeps_its_vendor_and_the_other_is_its_fallback() -> None:
    first, second = ({target.upstream.name for target in ROUTER.resolve("m-1", POOL, "s")} for _ in range(2))
    assert first == second == {"east", "west"}
    assert ROUTER.resolve("m-1", POOL, "s") == ROUTER.resolve("m-1", POOL, "s")


@pytest.mark.parametrize("model", ["claude-sonnet", "fast-x", "chatgpt_web/claude-sonnet"])
def test_a_caller_with_an_account_of_their_own_is_served_by_it_alone(model: str) -> None:
    [target] = ROUTER.resolve(model, OWN)
    assert target.upstream.name == "chatgpt_web"
    assert target.model == model.removeprefix("chatgpt_web/")


def test_a_caller_with_an_account_of_their_own_cannot_name_a_vendor() -> None:
    with pytest.raises(Forbidden, match="'east' is for holders of a gateway key"):
        ROUTER.resolve("east/any", OWN)


def test_the_default_may_be_a_vendor() -> None:
    [target] = Router(UPSTREAMS, VENDORS, default="east").resolve("gpt-5", POOL)
    assert target.upstream.name == "east"


KEPT = Image(file_id="file_1")
CHAT = ChatRequest("gpt-5", (Message("user", (Text("Hi"),)),))
TOOLED = structs.replace(CHAT, tools=(Tool("get"),))
WEB, CODEX, BOTH = ("chatgpt_web",), ("codex",), ("codex", "chatgpt_web")


class Turned(Struct, frozen=True):
    """A turn, and who answers it with each setting: web, codex, auto."""

    id: str
    request: ChatRequest | None
    expected: tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
    principal: Principal = POOL


TURNED = [
    Turned("what is no turn", None, (WEB, WEB, WEB)),
    Turned("a chat", CHAT, (WEB, CODEX, WEB)),
    Turned("a chat with tools", TOOLED, (WEB, CODEX, BOTH)),
    Turned("a caller's own account", TOOLED, (WEB, CODEX, BOTH), OWN),
    Turned("a device without an account", TOOLED, (WEB, WEB, WEB), Principal("anonymous", device_id="d")),
    Turned("a picture to be made", structs.replace(TOOLED, hints=Hints(image_generation=True)), (WEB, WEB, WEB)),
    Turned("deep research", structs.replace(TOOLED, hints=Hints(deep_research=True)), (WEB, WEB, WEB)),
    Turned("code to be run", structs.replace(TOOLED, hints=Hints(code_interpreter=True)), (WEB, WEB, WEB)),
    Turned("a search", structs.replace(TOOLED, hints=Hints(web_search=True)), (WEB, CODEX, BOTH)),
    Turned("a kept conversation", structs.replace(TOOLED, continues=Turn("c")), (WEB, WEB, WEB)),
    Turned("a response to go on with", structs.replace(TOOLED, previous="resp_1"), (WEB, WEB, WEB)),
    Turned("a kept file", structs.replace(TOOLED, messages=(Message("user", (KEPT,)),)), (WEB, WEB, WEB)),
    Turned(
        "a kept file that a tool gave",
        structs.replace(TOOLED, messages=(Message("tool", (ToolResult("c1", (KEPT,)),)),)),
        (WEB, WEB, WEB),
    ),
    Turned(
        "a picture by its address",
        structs.replace(TOOLED, messages=(Message("user", (Image(url="https://a/x.png"),)),)),
        (WEB, CODEX, BOTH),
    ),
]
SETTINGS: tuple[Literal["web", "codex", "auto"], ...] = ("web", "codex", "auto")


def of_accounts(turns: Literal["web", "codex", "auto"], default: str = "chatgpt_web") -> Router:
    upstreams = {name: cast(Upstream, Named(name)) for name in (*UPSTREAMS, "codex")}
    return Router(upstreams, VENDORS, ROUTES, default, beside="codex", turns=turns)


@pytest.mark.parametrize("case", TURNED, ids=lambda case: case.id)
def test_the_setting_decides_who_answers_for_the_accounts(case: Turned) -> None:
    for turns, expected in zip(SETTINGS, case.expected, strict=True):
        targets = of_accounts(turns).resolve("gpt-5", case.principal, request=case.request)
        assert tuple(target.upstream.name for target in targets) == expected


def test_a_route_and_a_prefix_mean_what_they_say() -> None:
    router = of_accounts("codex")
    for model, name in (("fast-x", "east"), ("chatgpt_web/auto", "chatgpt_web"), ("codex/gpt-5", "codex")):
        assert router.resolve(model, POOL, request=TOOLED)[0].upstream.name == name
        if model != "fast-x":
            assert router.resolve(model, OWN, request=TOOLED)[0].upstream.name == name


def test_the_models_of_accounts_are_for_those_who_have_some() -> None:
    def names(router: Router, principal: Principal) -> set[str]:
        return {upstream.name for upstream in router.open_to(principal)}

    assert names(of_accounts("web"), OWN) == {"chatgpt_web", "codex"}
    assert {"chatgpt_web", "codex", "east"} <= names(of_accounts("web"), POOL)
    assert names(of_accounts("web", "east"), POOL).isdisjoint({"chatgpt_web", "codex"})


def test_a_service_that_no_upstream_offers_is_not_configured() -> None:
    with pytest.raises(NotConfigured):
        offering(FileKeeper, UPSTREAMS)  # type: ignore[type-abstract]
