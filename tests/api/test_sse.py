"""The layer that gives a turn to its client, over inner apps of a few lines. No clock is frozen: waits are events."""

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs
from starlette.types import ASGIApp, Receive, Scope, Send

from api.events import EXTENSION, EventStream
from api.middleware import sse
from api.middleware.errors import INTERNAL, Errors
from api.middleware.sse import Sse
from core.contracts import Exchange
from core.errors import UpstreamUnavailable
from core.events import Finish, ReasoningDelta, ReasoningEnd, ReasoningStart, Start, TextDelta, TextEnd, TextStart
from core.wire.gemini import GEMINI_STREAM
from core.wire.gemini.stream import EMPTY_LINE
from core.wire.openai_chat import OPENAI_CHAT
from tests.api.layers import CLOSING, OPENING, Client, exchange, http_scope, telling
from tests.api.servers import comments, content, data_frames, finish_reasons

pytestmark = pytest.mark.anyio

NEVER_S = 3_600.0
WITHIN_S = 5.0


def layered(inner: ASGIApp, heartbeat_s: float = NEVER_S) -> ASGIApp:
    return Errors(Sse(inner, heartbeat_s), OPENAI_CHAT)


async def hear(inner: ASGIApp, turn: Exchange, heartbeat_s: float = NEVER_S, client: Client | None = None) -> Client:
    """Return a client that has had its answer, all layers gone quiet."""
    before = asyncio.all_tasks()
    async with asyncio.timeout(WITHIN_S):
        client = await (client or Client()).call(layered(inner, heartbeat_s), http_scope(exchange=turn))
    assert asyncio.all_tasks() == before, "a task has outlived its request"
    return client


def failing(error: Exception, *before: Any) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await telling(*before)(scope, receive, send)
        raise error

    return app


class Patient:
    """An inner app that says each batch only after `go` was called once more."""

    def __init__(self, *batches: Any) -> None:
        self._batches = batches
        self._turns = asyncio.Semaphore(0)
        self.ended = asyncio.Event()

    def go(self) -> None:
        self._turns.release()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            for events in self._batches:
                await self._turns.acquire()
                await send({"type": EXTENSION, "events": events})
        finally:
            self.ended.set()


async def test_a_stream_goes_out_batch_by_batch() -> None:
    client = await hear(telling(OPENING, CLOSING), exchange())
    assert client.status == 200
    assert client.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert client.headers["cache-control"] == "no-cache, no-transform"
    assert client.headers["x-accel-buffering"] == "no"
    assert client.headers["x-isthmus-upstream"] == "silent"
    assert client.headers["x-isthmus-upstream-model"] == "gpt-test"
    assert len(client.bodies) == 2
    frames = data_frames(client.text)
    assert (content(frames), finish_reasons(frames), frames[-1]) == ("Hello there", ["stop"], "[DONE]")
    assert client.ends == 1


async def test_a_whole_answer_is_the_fold_of_the_stream() -> None:
    client = await hear(telling(OPENING, CLOSING), exchange(stream=False))
    assert client.status == 200
    assert client.headers["content-type"] == "application/json"
    assert int(client.headers["content-length"]) == len(client.text)
    choice = json.loads(client.text)["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("Hello there", "stop")
    assert client.ends == 1


async def test_ignored_parameters_are_named_in_a_header() -> None:
    batch = (Start("gpt-test", ("temperature", "top_p\r\nx-injected: 1")), *CLOSING_ALONE)
    for stream in (True, False):
        client = await hear(telling(batch), exchange(stream))
        assert client.headers["x-isthmus-ignored-params"] == "temperature, top_p??x-injected: 1"


CLOSING_ALONE = (TextStart(0), *CLOSING)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_an_early_error_keeps_its_status(stream: bool) -> None:
    client = await hear(failing(UpstreamUnavailable("gone")), exchange(stream))
    assert client.status == 503
    assert json.loads(client.text)["error"]["message"] == "gone"


async def test_a_late_error_is_told_once_and_the_stream_ends() -> None:
    client = await hear(failing(UpstreamUnavailable("gone"), OPENING), exchange())
    frames = data_frames(client.text)
    assert (client.status, client.ends) == (200, 1)
    assert content(frames) == "Hello"
    assert [frame["error"]["message"] for frame in frames[:-1] if "error" in frame] == ["gone"]
    assert frames[-1] == "[DONE]"


async def test_a_late_error_of_a_whole_answer_has_a_status() -> None:
    client = await hear(failing(UpstreamUnavailable("gone"), OPENING), exchange(stream=False))
    assert (client.status, client.ends) == (503, 1)


async def test_an_error_after_the_finish_says_nothing_more() -> None:
    client = await hear(failing(UpstreamUnavailable("gone"), OPENING, CLOSING), exchange())
    frames = data_frames(client.text)
    assert frames.count("[DONE]") == client.ends == 1
    assert not [frame for frame in frames[:-1] if "error" in frame]


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_an_unknown_error_is_500_and_tells_nothing(stream: bool, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.CRITICAL, "isthmus.errors"):
        client = await hear(failing(KeyError("inner secret")), exchange(stream))
    assert client.status == 500
    assert json.loads(client.text)["error"] == {
        "message": INTERNAL,
        "type": "api_error",
        "param": None,
        "code": "internal_error",
    }


async def test_an_unknown_error_in_the_middle_is_told_once_and_tells_nothing() -> None:
    client = await hear(failing(KeyError("inner secret"), OPENING), exchange())
    frames = data_frames(client.text)
    assert [frame["error"]["message"] for frame in frames[:-1] if "error" in frame] == [INTERNAL]
    assert (frames[-1], client.ends) == ("[DONE]", 1)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_a_turn_that_ends_without_a_finish_is_our_fault(stream: bool) -> None:
    client = await hear(telling(OPENING), exchange(stream))
    if stream:
        assert data_frames(client.text)[-2]["error"]["message"] == INTERNAL
    else:
        assert (client.status, json.loads(client.text)["error"]["message"]) == (500, INTERNAL)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_an_inner_app_that_writes_bytes_of_its_own_is_our_fault(stream: bool) -> None:
    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 418, "headers": []})
        await send({"type": "http.response.body", "body": b"short and stout"})

    client = await hear(inner, exchange(stream))
    assert (client.status, client.ends) == (500, 1)


async def test_events_without_this_layer_are_refused() -> None:
    async def batches() -> Any:
        yield []

    with pytest.raises(RuntimeError, match="sse layer"):
        await EventStream(batches())(http_scope(extensions={}), Client().receive, Client().send)


# Heartbeats.


def after_beats(count: int, then: Callable[[], None]) -> Callable[[bytes], None]:
    """Return a listener that calls `then` each time so many beats have been heard."""
    heard = 0

    def listen(body: bytes) -> None:
        nonlocal heard
        heard += comments(body.decode())
        if heard >= count:
            heard = 0
            then()

    return listen


async def test_a_silent_upstream_is_bridged_by_comments_before_and_after_the_first_event() -> None:
    inner = Patient(OPENING, CLOSING)
    client = await hear(inner, exchange(), 0.005, Client(hear=after_beats(2, inner.go)))
    assert client.status == 200
    assert comments(client.bodies[0].decode()) == 1
    assert comments(client.text) == 4
    frames = data_frames(client.text)
    assert (content(frames), frames[-1]) == ("Hello there", "[DONE]")


async def test_a_beat_is_a_frame_of_its_own() -> None:
    inner = Patient(OPENING, CLOSING)
    client = await hear(inner, exchange(), 0.005, Client(hear=after_beats(1, inner.go)))
    for frame in filter(None, client.text.split("\n\n")):
        assert frame.startswith((":", "data: ")), "every line is a comment or data"
        assert "\n" not in frame


async def test_events_that_the_client_is_not_shown_are_silence() -> None:
    """A long thought that nobody asked to see must not keep the connection idle."""
    beaten = asyncio.Event()

    async def thinking(scope: Scope, receive: Receive, send: Send) -> None:
        await telling([Start(), ReasoningStart(0)])(scope, receive, send)
        while not beaten.is_set():
            await telling([ReasoningDelta(0, "hm")])(scope, receive, send)
            await asyncio.sleep(0)
        await telling([ReasoningEnd(0), Finish("stop")])(scope, receive, send)

    turn = structs.replace(exchange(), dialect=GEMINI_STREAM)
    client = await hear(thinking, turn, 0.005, Client(hear=lambda body: beaten.set()))
    assert (client.bodies[0], len(client.bodies), client.ends) == (EMPTY_LINE, 2, 1)


async def test_an_error_after_a_heartbeat_is_told_in_band() -> None:
    beaten = asyncio.Event()

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        await beaten.wait()
        raise UpstreamUnavailable("gone")

    client = await hear(inner, exchange(), 0.005, Client(hear=after_beats(1, beaten.set)))
    frames = data_frames(client.text)
    assert (client.status, client.ends, len(frames)) == (200, 1, 2)
    assert (frames[0]["error"]["message"], frames[1]) == ("gone", "[DONE]")


async def test_a_whole_answer_has_no_heartbeat() -> None:
    turn = exchange(stream=False, deadline_s=0.05)
    client = await hear(Patient(OPENING), turn, 0.005)
    assert (client.status, len(client.bodies)) == (504, 1)


# The client leaves.


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_a_client_that_leaves_before_the_first_event_ends_the_turn(stream: bool) -> None:
    inner, client = Patient(OPENING), Client()
    client.leave()
    await hear(inner, exchange(stream), client=client)
    assert inner.ended.is_set()
    assert client.status is None


async def test_a_client_that_leaves_in_the_middle_ends_the_turn() -> None:
    inner = Patient(OPENING, CLOSING)
    client = Client(hear=lambda body: client.leave())
    inner.go()
    await hear(inner, exchange(), client=client)
    assert inner.ended.is_set()
    assert client.ends == 0


async def test_a_cancelled_server_ends_the_turn() -> None:
    inner, client = Patient(OPENING), Client()
    call = asyncio.create_task(client.call(layered(inner), http_scope(exchange=exchange())))
    await asyncio.wait({call}, timeout=0)
    for _ in range(3):
        await asyncio.wait({call}, timeout=0)
    call.cancel()
    async with asyncio.timeout(WITHIN_S):
        await asyncio.wait({call})
    assert call.cancelled()
    assert inner.ended.is_set()


async def test_a_reader_who_stops_reading_hangs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "CLEANUP_S", 0.02)
    client = Client(hear=lambda body: asyncio.Event().wait())  # type: ignore[arg-type,return-value]
    await hear(telling(OPENING, CLOSING), exchange(deadline_s=0.02), client=client)
    assert client.status == 200


# Limits and the deadline.


async def test_a_stop_sequence_ends_the_turn_and_closes_the_source() -> None:
    closed = asyncio.Event()

    async def batches() -> Any:
        try:
            yield list(OPENING)
            yield [TextDelta(0, " the"), TextDelta(0, "re and on")]
            raise AssertionError("nobody wants more")
        finally:
            closed.set()

    client = await hear(EventStream(batches()), exchange(stop=("there",)))
    frames = data_frames(client.text)
    assert (content(frames), finish_reasons(frames), frames[-1]) == ("Hello ", ["stop"], "[DONE]")
    assert closed.is_set()


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_a_deadline_before_anything_came_is_504(stream: bool) -> None:
    inner = Patient(OPENING)
    client = await hear(inner, exchange(stream, deadline_s=0.01))
    assert client.status == 504
    assert inner.ended.is_set()


async def test_a_deadline_after_heartbeats_is_told_in_band() -> None:
    client = await hear(Patient(OPENING), exchange(deadline_s=0.05), 0.005)
    frames = data_frames(client.text)
    assert (client.status, client.ends) == (200, 1)
    assert "ran out" in frames[0]["error"]["message"]
    assert frames[1:] == ["[DONE]"]


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_a_deadline_after_a_mere_start_is_no_empty_answer(stream: bool) -> None:
    inner = Patient((Start(),), CLOSING)
    inner.go()
    client = await hear(inner, exchange(stream, deadline_s=0.05))
    assert (client.status, "ran out" in client.text) == (200 if stream else 504, True)


async def test_a_deadline_in_the_middle_ends_the_stream_as_cut_for_length() -> None:
    inner = Patient(OPENING, CLOSING)
    inner.go()
    client = await hear(inner, exchange(deadline_s=0.05))
    frames = data_frames(client.text)
    assert (content(frames), finish_reasons(frames), frames[-1]) == ("Hello", ["length"], "[DONE]")
    assert client.ends == 1


async def test_a_deadline_in_the_middle_of_a_whole_answer_gives_what_there_is() -> None:
    inner = Patient(OPENING, CLOSING)
    inner.go()
    client = await hear(inner, exchange(stream=False, deadline_s=0.05))
    body = json.loads(client.text)
    assert client.status == 200
    assert body["choices"][0]["message"]["content"] == "Hello"
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["usage"]["estimated"] is True


async def test_an_empty_answer_is_still_legal() -> None:
    batch = (Start(), TextStart(0), TextEnd(0), Finish("stop"))
    for stream in (True, False):
        client = await hear(telling(batch), exchange(stream))
        assert client.status == 200
        assert "x-isthmus-upstream-model" not in client.headers
