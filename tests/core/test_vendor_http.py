"""Calls to a vendor: what its answers mean, and bytes that pass as they are, whatever the network makes of them."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from starlette.types import Receive, Scope, Send

from core.accounts import Secret
from core.errors import ProtocolViolation, RateLimited, UpstreamDenied, UpstreamError, UpstreamUnavailable
from core.events import Event, Finish, Start, TextDelta, TextEnd, TextStart
from core.loopback.transport import LoopbackTransport
from core.transport import Timeouts, Transport
from core.vendor_http import WHOLE_ANSWER_FACTOR, VendorApi
from core.vendors import Vendor
from core.wire.openai_chat.decode import ChatDecoder
from tests.strategies import pieces

pytestmark = pytest.mark.anyio

KEY = "sk-vendor-secret-51"
EVENTS = "text/event-stream; charset=utf-8"
JSON = "application/json"
CHUNKS = [b'data: {"a":1}\n\n', b": hm\n\n", b'data: {"a":2,"done":true}\n\n', b"data: [DONE]\n\n"]
WHOLE = b"".join(CHUNKS)


class Says(Struct, frozen=True):
    """An answer: its pieces, and whether the connection is lost behind them, or held."""

    pieces: Sequence[bytes]
    status: int = 200
    media_type: str = EVENTS
    cut: bool = False
    held: bool = False


class World:
    """A vendor that says one thing, and the calls to it."""

    def __init__(self, says: Says) -> None:
        self.headers: dict[str, str] = {}
        mounts = {"loopback://": lambda: LoopbackTransport({"acme": self._app})}
        self.transport = Transport(timeouts=Timeouts(5, 5, 5), user_agent="isthmus/test", mounts=mounts)
        self.api = VendorApi(
            Vendor("acme", "openai", "loopback://acme/v1", Secret(KEY)), {"authorization": f"Bearer {KEY}"}
        )
        self._says = says

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        says = self._says
        headers = [(b"content-type", says.media_type.encode()), (b"retry-after", b"3")]
        await send({"type": "http.response.start", "status": says.status, "headers": headers})
        for piece in says.pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        if says.held:
            await asyncio.Event().wait()
        await send({"type": "http.response.body", "body": b"", "more_body": says.cut})

    async def relayed(self) -> tuple[list[bytes], UpstreamError | None]:
        """Return what was passed on, and the error behind it."""
        passed: list[bytes] = []
        try:
            async with aclosing(self.api.relay(self.transport, "/chat", b"{}", _ends)) as relayed:
                async for data in relayed:
                    passed += [data]
        except UpstreamError as error:
            return passed, error
        return passed, None


def _ends(frames: bytes) -> bool:
    return b'"done":true' in frames


class Case(Struct, frozen=True):
    id: str
    says: Says
    passed: bytes
    error: type[UpstreamError] | None = None
    message: str = ""
    status: int | None = None


RELAYED = [
    Case("a whole stream passes as it is", Says(CHUNKS), WHOLE),
    Case("a stream without its last empty line is completed", Says([WHOLE.rstrip()]), WHOLE),
    Case("an answer that is whole needs no terminator", Says(CHUNKS[:3]), b"".join(CHUNKS[:3])),
    Case("frames may end in CRLF", Says([b'data: {"done":true}\r\n\r\n']), b'data: {"done":true}\r\n\r\n'),
    Case("a stream that just ends was cut", Says(CHUNKS[:2]), b"".join(CHUNKS[:2]), UpstreamUnavailable, "cut"),
    Case("so was one that is empty", Says([]), b"", UpstreamUnavailable, "cut"),
    Case("a lost connection is a failure", Says(CHUNKS[:2], cut=True), b"".join(CHUNKS[:2]), UpstreamUnavailable),
    Case("not when all has been said", Says(CHUNKS[:3], cut=True), b"".join(CHUNKS[:3])),
    Case("half a frame is never passed on", Says([b'data: {"done":true']), b"", UpstreamUnavailable, "cut"),
    Case(
        "an error alone is that error",
        Says([b'data: {"error":{"message":"busy"}}\n\n']),
        b"",
        UpstreamUnavailable,
        "busy",
    ),
    Case(
        "an error behind some frames in one read comes after them",
        Says([CHUNKS[0] + b'data: {"error":{"code":429,"message":"slow"}}\n\ndata: [DONE]\n\n']),
        CHUNKS[0],
        RateLimited,
        "slow",
    ),
    Case("an error without its empty line is one", Says([b'data: {"error":"busy"}']), b"", UpstreamUnavailable, "busy"),
    Case(
        "a field that is null is no error",
        Says([b'data: {"error":null,"done":true}\n\n']),
        b'data: {"error":null,"done":true}\n\n',
    ),
    Case(
        "an error in place of a stream keeps its meaning",
        Says([b'{"error":{"code":429,"message":"slow"}}'], media_type=JSON),
        b"",
        RateLimited,
        "slow",
    ),
    Case(
        "any other JSON is no stream",
        Says([b'{"id":"x"}'], media_type=JSON),
        b"",
        UpstreamUnavailable,
        "that is not text/event-stream",
    ),
    Case(
        "a page is no stream",
        Says([b"<html>"], media_type="text/html"),
        b"",
        UpstreamUnavailable,
        "that is not text/event-stream",
    ),
    Case(
        "an error in the stream keeps its kind",
        Says(
            [CHUNKS[0], b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"b"}}\n\n']
        ),
        CHUNKS[0],
        UpstreamUnavailable,
        "b",
        503,
    ),
    Case("a status is an error", Says([b'{"error":{"message":"slow"}}'], 429, JSON), b"", RateLimited, "slow"),
    Case("a page with a status too", Says([b"<html>"], 502, "text/html"), b"", UpstreamUnavailable, "502"),
]


@pytest.mark.parametrize("case", RELAYED, ids=lambda case: case.id)
async def test_relayed_bytes(case: Case) -> None:
    passed, error = await World(case.says).relayed()
    assert b"".join(passed) == case.passed
    assert (type(error) if error else None) is case.error
    assert case.message in (error.message if error else "")
    assert case.status in (None, error and error.status)


@given(chunks=pieces(WHOLE))
async def test_chunking_never_matters_and_only_whole_frames_pass(chunks: list[bytes]) -> None:
    passed, error = await World(Says(chunks)).relayed()
    assert (b"".join(passed), error) == (WHOLE, None)
    assert all(piece.endswith(b"\n\n") for piece in passed)


@given(chunks=st.lists(st.binary(max_size=20), max_size=6))
async def test_garbage_passes_or_is_one_of_our_errors(chunks: list[bytes]) -> None:
    _, error = await World(Says(chunks)).relayed()
    assert error is None or isinstance(error, UpstreamError)


QUOTING = [
    Says([json.dumps({"error": {"message": f"{KEY} is too new"}}).encode()], 400, JSON),
    Says([json.dumps({"error": {"message": f"{KEY} is too new"}}).encode()], 200, JSON),
    Says([json.dumps({"detail": f"{KEY} is too new"}).encode()], 200, JSON),
    Says([b"data: " + json.dumps({"error": f"{KEY} is too new"}).encode() + b"\n\n"]),
    Says([f"{KEY} is too new\n".encode()], 404, "text/plain"),
]


@pytest.mark.parametrize(
    "says", QUOTING, ids=["refusal", "error in place of a stream", "a detail", "in the stream", "a text"]
)
async def test_a_message_that_quotes_the_key_does_not_show_it(says: Says) -> None:
    _, error = await World(says).relayed()
    assert error is not None
    assert error.message.endswith("(key) is too new")
    assert KEY not in f"{error!r} {error} {error.args}"


async def test_an_error_of_a_decoder_does_not_show_the_key_either() -> None:
    class Decoder:
        over = False

        def feed(self, data: bytes) -> list[Event]:
            raise UpstreamUnavailable(f"no, {KEY}")

        def close(self) -> list[Event]:
            return self.feed(b"")

    world = World(Says(CHUNKS))
    with pytest.raises(UpstreamUnavailable, match=r"^no, \(key\)$"):
        async for _ in world.api.stream(world.transport, "/chat", b"{}", Decoder()):
            pass


HELLO = b'data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n'
STOPPED = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"
ENDED = [
    Says([HELLO, STOPPED, DONE]),
    Says([HELLO, STOPPED, DONE], cut=True),
    Says([HELLO, STOPPED], cut=True),
    Says([HELLO, STOPPED, DONE], held=True),
]


@pytest.mark.parametrize(
    "says", ENDED, ids=["in order", "lost behind it", "lost behind its reason", "held open behind it"]
)
async def test_a_stream_ends_with_its_last_word(says: Says) -> None:
    world = World(says)
    async with asyncio.timeout(4):
        batches = [batch async for batch in world.api.stream(world.transport, "/chat", b"{}", ChatDecoder("acme"))]
    events = [event for batch in batches for event in batch]
    assert events == [Start(), TextStart(0), TextDelta(0, "Hi"), TextEnd(0), Finish("stop", "stop")]


async def test_a_connection_that_is_lost_before_the_last_word_is_the_failure() -> None:
    world = World(Says([HELLO], cut=True))
    with pytest.raises(UpstreamUnavailable) as caught:
        async for _ in world.api.stream(world.transport, "/chat", b"{}", ChatDecoder("acme")):
            pass
    assert "cut its stream off" not in caught.value.message


class Fetched(Struct, frozen=True):
    id: str
    says: Says
    error: type[UpstreamError]
    message: str


FETCHED = [
    Fetched("a status is an error", Says([b"{}"], 500, JSON), UpstreamUnavailable, "500"),
    Fetched(
        "a text says why", Says([b"404 page not found\n"], 404, "text/plain"), UpstreamError, "404 page not found$"
    ),
    Fetched("a page does not", Says([b"<html>no</html>"], 404, "text/html"), UpstreamError, "without saying why"),
    Fetched("a refused key is the operator's", Says([b"{}"], 401, JSON), UpstreamDenied, "key"),
    Fetched(
        "an error with a 200 is an error",
        Says([b'{"error":{"message":"busy"}}'], 200, JSON),
        UpstreamUnavailable,
        "busy",
    ),
    Fetched("a page with a 200 is no answer", Says([b"<html>"], 200, "text/html"), ProtocolViolation, "shape"),
    Fetched("nothing is no answer", Says([], 200, JSON), ProtocolViolation, "shape"),
    Fetched("half an answer is none", Says([b'{"id":'], 200, JSON), ProtocolViolation, "shape"),
]


@pytest.mark.parametrize("case", FETCHED, ids=lambda case: case.id)
async def test_what_is_no_answer_is_an_error(case: Fetched) -> None:
    world = World(case.says)
    with pytest.raises(case.error, match=case.message):
        await world.api.fetch_bytes(world.transport, "POST", "/chat", b"{}")


async def test_a_whole_answer_comes_as_it_is_and_the_call_carries_the_key() -> None:
    world = World(Says([b'{"id" : ', b'"x"}'], 200, JSON))
    assert await world.api.fetch_bytes(world.transport, "POST", "/chat", b"{}") == b'{"id" : "x"}'
    assert (world.headers["authorization"], world.headers["content-type"]) == (f"Bearer {KEY}", "application/json")


async def test_another_shape_is_a_violation() -> None:
    world = World(Says([b'{"id": 7}'], 200, JSON))
    with pytest.raises(ProtocolViolation, match="shape"):
        await world.api.fetch(world.transport, "GET", "/models", list[str])


async def test_a_limit_keeps_its_wait() -> None:
    _, error = await World(Says([b"{}"], 429, JSON)).relayed()
    assert error is not None
    assert error.retry_after_s == 3.0


class Noting(Transport):
    """A transport that notes how long it is to wait for an answer to begin."""

    noted: float | None = None

    def request(self, *args: Any, first_byte_s: float | None = None, **others: Any) -> Any:
        self.noted = first_byte_s
        return super().request(*args, first_byte_s=first_byte_s, **others)


async def test_a_whole_answer_may_take_longer_to_begin_than_a_stream() -> None:
    world = World(Says([b"{}"], 200, JSON))
    mounts = {"loopback://": lambda: LoopbackTransport({"acme": world._app})}
    transport = Noting(timeouts=Timeouts(5, 7, 5), user_agent="isthmus/test", mounts=mounts)
    await world.api.fetch_bytes(transport, "POST", "/chat", b"{}")
    assert transport.noted == 7 * WHOLE_ANSWER_FACTOR
    with pytest.raises(UpstreamError):
        [data async for data in world.api.relay(transport, "/chat", b"{}", _ends)]
    assert transport.noted is None
