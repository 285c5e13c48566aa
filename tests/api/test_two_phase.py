"""Two-phase commit: before the first byte a failure has its true status, after it a legal end in the stream.

Every row crosses two sockets: client to gateway, gateway to the simulated upstream.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from msgspec import Struct

from tests.api.servers import (
    Upstream,
    content,
    data_frames,
    directive,
    error_of,
    finish_reasons,
    running_gateway,
)

TURN = {"path": "/f/conversation"}
CHALLENGE = "<!DOCTYPE html><title>Just a moment...</title><script>window._cf_chl_opt={}</script>"
IMPATIENT = {"FIRST_BYTE_TIMEOUT_SECONDS": "0.3"}
SIGNED_OUT = "Provided authentication token is expired. Please try signing in again."
UNUSUAL = "Unusual activity has been detected from your device. Try again later."
UNUSUAL_IN_STREAM = "Our systems have detected unusual activity coming from your system. Please try again later."
MODES = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


class Early(Struct, frozen=True):
    """A failure before the first byte. `rule` scripts the upstream, `says` is part of the message."""

    name: str
    rule: dict[str, Any]
    status: int
    kind: str
    says: str
    code: str | None = None
    retry_after: str | None = None
    environ: dict[str, str] = {}


EARLY = [
    Early(
        "401 is told as ours, for the account is",
        TURN | {"status": 401},
        502,
        "authentication_error",
        SIGNED_OUT,
        code="token_expired",
    ),
    Early("403 JSON keeps its words", TURN | {"status": 403}, 403, "permission_error", UNUSUAL),
    Early(
        "a Cloudflare page is named and not forwarded",
        TURN | {"status": 403, "body": CHALLENGE, "headers": {"cf-mitigated": "challenge"}},
        403,
        "permission_error",
        "upstream blocked by Cloudflare",
        code="upstream_challenge_required",
    ),
    Early(
        "a page in place of the sentinel's answer is the same",
        {"path": "/sentinel/chat-requirements/prepare", "status": 403, "body": CHALLENGE},
        403,
        "permission_error",
        "upstream blocked by Cloudflare",
        code="upstream_challenge_required",
    ),
    Early(
        "429 without a reset has no Retry-After", TURN | {"status": 429}, 429, "rate_limit_error", "Too many requests"
    ),
    Early(
        "429 with Retry-After passes it on",
        TURN | {"status": 429, "headers": {"Retry-After": "17"}},
        429,
        "rate_limit_error",
        "Too many requests",
        retry_after="17",
    ),
    Early(
        "429 with clears_in says when",
        TURN | {"status": 429, "body": {"detail": {"message": "cap", "code": "model_cap_exceeded", "clears_in": 90}}},
        429,
        "rate_limit_error",
        "cap",
        code="model_cap_exceeded",
        retry_after="90",
    ),
    Early(
        "500 is an upstream that is not there", TURN | {"status": 500}, 503, "overloaded_error", "loopback status 500"
    ),
    Early(
        "422 is the request's own fault",
        TURN | {"status": 422},
        422,
        "invalid_request_error",
        "Invalid conversation body",
    ),
    Early(
        "silence before the first byte times out",
        TURN | {"stall": True},
        504,
        "api_error",
        "did not answer in time",
        environ=IMPATIENT,
    ),
    Early(
        "a stall of the sentinel times out",
        {"path": "/prepare", "stall": True},
        504,
        "api_error",
        "did not answer in time",
        environ=IMPATIENT,
    ),
    Early("a stream cut before its first byte", TURN | {"cut": True}, 503, "overloaded_error", "cut off"),
]


@MODES
@pytest.mark.parametrize("case", EARLY, ids=lambda case: case.name)
def test_an_early_failure_keeps_its_true_status(case: Early, stream: bool, upstream_server: Upstream) -> None:
    environ = upstream_server.environ(**case.environ)
    upstream_server.script(token=environ["CHATGPT_ACCESS_TOKENS"], **case.rule)
    with running_gateway(environ) as gateway:
        answer = gateway.chat("Say hello", stream=stream)
    assert answer.status_code == case.status
    error = error_of(answer)
    assert error["type"] == case.kind
    assert case.says in error["message"]
    assert (error["param"], error["code"]) == (None, case.code)
    assert answer.headers.get("retry-after") == case.retry_after
    assert ("retry-after-ms" in answer.headers) == (case.retry_after is not None)


@MODES
def test_a_refused_connection_is_503(stream: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with running_gateway(CHATGPT_BASE_URL=f"http://127.0.0.1:{port}") as gateway:
        answer = gateway.chat("Say hello", stream=stream)
    assert answer.status_code == 503
    error = error_of(answer)
    assert (error["type"], error["message"]) == (
        "overloaded_error",
        "chatgpt_web could not be reached: it refused the connection",
    )
    assert "retry-after" not in answer.headers


@MODES
def test_an_upstream_that_hangs_up_without_a_word_is_503(stream: bool) -> None:
    with hanging_up() as url, running_gateway(CHATGPT_BASE_URL=url) as gateway:
        answer = gateway.chat("Say hello", stream=stream)
    assert answer.status_code == 503
    assert "closed the connection before it answered" in error_of(answer)["message"]


@MODES
def test_a_callers_own_refused_token_is_401(stream: bool, upstream_server: Upstream) -> None:
    environ = upstream_server.environ()
    upstream_server.script(token=f"{environ['CHATGPT_ACCESS_TOKENS']}-own", path="/f/conversation", status=401)
    own = {"Authorization": f"Bearer {environ['AUTH_TOKENS']} {environ['CHATGPT_ACCESS_TOKENS']}-own"}
    with running_gateway(environ) as gateway:
        answer = gateway.chat("Say hello", headers=own, stream=stream)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert error_of(answer)["type"] == "authentication_error"


class Late(Struct, frozen=True):
    """A failure after the first words. `status` is what an answer that is given whole has."""

    name: str
    script: dict[str, Any]
    status: int
    kind: str
    says: str


LATE = [
    Late("a cut", {"cut_after_chars": 12}, 503, "overloaded_error", "cut"),
    Late("an error in the stream", {"error_after_chars": 12}, 403, "permission_error", UNUSUAL_IN_STREAM),
    Late("silence", {"stall_after_chars": 12}, 504, "api_error", "stopped sending in the middle of its answer"),
]
WORDS = "Twelve letters and then some more."
PATIENCE = {"IDLE_TIMEOUT_SECONDS": "0.4"}


@pytest.mark.parametrize("case", LATE, ids=lambda case: case.name)
def test_a_late_failure_ends_the_stream_legally(case: Late, upstream_server: Upstream) -> None:
    with running_gateway(upstream_server.environ(**PATIENCE)) as gateway:
        # The pause makes the failure a network read of its own: one that shares the first read is an early one.
        answer = gateway.chat(directive(text=WORDS, delay_ms=20, **case.script), stream=True)
    assert answer.status_code == 200
    frames = data_frames(answer.text)
    # What shares a network read with the error may go down with it: one delta of four letters here.
    assert content(frames) in (WORDS[:8], WORDS[:12])
    assert finish_reasons(frames) == []
    assert frames[-1] == "[DONE]"
    assert frames.count("[DONE]") == 1
    errors = [frame["error"] for frame in frames[:-1] if "error" in frame]
    assert errors == [frames[-2]["error"]]
    assert (errors[0]["type"], errors[0]["code"]) == (case.kind, None)
    assert case.says in errors[0]["message"]


@pytest.mark.parametrize("case", LATE, ids=lambda case: case.name)
def test_a_late_failure_of_a_whole_answer_has_a_status(case: Late, upstream_server: Upstream) -> None:
    with running_gateway(upstream_server.environ(**PATIENCE)) as gateway:
        answer = gateway.chat(directive(text=WORDS, **case.script))
    assert answer.status_code == case.status
    error = error_of(answer)
    assert error["type"] == case.kind
    assert case.says in error["message"]


@MODES
def test_another_account_answers_when_the_first_is_refused(stream: bool, upstream_server: Upstream) -> None:
    environ = upstream_server.environ()
    first, second = (f"{environ['CHATGPT_ACCESS_TOKENS']}-{name}" for name in "ab")
    environ["CHATGPT_ACCESS_TOKENS"] = f"{first},{second}"
    upstream_server.script(token=first, path="/f/conversation", status=401)
    with running_gateway(environ) as gateway:
        # Ten sessions: the chance that none of them begins with the refused account is 1 in 1024.
        answers = [gateway.chat(f"Say hello {number}", stream=stream) for number in range(10)]
        counts = gateway.web.get("/v1/accTokens").json()
    assert [answer.status_code for answer in answers] == [200] * 10
    assert counts == {"count": 2, "canUseCount": 1, "can_use_count": 1}


@contextmanager
def hanging_up() -> Iterator[str]:
    """Run a server that reads a little of each connection and closes it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=hang_up_on_all, args=(listener,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(timeout=5)


def hang_up_on_all(listener: socket.socket) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.recv(1024)
