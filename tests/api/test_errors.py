"""The layer that answers for every failure before the first byte."""

import json
import logging

import pytest
from msgspec import Struct
from starlette.types import ASGIApp, Receive, Scope, Send

from api.middleware.errors import INTERNAL, Errors
from core.errors import (
    BodyTooLarge,
    ChallengeRequired,
    Forbidden,
    GatewayError,
    InvalidRequest,
    NotConfigured,
    ProtocolViolation,
    RateLimited,
    Unauthenticated,
    UpstreamDenied,
    UpstreamRejected,
    UpstreamTimeout,
)
from core.wire.openai_chat import OPENAI_CHAT
from tests.api.layers import Client, http_scope

pytestmark = pytest.mark.anyio


class Case(Struct, frozen=True):
    name: str
    error: GatewayError
    status: int
    body: tuple[str, str | None, str | None]
    headers: dict[str, str] = {}


CASES = [
    Case(
        "a field that is wrong is named",
        InvalidRequest("no", param="messages[0].content", code="c"),
        400,
        ("invalid_request_error", "messages[0].content", "c"),
    ),
    Case(
        "401 says how to authenticate",
        Unauthenticated("no"),
        401,
        ("authentication_error", None, None),
        {"www-authenticate": "Bearer"},
    ),
    Case(
        "so does a 401 that an upstream meant",
        UpstreamDenied("no", status=401),
        401,
        ("authentication_error", None, None),
        {"www-authenticate": "Bearer"},
    ),
    Case("a refused pool account is no 401", UpstreamDenied("no"), 502, ("authentication_error", None, None)),
    Case("403", Forbidden("no"), 403, ("permission_error", None, None)),
    Case(
        "413", BodyTooLarge("no", code="request_too_large"), 413, ("invalid_request_error", None, "request_too_large")
    ),
    Case("503 for a setting that is missing", NotConfigured("no"), 503, ("api_error", None, None)),
    Case("a challenge", ChallengeRequired("no"), 403, ("permission_error", None, None)),
    Case(
        "an upstream's own status, which the SDKs would otherwise try again",
        UpstreamRejected("no", status=409),
        409,
        ("invalid_request_error", None, None),
        {"x-should-retry": "false"},
    ),
    Case("a limit that states no reset", RateLimited("no"), 429, ("rate_limit_error", None, None)),
    Case(
        "a limit that does is told in seconds, rounded up, and in milliseconds",
        RateLimited("no", retry_after_s=1.2),
        429,
        ("rate_limit_error", None, None),
        {"retry-after": "2", "retry-after-ms": "1200"},
    ),
    Case("504", UpstreamTimeout("no"), 504, ("api_error", None, None)),
    Case("502", ProtocolViolation("no"), 502, ("api_error", None, None)),
]


def raising(error: Exception, started: bool = False) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if started:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise error

    return app


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_an_error_of_ours_keeps_its_status_and_words(case: Case) -> None:
    client = await Client().call(Errors(raising(case.error), OPENAI_CHAT))
    kind, param, code = case.body
    assert client.status == case.status
    assert json.loads(client.text) == {"error": {"message": "no", "type": kind, "param": param, "code": code}}
    told = {"content-type": "application/json", "content-length": str(len(client.text)), **case.headers}
    assert client.headers == told


async def test_an_error_that_is_not_ours_is_logged_and_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "isthmus.errors"):
        client = await Client().call(
            Errors(raising(KeyError("inner words")), OPENAI_CHAT), http_scope(request_id="r-1")
        )
    assert client.status == 500
    assert json.loads(client.text)["error"]["message"] == INTERNAL
    assert [record.getMessage() for record in caplog.records] == ["request r-1 failed"]


async def test_the_log_learns_the_kind_of_error() -> None:
    scope = http_scope()
    await Client().call(Errors(raising(InvalidRequest("no")), OPENAI_CHAT), scope)
    assert scope["error_kind"] == "InvalidRequest"


async def test_an_error_after_the_start_is_left_to_the_server() -> None:
    with pytest.raises(InvalidRequest):
        await Client().call(Errors(raising(InvalidRequest("no"), started=True), OPENAI_CHAT))
