"""The request id, and the one log line of a request."""

import json
import logging
from typing import Any

import pytest
from msgspec import Struct
from starlette.types import Receive, Scope, Send

from api.middleware.access import Access
from tests.api.layers import Client, exchange, http_scope
from tests.api.servers import KEY, PROMPT_MARK, SECRETS, TOKEN, Gateway, directive, running_gateway

LONGEST = "a" * 128


class Case(Struct, frozen=True):
    name: str
    given: bytes | None
    is_kept: bool


CASES = [
    Case("a sane id is kept", b"req-1.a:b/c+d=_", True),
    Case("the longest one too", LONGEST.encode(), True),
    Case("none is replaced", None, False),
    Case("an empty one is replaced", b"", False),
    Case("one that is too long is replaced", LONGEST.encode() + b"a", False),
    Case("line breaks are not carried over", b"a\r\nx-injected: 1", False),
    Case("a trailing line break is no exception", b"a\n", False),
    Case("blanks and quotes are not carried into the log", b'a" b', False),
    Case("bytes beyond ASCII are replaced", "ä".encode(), False),
]


async def answering(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["request_id"].encode()})


@pytest.mark.anyio
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_request_has_an_id_in_and_out(case: Case) -> None:
    headers = [] if case.given is None else [(b"x-request-id", case.given)]
    client = await Client().call(Access(answering), http_scope(headers=headers))
    assert client.headers["x-request-id"] == client.headers["request-id"] == client.text
    assert (case.given == client.text.encode()) is case.is_kept
    assert client.text.isprintable()


@pytest.mark.anyio
async def test_a_request_leaves_one_line_with_the_route_and_the_numbers(caplog: pytest.LogCaptureFixture) -> None:
    moments = iter([10.0, 10.0421, 10.1])
    scope = http_scope(headers=[(b"x-request-id", b"r-1")], query_string=b"secret=1", exchange=exchange())
    with caplog.at_level(logging.INFO, "isthmus.access"):
        await Client().call(Access(answering, clock=lambda: next(moments)), scope)
    assert [json.loads(record.getMessage()) for record in caplog.records] == [
        {
            "request_id": "r-1",
            "method": "POST",
            "path": "/v1/chat/completions",
            "status": 200,
            "first_byte_ms": 42.1,
            "duration_ms": 100.0,
            "upstream": "silent",
            "stream": True,
        }
    ]


class Named(Struct, frozen=True):
    id: str
    fields: dict[str, Any]
    upstream: str | None
    headers: tuple[tuple[bytes, bytes], ...] = ()


NAMED = [
    Named("nobody was asked", {}, None),
    Named("a turn that nobody answered", {"exchange": exchange}, "silent"),
    Named("a service that nobody answered", {"upstream": "keeper"}, "keeper"),
    Named("another one answered", {"exchange": exchange}, "second", ((b"x-isthmus-upstream", b"second"),)),
]


@pytest.mark.anyio
@pytest.mark.parametrize("case", NAMED, ids=lambda case: case.id)
async def test_the_line_names_who_answered_or_who_was_asked(case: Named, caplog: pytest.LogCaptureFixture) -> None:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        scope.update({name: value() if callable(value) else value for name, value in case.fields.items()})
        await send({"type": "http.response.start", "status": 200, "headers": list(case.headers)})

    with caplog.at_level(logging.INFO, "isthmus.access"):
        await Client().call(Access(answer))
    assert json.loads(caplog.records[0].getMessage()).get("upstream") == case.upstream


@pytest.mark.anyio
async def test_a_request_that_fails_leaves_its_line_too(caplog: pytest.LogCaptureFixture) -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        scope["error_kind"] = "KeyError"
        raise KeyError

    with caplog.at_level(logging.INFO, "isthmus.access"), pytest.raises(KeyError):
        await Client().call(Access(failing))
    assert [json.loads(record.getMessage())["error"] for record in caplog.records] == ["KeyError"]


@pytest.mark.anyio
async def test_a_level_above_info_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "isthmus.access"):
        await Client().call(Access(answering))
    assert not caplog.records


REQUESTS: list[dict[str, Any]] = [
    {"headers": {"Authorization": f"Bearer {KEY}-wrong"}},
    {"headers": {"Authorization": "", "x-api-key": KEY}},
    {"headers": {"Authorization": f"Bearer {KEY} {TOKEN}"}},
    {"headers": {"Cookie": f"session={TOKEN}"}},
    {"params": {"key": KEY}},
    {"prompt": directive(status=500, body={"detail": PROMPT_MARK})},
    {"prompt": directive(status=403, body=f"<html>{TOKEN}")},
    {"prompt": directive(cut_after_chars=3)},
    {"prompt": 17},
    {"prompt": f"{PROMPT_MARK}\0"},
    {"model": f"{PROMPT_MARK}"},
    {"role": PROMPT_MARK},
]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_the_log_shows_no_secret_and_nothing_that_was_said(stream: bool, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), running_gateway(LOG_LEVEL="debug") as gateway:
        for request in REQUESTS:
            message = {"role": request.get("role", "user"), "content": request.get("prompt", PROMPT_MARK)}
            body = {"model": request.get("model", "auto"), "messages": [message], "stream": stream}
            parts = {name: request[name] for name in ("headers", "params") if name in request}
            gateway.web.post("/v1/chat/completions", json=body, **parts)
    ours = [record for record in caplog.records if record.name.startswith(("isthmus", "uvicorn", "asyncio"))]
    lines = [record for record in ours if record.name == "isthmus.access"]
    assert len(lines) == len(REQUESTS)
    shown = [logging.Formatter().format(record) for record in ours]
    assert not [line for line in shown for secret in SECRETS if secret in line]


@pytest.mark.parametrize("path", ["/v1/files", "/v1/images/edits"])
def test_a_bad_form_is_one_line_too(path: str, caplog: pytest.LogCaptureFixture) -> None:
    headers = {"content-type": "multipart/form-data; boundary=b"}
    with caplog.at_level(logging.INFO), running_gateway() as gateway:
        answer = gateway.web.post(path, content=b"--c\r\n", headers=headers)
    assert answer.status_code == 400
    names = {record.name for record in caplog.records if not record.name.startswith(("http", "uvicorn"))}
    assert names == {"isthmus.access"}


def test_the_id_travels_over_http(gateway_server: Gateway) -> None:
    for path in ("/", "/ping", "/health", "/v1/models", "/nowhere"):
        answer = gateway_server.web.get(path, headers={"x-request-id": "caller-7"})
        assert answer.headers["x-request-id"] == "caller-7"
    assert len(gateway_server.web.get("/ping").headers["x-request-id"]) == 32
