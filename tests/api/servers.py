"""Servers for the tests that cross a socket: a gateway under uvicorn, and the simulated upstream on a real port.

Both listen before they run, so that nobody waits for them to be ready. Every secret here must never be logged: the
fixture `session_log` reads the whole log of a session for them.
"""

import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.types import ASGIApp

from api.app import create_app
from core.loopback import create_loopback
from core.settings import Settings

KEY = "sk-test-7c1f0be2-gateway-key"
TOKEN = "loopback-test-account-9d2e41"
VENDOR_KEY = "loopback-test-vendor-key-5b80c3"
PROMPT_MARK = "quiet-zebra"
"""Stands in the prompts of these tests, so that the log can be searched for what users said."""

GIVEN_OUT = ("eyJhbGciOiJub25lIn0.", "loopback-successor-")
"""How the tokens begin that the simulated token service gives out."""

SECRETS = (KEY, TOKEN, VENDOR_KEY, PROMPT_MARK, *GIVEN_OUT)

CAPTURES = Path(__file__).parents[1] / "captures" / "chatgpt-web"
SIMULATED = {"AUTH_TOKENS": KEY, "CHATGPT_ACCESS_TOKENS": TOKEN, "CHATGPT_BASE_URL": "loopback://chatgpt"}
"""The environment of a gateway over the in-process loopback."""

Json = dict[str, Any]

_numbers = count()


@contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """Run an app under uvicorn in a thread; give its URL."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=20)
        assert not thread.is_alive(), "the server hangs in its shutdown"


class Upstream:
    """The simulated vendor on a real port."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._web = httpx.Client(base_url=url, trust_env=False, timeout=30)

    def script(self, **rule: object) -> None:
        self._web.post("/loopback/script", json=rule).raise_for_status()

    def log(self, **query: float) -> list[Json]:
        calls: list[Json] = self._web.get("/loopback/log", params=query).json()
        return calls

    def turns(self) -> list[Json]:
        """Return the calls that carry a turn."""
        return [call for call in self.log() if call["path"].endswith("/f/conversation")]

    def wait_for_turn(self) -> None:
        """Return when a turn has come in; each look is a round trip, and there is an end to them."""
        for _ in range(5_000):
            if self.turns():
                return
        raise AssertionError("no turn has reached the upstream")

    def environ(self, **others: str) -> dict[str, str]:
        """Return the environment of a gateway over this upstream, with an account that nobody else uses."""
        account = f"{TOKEN}-{next(_numbers)}"
        return {
            "AUTH_TOKENS": KEY,
            "CHATGPT_ACCESS_TOKENS": account,
            "CHATGPT_BASE_URL": self.url,
            "CHATGPT_AUTH_BASE_URL": self.url,
            "CONNECT_TIMEOUT_SECONDS": "5",
        } | others

    def vendors(self) -> dict[str, str]:
        """Return the variables by which a gateway has this upstream as each of the vendors as well."""
        return {
            "OPENAI_API_KEY": VENDOR_KEY,
            "OPENAI_BASE_URL": f"{self.url}/v1",
            "ANTHROPIC_API_KEY": VENDOR_KEY,
            "ANTHROPIC_BASE_URL": self.url,
            "GEMINI_API_KEY": VENDOR_KEY,
            "GEMINI_BASE_URL": self.url,
        }

    def close(self) -> None:
        self._web.close()


@contextmanager
def running_upstream() -> Iterator[Upstream]:
    with serving(create_loopback(CAPTURES)) as url:
        upstream = Upstream(url)
        try:
            yield upstream
        finally:
            upstream.close()


class Gateway:
    """A gateway on a real port, and a plain client of it that holds the key."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.web = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {KEY}"}, trust_env=False, timeout=30)

    def chat(
        self, prompt: object = "Say hello", headers: Mapping[str, str] | None = None, **fields: Any
    ) -> httpx.Response:
        """Post a chat completion; a stream is read to its end."""
        return self.web.post("/v1/chat/completions", json=chat_body(prompt, **fields), headers=headers)

    def close(self) -> None:
        self.web.close()


@contextmanager
def running_gateway(environ: Mapping[str, str] | None = None, **others: str) -> Iterator[Gateway]:
    """Run a gateway with these variables, by default over the in-process loopback."""
    settings = Settings.from_env({**(SIMULATED if environ is None else environ), **others})
    with serving(create_app(settings)) as url:
        gateway = Gateway(url)
        try:
            yield gateway
        finally:
            gateway.close()


def directive(**keys: object) -> str:
    """Return a prompt that scripts the simulated upstream."""
    return f"{PROMPT_MARK}\nloopback: {json.dumps(keys)}"


def chat_body(prompt: object = "Say hello", **fields: Any) -> Json:
    return {"model": "auto", "messages": [{"role": "user", "content": prompt}], **fields}


def data_frames(text: str) -> list[Any]:
    """Return what the `data:` lines of a stream hold: decoded JSON, or the text `[DONE]`."""
    lines = [line.removeprefix("data: ") for line in text.split("\n") if line.startswith("data: ")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def comments(text: str) -> int:
    return sum(line.startswith(":") for line in text.split("\n"))


def content(frames: list[Any]) -> str:
    """Return the text that the chunks of a stream spell."""
    choices = [choice for frame in frames if isinstance(frame, dict) for choice in frame.get("choices", ())]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def finish_reasons(frames: list[Any]) -> list[str]:
    choices = [choice for frame in frames if isinstance(frame, dict) for choice in frame.get("choices", ())]
    return [choice["finish_reason"] for choice in choices if choice["finish_reason"]]


def error_of(response: httpx.Response) -> Json:
    """Return the error object of an answer, having checked that it has OpenAI's shape."""
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert body.keys() == {"error"}
    error: Json = body["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert isinstance(error["message"], str)
    assert error["message"]
    assert "Traceback" not in error["message"]
    return error
