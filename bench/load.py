"""Drives one load against a server on this machine, checks every answer and times first words; raw asyncio.

`python -m bench.load < job.json` prints a `Report`, as JSON. It knows no dialect: the job brings the request's bytes,
how many words an answer has, and how it ends.
"""

import asyncio
import sys
import time
from collections.abc import Iterator
from random import Random
from typing import cast

import msgspec
import uvloop
from msgspec import Struct

from bench.order import COUNTED, FIRST_WORD, read_start
from core.transport.http1 import BodyReader, HeadReader, Malformed, body_reader

CONNECTS_AT_ONCE = 128


class Job(Struct, frozen=True):
    """`requests` in all over `streams` connections, each asking again when it is answered; or, with `hold_s`, one
    endless paced answer for each of them, begun over `ramp_s` and hung up after `hold_s` more.

    `words` is how often the counted word stands in one answer, `end` its last bytes (nothing: not looked at). Before
    it asks again, a connection waits at random up to `pause_s`. `rate` is that of the order.
    """

    port: int
    request: bytes
    words: int
    end: bytes
    streams: int
    requests: int
    rate: int = 0
    pause_s: float = 0
    ramp_s: float = 0
    hold_s: float = 0
    limit_s: float = 60


class Report(Struct, frozen=True):
    """`burst_s` and `spread_s` are the times to the first word: of each connection's first request, all of which come
    at once, and of the later ones. `lateness_s` has the latest delta of each paced stream, against the upstream's
    clock. `client_cpu_s` is what this process spent.
    """

    requests: int
    words: int
    wall_s: float
    client_cpu_s: float
    burst_s: list[float]
    spread_s: list[float]
    lateness_s: list[float]


class BadAnswer(Exception):
    """An answer is not what was ordered; the message shows its beginning or its end."""


class Answer:
    """Reads one answer in whatever pieces it comes; `complete` says that all of it is there."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._head = HeadReader()
        self._body: BodyReader | None = None
        self._refusal = b""
        self._tail = b""
        self._status = 0
        self._began: float | None = None
        self._asked_at = time.monotonic()
        self.words = 0
        self.first_s: float | None = None
        self.latest_s = 0.0
        self.complete = False

    def feed(self, data: bytes) -> None:
        """Take a read. Raises `BadAnswer`."""
        if self._body is None:
            head = self._head.feed(data)
            if head is None:
                return
            self._status, self._body, data = head.status, body_reader(head, b"POST"), self._head.rest
        content = self._body.feed(data)
        self.complete = self._body.complete
        if self._status != 200:
            self._refuse(content)
        elif content:
            self._count(content)
        if self.complete:
            self._check()

    def backlog_s(self) -> float:
        """Return how late the next delta is by now; the whole wait when not even the first word is there."""
        return time.monotonic() - (self._due() if self._began is not None else self._asked_at)

    def _refuse(self, content: bytes) -> None:
        self._refusal += content
        if self.complete or len(self._refusal) > 500:
            raise BadAnswer(f"status {self._status}: {self._refusal[:500]!r}")

    def _count(self, content: bytes) -> None:
        if self.first_s is None:
            self._look_for_first(content)
        if self._began is not None:
            self.latest_s = max(self.latest_s, time.monotonic() - self._due())
        tail = self._tail  # the word may be cut anywhere
        self.words += (tail + content).count(COUNTED) - tail.count(COUNTED)
        self._tail = (tail + content)[-max(len(COUNTED), len(self._job.end)) :]

    def _look_for_first(self, content: bytes) -> None:
        if FIRST_WORD in self._tail + content:
            self.first_s = time.monotonic() - self._asked_at
            self._began = read_start(content) if self._job.rate else None

    def _due(self) -> float:
        assert self._began is not None
        return self._began + self.words / self._job.rate

    def _check(self) -> None:
        if self.words != self._job.words or not self._tail.endswith(self._job.end):
            raise BadAnswer(f"{self.words} words of {self._job.words}; the end was {self._tail!r}")


class Asker(asyncio.Protocol):
    """One connection of a client: one request at a time."""

    _transport: asyncio.Transport

    def __init__(self) -> None:
        self._answer: Answer | None = None
        self._done: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._done is None or self._done.done():
            return
        try:
            self._answer.feed(data)
        except (BadAnswer, Malformed) as error:
            self._done.set_exception(error)
        else:
            if self._answer.complete:
                self._done.set_result(None)

    def connection_lost(self, _: Exception | None) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(BadAnswer("the connection was closed in the middle of an answer"))

    def ask(self, job: Job) -> tuple[Answer, asyncio.Future[None]]:
        self._answer, self._done = Answer(job), asyncio.get_running_loop().create_future()
        self._transport.write(job.request)
        return self._answer, self._done

    def hang_up(self) -> None:
        self._transport.abort()


async def connect(job: Job) -> list[Asker]:
    """Open every connection before the first request, a few at a time: a server's backlog is short."""
    loop = asyncio.get_running_loop()
    slots = asyncio.Semaphore(CONNECTS_AT_ONCE)

    async def one() -> Asker:
        async with slots:
            return (await loop.create_connection(Asker, "127.0.0.1", job.port))[1]

    return list(await asyncio.gather(*(one() for _ in range(job.streams))))


async def keep_asking(asker: Asker, job: Job, turns: Iterator[int], answers: list[Answer], random: Random) -> None:
    is_first = True
    for _ in turns:
        if job.pause_s and not is_first:
            await asyncio.sleep(random.uniform(0, job.pause_s))
        is_first = False
        answer, done = asker.ask(job)
        await done
        answers.append(answer)


async def ask_all(askers: list[Asker], job: Job) -> Report:
    """Drive a job until every request is answered."""
    turns = iter(range(job.requests))
    answers: list[list[Answer]] = [[] for _ in askers]
    random = Random(job.streams)
    began, began_cpu = time.monotonic(), time.process_time()
    async with asyncio.TaskGroup() as group:
        for asker, own in zip(askers, answers, strict=True):
            group.create_task(keep_asking(asker, job, turns, own, random))
    return report(answers, began, began_cpu)


async def hold_open(askers: list[Asker], job: Job) -> Report:
    """Open an endless answer on every connection, wait, hang up, and tell how late their deltas were."""
    began, began_cpu = time.monotonic(), time.process_time()
    opened: list[tuple[Answer, asyncio.Future[None]]] = []
    for number, asker in enumerate(askers, start=1):
        opened.append(asker.ask(job))
        await asyncio.sleep(began + job.ramp_s * number / len(askers) - time.monotonic())
    await asyncio.sleep(job.hold_s)
    for answer, done in opened:
        if done.done():
            done.result()
            raise BadAnswer("an answer ended that was to be held open")
        answer.latest_s = max(answer.latest_s, answer.backlog_s())
        done.cancel()
    return report([[answer] for answer, _ in opened], began, began_cpu)


def report(answers: list[list[Answer]], began: float, began_cpu: float) -> Report:
    every = [answer for own in answers for answer in own]
    return Report(
        requests=len(every),
        words=sum(answer.words for answer in every),
        wall_s=time.monotonic() - began,
        client_cpu_s=time.process_time() - began_cpu,
        burst_s=[own[0].first_s for own in answers if own and own[0].first_s is not None],
        spread_s=[answer.first_s for own in answers for answer in own[1:] if answer.first_s is not None],
        lateness_s=[answer.latest_s for answer in every],
    )


async def drive(job: Job) -> Report:
    """Do a job. Raises `BadAnswer` for the first answer that is not what was ordered, `TimeoutError` at the limit."""
    try:
        async with asyncio.timeout(job.limit_s):
            askers = await connect(job)
            try:
                return await (hold_open(askers, job) if job.hold_s else ask_all(askers, job))
            finally:
                for asker in askers:
                    asker.hang_up()
    except* (BadAnswer, Malformed) as group:
        raise BadAnswer(str(first_of(group))) from None


def first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first = group.exceptions[0]
    return first_of(first) if isinstance(first, BaseExceptionGroup) else first


def main() -> None:
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    try:
        result = uvloop.run(drive(job))
    except (BadAnswer, TimeoutError) as error:
        sys.exit(f"{error}" or f"not done within {job.limit_s:.0f} s")
    print(msgspec.json.encode(result).decode())


if __name__ == "__main__":
    main()
