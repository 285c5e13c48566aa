"""The ways to start: `python -m api`, `api.index`, `api.lambda_handler`, each in a fresh interpreter."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from msgspec import Struct

from api.__main__ import LOOPBACK_KEY
from tests.api.children import ROOT, environment, run_python
from tests.api.servers import KEY, SIMULATED, TOKEN, chat_body

IMPORT_LIMIT_MS = 400
"""Twice what is asked for: machines differ. The figure is printed."""

ACCOUNT = {"CHATGPT_ACCESS_TOKENS": TOKEN}


class Local:
    """A running `python -m api`. `says` is what it has written by the time it listens."""

    def __init__(self, url: str, says: str) -> None:
        self.url = url
        self.says = says

    def get(self, path: str) -> Any:
        return httpx.get(f"{self.url}{path}", trust_env=False).json()

    def chat(self, key: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key}"}
        body = chat_body("Say this is a test!")
        return httpx.post(f"{self.url}/v1/chat/completions", json=body, headers=headers, trust_env=False)


@contextmanager
def started(*arguments: str, **environ: str) -> Iterator[Local]:
    """Run `python -m api` until the block ends."""
    command = [sys.executable, "-m", "api", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, env=environment(environ), stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        says = ""
        while "listens on" not in says:
            line = process.stderr.readline()
            assert line, f"it ended: {says}"
            says += line
        yield Local(says.partition("listens on ")[2].partition("/v1")[0], says)
    finally:
        process.terminate()
        process.wait(timeout=20)
        process.stderr.close()


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])


class Start(Struct, frozen=True):
    """`key` opens the gateway; None stands for one that is made and printed."""

    name: str
    environ: dict[str, str]
    loopback: bool
    key: str | None
    says: tuple[str, ...]


STARTS = [
    Start(
        "nothing set: the simulation, with a key that can be copied",
        {},
        True,
        LOOPBACK_KEY,
        ("the gateway key of this run is sk-loopback", "the built-in simulation (loopback)"),
    ),
    Start(
        "a key alone: the simulation behind that key",
        {"AUTH_TOKENS": KEY},
        True,
        KEY,
        ("the built-in simulation (loopback)",),
    ),
    Start(
        "an account alone: a key is made and printed",
        ACCOUNT | {"CHATGPT_BASE_URL": "http://127.0.0.1:9"},
        False,
        None,
        ("the gateway key of this run is sk-", "http://127.0.0.1:9"),
    ),
    Start(
        "the simulation by name",
        {"CHATGPT_BASE_URL": "loopback://chatgpt", "AUTH_TOKENS": KEY},
        True,
        KEY,
        ("the built-in simulation (loopback)",),
    ),
]


@pytest.mark.parametrize("start", STARTS, ids=lambda start: start.name)
def test_the_local_server_makes_do_with_what_is_set(start: Start) -> None:
    with started("--port", "0", **start.environ) as local:
        assert all(words in local.says for words in start.says)
        assert local.get("/health")["loopback"] is start.loopback
        key = start.key or local.says.partition("this run is ")[2].split()[0]
        answer = local.chat(key)
        assert local.chat("sk-wrong").status_code == 401
    assert not [secret for secret in start.environ.values() if secret in (KEY, TOKEN) and secret in local.says]
    if start.loopback:
        assert answer.json()["choices"][0]["message"]["content"] == "This is a test!"
    else:
        assert answer.status_code == 503
        assert len(key) > 40


def test_callers_with_accounts_of_their_own_are_no_reason_to_simulate() -> None:
    with started("--port", "0", ENABLE_EXTERNAL_TOKEN="true") as local:
        assert local.get("/health")["loopback"] is False


def test_host_and_port_may_stand_in_the_environment() -> None:
    port = free_port()
    with started(HOST="127.0.0.1", PORT=port) as local:
        assert local.url == f"http://127.0.0.1:{port}"
        assert local.get("/ping") == {"message": "pong"}


def test_the_command_line_wins() -> None:
    port = free_port()
    with started("--host", "127.0.0.1", "--port", port, HOST="192.0.2.1", PORT="1") as local:
        assert local.url == f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("module", [["-m", "api"], ["-c", "import api.index"]], ids=["python -m api", "api.index"])
def test_settings_that_cannot_be_used_are_named(module: list[str]) -> None:
    run = run_python(module, {"PORT": "many", "CHATGPT_ACCESS_TOKENS": f"{TOKEN} with blanks"})
    assert run.returncode == 1
    assert "PORT must be a whole number" in run.stderr
    assert "CHATGPT_ACCESS_TOKENS" in run.stderr
    assert TOKEN not in run.stderr
    if module[0] == "-m":
        assert "Traceback" not in run.stderr


def test_a_free_port_is_told() -> None:
    with started(PORT="0") as local:
        assert not local.url.endswith(":0")
        assert local.get("/ping") == {"message": "pong"}


def test_a_port_that_is_taken_is_not_announced() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        run = run_python(["-m", "api", "--port", str(listener.getsockname()[1])], {})
    assert run.returncode != 0
    assert "address already in use" in run.stderr
    assert "listens on" not in run.stderr


@pytest.mark.parametrize("port", ["99999", "-1", "http", "1e3"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    run = run_python(["-m", "api", f"--port={port}"], {})
    assert run.returncode == 2
    assert f"argument --port: must be a whole number from 0 to 65535, not '{port}'" in run.stderr


def test_help_is_given() -> None:
    run = run_python(["-m", "api", "--help"], {})
    assert run.returncode == 0
    assert "--port" in run.stdout


# Imports.

ABSENT = (
    *("uvicorn", "httpx", "mangum", "core.loopback", "openai", "hypothesis"),
    *("core.upstreams.openai_compatible", "core.upstreams.chatgpt_web.turns", "core.upstreams.codex.turns"),
    *("core.wire.gemini.requests", "core.wire.anthropic.requests", "core.wire.openai_responses.requests"),
    *("core.tools.lifter", "core.pages", "api.audio", "api.images", "api.files"),
)
TIMED = f"""
import sys, time
begin = time.perf_counter()
import api.index
took_ms = (time.perf_counter() - begin) * 1000
import json
print(json.dumps([took_ms, [name for name in {ABSENT!r} if name in sys.modules]]))
"""


def test_importing_the_entry_is_quick_and_light() -> None:
    environ = {"VERCEL": "1", "AUTH_TOKENS": KEY, "CHATGPT_ACCESS_TOKENS": TOKEN}
    runs = [json.loads(run_python(["-c", TIMED], environ).stdout) for _ in range(5)]
    best_ms = min(took_ms for took_ms, _ in runs)
    print(f"import of api.index: {best_ms:.0f} ms")
    assert runs[0][1] == []
    assert best_ms < IMPORT_LIMIT_MS


# AWS Lambda.

CALLS = """
import json, sys
from api.lambda_handler import handler

class Context:
    def __init__(self, remaining_ms):
        self.remaining_ms = remaining_ms
    def get_remaining_time_in_millis(self):
        return self.remaining_ms

def event(method, path, body, key):
    http = {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "test"}
    return {"version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "", "isBase64Encoded": False,
            "headers": {"authorization": "Bearer " + key, "content-type": "application/json", "host": "x"},
            "requestContext": {"http": http, "domainName": "x", "requestId": "r", "stage": "$default"}, "body": body}

answers = [handler(event(*call[:4]), Context(call[4])) for call in json.loads(sys.argv[1])]
print(json.dumps([*answers, handler({"source": "aws.events"}, Context(1))]))
"""


def lambda_answers(*calls: tuple[str, str, str, str, int]) -> list[dict[str, Any]]:
    run = run_python(["-W", "ignore", "-c", CALLS, json.dumps(calls)], SIMULATED)
    assert run.returncode == 0, run.stderr
    answers: list[dict[str, Any]] = json.loads(run.stdout)
    return answers


def test_lambda_answers_what_http_answers() -> None:
    chat, stalled = "/v1/chat/completions", 'loopback: {"text": "One two three", "stall_after_chars": 8}'
    whole, streamed, ended, refused, health, foreign = lambda_answers(
        ("POST", chat, json.dumps(chat_body("Say this is a test!")), KEY, 30_000),
        ("POST", chat, json.dumps(chat_body("Say this is a test!", stream=True)), KEY, 30_000),
        ("POST", chat, json.dumps(chat_body(stalled)), KEY, 2_000),
        ("POST", chat, "{", "sk-wrong", 30_000),
        ("GET", "/health", "", "", 30_000),
    )
    assert whole["statusCode"] == 200
    assert json.loads(whole["body"])["choices"][0]["message"]["content"] == "This is a test!"
    assert streamed["statusCode"] == 200
    assert streamed["body"].endswith("data: [DONE]\n\n")
    choice = json.loads(ended["body"])["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("One two ", "length")
    assert (refused["statusCode"], json.loads(refused["body"])["error"]["code"]) == (401, "invalid_api_key")
    assert json.loads(health["body"])["status"] == "ok"
    assert foreign == {"handled": False, "reason": "not an HTTP event"}
