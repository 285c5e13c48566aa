"""The vendors a deployment may call besides ChatGPT: how each is named, reached and told apart. Values only.

`KNOWN` lists those that one variable is enough for; `UPSTREAMS` names any others (docs/vendors.md).
"""

import re
from collections.abc import Mapping
from typing import Literal, TypeAlias

from msgspec import Struct, ValidationError, json

from core.accounts import Secret
from core.errors import MALFORMED_JSON

Kind: TypeAlias = Literal["openai", "anthropic", "gemini"]
"""The wire format a vendor speaks; `openai` stands for all that are compatible with it."""

NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}", re.ASCII)
MAX_WEIGHT = 1000


class Abilities(Struct, frozen=True, forbid_unknown_fields=True):
    """What a vendor does by itself; the gateway emulates or refuses the rest.

    `json_schema` says that its structured output covers schemas.
    `responses`, `rerank` and `completions` say that it has that API too.
    `reasoning_content` says that it wants to be told again what it thought.
    `stream_options` says that a stream's usage may be asked for; where it may not, it comes unasked.
    """

    tools: bool = True
    structured_output: bool = True
    json_schema: bool = True
    responses: bool = False
    rerank: bool = False
    completions: bool = False
    stream_options: bool = True
    reasoning_content: bool = False


class Vendor(Struct, frozen=True):
    """One upstream to build. `models` are patterns (`*` stands for any text) of the names that go there by themselves.

    `base_url` ends where the API's own paths begin, as its SDK wants it (`https://api.openai.com/v1`). Among vendors
    that claim the same name, requests spread by `weight`.
    """

    name: str
    kind: Kind
    base_url: str
    key: Secret | None = None
    models: tuple[str, ...] = ()
    abilities: Abilities = Abilities()
    weight: int = 1
    proxy: Secret | None = None


class Known(Struct, frozen=True):
    """A vendor that its key alone configures. `<NAME>_API_KEY` and `<NAME>_BASE_URL` are its variables."""

    name: str
    kind: Kind
    base_url: str
    models: tuple[str, ...] = ()
    abilities: Abilities = Abilities()
    aliases: tuple[str, ...] = ()

    @property
    def key_variable(self) -> str:
        return f"{self.name.upper()}_API_KEY"

    @property
    def url_variable(self) -> str:
        return f"{self.name.upper()}_BASE_URL"


# Addresses: each vendor's own API documentation, as of 2026-11. Patterns: the names of its own model families.
KNOWN: tuple[Known, ...] = (
    Known("openai", "openai", "https://api.openai.com/v1", ("text-embedding-*",), Abilities(responses=True)),
    Known("anthropic", "anthropic", "https://api.anthropic.com", ("claude*",)),
    Known(
        "gemini",
        "gemini",
        "https://generativelanguage.googleapis.com",
        ("gemini*", "gemma*"),
        aliases=("GOOGLE_API_KEY",),
    ),
    # To json_schema it says "This response_format type is unavailable now". What it thought in a turn with calls must
    # be told again in all later ones, what it thought in others may be (api-docs.deepseek.com/guides/thinking_mode).
    Known(
        "deepseek",
        "openai",
        "https://api.deepseek.com/v1",
        ("deepseek*",),
        Abilities(json_schema=False, reasoning_content=True),
    ),
    # It answered stream_options with 422, and tells the usage without it (dnakov/anon-kode#53, 2025-03).
    Known(
        "mistral",
        "openai",
        "https://api.mistral.ai/v1",
        ("mistral*", "ministral*", "magistral*", "codestral*"),
        Abilities(stream_options=False),
    ),
    Known("xai", "openai", "https://api.x.ai/v1", ("grok*",)),
    Known("perplexity", "openai", "https://api.perplexity.ai", ("sonar*",)),
    Known("groq", "openai", "https://api.groq.com/openai/v1"),
    Known("together", "openai", "https://api.together.xyz/v1"),
    Known("openrouter", "openai", "https://openrouter.ai/api/v1", ("*/*",)),
)


class _Entry(Struct, frozen=True, forbid_unknown_fields=True):
    """One item of `UPSTREAMS`, as written."""

    name: str
    kind: Kind
    base_url: str
    key: str | None = None
    key_variable: str | None = None
    models: tuple[str, ...] = ()
    capabilities: Abilities = Abilities()
    weight: int = 1
    proxy: str | None = None


_entries = json.Decoder(tuple[_Entry, ...])


def read_upstreams(text: str, environ: Mapping[str, str]) -> tuple[Vendor, ...]:
    """Return the vendors a JSON list names. Raises `ValueError`, which never shows a key."""
    try:
        entries = _entries.decode(text.encode())
    except ValidationError as error:
        raise ValueError(f"must be a JSON list of upstreams: {error}") from None
    except MALFORMED_JSON:
        raise ValueError('must be a JSON list such as [{"name": ..., "kind": "openai", "base_url": ...}]') from None
    return tuple(_vendor(entry, environ) for entry in entries)


def _vendor(entry: _Entry, environ: Mapping[str, str]) -> Vendor:
    if not NAME.fullmatch(entry.name):
        raise ValueError(f"names an upstream {entry.name!r}: use lower-case letters, digits, '_', '.' and '-'")
    if entry.key is not None and entry.key_variable is not None:
        raise ValueError(f"gives {entry.name!r} both a key and a key_variable: keep one of them")
    if not 1 <= entry.weight <= MAX_WEIGHT:
        raise ValueError(f"gives {entry.name!r} the weight {entry.weight}: use 1 to {MAX_WEIGHT}")
    if not re.fullmatch(r"(https?|loopback)://[^\s@?#/]+[^\s@?#]*", entry.base_url, re.ASCII):
        raise ValueError(f"gives {entry.name!r} no base_url such as https://api.example.com/v1")
    key = entry.key
    if entry.key_variable is not None:
        key = environ.get(entry.key_variable, "").strip()
        if not key:
            raise ValueError(f"wants the key of {entry.name!r} from {entry.key_variable}, which is not set")
    return Vendor(
        name=entry.name,
        kind=entry.kind,
        base_url=entry.base_url.rstrip("/"),
        key=Secret(key) if key else None,
        models=entry.models,
        abilities=entry.capabilities,
        weight=entry.weight,
        proxy=Secret(entry.proxy) if entry.proxy else None,
    )


class ModelRoute(Struct, frozen=True):
    """Names that fit `pattern` go to these (upstream, model) in turn; without a model the name goes on as it is."""

    pattern: str
    targets: tuple[tuple[str, str | None], ...]


def read_routes(text: str) -> tuple[ModelRoute, ...]:
    """Return the routes of `pattern=upstream[/model][,...]`, split on semicolon or newline. Raises `ValueError`."""
    return tuple(_route(item) for item in filter(None, map(str.strip, re.split(r"[;\r\n]", text))))


def _route(item: str) -> ModelRoute:
    pattern, has_targets, targets = item.partition("=")
    named = tuple(_named(target) for target in filter(None, map(str.strip, targets.split(","))))
    if not (pattern.strip() and has_targets and named):
        raise ValueError(f"must have entries such as claude-*=anthropic,chatgpt_web/auto, not {item!r}")
    return ModelRoute(pattern.strip(), named)


def _named(target: str) -> tuple[str, str | None]:
    upstream, _, model = target.partition("/")
    return upstream, model or None
