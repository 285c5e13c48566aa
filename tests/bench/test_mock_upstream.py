"""The simulated vendors: requests in any chunking, answers that are what was ordered, frames that the SDK accepts."""

import json
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from bench.client_requests import MANNERS, Ask, Dialect, http_request
from bench.mock_upstream import RequestReader, streamed_answer, whole_answer
from bench.order import COUNTED, DEFAULT, Order, paced_first_text, read_order, read_start
from bench.vendor_formats import FORMATS
from core.sse import FrameReader
from core.transport.http1 import HeadReader, body_reader

WEB_PATH, CHAT_PATH, RESPONSES_PATH = b"/backend-api/f/conversation", b"/v1/chat/completions", b"/v1/responses"
TEXTS = {RESPONSES_PATH: 5}


def request_for(dialect: Dialect = "chat", order: Order = DEFAULT) -> bytes:
    manner = MANNERS[dialect]
    return http_request(manner.path, "key", manner.body("m", Ask(order, tools=1, history=2)))


def body_of(answer: bytes) -> bytes:
    """Return the body of a whole HTTP answer; it must be one."""
    head_reader = HeadReader()
    head = head_reader.feed(answer)
    assert head is not None
    assert head.status == 200
    reader = body_reader(head, b"POST")
    body = reader.feed(head_reader.rest)
    assert reader.complete
    assert not reader.surplus
    return body


def frames(path: bytes, deltas: int) -> Sequence[bytes]:
    return [data for _, data in FrameReader().feed(body_of(streamed_answer(path, Order(deltas))))]


@given(st.lists(st.integers(0, 1200), max_size=6))
def test_a_request_may_come_in_any_pieces(cuts: list[int]) -> None:
    request = request_for(order=Order(7))
    bounds = sorted({0, len(request), *(cut for cut in cuts if cut < len(request))})
    reader = RequestReader()
    given_back = [reader.feed(request[begin:end]) for begin, end in pairwise(bounds)]
    assert given_back == [None] * (len(given_back) - 1) + [request]
    assert reader.feed(request) == request


@pytest.mark.parametrize("dialect", MANNERS)
def test_every_dialect_carries_the_order(dialect: Dialect) -> None:
    order = Order(123, 50, 7)
    assert read_order(request_for(dialect, order)) == order


def test_without_an_order_there_is_a_default() -> None:
    assert read_order(b"POST / HTTP/1.1\r\n\r\ndeltas=many") == DEFAULT


def test_the_start_of_a_paced_answer_can_be_read_back() -> None:
    assert read_start(json.dumps(paced_first_text(12.5)).encode()) == 12.5
    assert read_start(b"Once.") is None


@pytest.mark.parametrize("path", FORMATS, ids=bytes.decode)
@given(deltas=st.integers(0, 30), batch=st.integers(1, 12))
def test_a_streamed_answer_has_what_was_ordered(path: bytes, deltas: int, batch: int) -> None:
    body = body_of(streamed_answer(path, Order(deltas, 0, batch)))
    assert body.count(COUNTED) == deltas * TEXTS.get(path, 1)


def test_the_batch_says_how_many_deltas_share_a_chunk() -> None:
    alone, together = streamed_answer(WEB_PATH, Order(100)), streamed_answer(WEB_PATH, Order(100, 0, 30))
    assert body_of(alone) == body_of(together)
    assert alone.count(b"\r\n") - together.count(b"\r\n") == 2 * (100 - 4)


def test_no_delta_equals_the_one_before() -> None:
    texts = [json.loads(data)["choices"][0]["delta"].get("content") for data in frames(CHAT_PATH, 6)[:-1]]
    assert texts == ["", "Once.\n", " upon", " upon,", " upon", " upon,", " upon", " upon,", " end.", None]


def test_the_sdk_accepts_the_chunks_of_a_chat() -> None:
    *chunks, done = frames(CHAT_PATH, 3)
    assert done == b"[DONE]"
    assert [ChatCompletionChunk.model_validate_json(data).id for data in chunks] == ["chatcmpl-bench"] * len(chunks)


def test_the_sdk_accepts_the_events_of_a_response() -> None:
    event: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)
    assert [event.validate_json(data).type for data in frames(RESPONSES_PATH, 1)][-1] == "response.completed"


def test_what_is_not_streamed_says_the_same() -> None:
    chat = ChatCompletion.model_validate_json(body_of(whole_answer(CHAT_PATH, 2)))
    response = Response.model_validate_json(body_of(whole_answer(RESPONSES_PATH, 2)))
    assert chat.choices[0].message.content == response.output_text == "Once.\n upon upon, end."
