"""What AWS Lambda can carry back, and what is said of an answer that it cannot."""

import json

import pytest
from msgspec import Struct
from starlette.types import ASGIApp, Receive, Scope, Send

from api.lambda_payload import LIMIT_BYTES, LOAD_BALANCER_LIMIT_BYTES, Payload, carried_bytes
from core.errors import UpstreamTimeout
from tests.api.layers import Client, http_scope

pytestmark = pytest.mark.anyio

TEXT_TYPES = ("text/", "application/json")


def saying(*bodies: bytes, content_type: str = "text/event-stream", fails: bool = False) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", content_type.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for number, body in enumerate(bodies, start=1):
            await send({"type": "http.response.body", "body": body, "more_body": number < len(bodies)})
        if fails:
            raise UpstreamTimeout("the time for this answer ran out before it was whole")

    return app


async def answer(app: ASGIApp, source: str = "http") -> Client:
    """Return what a client gets when the event comes from this source: `http` (a Function URL) or `elb`."""
    scope = http_scope(**{"aws.event": {"requestContext": {source: {}}}})
    return await Client().call(Payload(app, TEXT_TYPES), scope)


class Body(Struct, frozen=True):
    id: str
    body: bytes
    is_text: bool
    carried: bytes


BODIES = [
    Body("text is quoted", b'{"a": 1}\n', True, b'"{\\"a\\": 1}\\n"'),
    Body("letters beyond ASCII stay as they are", "é🌍".encode(), True, '"é🌍"'.encode()),
    Body("bytes are base64", b"\xff\x00", False, b"/wA="),
    Body("text that is no UTF-8 is base64", b"\xff\x00", True, b"/wA="),
    Body("nothing is nothing", b"", False, b""),
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.id)
async def test_a_body_is_counted_as_it_travels(body: Body) -> None:
    assert carried_bytes(body.body, body.is_text) == len(body.carried)


class Case(Struct, frozen=True):
    id: str
    body: bytes
    fits: bool
    content_type: str = "text/event-stream"
    source: str = "http"


CASES = [
    Case("text within the limit", b"x" * (LIMIT_BYTES - 20_000), fits=True),
    Case("text over the limit", b"x" * LIMIT_BYTES, fits=False),
    Case("text that grows over it by its escapes", b"\n" * (LIMIT_BYTES // 2), fits=False),
    Case("sound that grows over it as base64", b"\xff" * 4_800_000, fits=False, content_type="audio/mpeg"),
    Case("a load balancer carries less", b"x" * LOAD_BALANCER_LIMIT_BYTES, fits=False, source="elb"),
    Case("a load balancer carries 1 MiB", b"x" * (LOAD_BALANCER_LIMIT_BYTES - 20_000), fits=True, source="elb"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
async def test_an_answer_fits_or_is_an_error(case: Case) -> None:
    half = len(case.body) // 2
    client = await answer(saying(case.body[:half], case.body[half:], content_type=case.content_type), case.source)
    if case.fits:
        assert (client.status, client.bodies) == (200, [case.body[:half], case.body[half:]])
        return
    error = json.loads(b"".join(client.bodies))["error"]
    assert (client.status, error["code"], error["type"]) == (400, "response_too_large", "invalid_request_error")


async def test_a_failure_in_the_middle_of_an_answer_keeps_its_status() -> None:
    client = await answer(saying(b"data: 1\n\n", fails=True))
    assert client.status == 504
    assert json.loads(b"".join(client.bodies))["error"]["message"]


async def test_the_error_has_the_shape_of_the_route() -> None:
    class Plain:
        media_type = "text/plain"

        def render_error(self, error: Exception) -> bytes:
            return str(error).encode()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["dialect"] = Plain()
        await saying(b"x" * LIMIT_BYTES)(scope, receive, send)

    client = await answer(app)
    assert (client.headers["content-type"], b"".join(client.bodies)[:10]) == ("text/plain", b"the answer")
