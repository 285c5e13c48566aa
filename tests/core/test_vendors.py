"""Vendors from the environment: one line for a known one, JSON for any other, and how mistakes are told."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from msgspec import Struct

from core.accounts import Secret
from core.settings import Settings, SettingsError
from core.vendors import KNOWN, Abilities, Known, ModelRoute, Vendor

DEEPSEEK = Abilities(json_schema=False, reasoning_content=True)
LOCAL = '{"name": "local", "kind": "openai", "base_url": "http://127.0.0.1:9/v1"'


class Case(Struct, frozen=True):
    id: str
    environ: Mapping[str, str]
    expected: tuple[Vendor, ...]


CASES = [
    Case("nothing set, no vendor", {}, ()),
    Case(
        "a key alone adds a known vendor",
        {"ANTHROPIC_API_KEY": "sk-ant"},
        (Vendor("anthropic", "anthropic", "https://api.anthropic.com", Secret("sk-ant"), ("claude*",)),),
    ),
    Case(
        "its address may be another",
        {"DEEPSEEK_API_KEY": "k", "DEEPSEEK_BASE_URL": "http://127.0.0.1:9/v1/"},
        (Vendor("deepseek", "openai", "http://127.0.0.1:9/v1", Secret("k"), ("deepseek*",), DEEPSEEK),),
    ),
    Case("an address alone adds nothing", {"GROQ_BASE_URL": "http://127.0.0.1:9"}, ()),
    Case(
        "a key may have its other usual name",
        {"GOOGLE_API_KEY": "g"},
        (
            Vendor(
                "gemini",
                "gemini",
                "https://generativelanguage.googleapis.com",
                Secret("g"),
                ("gemini*", "gemma*"),
            ),
        ),
    ),
    Case(
        "any other vendor comes by JSON, with its key from a variable of its own",
        {"UPSTREAMS": f'[{LOCAL}, "key_variable": "MY_KEY", "models": ["m-*"], "weight": 3}}]', "MY_KEY": "s3"},
        (Vendor("local", "openai", "http://127.0.0.1:9/v1", Secret("s3"), ("m-*",), weight=3),),
    ),
    Case(
        "what it cannot do is said there",
        {"UPSTREAMS": f'[{LOCAL}, "capabilities": {{"tools": false}}}}]'},
        (Vendor("local", "openai", "http://127.0.0.1:9/v1", abilities=Abilities(tools=False)),),
    ),
    Case(
        "an entry replaces the known vendor of its name",
        {
            "OPENAI_API_KEY": "known",
            "UPSTREAMS": '[{"name": "openai", "kind": "openai", "base_url": "https://eu.example", "key": "mine"}]',
        },
        (Vendor("openai", "openai", "https://eu.example", Secret("mine")),),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_environment_names_the_vendors(case: Case) -> None:
    assert Settings.from_env(case.environ).vendors == case.expected


class Refused(Struct, frozen=True):
    id: str
    environ: Mapping[str, str]
    says: str


REFUSED = [
    Refused("no JSON", {"UPSTREAMS": "openai"}, "UPSTREAMS must be a JSON list such as"),
    Refused("an object alone", {"UPSTREAMS": "{}"}, "UPSTREAMS must be a JSON list of upstreams: Expected `array`"),
    Refused("an unknown kind", {"UPSTREAMS": f"[{LOCAL.replace('openai', 'soap')}}}]"}, "Invalid enum value 'soap'"),
    Refused("a field nobody knows", {"UPSTREAMS": f'[{LOCAL}, "colour": 1}}]'}, "unknown field `colour`"),
    Refused("a name with a slash", {"UPSTREAMS": f"[{LOCAL.replace('local', 'a/b')}}}]"}, "names an upstream 'a/b'"),
    Refused("the same name twice", {"UPSTREAMS": f"[{LOCAL}}}, {LOCAL}}}]"}, "names an upstream twice"),
    Refused("the name of ChatGPT Web", {"UPSTREAMS": f"[{LOCAL.replace('local', 'chatgpt_web')}}}]"}, "or chatgpt_web"),
    Refused("two keys", {"UPSTREAMS": f'[{LOCAL}, "key": "s3", "key_variable": "K"}}]'}, "both a key and a key_varia"),
    Refused(
        "a key variable that is not set", {"UPSTREAMS": f'[{LOCAL}, "key_variable": "K"}}]'}, "K, which is not set"
    ),
    Refused("a weight of nothing", {"UPSTREAMS": f'[{LOCAL}, "weight": 0}}]'}, "the weight 0: use 1 to 1000"),
    Refused("no address", {"UPSTREAMS": f"[{LOCAL.replace('http://127.0.0.1:9/v1', 'local')}}}]"}, "no base_url such"),
    Refused("a bad known address", {"XAI_API_KEY": "k", "XAI_BASE_URL": "x.ai"}, "XAI_BASE_URL must be an address"),
    Refused("a route without targets", {"MODEL_ROUTES": "gpt-*="}, "MODEL_ROUTES must have entries such as"),
    Refused("a route to nowhere", {"MODEL_ROUTES": "gpt-*=nowhere"}, "MODEL_ROUTES names nowhere, not among"),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_a_mistake_is_named_and_shows_no_key(case: Refused) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(case.environ)
    assert case.says in str(caught.value)
    assert "s3" not in str(caught.value)


def test_routes_are_read_in_order() -> None:
    routes = Settings.from_env(
        {"MODEL_ROUTES": "a-*=chatgpt_web/auto, chatgpt_web ;\n b = chatgpt_web/x/y"}
    ).model_routes
    assert routes == (
        ModelRoute("a-*", (("chatgpt_web", "auto"), ("chatgpt_web", None))),
        ModelRoute("b", (("chatgpt_web", "x/y"),)),
    )


def test_the_variables_that_were_set_are_seen_by_name() -> None:
    assert Settings.from_env({"OPENAI_API_KEY": "k", "MODEL_ROUTES": "a=openai"}).seen == (
        "MODEL_ROUTES",
        "OPENAI_API_KEY",
    )


def test_no_two_known_vendors_share_a_name_or_a_variable() -> None:
    names = [name for known in KNOWN for name in (known.name, known.key_variable, *known.aliases)]
    assert len(names) == len(set(names))


DOCUMENT = Path(__file__).parents[2] / "docs" / "vendors.md"


@pytest.mark.parametrize("name", Abilities.__struct_fields__)
def test_an_ability_is_documented(name: str) -> None:
    rows = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| `")]
    assert any(f"`{name}`" in row.split("|")[1] for row in rows)


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.name)
def test_a_known_vendor_is_documented(known: Known) -> None:
    keys = " or ".join(f"`{name}`" for name in (known.key_variable, *known.aliases))
    models = " ".join(f"`{pattern}`" for pattern in known.models)
    row = f"| `{known.name}` | {keys} | `{known.url_variable}` | {known.kind} | {models} |".replace("|  |", "| |")
    assert row in DOCUMENT.read_text()
