"""What the environment may say, what it becomes, and how mistakes are told."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, structs

from core.accounts import Account, Secret
from core.settings import VARIABLES, Settings, SettingsError, Variable
from tests.core.test_accounts import jwt

DOCUMENT = Path(__file__).parents[2] / "docs" / "configuration.md"


class Case(Struct, frozen=True):
    name: str
    environ: Mapping[str, str]
    expected: Mapping[str, object]


def secrets(*texts: str) -> tuple[Secret, ...]:
    return tuple(Secret(text) for text in texts)


TOKEN = Secret("eyJ.a.b")
OF_USER = Secret(jwt(**{"https://api.openai.com/auth": {"chatgpt_user_id": "user-1", "chatgpt_account_id": "home"}}))
PROXY = Secret("http://user:pass@proxy.example:8080")

CASES = [
    Case(
        "nothing set gives the defaults",
        {},
        {
            "auth_tokens": (),
            "accounts": (),
            "access_token_prefixes": (),
            "enable_external_token": False,
            "proxy": None,
            "chatgpt_base_url": "https://chatgpt.com",
            "chatgpt_turn_path": "f",
            "log_level": "info",
            "stream_mode": True,
            "enable_history": None,
            "max_continue_count": 3,
            "max_body_bytes": 10 * 1024 * 1024,
            "cors_origins": (),
            "connect_timeout_s": 10.0,
            "first_byte_timeout_s": 120.0,
            "idle_timeout_s": 120.0,
            "turn_timeout_s": 600.0,
            "heartbeat_s": 15.0,
            "host": "127.0.0.1",
            "port": 3040,
            "deployment": None,
            "seen": (),
        },
    ),
    Case("blank text counts as unset", {"PORT": " ", "AUTH_TOKENS": ""}, {"port": 3040, "seen": ()}),
    Case(
        "a list splits on comma, semicolon and newline",
        {"AUTH_TOKENS": "a, b;c\r\nd\n;,"},
        {"auth_tokens": secrets("a", "b", "c", "d")},
    ),
    Case("a repeated key counts once", {"AUTH_TOKENS": "a,a"}, {"auth_tokens": secrets("a")}),
    Case(
        "a key may be stored with Bearer",
        {"AUTH_TOKENS": "Bearer a,bearer  b"},
        {"auth_tokens": secrets("a", "b")},
    ),
    Case("Authorization is Aurora's name for the keys", {"Authorization": "a"}, {"auth_tokens": secrets("a")}),
    Case(
        "two names may say the same",
        {"AUTH_TOKENS": "a", "Authorization": "a"},
        {"auth_tokens": secrets("a")},
    ),
    Case("an account is a token", {"CHATGPT_ACCESS_TOKENS": "eyJ.a.b"}, {"accounts": (Account(TOKEN),)}),
    Case(
        "an account may name its workspace",
        {"CHATGPT_ACCESS_TOKENS": "eyJ.a.b:team-1"},
        {"accounts": (Account(TOKEN, "team-1"),)},
    ),
    Case(
        "an account may have its own proxy",
        {"CHATGPT_ACCESS_TOKENS": f"eyJ.a.b|{PROXY.reveal()}"},
        {"accounts": (Account(TOKEN, None, PROXY),)},
    ),
    Case(
        "an account may have both",
        {"CHATGPT_ACCESS_TOKENS": f"eyJ.a.b:team-1 | {PROXY.reveal()}"},
        {"accounts": (Account(TOKEN, "team-1", PROXY),)},
    ),
    Case(
        "two tokens of one account are named by themselves",
        {"CHATGPT_ACCESS_TOKENS": f"{OF_USER.reveal()},{OF_USER.reveal()}-newer"},
        {"accounts": (Account(OF_USER), Account(Secret(f"{OF_USER.reveal()}-newer")))},
    ),
    Case(
        "an access token that names its user names the account by it",
        {"CHATGPT_ACCESS_TOKENS": OF_USER.reveal(), "CHATGPT_REFRESH_TOKENS": f"{OF_USER.reveal()}:team-1"},
        {"accounts": (Account(OF_USER, user="user-1"), Account(OF_USER, "team-1", kind="refresh"))},
    ),
    Case(
        "one token may act in two workspaces",
        {"CHATGPT_ACCESS_TOKENS": "eyJ.a.b:one;eyJ.a.b:two"},
        {"accounts": (Account(TOKEN, "one"), Account(TOKEN, "two"))},
    ),
    Case(
        "an account may be given by a refresh or session token, in the same form",
        {
            "CHATGPT_REFRESH_TOKENS": "r:team-1",
            "CHATGPT_SESSION_TOKENS": f"s|{PROXY.reveal()}",
            "CHATGPT_ACCESS_TOKENS": "a",
        },
        {
            "accounts": (
                Account(Secret("a")),
                Account(Secret("r"), "team-1", kind="refresh"),
                Account(Secret("s"), None, PROXY, kind="session"),
            )
        },
    ),
    Case(
        "ACCESS_TOKEN_PREFIX is one prefix or several",
        {"ACCESS_TOKEN_PREFIX": "prefix-1,prefix-2"},
        {"access_token_prefixes": secrets("prefix-1", "prefix-2")},
    ),
    Case("a proxy may have credentials", {"PROXY": PROXY.reveal()}, {"proxy": PROXY}),
    Case("PROXY_URL is PROXY", {"PROXY_URL": "socks5://p:1"}, {"proxy": Secret("socks5://p:1")}),
    Case(
        "a trailing backend-api is tolerated",
        {"BASE_URL": "https://chatgpt.com/backend-api/"},
        {"chatgpt_base_url": "https://chatgpt.com"},
    ),
    Case(
        "a base may have a path",
        {"CHATGPT_BASE_URL": "http://127.0.0.1:8080/web/"},
        {"chatgpt_base_url": "http://127.0.0.1:8080/web"},
    ),
    Case(
        "the loopback is a base",
        {"CHATGPT_BASE_URL": "loopback://chatgpt"},
        {"chatgpt_base_url": "loopback://chatgpt", "loopback": True},
    ),
    Case("ChatGPT is not the loopback", {}, {"loopback": False}),
    Case("the turn path", {"CHATGPT_TURN_PATH": "plain"}, {"chatgpt_turn_path": "plain"}),
    Case(
        "words have no case",
        {"LOG_LEVEL": "WARNING", "STREAM_MODE": "Off"},
        {"log_level": "warning", "stream_mode": False},
    ),
    Case("history may be kept", {"ENABLE_HISTORY": "1"}, {"enable_history": True}),
    Case(
        "history may be refused, which is not the same as unset",
        {"ENABLE_HISTORY": "no"},
        {"enable_history": False},
    ),
    Case("no continuation", {"MAX_CONTINUE_COUNT": "0"}, {"max_continue_count": 0}),
    Case("seconds may have a fraction", {"HEARTBEAT_SECONDS": "0.5"}, {"heartbeat_s": 0.5}),
    Case(
        "origins stand without their trailing slash",
        {"CORS_ORIGINS": "https://a.example/,http://localhost:5173,*"},
        {"cors_origins": ("https://a.example", "http://localhost:5173", "*")},
    ),
    Case("any free port", {"PORT": "0"}, {"port": 0}),
    Case("Vercel takes smaller bodies", {"VERCEL": "1"}, {"deployment": "vercel", "max_body_bytes": 4_500_000}),
    Case(
        "Lambda takes smaller bodies",
        {"AWS_LAMBDA_FUNCTION_NAME": "isthmus"},
        {"deployment": "lambda", "lambda_adapter": False, "max_body_bytes": 6_000_000},
    ),
    Case(
        "the AWS Lambda Web Adapter is known by its variable",
        {"AWS_LAMBDA_FUNCTION_NAME": "isthmus", "AWS_LWA_INVOKE_MODE": "response_stream"},
        {"deployment": "lambda", "lambda_adapter": True},
    ),
    Case(
        "the adapter's variable means nothing off Lambda",
        {"AWS_LWA_INVOKE_MODE": "response_stream"},
        {"deployment": None, "lambda_adapter": False},
    ),
    Case(
        "a stated limit holds on a platform too",
        {"VERCEL": "1", "MAX_BODY_BYTES": "9"},
        {"max_body_bytes": 9},
    ),
    Case(
        "what was set is known by name, aliases by their own",
        {"PROXY_URL": "http://p:1", "AUTH_TOKENS": "a", "PATH": "/bin"},
        {"seen": ("AUTH_TOKENS", "PROXY_URL")},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_environment_becomes_settings(case: Case) -> None:
    settings = Settings.from_env(case.environ)
    assert {name: getattr(settings, name) for name in case.expected} == case.expected


class Mistake(Struct, frozen=True):
    name: str
    environ: Mapping[str, str]
    expected: tuple[str, ...]


ITEM = "must be printable ASCII without spaces"
PROXY_FORM = "must have a proxy such as http://user:password@host:port, or https, socks5, socks5h"
TWICE = "names one account twice, with different proxies or in two lists: keep one of them"
BASE_FORM = "must be an address such as https://chatgpt.com, without user, query or fragment"

MISTAKES = [
    Mistake(
        "a port that is no number",
        {"PORT": "http"},
        ("PORT must be a whole number from 0 to 65535, not 'http'",),
    ),
    Mistake(
        "a port out of range",
        {"PORT": "70000"},
        ("PORT must be a whole number from 0 to 65535, not '70000'",),
    ),
    Mistake("digits of other scripts", {"PORT": "٣"}, ("PORT must be a whole number from 0 to 65535, not '٣'",)),
    Mistake(
        "a negative count",
        {"MAX_CONTINUE_COUNT": "-1"},
        ("MAX_CONTINUE_COUNT must be a whole number from 0 to 100, not '-1'",),
    ),
    Mistake(
        "no time at all",
        {"HEARTBEAT_SECONDS": "0"},
        ("HEARTBEAT_SECONDS must be a number of seconds above 0 and up to 86400, not '0'",),
    ),
    Mistake(
        "time without end",
        {"IDLE_TIMEOUT_SECONDS": "inf"},
        ("IDLE_TIMEOUT_SECONDS must be a number of seconds above 0 and up to 86400, not 'inf'",),
    ),
    Mistake(
        "neither yes nor no",
        {"STREAM_MODE": "maybe"},
        ("STREAM_MODE must be one of true, 1, yes, on, false, 0, no, off, not 'maybe'",),
    ),
    Mistake(
        "an unknown level",
        {"LOG_LEVEL": "loud"},
        ("LOG_LEVEL must be one of debug, info, warning, error, critical, not 'loud'",),
    ),
    Mistake("a key with a space", {"AUTH_TOKENS": "good,hush hush"}, (f"AUTH_TOKENS item 2 {ITEM}",)),
    Mistake("a key outside ASCII", {"AUTH_TOKENS": "hush-é"}, (f"AUTH_TOKENS item 1 {ITEM}",)),
    Mistake(
        "two bad items of one list",
        {"AUTH_TOKENS": "hush hush;good;hush-é"},
        (f"AUTH_TOKENS item 1 {ITEM}; item 3 {ITEM}",),
    ),
    Mistake(
        "two names that differ",
        {"AUTH_TOKENS": "hush-a", "Authorization": "hush-b"},
        ("AUTH_TOKENS and Authorization are names of one setting and differ: keep one of them",),
    ),
    Mistake(
        "an account without a token",
        {"CHATGPT_ACCESS_TOKENS": ":hush"},
        (f"CHATGPT_ACCESS_TOKENS item 1 {ITEM}",),
    ),
    Mistake(
        "an account with an odd id",
        {"CHATGPT_ACCESS_TOKENS": "hush:a/b"},
        ("CHATGPT_ACCESS_TOKENS item 1 must have an account id of letters, digits, - and _ after its ':'",),
    ),
    Mistake(
        "an account with an empty id",
        {"CHATGPT_ACCESS_TOKENS": "hush:"},
        ("CHATGPT_ACCESS_TOKENS item 1 must have an account id of letters, digits, - and _ after its ':'",),
    ),
    Mistake(
        "an account with an empty proxy",
        {"CHATGPT_ACCESS_TOKENS": "hush|"},
        (f"CHATGPT_ACCESS_TOKENS item 1 {PROXY_FORM}",),
    ),
    Mistake(
        "an account twice, with different proxies",
        {"CHATGPT_ACCESS_TOKENS": "hush,hush|http://p:1"},
        (f"CHATGPT_ACCESS_TOKENS {TWICE}",),
    ),
    Mistake(
        "a token in two lists",
        {"CHATGPT_ACCESS_TOKENS": "hush", "CHATGPT_SESSION_TOKENS": "other,hush"},
        (f"CHATGPT_SESSION_TOKENS {TWICE}",),
    ),
    Mistake("a proxy without a scheme", {"PROXY": "user:hush@host:1"}, (f"PROXY {PROXY_FORM}",)),
    Mistake("a proxy without a host", {"PROXY": "http://user:hush@"}, (f"PROXY {PROXY_FORM}",)),
    Mistake("a proxy with a port beyond all ports", {"PROXY": "http://hush:99999"}, (f"PROXY {PROXY_FORM}",)),
    Mistake("a proxy with broken brackets", {"PROXY": "http://[hush"}, (f"PROXY {PROXY_FORM}",)),
    Mistake("a proxy is named as it was set", {"PROXY_URL": "ftp://hush"}, (f"PROXY_URL {PROXY_FORM}",)),
    Mistake("a base of another scheme", {"CHATGPT_BASE_URL": "ftp://hush"}, (f"CHATGPT_BASE_URL {BASE_FORM}",)),
    Mistake(
        "a base with credentials",
        {"CHATGPT_BASE_URL": "https://u:hush@h"},
        (f"CHATGPT_BASE_URL {BASE_FORM}",),
    ),
    Mistake("a base with a query", {"CHATGPT_BASE_URL": "https://h?x=1"}, (f"CHATGPT_BASE_URL {BASE_FORM}",)),
    Mistake(
        "an origin with a path",
        {"CORS_ORIGINS": "https://a.example/b"},
        ("CORS_ORIGINS item 1 must be * or an origin such as https://example.com, not 'https://a.example/b'",),
    ),
    Mistake(
        "a prefix that is easy to guess",
        {"ACCESS_TOKEN_PREFIX": "hush"},
        ("ACCESS_TOKEN_PREFIX item 1 must have at least 8 characters: a prefix must be hard to guess",),
    ),
    Mistake(
        "a key that begins with a prefix",
        {"AUTH_TOKENS": "hush-hush-1", "ACCESS_TOKEN_PREFIXES": "hush-hush"},
        ("AUTH_TOKENS has a key that begins with one of ACCESS_TOKEN_PREFIXES: change either of them",),
    ),
    Mistake(
        "all mistakes are told at once",
        {"PORT": "x", "AUTH_TOKENS": "hush hush", "PROXY": "hush"},
        (
            f"AUTH_TOKENS item 1 {ITEM}",
            f"PROXY {PROXY_FORM}",
            "PORT must be a whole number from 0 to 65535, not 'x'",
        ),
    ),
]


@pytest.mark.parametrize("case", MISTAKES, ids=lambda case: case.name)
def test_a_mistake_is_told_without_the_secret(case: Mistake) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(case.environ)
    assert caught.value.problems == case.expected
    assert "hush" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@given(st.dictionaries(st.sampled_from([variable.name for variable in VARIABLES]), st.text()))
def test_any_environment_gives_settings_or_a_settings_error(environ: Mapping[str, str]) -> None:
    for problem in problems(environ):
        assert any(problem.startswith(name) for name in environ)


def problems(environ: Mapping[str, str]) -> tuple[str, ...]:
    try:
        Settings.from_env(environ)
    except SettingsError as error:
        return error.problems
    return ()


def test_settings_print_no_secret() -> None:
    environ = {
        "AUTH_TOKENS": "hush-1",
        "CHATGPT_ACCESS_TOKENS": "hush-2:team|http://hush-3:1",
        "CHATGPT_REFRESH_TOKENS": "hush-6",
        "CHATGPT_SESSION_TOKENS": "hush-7",
        "ACCESS_TOKEN_PREFIXES": "hush-hush-4",
        "PROXY": "http://user:hush-5@host:1",
    }
    assert "hush" not in repr(Settings.from_env(environ))


def test_a_replaced_base_is_the_loopback() -> None:
    settings = Settings.from_env({})
    assert structs.replace(settings, chatgpt_base_url="loopback://chatgpt").loopback


# The documentation


def row(variable: Variable) -> str:
    """Return the start of the variable's row in the table of docs/configuration.md."""
    aliases = "".join(f" `{alias}`" for alias in variable.aliases)
    default = f" `{variable.default}`" if variable.default else ""
    return f"| `{variable.name}` |{aliases} |{default}"


@pytest.mark.parametrize("variable", VARIABLES, ids=lambda variable: variable.name)
def test_a_variable_is_documented(variable: Variable) -> None:
    rows = [line for line in DOCUMENT.read_text().splitlines() if line.startswith(row(variable))]
    assert len(rows) == 1, f"docs/configuration.md needs one row that begins with {row(variable)!r}"
    meaning = variable.meaning.replace("|", "\\|")
    assert meaning in rows[0]
    assert all(f"`{default}`" in rows[0] for default in variable.deployed.values())


def test_nothing_else_is_documented_as_a_variable() -> None:
    documented = re.findall(r"^\| `([A-Z_]+)` \|", DOCUMENT.read_text(), re.MULTILINE)
    assert documented == [variable.name for variable in VARIABLES]


def test_every_row_fills_a_field_of_its_own() -> None:
    filled = {variable.field for variable in VARIABLES}
    assert filled | {"deployment", "lambda_adapter", "seen", "vendors"} == set(Settings.__struct_fields__)
    assert len(filled) == len(VARIABLES)


def test_no_name_stands_for_two_settings() -> None:
    names = [name for variable in VARIABLES for name in (variable.name, *variable.aliases)]
    assert len(names) == len(set(names))
