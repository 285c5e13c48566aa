"""Settings: the only reader of the environment. `VARIABLES` is the single table of what can be set.

Everything is read once, checked at once and frozen. Messages name the variable and what would be right, and
never show a secret.
"""

import math
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeAlias, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct, structs

from core.accounts import Account, AccountKind, Secret, jwt_claims, user_of
from core.vendors import KNOWN, Known, ModelRoute, Vendor, read_routes, read_upstreams

Deployment: TypeAlias = Literal["vercel", "lambda"]
Parse: TypeAlias = Callable[[str], object]
Value = TypeVar("Value")

ACCOUNT_ID = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
CREDENTIAL = re.compile(r"[!-~]+", re.ASCII)
SHORTEST_PREFIX_CHARS = 8

CHATGPT = "chatgpt_web"
CODEX = "codex"
OF_ACCOUNTS = (CHATGPT, CODEX)
"""The upstreams that are always there; no vendor may have their names."""

PLATFORMS: Mapping[str, Deployment] = {"VERCEL": "vercel", "AWS_LAMBDA_FUNCTION_NAME": "lambda"}
"""Variables that the platforms themselves set."""

LAMBDA_ADAPTER = "AWS_LWA_INVOKE_MODE"
"""A variable of the AWS Lambda Web Adapter: whoever sets it runs the gateway behind the adapter."""

BOOLEANS = dict.fromkeys(("true", "1", "yes", "on"), True) | dict.fromkeys(("false", "0", "no", "off"), False)


class SettingsError(ValueError):
    """The environment holds values that cannot be used; `problems` has one sentence for each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


# Parsers: text to value. Each raises ValueError with the sentence that the variable's name begins.


def boolean(text: str) -> bool:
    if text.lower() not in BOOLEANS:
        raise ValueError(f"must be one of {', '.join(BOOLEANS)}, not {text!r}")
    return BOOLEANS[text.lower()]


def whole(lowest: int, highest: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"\d{1,18}", text, re.ASCII) or not lowest <= int(text) <= highest:
            raise ValueError(f"must be a whole number from {lowest} to {highest}, not {text!r}")
        return int(text)

    return parse


port_number = whole(0, 65_535)


def seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= 86_400:
        raise ValueError(f"must be a number of seconds above 0 and up to 86400, not {text!r}")
    return value


def choice(*names: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in names:
            raise ValueError(f"must be one of {', '.join(names)}, not {text!r}")
        return text.lower()

    return parse


def plain(text: str) -> str:
    return text


def optional(parse: Callable[[str], Value]) -> Callable[[str], Value | None]:
    return lambda text: parse(text) if text else None


def listed(parse: Callable[[str], Value]) -> Callable[[str], tuple[Value, ...]]:
    """Return a parser of lists that split on comma, semicolon or newline; a repeated item counts once."""

    def parse_all(text: str) -> tuple[Value, ...]:
        values, problems = [], []
        items = filter(None, (item.strip() for item in re.split(r"[,;\r\n]", text)))
        for number, item in enumerate(items, start=1):
            try:
                values.append(parse(item))
            except ValueError as error:
                problems.append(f"item {number} {error}")
        if problems:
            raise ValueError("; ".join(problems))
        return tuple(dict.fromkeys(values))

    return parse_all


def credential(text: str) -> Secret:
    """Parse a key or token; a leading `Bearer ` is tolerated (C2-13)."""
    bare = re.sub(r"^bearer\s+", "", text, flags=re.IGNORECASE)
    if not CREDENTIAL.fullmatch(bare):
        raise ValueError("must be printable ASCII without spaces")
    return Secret(bare)


def prefix(text: str) -> Secret:
    if len(text) < SHORTEST_PREFIX_CHARS:
        raise ValueError(f"must have at least {SHORTEST_PREFIX_CHARS} characters: a prefix must be hard to guess")
    return credential(text)


def account(kind: AccountKind) -> Callable[[str], Account]:
    """Return a parser of `TOKEN`, `TOKEN:ACCOUNT_ID`, either with `|PROXY_URL`, for tokens of this kind."""

    def parse(text: str) -> Account:
        owner, has_proxy, proxy = text.partition("|")
        token, has_id, account_id = owner.strip().partition(":")
        if has_id and not ACCOUNT_ID.fullmatch(account_id):
            raise ValueError("must have an account id of letters, digits, - and _ after its ':'")
        secret = credential(token)
        return Account(
            token=secret,
            account_id=account_id or None,
            proxy=proxy_url(proxy.strip()) if has_proxy else None,
            kind=kind,
            user=user_of(jwt_claims(secret.reveal())) if kind == "access" else None,
        )

    return parse


def proxy_url(text: str) -> Secret:
    if not _is_address(text, schemes=("http", "https", "socks5", "socks5h")):
        raise ValueError("must have a proxy such as http://user:password@host:port, or https, socks5, socks5h")
    return Secret(text)


def base_url(text: str) -> str:
    """Parse an origin, perhaps with a path; a trailing `/backend-api` is tolerated (AU-63)."""
    if not _is_address(text, schemes=("http", "https", "loopback")) or re.search(r"[@?#]", text):
        raise ValueError("must be an address such as https://chatgpt.com, without user, query or fragment")
    return text.rstrip("/").removesuffix("/backend-api").rstrip("/")


def base_url_with_path(text: str) -> str:
    """Parse the address under which a vendor's API paths stand."""
    if not _is_address(text, schemes=("http", "https", "loopback")) or re.search(r"[@?#]", text):
        raise ValueError("must be an address such as https://api.example.com/v1, without user, query or fragment")
    return text.rstrip("/")


def origin(text: str) -> str:
    bare = text.rstrip("/")
    if bare != "*" and not (_is_address(bare, schemes=None) and bare.count("/") == 2):
        raise ValueError(f"must be * or an origin such as https://example.com, not {text!r}")
    return bare


def _is_address(text: str, schemes: Sequence[str] | None) -> bool:
    """Tell whether the text is a URL with a host, of one of the schemes (of any, when there are none)."""
    try:
        parts = urlsplit(text)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    known = bool(parts.scheme) if schemes is None else parts.scheme in schemes
    return known and has_host and CREDENTIAL.fullmatch(text) is not None


class Variable(Struct, frozen=True):
    """One row of the table.

    `default` is written as in the environment, empty for none; `deployed` replaces it on a platform.
    """

    name: str
    field: str
    parse: Parse
    meaning: str
    default: str = ""
    aliases: tuple[str, ...] = ()
    deployed: Mapping[Deployment, str] = {}

    def given(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return what is set, by the name it was set under; blank text counts as unset."""
        texts = {name: environ.get(name, "").strip() for name in (self.name, *self.aliases)}
        return {name: text for name, text in texts.items() if text}

    def value(self, given: Mapping[str, str]) -> object:
        """Raise ValueError, as a whole sentence, for text that cannot be used."""
        if len(set(given.values())) > 1:
            raise ValueError(f"{' and '.join(given)} are names of one setting and differ: keep one of them")
        name, text = next(iter(given.items()))
        try:
            return self.parse(text)
        except ValueError as error:
            raise ValueError(f"{name} {error}") from None

    def default_in(self, deployment: Deployment | None) -> object:
        return self.parse(self.deployed.get(deployment, self.default) if deployment else self.default)


VARIABLES: tuple[Variable, ...] = (
    Variable(
        "AUTH_TOKENS",
        "auth_tokens",
        listed(credential),
        "Gateway keys, a list. Who holds one is served by the pool of accounts.",
        aliases=("Authorization",),
    ),
    Variable(
        "CHATGPT_ACCESS_TOKENS",
        "access_accounts",
        listed(account("access")),
        "The pool, a list of accounts: `TOKEN` or `TOKEN:ACCOUNT_ID`, either with `|PROXY_URL`.",
    ),
    Variable(
        "CHATGPT_REFRESH_TOKENS",
        "refresh_accounts",
        listed(account("refresh")),
        "More of the pool, in the same form: refresh tokens, exchanged for access tokens on demand.",
    ),
    Variable(
        "CHATGPT_SESSION_TOKENS",
        "session_accounts",
        listed(account("session")),
        "More of the pool, in the same form: session tokens, exchanged for access tokens on demand.",
    ),
    Variable(
        "ACCESS_TOKEN_PREFIXES",
        "access_token_prefixes",
        listed(prefix),
        "Private prefixes, a list. `<prefix><access token>` uses the caller's own account.",
        aliases=("ACCESS_TOKEN_PREFIX",),
    ),
    Variable(
        "SIGNING_KEY",
        "signing_key",
        optional(credential),
        "Signs the ids given out. Unset: made from the gateway keys, else the prefixes; changing these ends the ids.",
    ),
    Variable(
        "ENABLE_EXTERNAL_TOKEN",
        "enable_external_token",
        boolean,
        "Whether anybody may come with an access token (`eyJ...`) or a device id (UUID) of their own.",
        default="false",
    ),
    Variable(
        "PROXY",
        "proxy",
        optional(proxy_url),
        "The proxy of every account that has none of its own, and of what is fetched from clients' URLs.",
        aliases=("PROXY_URL",),
    ),
    Variable(
        "CHATGPT_BASE_URL",
        "chatgpt_base_url",
        base_url,
        "Where ChatGPT Web is; `loopback://chatgpt` is the built-in simulation.",
        default="https://chatgpt.com",
        aliases=("BASE_URL",),
    ),
    Variable(
        "CHATGPT_AUTH_BASE_URL",
        "chatgpt_auth_base_url",
        base_url,
        "Where refresh tokens are exchanged; with the built-in simulation, the simulation.",
        default="https://auth.openai.com",
    ),
    Variable(
        "CHATGPT_OAUTH_CLIENT_ID",
        "chatgpt_oauth_client_id",
        plain,
        "The OAuth client that the refresh tokens were issued to; by default the one of Codex CLI.",
        default="app_EMoamEEZ73f0CkXaXp7hrann",
    ),
    Variable(
        "CHATGPT_UPSTREAM",
        "chatgpt_upstream",
        choice("web", "codex", "auto"),
        "What answers for the accounts: `web`; `codex` for all chats of text; `auto`: that where tools are asked for.",
        default="web",
    ),
    Variable(
        "CHATGPT_TURN_PATH",
        "chatgpt_turn_path",
        choice("f", "plain"),
        "Which call carries a turn: `f` for `/f/conversation`, `plain` for `/conversation`.",
        default="f",
    ),
    Variable(
        "UPSTREAMS",
        "upstreams",
        plain,
        "More vendors: a JSON list of objects with `name`, `kind`, `base_url`, a `key` or `key_variable`, and more.",
    ),
    Variable(
        "MODEL_ROUTES",
        "model_routes",
        read_routes,
        "Which upstreams answer for which models: `pattern=upstream[/model],...`, tried in order; `;` between entries.",
    ),
    Variable(
        "LOG_LEVEL",
        "log_level",
        choice("debug", "info", "warning", "error", "critical"),
        "The least level that is logged.",
        default="info",
    ),
    Variable(
        "STREAM_MODE",
        "stream_mode",
        boolean,
        "`false` answers chat completions whole, also when a stream was asked for.",
        default="true",
    ),
    Variable(
        "ENABLE_HISTORY",
        "enable_history",
        optional(boolean),
        "Whether chats are kept upstream. Unset: as the request says, and chat completions are temporary.",
    ),
    Variable(
        "MAX_CONTINUE_COUNT",
        "max_continue_count",
        whole(0, 100),
        "How often an answer that was cut for length is continued; `0` never.",
        default="3",
    ),
    Variable(
        "TOOL_CALLING_ENABLED",
        "tool_calling_enabled",
        boolean,
        "Whether models without function calling are given it; `false` leaves `tools` out, and says so.",
        default="true",
    ),
    Variable(
        "REFUSAL_RETRIES",
        "refusal_retries",
        whole(0, 20),
        "How often a model that denies having its tools is asked again; `0` never.",
        default="3",
    ),
    Variable(
        "DEBUG_TOOL_LOG",
        "debug_tool_log",
        plain,
        "A file for the tool trace, which holds what the model said; `stderr` on serverless.",
    ),
    Variable(
        "MAX_BODY_BYTES",
        "max_body_bytes",
        whole(1, 1 << 31),
        "The largest request body.",
        default="10485760",
        deployed={"vercel": "4500000", "lambda": "6000000"},
    ),
    Variable(
        "IMAGES_AT_ONCE",
        "images_at_once",
        whole(1, 10),
        "How many pictures of one request are made at the same time; each is a turn of its own.",
        default="4",
    ),
    Variable(
        "MAX_UPLOAD_BYTES",
        "max_upload_bytes",
        whole(1, 1 << 40),
        "The largest upload; a recording may have 50 MB at most.",
        default="536870912",
        deployed={"vercel": "4500000", "lambda": "6000000"},
    ),
    Variable(
        "FETCH_URLS",
        "fetch_urls",
        boolean,
        "Whether the pages that a user's newest message names are read and given to the model.",
        default="false",
    ),
    Variable(
        "CORS_ORIGINS",
        "cors_origins",
        listed(origin),
        "Origins whose pages may call the gateway, a list, or `*` for all.",
    ),
    Variable(
        "CONNECT_TIMEOUT_SECONDS",
        "connect_timeout_s",
        seconds,
        "The longest wait for a connection upstream.",
        default="10",
    ),
    Variable(
        "FIRST_BYTE_TIMEOUT_SECONDS",
        "first_byte_timeout_s",
        seconds,
        "The longest wait for the head of an upstream's answer; five times that where a vendor's answer comes whole.",
        default="120",
    ),
    Variable(
        "IDLE_TIMEOUT_SECONDS",
        "idle_timeout_s",
        seconds,
        "The longest silence within an upstream's answer.",
        default="120",
    ),
    Variable(
        "TURN_TIMEOUT_SECONDS",
        "turn_timeout_s",
        seconds,
        "The longest whole turn; a platform's own deadline may be sooner.",
        default="600",
    ),
    Variable(
        "HEARTBEAT_SECONDS",
        "heartbeat_s",
        seconds,
        "How long a stream may be silent before the client gets a heartbeat.",
        default="15",
    ),
    Variable("HOST", "host", plain, "The address `python -m api` listens on.", default="127.0.0.1"),
    Variable(
        "PORT",
        "port",
        port_number,
        "The port `python -m api` listens on; `0` takes a free one.",
        default="3040",
    ),
)


class Settings(Struct, frozen=True, kw_only=True):
    """What the gateway was told. Fields are explained in `VARIABLES`; times are in seconds.

    `deployment` is the platform it runs on, `None` on an ordinary machine; `lambda_adapter` says that requests come
    through the AWS Lambda Web Adapter there. `seen` holds the names (never the values) of the variables that were
    set.
    """

    auth_tokens: tuple[Secret, ...]
    access_accounts: tuple[Account, ...]
    refresh_accounts: tuple[Account, ...]
    session_accounts: tuple[Account, ...]
    access_token_prefixes: tuple[Secret, ...]
    signing_key: Secret | None
    enable_external_token: bool
    proxy: Secret | None
    chatgpt_base_url: str
    chatgpt_auth_base_url: str
    chatgpt_oauth_client_id: str
    chatgpt_upstream: Literal["web", "codex", "auto"]
    chatgpt_turn_path: Literal["f", "plain"]
    upstreams: str
    vendors: tuple[Vendor, ...]
    model_routes: tuple[ModelRoute, ...]
    log_level: str
    stream_mode: bool
    enable_history: bool | None
    max_continue_count: int
    tool_calling_enabled: bool
    refusal_retries: int
    debug_tool_log: str
    max_body_bytes: int
    max_upload_bytes: int
    images_at_once: int
    fetch_urls: bool
    cors_origins: tuple[str, ...]
    connect_timeout_s: float
    first_byte_timeout_s: float
    idle_timeout_s: float
    turn_timeout_s: float
    heartbeat_s: float
    host: str
    port: int
    deployment: Deployment | None
    lambda_adapter: bool
    seen: tuple[str, ...]

    @property
    def accounts(self) -> tuple[Account, ...]:
        """The pool, whatever kind of token its accounts are given by."""
        return self.access_accounts + self.refresh_accounts + self.session_accounts

    @property
    def loopback(self) -> bool:
        """Whether the upstream is the built-in simulation."""
        return self.chatgpt_base_url.startswith("loopback://")

    @property
    def auth_base_url(self) -> str:
        """Where refresh tokens are exchanged: nothing leaves the machine when the upstream is the simulation."""
        return self.chatgpt_base_url if self.loopback else self.chatgpt_auth_base_url

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Read every variable; raise one `SettingsError` that names all problems."""
        deployment = next((platform for name, platform in PLATFORMS.items() if environ.get(name)), None)
        adapter = deployment == "lambda" and bool(environ.get(LAMBDA_ADAPTER))
        values: dict[str, object] = {"deployment": deployment, "lambda_adapter": adapter}
        seen: list[str] = []
        problems: list[str] = []
        for variable in VARIABLES:
            values[variable.field] = variable.default_in(deployment)
            given = variable.given(environ)
            seen.extend(given)
            try:
                values[variable.field] = variable.value(given) if given else values[variable.field]
            except ValueError as error:
                problems.append(str(error))
        vendors = _vendors(environ, str(values["upstreams"]), seen, problems)
        settings = msgspec.convert(values | {"vendors": vendors, "seen": tuple(seen)}, cls)
        settings = structs.replace(settings, access_accounts=_told_apart(settings.access_accounts))
        problems.extend(_contradictions(settings))
        if problems:
            raise SettingsError(problems)
        return settings


def vendor_variables() -> tuple[Variable, ...]:
    """Return the variables that configure a known vendor: its key, and its address if that is another."""
    return tuple(variable for known in KNOWN for variable in _variables_of(known))


def _variables_of(known: Known) -> tuple[Variable, Variable]:
    key = Variable(known.key_variable, "vendors", optional(credential), f"Opens {known.name}.", aliases=known.aliases)
    url = Variable(known.url_variable, "vendors", base_url_with_path, "Its address.", default=known.base_url)
    return key, url


def _vendors(environ: Mapping[str, str], upstreams: str, seen: list[str], problems: list[str]) -> tuple[Vendor, ...]:
    """Return the vendors: those in `UPSTREAMS`, which may replace a known one, then the known ones that have a key."""
    vendors: dict[str, Vendor] = {}
    try:
        named = read_upstreams(upstreams, environ) if upstreams else ()
        vendors = {vendor.name: vendor for vendor in named}
        if len(vendors) < len(named) or not vendors.keys().isdisjoint(OF_ACCOUNTS):
            problems.append("UPSTREAMS names an upstream twice, or chatgpt_web or codex: give each another name")
    except ValueError as error:
        problems.append(f"UPSTREAMS {error}")
    for known in KNOWN:
        key_variable, url_variable = _variables_of(known)
        key, url = (_read(variable, environ, seen, problems) for variable in (key_variable, url_variable))
        if isinstance(key, Secret) and known.name not in vendors:
            address = url if isinstance(url, str) else known.base_url
            vendors[known.name] = Vendor(known.name, known.kind, address, key, known.models, known.abilities)
    return tuple(vendors.values())


def _read(variable: Variable, environ: Mapping[str, str], seen: list[str], problems: list[str]) -> object:
    """Return the value of a variable, its default when it is not set or cannot be used."""
    given = variable.given(environ)
    seen.extend(given)
    try:
        return variable.value(given) if given else variable.parse(variable.default)
    except ValueError as error:
        problems.append(str(error))
        return variable.parse(variable.default)


def _contradictions(settings: Settings) -> list[str]:
    """Return what is wrong between variables that are right one by one."""
    problems = []
    keys = [key.reveal() for key in settings.auth_tokens]
    prefixes = [prefix.reveal() for prefix in settings.access_token_prefixes]
    if any(key.startswith(prefix) for key in keys for prefix in prefixes):
        problems.append("AUTH_TOKENS has a key that begins with one of ACCESS_TOKEN_PREFIXES: change either of them")
    names = {*OF_ACCOUNTS, *(vendor.name for vendor in settings.vendors)}
    unknown = {name for route in settings.model_routes for name, _ in route.targets} - names
    if unknown:
        problems.append(f"MODEL_ROUTES names {', '.join(sorted(unknown))}, not among: {', '.join(sorted(names))}")
    return problems + _named_twice(settings)


def _told_apart(accounts: Sequence[Account]) -> tuple[Account, ...]:
    """Return the accounts, named by their tokens where several tokens are of one user in one workspace."""
    named = Counter(account.digest for account in accounts)
    return tuple(structs.replace(each, user=None) if named[each.digest] > 1 else each for each in accounts)


def _named_twice(settings: Settings) -> list[str]:
    lists = {
        "CHATGPT_ACCESS_TOKENS": settings.access_accounts,
        "CHATGPT_REFRESH_TOKENS": settings.refresh_accounts,
        "CHATGPT_SESSION_TOKENS": settings.session_accounts,
    }
    problems = []
    known: set[str] = set()
    for name, accounts in lists.items():
        digests = [account.digest for account in accounts]
        if len(known.union(digests)) < len(known) + len(digests):
            problems.append(f"{name} names one account twice, with different proxies or in two lists: keep one of them")
        known.update(digests)
    return problems
