"""Request bodies that are read while they are sent: whole, bounded, held to their size, and refused in time."""

import asyncio
import ssl
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import httpx
import pytest
from msgspec import Struct
from starlette.types import Receive, Scope, Send

from core.errors import GatewayError, InvalidRequest, NotFound, UpstreamTimeout, UpstreamUnavailable
from core.loopback.transport import LoopbackTransport
from core.media import Blob
from core.transport import Content, Timeouts, Transport
from core.transport.connection import PIECE_BYTES, UNSENT_BYTES, Connection
from tests.core.transport_peers import DRAIN, HANG, READ, READ_HEAD, RESET, WAIT, Script, Server, sized, trusted_tls

PATIENT = Timeouts(connect_s=5, first_byte_s=5, idle_s=5)
HASTY = Timeouts(connect_s=5, first_byte_s=0.05, idle_s=0.05)
MANY = 40 << 20
"""More than every buffer between two sockets of this machine holds."""

TOO_LARGE = b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\nconnection: close\r\n\r\nno!"

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    if request.param:
        pytest.importorskip("uvloop")
    return "asyncio", {"use_uvloop": request.param}


@pytest.fixture
def tls(monkeypatch: pytest.MonkeyPatch) -> Iterator[ssl.SSLContext]:
    with trusted_tls(monkeypatch) as context:
        yield context


class Source:
    """A body of these pieces (an exception among them is raised), which knows how much was taken of it."""

    def __init__(self, *pieces: bytes | Exception, size: int | None = None) -> None:
        self.size = sum(len(piece) for piece in pieces if isinstance(piece, bytes)) if size is None else size
        self.taken = 0
        self.is_open = False
        self._pieces = pieces

    async def chunks(self) -> AsyncIterator[bytes]:
        self.is_open = True
        try:
            for piece in self._pieces:
                if isinstance(piece, Exception):
                    raise piece
                self.taken += len(piece)
                yield piece
        finally:
            self.is_open = False


def large(chunk_bytes: int = 1 << 16) -> Source:
    """Return a body of `MANY` bytes that takes no memory, as it is one chunk many times."""
    return Source(*[bytes(chunk_bytes)] * (MANY // chunk_bytes))


def make_transport(timeouts: Timeouts = PATIENT) -> Transport:
    return Transport(timeouts=timeouts, user_agent="isthmus-test/1")


async def put(transport: Transport, url: str, content: Content) -> tuple[int, bytes]:
    async with transport.request("PUT", url, content=content) as reply:
        return reply.status, await reply.read()


async def put_to(script: Script, content: Content, timeouts: Timeouts = PATIENT) -> tuple[int, bytes]:
    async with Server(script) as server, asyncio.timeout(5):
        transport = make_transport(timeouts)
        try:
            return await put(transport, server.url, content)
        finally:
            await transport.aclose()


# What is sent


class SentCase(Struct, frozen=True):
    id: str
    pieces: tuple[bytes, ...]


@pytest.mark.parametrize(
    "case",
    [
        SentCase("one piece", (b"hello",)),
        SentCase("many pieces", (b"a", b"bc", b"def")),
        SentCase("empty pieces among others", (b"", b"a", b"", b"b", b"")),
        SentCase("no piece", ()),
        SentCase("a piece larger than what is written at once", (bytes(range(256)) * (PIECE_BYTES // 100),)),
    ],
    ids=lambda case: case.id,
)
async def test_a_body_arrives_as_it_is_whatever_its_pieces(case: SentCase) -> None:
    async with Server((READ, sized(b"thanks"), HANG)) as server:
        transport = make_transport()
        assert await put(transport, server.url, Source(*case.pieces)) == (200, b"thanks")
        await transport.aclose()
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert body == b"".join(case.pieces)
    assert b"content-length: %d" % len(body) in head
    assert b"transfer-encoding" not in head.lower()


async def test_a_blob_is_a_body() -> None:
    assert await put_to((READ, sized(b"")), Blob(b"hello", "text/plain")) == (200, b"")


async def test_a_large_body_takes_little_memory() -> None:
    content = large()
    tracemalloc.start()
    try:
        assert await put_to((READ_HEAD, DRAIN, sized(b"thanks")), content) == (200, b"thanks")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert content.taken == MANY
    assert peak < 4 * UNSENT_BYTES


async def test_a_body_larger_than_one_write_waits_for_the_socket() -> None:
    content = large(1 << 20)
    with pytest.raises(UpstreamTimeout, match="did not answer in time"):
        await put_to((READ_HEAD, WAIT), content, HASTY)
    assert content.taken < MANY
    assert not content.is_open


async def test_a_body_goes_over_tls(tls: ssl.SSLContext) -> None:
    content = Source(*[bytes(1 << 16)] * 32)
    async with Server((READ_HEAD, DRAIN, sized(b"thanks"), HANG), tls=tls) as server:
        transport = make_transport()
        assert await put(transport, server.url, content) == (200, b"thanks")
        await transport.aclose()
    assert content.taken == content.size


async def test_the_source_may_take_longer_than_an_answer() -> None:
    class Slow:
        size = 2

        async def chunks(self) -> AsyncIterator[bytes]:
            yield b"a"
            await asyncio.sleep(2 * HASTY.first_byte_s)
            yield b"b"

    assert await put_to((READ, sized(b"thanks")), Slow(), HASTY) == (200, b"thanks")


# Connections


async def test_a_body_gets_a_new_connection_which_is_used_again() -> None:
    async with Server((READ, sized(b"a"), READ, sized(b"b"), READ, sized(b"c"), HANG)) as server:
        transport = make_transport()
        await put(transport, server.url, Blob(b"x", "text/plain"))
        async with transport.request("GET", server.url) as reply:
            assert await reply.read() == b"b"
        assert server.connections == 1
        await put(transport, server.url, Blob(b"x", "text/plain"))
        assert server.connections == 2
        await transport.aclose()


async def test_a_connection_whose_body_was_not_sent_whole_is_not_used_again() -> None:
    async with Server((READ_HEAD, sized(b"enough"), HANG), (READ, sized(b"b"), HANG)) as server, asyncio.timeout(5):
        transport = make_transport()
        assert await put(transport, server.url, large()) == (200, b"enough")
        await server.client_has_gone.wait()
        async with transport.request("GET", server.url) as reply:
            assert await reply.read() == b"b"
        await transport.aclose()


# Early answers and failures


@pytest.mark.parametrize(
    "script",
    [(READ_HEAD, TOO_LARGE, HANG), (READ_HEAD, TOO_LARGE), (READ_HEAD, TOO_LARGE, DRAIN)],
    ids=["and the rest is read away", "and the connection is closed", "and the body is read"],
)
async def test_an_answer_before_the_end_of_the_body_is_read(script: Script) -> None:
    content = large()
    assert await put_to(script, content) == (413, b"no!")
    assert content.taken < MANY
    assert not content.is_open


class FailureCase(Struct, frozen=True):
    id: str
    content: Source
    error: type[GatewayError]
    says: str
    script: Script = (READ_HEAD, HANG)


@pytest.mark.parametrize(
    "case",
    [
        FailureCase("longer than it declares", Source(b"ab", b"c", size=2), InvalidRequest, "longer than the 2 bytes"),
        FailureCase("shorter than it declares", Source(b"ab", size=5), InvalidRequest, "ends 3 bytes before the 5"),
        FailureCase("its own error", Source(b"a", NotFound("no such file"), size=9), NotFound, "no such file"),
        FailureCase("a lost connection", large(), UpstreamUnavailable, "closed the connection", (READ_HEAD, RESET)),
        FailureCase("a closed connection", large(), UpstreamUnavailable, "closed the connection", (READ_HEAD,)),
    ],
    ids=lambda case: case.id,
)
async def test_every_failure_is_one_of_ours_and_closes_the_connection(case: FailureCase) -> None:
    async with Server(case.script) as server, asyncio.timeout(5):
        transport = make_transport()
        with pytest.raises(case.error, match=case.says) as caught:
            await put(transport, server.url, case.content)
        assert type(caught.value) is case.error
        if HANG in case.script:
            await server.client_has_gone.wait()
    assert not case.content.is_open


async def test_cancelling_closes_the_source_and_the_connection() -> None:
    content = large()
    async with Server((READ_HEAD, WAIT, HANG)) as server, asyncio.timeout(5):
        task = asyncio.create_task(put(make_transport(), server.url, content))
        await server.was_asked.wait()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        server.proceed.set()
        await server.client_has_gone.wait()
    assert task.cancelled()
    assert not content.is_open


# The connection alone, over a socket that says when it is full


class Socket(asyncio.Transport):
    """Is full after each write; each time somebody asks, the next number of bytes is unsent."""

    def __init__(self, connection: Connection, *unsent: int) -> None:
        super().__init__()
        self.written = bytearray()
        self.limits: list[int | None] = []
        self.unsent = [*unsent, 0]
        self._connection = connection

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.limits.append(high)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data
        self._connection.pause_writing()

    def get_write_buffer_size(self) -> int:
        return self.unsent.pop(0) if len(self.unsent) > 1 else self.unsent[0]

    def abort(self) -> None:
        pass


def connected(*unsent: int) -> tuple[Connection, Socket]:
    connection = Connection()
    socket = Socket(connection, *unsent)
    connection.connection_made(socket)
    return connection, socket


async def test_a_full_socket_is_written_to_once_it_has_room() -> None:
    connection, socket = connected()
    content = Source(b"a", b"b")
    exchange = asyncio.ensure_future(connection.exchange(b"PUT", b"head ", content.chunks(), first_byte_s=5, idle_s=5))
    for written in (b"head ", b"head a", b"head ab"):
        await settled()
        assert bytes(socket.written) == written
        connection.resume_writing()
    await settled()
    connection.data_received(b"HTTP/1.1 200 OK\r\n\r\n")
    assert (await exchange).status == 200
    assert socket.limits == [UNSENT_BYTES]


async def test_a_body_that_moves_is_not_silence_and_one_that_stalls_is() -> None:
    connection, socket = connected(40, 30, 20, 10)
    with pytest.raises(httpx.ReadTimeout):
        await connection.exchange(b"PUT", b"", Source(b"a").chunks(), first_byte_s=0.01, idle_s=5)
    assert socket.unsent == [0]  # it did not give up while the number fell
    assert bytes(socket.written) == b""


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


# Through other transports


async def test_a_stock_transport_sends_the_body_as_it_is_read() -> None:
    def stock() -> httpx.AsyncBaseTransport:
        return httpx.AsyncHTTPTransport(trust_env=False)

    async with Server((READ, sized(b"thanks"), HANG)) as server:
        transport = Transport(timeouts=PATIENT, user_agent="x", mounts={"http://": stock})
        assert await put(transport, server.url, Source(b"ab", b"c")) == (200, b"thanks")
        assert server.requests[0].endswith(b"\r\n\r\nabc")
        with pytest.raises(InvalidRequest, match="ends 3 bytes before"):
            await put(transport, server.url, Source(b"ab", size=5))
        await transport.aclose()


def mounted(app: "App", timeouts: Timeouts = PATIENT) -> Transport:
    return Transport(timeouts=timeouts, user_agent="x", mounts={"loopback://": lambda: LoopbackTransport({"a": app})})


class App:
    """Takes so many messages of a request, then answers; notes the bodies it was given."""

    def __init__(self, messages: int) -> None:
        self.bodies: list[bytes] = []
        self._messages = messages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        for _ in range(self._messages):
            message = await receive()
            self.bodies.append(message["body"])
            if not message["more_body"]:
                break
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"thanks"})


async def test_a_mounted_app_is_given_the_body_as_it_asks_for_it() -> None:
    app = App(9)
    assert await put(mounted(app), "loopback://a/", Source(b"ab", b"c")) == (200, b"thanks")
    assert app.bodies == [b"ab", b"c", b""]


async def test_a_mounted_app_may_answer_before_it_has_the_body() -> None:
    app, content = App(1), Source(b"a", b"b", b"c")
    assert await put(mounted(app), "loopback://a/", content) == (200, b"thanks")
    assert (app.bodies, content.taken, content.is_open) == ([b"a"], 1, False)


async def test_a_mounted_app_may_read_on_while_it_answers() -> None:
    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        more = True
        while more:
            message = await receive()
            more = message["more_body"]
            await send({"type": "http.response.body", "body": message["body"], "more_body": more})

    transport = Transport(
        timeouts=PATIENT, user_agent="x", mounts={"loopback://": lambda: LoopbackTransport({"a": echo})}
    )
    assert await put(transport, "loopback://a/", Source(b"ab", b"c")) == (200, b"abc")


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (Source(b"a", NotFound("no such file"), size=9), NotFound),
        (Source(b"a", size=9), InvalidRequest),
    ],
    ids=["its own error", "too short"],
)
async def test_what_a_body_fails_with_passes_through_a_mounted_app(content: Source, error: type[GatewayError]) -> None:
    with pytest.raises(error):
        await put(mounted(App(9)), "loopback://a/", content)
    assert not content.is_open


async def test_a_body_that_moves_keeps_a_mounted_app_waiting() -> None:
    class Slow:
        size = 4

        async def chunks(self) -> AsyncIterator[bytes]:
            for _ in range(4):
                await asyncio.sleep(0.06)
                yield b"a"

    timeouts = Timeouts(connect_s=0.1, first_byte_s=0.1, idle_s=0.1)
    assert await put(mounted(App(9), timeouts), "loopback://a/", Slow()) == (200, b"thanks")
