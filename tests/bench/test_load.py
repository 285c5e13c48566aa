"""The load client: it counts every word in any pieces, refuses what was not ordered, and tells how late a delta is."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from bench.legs import LEGS, job
from bench.load import Answer, BadAnswer, Job, Report, drive
from bench.mock_upstream import Upstream, streamed_answer
from bench.order import Order, paced_first_text
from bench.relay import Client

CHAT_PATH = b"/v1/chat/completions"
DIRECT = LEGS["direct"]


def feed(answer: Answer, data: bytes, size: int) -> None:
    for begin in range(0, len(data), size):
        answer.feed(data[begin : begin + size])


def against_upstream(use: Callable[[int], Awaitable[Report]]) -> Report:
    """Give a port of the simulated vendors, in this process, to a coroutine function; return its report."""

    async def run() -> Report:
        server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", 0)
        async with server:
            return await use(server.sockets[0].getsockname()[1])

    return asyncio.run(run())


@given(st.integers(1, 40), st.integers(1, 5))
def test_words_are_counted_in_any_pieces(size: int, batch: int) -> None:
    answer = Answer(job(DIRECT, 0, Order(6), 1, 1))
    feed(answer, streamed_answer(CHAT_PATH, Order(6, 0, batch)), size)
    assert answer.complete
    assert answer.words == 6
    assert answer.first_s is not None


def test_a_word_too_few_is_refused() -> None:
    with pytest.raises(BadAnswer, match="5 words of 6"):
        Answer(job(DIRECT, 0, Order(6), 1, 1)).feed(streamed_answer(CHAT_PATH, Order(5)))


def test_another_end_is_refused() -> None:
    wanted = structs.replace(job(DIRECT, 0, Order(6), 1, 1), end=b"the end")
    with pytest.raises(BadAnswer, match="the end was"):
        Answer(wanted).feed(streamed_answer(CHAT_PATH, Order(6)))


def test_a_refusal_is_shown() -> None:
    body = b'{"error": "no such model"}'
    head = b"HTTP/1.1 404 Not Found\r\ncontent-length: %d\r\n\r\n" % len(body)
    with pytest.raises(BadAnswer, match=r"status 404.*no such model"):
        Answer(job(DIRECT, 0, Order(6), 1, 1)).feed(head + body)


def test_lateness_counts_from_the_upstreams_clock() -> None:
    answer = Answer(job(DIRECT, 0, Order(6, 50), 1, 1))
    began = time.monotonic() - 2  # the first delta was due two seconds ago
    stream = streamed_answer(CHAT_PATH, Order(6)).replace(b"Once.\\n", paced_first_text(began).encode()[:-1] + b"\\n")
    body = stream.partition(b"\r\n\r\n")[2]
    frames = body.replace(b"\r\n", b"\n")  # as a body of no framing
    answer.feed(b"HTTP/1.1 200 OK\r\n\r\n" + frames)
    assert 1.8 < answer.latest_s < 4


def test_all_requests_are_answered_over_the_connections() -> None:
    report = against_upstream(lambda port: drive(job(DIRECT, port, Order(5, 0, 2), 3, 10)))
    assert (report.requests, report.words) == (10, 50)
    assert (len(report.burst_s), len(report.spread_s)) == (3, 7)


def test_a_paced_answer_takes_its_time_and_is_not_late() -> None:
    report = against_upstream(lambda port: drive(job(DIRECT, port, Order(10, 100), 2, 2)))
    assert 0.1 <= report.wall_s < 1
    assert max(report.lateness_s) < 0.5


def test_streams_are_held_open_and_hung_up() -> None:
    endless = structs.replace(job(DIRECT, 0, Order(9000, 100), 4, 4), ramp_s=0.05, hold_s=0.1)
    report = against_upstream(lambda port: drive(structs.replace(endless, port=port)))
    assert len(report.lateness_s) == 4
    assert 0 < report.words < 100
    assert max(report.lateness_s) < 0.5


def test_a_stream_that_should_not_end_is_noticed() -> None:
    ending = structs.replace(job(DIRECT, 0, Order(1), 1, 1), hold_s=0.05)
    with pytest.raises(BadAnswer, match="was to be held open"):
        against_upstream(lambda port: drive(structs.replace(ending, port=port)))


def test_a_lost_connection_is_a_bad_answer() -> None:
    async def use(job_: Job) -> Report:
        async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

        async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
            return await drive(structs.replace(job_, port=server.sockets[0].getsockname()[1]))

    with pytest.raises(BadAnswer, match="closed"):
        asyncio.run(use(job(DIRECT, 0, Order(1), 1, 1)))


def test_the_relay_carries_what_it_is_given() -> None:
    async def through_relay(port: int) -> Report:
        pairing: set[asyncio.Task[None]] = set()
        server = await asyncio.get_running_loop().create_server(lambda: Client(port, pairing), "127.0.0.1", 0)
        async with server:
            return await drive(job(DIRECT, server.sockets[0].getsockname()[1], Order(4000), 4, 12))

    report = against_upstream(through_relay)
    assert report.words == 12 * 4000
