"""The transport against real servers on this machine that answer, misbehave and fall silent as scripted."""

import asyncio
import base64
import contextlib
import gc
import ssl
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from types import TracebackType

import httpx
import pytest
from msgspec import Struct

from core.errors import (
    GatewayError,
    InvalidRequest,
    NotConfigured,
    ProtocolViolation,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from core.transport import Reply, Timeouts, Transport
from core.transport import pool as pool_module
from core.transport.connection import HIGH_WATER_BYTES, Connection
from core.transport.dial import Patience
from core.transport.pool import IDLE_LIMIT_S, Pool
from tests.core.transport_peers import (
    HALF_CLOSE,
    HANG,
    PEM,
    READ,
    READ_HEAD,
    RESET,
    SECRET,
    WAIT,
    Do,
    Proxy,
    Script,
    Server,
    sized,
    trusted_tls,
)

PATIENT = Timeouts(connect_s=5, first_byte_s=5, idle_s=5)
HASTY = Timeouts(connect_s=5, first_byte_s=0.05, idle_s=0.05)

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


def make_transport(timeouts: Timeouts = PATIENT) -> Transport:
    return Transport(timeouts=timeouts, user_agent="isthmus-test/1")


def within_a_second() -> asyncio.Timeout:
    return asyncio.timeout(1)


CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


# What comes back


class AnswerCase(Struct, frozen=True):
    id: str
    script: Script
    body: bytes
    status: int = 200
    method: str = "GET"
    content: bytes = b""


@pytest.mark.parametrize(
    "case",
    [
        AnswerCase("a body of a stated length", (READ, sized(b"abc"), HANG), b"abc"),
        AnswerCase("chunks in one read", (READ, CHUNKED + b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", HANG), b"abc"),
        AnswerCase("a body until the end", (READ, b"HTTP/1.1 200 OK\r\n\r\n", b"a", b"bc"), b"abc"),
        AnswerCase("a half-closed peer", (READ, b"HTTP/1.1 200 OK\r\n\r\nabc", HALF_CLOSE, HANG), b"abc"),
        AnswerCase("connection: close", (READ, sized(b"abc", b"connection: close")), b"abc"),
        AnswerCase("interim heads", (READ, b"HTTP/1.1 103 Hints\r\n\r\n", sized(b"abc"), HANG), b"abc"),
        AnswerCase("no content", (READ, b"HTTP/1.1 204 No Content\r\n\r\n", HANG), b"", 204),
        AnswerCase("a HEAD", (READ, b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", HANG), b"", method="HEAD"),
        AnswerCase("a redirect is an answer like any other",
                   (READ, b"HTTP/1.1 302 Found\r\nlocation: /b\r\ncontent-length: 0\r\n\r\n", HANG), b"", 302),
        AnswerCase("a large request", (READ, sized(b"abc"), HANG), b"abc", method="POST", content=b"x" * (1 << 22)),
        AnswerCase("an answer before the request is all sent", (READ_HEAD, sized(b"abc"), HANG), b"abc",
                   method="POST", content=b"x" * (1 << 22)),
        AnswerCase("a large answer", (READ, sized(b"x" * (1 << 20)), HANG), b"x" * (1 << 20)),
    ],
    ids=lambda case: case.id,
)  # fmt: skip
async def test_answers_are_read_whole(case: AnswerCase) -> None:
    async with (
        Server(case.script) as server,
        make_transport().request(case.method, server.url, content=case.content) as reply,
    ):
        assert reply.status == case.status
        assert await reply.read() == case.body


async def test_the_body_comes_read_by_read() -> None:
    script = (READ, CHUNKED + b"1\r\na\r\n1\r\nb\r\n", WAIT, b"1\r\nc\r\n0\r\n\r\n", HANG)
    async with Server(script) as server, make_transport().request("GET", server.url) as reply:
        parts = []
        async for data in reply:
            parts.append(data)
            server.proceed.set()
    assert parts == [b"ab", b"c"]


async def test_a_read_stops_at_its_limit() -> None:
    script = (READ, sized(b"x" * 100_000), HANG)
    async with Server(script) as server, make_transport().request("GET", server.url) as reply:
        assert await reply.read(limit_bytes=10) == b"x" * 10


async def test_header_names_are_lower_case_and_repeated_ones_joined() -> None:
    answer = sized(b"", b"X-One: 1", b"x-one: 2", b"X-Two: \xe9")
    async with Server((READ, answer, HANG)) as server, make_transport().request("GET", server.url) as reply:
        assert reply.headers == {"x-one": "1, 2", "x-two": "é", "content-length": "0"}


async def test_a_request_says_who_asks_and_carries_what_it_was_given() -> None:
    async with Server((READ, sized(b""), HANG)) as server:
        headers = {"Authorization": "Bearer a", "Accept": "text/event-stream"}
        async with make_transport().request("POST", f"{server.url}/path?a=b", headers=headers, content=b"{}"):
            pass
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    request_line, *lines = head.lower().split(b"\r\n")
    assert request_line == b"post /path?a=b http/1.1"
    assert body == b"{}"
    assert sorted(lines) == [
        b"accept-encoding: identity",
        b"accept: text/event-stream",
        b"authorization: bearer a",
        b"content-length: 2",
        b"host: 127.0.0.1:%d" % server.port,
        b"user-agent: isthmus-test/1",
    ]


async def test_cookies_are_not_kept_between_requests() -> None:
    answer = sized(b"", b"set-cookie: session=1")
    transport = make_transport()
    async with Server((READ, answer, READ, answer, HANG)) as server:
        for _ in range(2):
            async with transport.request("GET", server.url):
                pass
    assert b"cookie" not in server.requests[1].lower()


async def test_the_environment_names_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    script = (READ, sized(b"abc"), HANG)
    async with Server(script) as server, make_transport().request("GET", server.url) as reply:
        assert await reply.read() == b"abc"


# What goes wrong


class FailureCase(Struct, frozen=True):
    id: str
    script: Script
    error: type[GatewayError]
    says: str
    timeouts: Timeouts = PATIENT


async def read_all(transport: Transport, url: str, server: Server | None = None, *, method: str = "POST") -> bytes:
    async with transport.request(
        method,
        f"{url}/path?token={SECRET}",
        headers={"authorization": SECRET},
        content=SECRET.encode(),
        upstream="chatgpt_web",
    ) as reply:
        if server is not None:
            server.proceed.set()
        return await reply.read()


def check_failure(error: BaseException, says: str) -> None:
    assert says in str(error)
    assert SECRET not in str(error)
    assert getattr(error, "upstream", "chatgpt_web") == "chatgpt_web"
    assert str(error).startswith("chatgpt_web ")
    assert error.__cause__ is not None


@pytest.mark.parametrize(
    "case",
    [
        FailureCase("closed at once", (), UpstreamUnavailable, "before it answered"),
        FailureCase("closed before the answer", (READ,), UpstreamUnavailable, "before it answered"),
        FailureCase("reset before the answer", (READ, RESET), UpstreamUnavailable, "before it answered"),
        FailureCase("half-closed before the answer", (READ, HALF_CLOSE, HANG), UpstreamUnavailable,
                    "before it answered"),
        FailureCase("closed in the head", (READ, b"HTTP/1.1 200 O"), UpstreamUnavailable, "before it answered"),
        FailureCase("closed after an interim head", (READ, b"HTTP/1.1 103 Hints\r\n\r\n"), UpstreamUnavailable,
                    "before it answered"),
        FailureCase("silent before the answer", (READ, HANG), UpstreamTimeout, "did not answer in time", HASTY),
        FailureCase("silent in the head", (READ, b"HTTP/1.1 200 O", HANG), UpstreamTimeout,
                    "did not answer in time", HASTY),
        FailureCase("another protocol's greeting", (b"SSH-2.0-OpenSSH\r\n", HANG), ProtocolViolation, "broke HTTP"),
        FailureCase("a head that is not one", (READ, b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", HANG),
                    ProtocolViolation, "broke HTTP"),
        FailureCase("two lengths", (READ, sized(b"a", b"content-length: 2"), HANG), ProtocolViolation, "broke HTTP"),
        FailureCase("an endless head", (READ, b"HTTP/1.1 200 OK\r\nx: " + b"a" * (1 << 17), HANG),
                    ProtocolViolation, "longer than"),
        FailureCase("cut in a sized body", (READ, sized(b"abc")[:-1], WAIT), UpstreamUnavailable, "cut off"),
        FailureCase("cut between chunks", (READ, CHUNKED + b"1\r\na\r\n", WAIT), UpstreamUnavailable, "cut off"),
        FailureCase("reset in the body", (READ, CHUNKED, WAIT, RESET), UpstreamUnavailable, "cut off"),
        FailureCase("silent in the body", (READ, CHUNKED + b"1\r\na\r\n", HANG), UpstreamTimeout,
                    "stopped sending", HASTY),
        FailureCase("garbage in the body", (READ, CHUNKED + b"1\r\na\r\n", WAIT, b"nonsense", HANG),
                    ProtocolViolation, "broke HTTP"),
    ],
    ids=lambda case: case.id,
)  # fmt: skip
async def test_every_failure_is_one_of_ours(case: FailureCase) -> None:
    async with Server(case.script) as server:
        with pytest.raises(case.error) as caught:
            await read_all(make_transport(case.timeouts), server.url, server)
    assert type(caught.value) is case.error
    check_failure(caught.value, case.says)


async def test_a_refused_connection_is_unavailable() -> None:
    async with Server(()) as server:
        pass
    with pytest.raises(UpstreamUnavailable) as caught:
        await read_all(make_transport(), server.url)
    check_failure(caught.value, "refused the connection")


async def test_a_name_that_cannot_be_is_unavailable() -> None:
    with pytest.raises(UpstreamUnavailable) as caught:
        await read_all(make_transport(), f"http://{'a' * 70}.test")
    check_failure(caught.value, "could not be reached")


async def test_a_server_without_tls_is_unavailable_over_https() -> None:
    async with Server((b"HTTP/1.1 400 Bad Request\r\n\r\n",)) as server:
        with pytest.raises(UpstreamUnavailable) as caught:
            await read_all(make_transport(), server.url.replace("http", "https"))
    check_failure(caught.value, "the TLS handshake failed")


async def test_a_handshake_that_stalls_is_a_timeout() -> None:
    async with Server((HANG,)) as server:
        with pytest.raises(UpstreamTimeout) as caught:
            await read_all(make_transport(Timeouts(0.05, 5, 5)), server.url.replace("http", "https"))
        check_failure(caught.value, "no connection within 0.05 s")
        async with within_a_second():
            await server.client_has_gone.wait()


@pytest.mark.parametrize("url", ["loopback://chatgpt/", "ftp://127.0.0.1/", "http://", "//a", "http://a:b", ""])
async def test_an_address_that_nobody_serves_is_a_matter_of_settings(url: str) -> None:
    with pytest.raises(NotConfigured, match="not an http or https URL"):
        async with make_transport().request("GET", url):
            pass


@pytest.mark.parametrize(
    ("name", "value"),
    [("authorization", f"{SECRET}\r\nx: 1"), ("authorization", f"{SECRET}\u4e2d"), ("a b", SECRET)],
)
async def test_a_header_that_http_cannot_carry_is_the_callers_mistake(name: str, value: str) -> None:
    async with Server((READ, sized(b""), HANG)) as server:
        with pytest.raises(InvalidRequest, match=f"the header b?'{name}' holds characters") as caught:
            async with make_transport().request("GET", server.url, headers={name: value}):
                pass
        assert SECRET not in str(caught.value)
        assert server.connections == 0


async def test_a_request_may_have_more_patience_than_others() -> None:
    async with Server((READ, WAIT, sized(b"abc"), HANG)) as server:
        transport = make_transport(HASTY)
        with pytest.raises(UpstreamTimeout):
            await read_all(transport, server.url)
        asking = transport.request("GET", server.url, first_byte_s=5)
        asyncio.get_running_loop().call_later(2 * HASTY.first_byte_s, server.proceed.set)
        async with asking as reply:
            assert reply.status == 200


# How it ends


async def test_leaving_early_closes_the_connection() -> None:
    async with Server((READ, CHUNKED + b"1\r\na\r\n", HANG)) as server, within_a_second():
        async with make_transport().request("GET", server.url) as reply:
            assert await anext(aiter(reply)) == b"a"
        await server.client_has_gone.wait()


async def test_an_exception_of_the_caller_passes_and_closes_the_connection() -> None:
    async with Server((READ, CHUNKED, HANG)) as server, within_a_second():
        with pytest.raises(KeyError):
            async with make_transport().request("GET", server.url):
                raise KeyError
        await server.client_has_gone.wait()


@pytest.mark.parametrize("script", [(READ, HANG), (READ, CHUNKED, HANG)], ids=["head", "body"])
async def test_cancelling_while_waiting_closes_the_connection(script: Script) -> None:
    async with Server(script) as server, within_a_second():
        task = asyncio.create_task(read_all(make_transport(), server.url))
        await server.was_asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.client_has_gone.wait()


async def test_a_timeout_closes_the_connection() -> None:
    async with Server((READ, HANG)) as server, within_a_second():
        with pytest.raises(UpstreamTimeout):
            await read_all(make_transport(HASTY), server.url)
        await server.client_has_gone.wait()


# Connections that are used again


async def test_a_connection_is_used_again() -> None:
    transport = make_transport()
    async with Server((READ, sized(b"a"), READ, sized(b"b"), HANG)) as server:
        assert [await read_all(transport, server.url) for _ in range(2)] == [b"a", b"b"]
        assert server.connections == 1
        await transport.aclose()
        async with within_a_second():
            await server.client_has_gone.wait()


async def test_a_body_that_has_come_whole_need_not_be_read() -> None:
    transport = make_transport()
    async with Server((READ, sized(b"a"), READ, sized(b"b"), HANG)) as server:
        async with transport.request("GET", server.url):
            pass
        assert await read_all(transport, server.url) == b"b"
        assert server.connections == 1


async def test_a_connection_whose_answer_is_drained_is_used_again() -> None:
    transport = make_transport()
    rest = b"0\r\n\r\n"
    async with Server((READ, CHUNKED + b"1\r\na\r\n", WAIT, rest, READ, sized(b"b"), HANG)) as server:
        async with transport.request("GET", server.url) as reply:
            assert await anext(aiter(reply)) == b"a"
            server.proceed.set()
            await reply.drain()
        assert await read_all(transport, server.url) == b"b"
        assert server.connections == 1


@pytest.mark.parametrize("end", [HANG, RESET], ids=["held open", "lost"])
async def test_an_end_that_does_not_come_is_not_waited_for(end: Do) -> None:
    async with (
        Server((READ, CHUNKED + b"1\r\na\r\n", end)) as server,
        within_a_second(),
        make_transport().request("GET", server.url) as reply,
    ):
        assert await anext(aiter(reply)) == b"a"
        await reply.drain()


class SpoiltCase(Struct, frozen=True):
    id: str
    script: Script
    content: bytes = b""


@pytest.mark.parametrize(
    "case",
    [
        SpoiltCase("connection: close", (READ, sized(b"a", b"connection: close"), HANG)),
        SpoiltCase("HTTP/1.0", (READ, b"HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\na", HANG)),
        SpoiltCase("bytes after the answer", (READ, sized(b"a") + sized(b"b"), HANG)),
        SpoiltCase("a request that was not all sent", (READ_HEAD, sized(b"a"), HANG), b"x" * (1 << 24)),
    ],
    ids=lambda case: case.id,
)
async def test_a_spoilt_connection_is_not_used_again(case: SpoiltCase) -> None:
    transport = make_transport()
    async with Server(case.script, (READ, sized(b"second"), HANG)) as server:
        async with transport.request("POST", server.url, content=case.content) as reply:
            assert await reply.read() == b"a"
        assert await read_all(transport, server.url) == b"second"
        assert server.connections == 2


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("end", [(), (RESET,), (HALF_CLOSE, HANG)], ids=["closed", "reset", "half-closed"])
async def test_a_used_connection_that_dies_unanswered_is_replaced_once(end: Script, method: str) -> None:
    transport = make_transport()
    async with Server((READ, sized(b"a"), READ, *end), (READ, sized(b"b"), HANG)) as server:
        assert await read_all(transport, server.url) == b"a"
        assert await read_all(transport, server.url, method=method) == b"b"
        assert server.connections == 2
        assert len(server.requests) == 3


@pytest.mark.parametrize("end", [(), (RESET,), (HALF_CLOSE, HANG)], ids=["closed", "reset", "half-closed"])
async def test_what_may_have_been_carried_out_is_not_sent_again(end: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that dies when it has had a request for a while may have done what it says."""
    monkeypatch.setattr(pool_module, "REPEAT_WITHIN_S", 0)
    transport = make_transport()
    async with Server((READ, sized(b"a"), READ, *end), (READ, sized(b"b"), READ, *end)) as server:
        await read_all(transport, server.url)
        assert await read_all(transport, server.url, method="GET") == b"b"
        with pytest.raises(UpstreamUnavailable, match="before it answered"):
            await read_all(transport, server.url)
        assert server.connections == 2


async def test_the_replacement_is_not_replaced() -> None:
    transport = make_transport()
    async with Server((READ, sized(b"a"), READ), (READ,)) as server:
        await read_all(transport, server.url)
        with pytest.raises(UpstreamUnavailable):
            await read_all(transport, server.url)
        assert server.connections == 2


async def test_a_used_connection_that_dies_in_its_answer_is_not_replaced() -> None:
    transport = make_transport()
    async with Server((READ, sized(b"a"), READ, b"HTTP")) as server:
        await read_all(transport, server.url)
        with pytest.raises(UpstreamUnavailable):
            await read_all(transport, server.url)
        assert server.connections == 1


async def test_a_used_connection_that_stays_silent_is_not_replaced() -> None:
    transport = make_transport(HASTY)
    async with Server((READ, sized(b"a"), READ, HANG)) as server:
        await read_all(transport, server.url)
        with pytest.raises(UpstreamTimeout):
            await read_all(transport, server.url)
        assert server.connections == 1


async def test_unasked_bytes_close_an_idle_connection() -> None:
    transport = make_transport()
    script = (READ, sized(b"a"), WAIT, sized(b"unasked"), HANG)
    async with Server(script, (READ, sized(b"b"), HANG)) as server:
        await read_all(transport, server.url)
        server.proceed.set()
        async with within_a_second():
            await server.client_has_gone.wait()
        assert await read_all(transport, server.url) == b"b"


async def read_from(pool: Pool, url: str) -> bytes:
    request = httpx.Request("GET", url, extensions={"patience": Patience(5, 5, 5)})
    response = await pool.handle_async_request(request)
    return await response.aread()


@pytest.mark.parametrize("idle_s", [IDLE_LIMIT_S + 1, -1], ids=["long idle", "clock set back"])
async def test_a_connection_that_idled_too_long_is_not_used_again(idle_s: float) -> None:
    now = 1_000_000.0
    pool = Pool(wall_clock=lambda: now)
    script = (READ, sized(b"a"), HANG)
    async with Server(script) as server, within_a_second():
        await read_from(pool, server.url)
        now += idle_s
        await read_from(pool, server.url)
        assert server.connections == 2
        await server.client_has_gone.wait()
        await pool.aclose()


async def test_idle_connections_are_swept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "SWEEP_EVERY_S", 0.001)
    now = 1_000_000.0
    pool = Pool(wall_clock=lambda: now)
    async with Server((READ, sized(b"a"), HANG)) as server, within_a_second():
        await read_from(pool, server.url)
        now += IDLE_LIMIT_S
        await server.client_has_gone.wait()


async def test_few_idle_connections_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "MAX_IDLE_PER_ORIGIN", 1)
    transport = make_transport()
    async with Server((READ, WAIT, sized(b"a"), HANG)) as server, within_a_second():
        first = asyncio.create_task(read_all(transport, server.url))
        second = asyncio.create_task(read_all(transport, server.url))
        await server.was_asked.wait()
        server.proceed.set()
        await asyncio.gather(first, second)
        await server.client_has_gone.wait()
        await transport.aclose()


async def test_many_requests_at_once_do_not_mix() -> None:
    async with Server((READ, WAIT, sized(b"a"), HANG)) as server:
        transport = make_transport()
        tasks = [asyncio.create_task(read_all(transport, server.url)) for _ in range(100)]
        await server.was_asked.wait()
        server.proceed.set()
        assert await asyncio.gather(*tasks) == [b"a"] * 100
        await transport.aclose()


class Wire(asyncio.Transport):
    """A socket that notes what is done to it; each time somebody asks, the next number of bytes is unsent."""

    def __init__(self, *unsent: int) -> None:
        super().__init__()
        self.noted: list[str] = []
        self.unsent = [*unsent, 0]

    def write(self, data: object) -> None:
        self.noted.append("write")

    def get_write_buffer_size(self) -> int:
        return self.unsent.pop(0) if len(self.unsent) > 1 else self.unsent[0]

    def pause_reading(self) -> None:
        self.noted.append("pause")

    def resume_reading(self) -> None:
        self.noted.append("resume")

    def abort(self) -> None:
        self.noted.append("abort")


async def test_a_slow_reader_pauses_the_socket() -> None:
    connection, wire = Connection(), Wire()
    connection.connection_made(wire)
    exchange = asyncio.ensure_future(connection.exchange(b"GET", b"", first_byte_s=5, idle_s=5))
    await asyncio.sleep(0)
    connection.data_received(b"HTTP/1.1 200 OK\r\n\r\n")
    await exchange
    connection.data_received(b"x" * HIGH_WATER_BYTES)
    assert wire.noted == ["write"]
    connection.data_received(b"x")
    assert wire.noted == ["write", "pause"]
    assert len(await connection.receive()) == HIGH_WATER_BYTES + 1
    assert wire.noted == ["write", "pause", "resume"]


async def test_a_slow_upload_is_not_silence() -> None:
    connection, wire = Connection(), Wire(40, 30, 20, 10)
    connection.connection_made(wire)
    with pytest.raises(httpx.ReadTimeout):
        await connection.exchange(b"POST", b"", first_byte_s=0.01, idle_s=5)
    assert wire.unsent == [0]  # it did not give up while the number fell
    assert wire.noted == ["write", "abort"]


# Event loops


def ask_in_a_new_loop(transport: Transport) -> bytes:
    async def main() -> bytes:
        async with Server((READ, sized(b"a"), HANG)) as server:
            return await read_all(transport, server.url)

    return asyncio.run(main())


def test_one_transport_serves_one_event_loop_after_another() -> None:
    transport = make_transport()
    assert [ask_in_a_new_loop(transport) for _ in range(3)] == [b"a"] * 3
    gc.collect()  # an unclosed socket would warn, and a warning fails the test


def test_one_transport_serves_event_loops_on_several_threads() -> None:
    transport = make_transport()
    answers: list[bytes] = []
    threads = [threading.Thread(target=lambda: answers.append(ask_in_a_new_loop(transport))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [b"a"] * 4


def test_importing_the_transport_imports_no_http_library() -> None:
    code = "import sys, core.transport; sys.exit('httpx' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


# TLS and proxies


async def test_https_works_and_connections_are_used_again(tls: ssl.SSLContext) -> None:
    transport = make_transport()
    async with Server((READ, sized(b"a"), READ, sized(b"b"), HANG), tls=tls) as server:
        assert [await read_all(transport, server.url) for _ in range(2)] == [b"a", b"b"]
        assert server.connections == 1
        await transport.aclose()


async def test_leaving_early_closes_a_connection_over_tls(tls: ssl.SSLContext) -> None:
    async with Server((READ, CHUNKED + b"1\r\na\r\n", HANG), tls=tls) as server, within_a_second():
        async with make_transport().request("GET", server.url) as reply:
            assert await anext(aiter(reply)) == b"a"
        await server.client_has_gone.wait()


async def test_a_certificate_nobody_vouches_for_is_refused() -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(PEM)
    async with Server((HANG,), tls=context) as server:
        with pytest.raises(UpstreamUnavailable) as caught:
            await read_all(make_transport(), server.url)
    check_failure(caught.value, "its certificate is not accepted")


async def test_https_goes_through_a_tunnel_of_the_proxy(tls: ssl.SSLContext) -> None:
    transport = make_transport()
    script = (READ, sized(b"a"), READ, sized(b"b"), HANG)
    async with Server(script, tls=tls) as server, Proxy(server) as proxy:
        for expected in (b"a", b"b"):
            async with transport.request("GET", f"{server.url}/path", proxy=proxy.url) as reply:
                assert await reply.read() == expected
        await transport.aclose()
    target = f"127.0.0.1:{server.port}"
    credentials = base64.b64encode(f"me:{SECRET}".encode()).decode()
    assert proxy.heads == [
        f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nProxy-Authorization: Basic {credentials}\r\n\r\n".encode()
    ]
    assert b"proxy-authorization" not in server.requests[0].lower()


async def test_http_is_handed_to_the_proxy() -> None:
    async with Server((READ, sized(b"a"), HANG)) as proxy:
        proxy_url = proxy.url.replace("://", f"://me:{SECRET}@")
        transport = make_transport()
        async with transport.request("GET", "http://example.com/path?a=b", proxy=proxy_url) as reply:
            assert await reply.read() == b"a"
    head = proxy.requests[0]
    assert head.startswith(b"GET http://example.com/path?a=b HTTP/1.1\r\n")
    assert b"\r\nhost: example.com\r\n" in head.lower()
    assert b"\r\nproxy-authorization: basic " in head.lower()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n", "with status 407"),
        (b"", "the proxy broke off"),
        (b"nonsense\r\n", "the proxy broke off"),
    ],
)
async def test_a_proxy_that_refuses_makes_the_upstream_unavailable(answer: bytes, says: str) -> None:
    async with Server(()) as server, Proxy(server, answer) as proxy:
        with pytest.raises(UpstreamUnavailable) as caught:
            async with make_transport().request("GET", "https://127.0.0.1", proxy=proxy.url, upstream="chatgpt_web"):
                pass
    check_failure(caught.value, says)


@pytest.mark.parametrize("scheme", ["ftp", "http:", ""])
async def test_a_proxy_that_is_not_a_url_is_named_without_its_password(scheme: str) -> None:
    with pytest.raises(NotConfigured, match="the proxy is not a URL") as caught:
        async with make_transport().request("GET", "http://127.0.0.1:1", proxy=f"{scheme}//me:{SECRET}@a:x"):
            pass
    assert SECRET not in f"{caught.value}{caught.value.__cause__}"


async def test_a_socks_proxy_needs_its_package() -> None:
    with contextlib.suppress(ImportError):
        __import__("socksio")
        pytest.skip("socksio is installed")
    with pytest.raises(NotConfigured, match="socksio"):
        async with make_transport().request("GET", "http://127.0.0.1:1", proxy="socks5://127.0.0.1:1"):
            pass


# Transports that are mounted


class Mounted(httpx.AsyncBaseTransport):
    """Answers with these parts; an exception among them is raised, `None` is silence."""

    def __init__(self, *parts: bytes | Exception | None) -> None:
        self.urls: list[str] = []
        self.bodies: list[MountedBody] = []
        self._parts = parts

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.urls.append(str(request.url))
        head, *parts = self._parts
        await _settle(head)
        self.bodies.append(MountedBody(parts))
        return httpx.Response(200, headers={"X-One": "1"}, stream=self.bodies[-1])


class MountedBody(httpx.AsyncByteStream):
    def __init__(self, parts: list[bytes | Exception | None]) -> None:
        self.is_closed = False
        self._parts = parts

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self._parts:
            yield await _settle(part)

    async def aclose(self) -> None:
        self.is_closed = True


async def _settle(part: bytes | Exception | None) -> bytes:
    if isinstance(part, Exception):
        raise part
    if part is None:
        await asyncio.Event().wait()
        raise AssertionError
    return part


def transport_over(mounted: Mounted, timeouts: Timeouts = PATIENT) -> Transport:
    return Transport(timeouts=timeouts, user_agent="isthmus-test/1", mounts={"loopback://": lambda: mounted})


async def test_a_mounted_transport_answers_for_its_addresses() -> None:
    mounted = Mounted(b"", b"a", b"", b"b")
    transport = transport_over(mounted)
    async with transport.request("GET", "loopback://chatgpt/path") as reply:
        assert isinstance(reply, Reply)
        assert reply.headers == {"x-one": "1"}
        assert [data async for data in reply] == [b"a", b"b"]
    assert mounted.urls == ["loopback://chatgpt/path"]
    assert mounted.bodies[0].is_closed


class MountedCase(Struct, frozen=True):
    id: str
    parts: tuple[bytes | Exception | None, ...]
    error: type[GatewayError]
    says: str


@pytest.mark.parametrize(
    "case",
    [
        MountedCase("no connection", (httpx.ConnectError("none"),), UpstreamUnavailable, "could not be reached"),
        MountedCase("silent before the answer", (None,), UpstreamTimeout, "did not answer in time"),
        MountedCase("silent in the body", (b"", b"a", None), UpstreamTimeout, "stopped sending"),
        MountedCase("its own timeout", (b"", httpx.ReadTimeout("late")), UpstreamTimeout, "stopped sending"),
        MountedCase("lost in the body", (b"", httpx.ReadError("lost")), UpstreamUnavailable, "cut off"),
        MountedCase("an early end as httpcore calls it",
                    (b"", httpx.RemoteProtocolError("peer closed connection without sending complete message body")),
                    UpstreamUnavailable, "cut off"),
        MountedCase("garbage as httpcore calls it", (b"", httpx.RemoteProtocolError("illegal chunk header")),
                    ProtocolViolation, "broke HTTP"),
    ],
    ids=lambda case: case.id,
)  # fmt: skip
async def test_every_failure_of_a_mounted_transport_is_one_of_ours(case: MountedCase) -> None:
    mounted = Mounted(*case.parts)
    timeouts = Timeouts(connect_s=0, first_byte_s=0.05, idle_s=0.05)
    with pytest.raises(case.error) as caught:
        await read_all(transport_over(mounted, timeouts), "loopback://chatgpt")
    assert type(caught.value) is case.error
    check_failure(caught.value, case.says)
    assert all(body.is_closed for body in mounted.bodies)


async def test_what_only_looks_like_a_foreign_failure_passes() -> None:
    def crash(*_: object, error: type[BaseException] = ZeroDivisionError) -> TracebackType:
        raise error

    transport = Transport(timeouts=PATIENT, user_agent="x", mounts={"loopback://": crash})  # type: ignore[dict-item]
    with pytest.raises(ZeroDivisionError):
        await read_all(transport, "loopback://chatgpt")
