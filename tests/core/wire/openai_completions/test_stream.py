"""Events as `text_completion` objects: a stream and a whole answer say the same, and every stream ends legally."""

import json
from typing import Any

from hypothesis import given
from msgspec import structs

from core.contracts import Exchange
from core.errors import UpstreamUnavailable
from core.events import (
    Event,
    Finish,
    ReasoningDelta,
    ReasoningEnd,
    ReasoningStart,
    Start,
    TextDelta,
    TextEnd,
    TextStart,
    Usage,
)
from core.fold import Fold
from core.wire.openai_completions import OPENAI_COMPLETIONS
from tests.api.servers import data_frames
from tests.core.exchanges import exchange
from tests.strategies import sentences

ANSWER: tuple[Event, ...] = (
    Start("m"),
    ReasoningStart(0),
    ReasoningDelta(0, "hm"),
    ReasoningEnd(0),
    TextStart(1),
    TextDelta(1, "Hello"),
    TextEnd(1),
    TextStart(2),
    TextDelta(2, "there"),
    TextEnd(2),
    Finish("length", "max_tokens", Usage(3, 2)),
)


def completing(**fields: Any) -> Exchange:
    return structs.replace(exchange(**fields), dialect=OPENAI_COMPLETIONS)


def frames_of(events: tuple[Event, ...] | list[Event], **fields: Any) -> list[Any]:
    return data_frames(OPENAI_COMPLETIONS.encoder(completing(**fields)).encode(events).decode())


def text_of(frames: list[Any]) -> str:
    return "".join(choice["text"] for frame in frames[:-1] for choice in frame["choices"])


def test_a_stream_spells_the_text_and_ends_with_the_reason_and_the_counts() -> None:
    *chunks, finish, usage, done = frames_of(ANSWER, stream=True)
    assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == "Hello\n\nthere"
    assert finish["choices"] == [{"text": "", "index": 0, "logprobs": None, "finish_reason": "length"}]
    assert (usage["choices"], usage["usage"]["total_tokens"], done) == ([], 5, "[DONE]")
    assert {frame["object"] for frame in (*chunks, finish, usage)} == {"text_completion"}


def test_counts_that_were_not_asked_for_stay_out() -> None:
    assert all("usage" not in frame for frame in frames_of(ANSWER, stream=True, include_usage=False)[:-1])


def test_a_whole_answer_is_one_object() -> None:
    fold = Fold()
    fold.add(ANSWER)
    answer = json.loads(OPENAI_COMPLETIONS.render_response(completing(), fold.response()))
    assert answer["choices"] == [{"text": "Hello\n\nthere", "index": 0, "logprobs": None, "finish_reason": "length"}]
    assert (answer["object"], answer["usage"]["prompt_tokens"], answer["id"][:5]) == ("text_completion", 3, "cmpl-")


def test_a_failure_ends_the_stream() -> None:
    encoder = OPENAI_COMPLETIONS.encoder(completing())
    error, done = data_frames(encoder.fail(UpstreamUnavailable("gone")).decode())
    assert (error["error"]["message"], done) == ("gone", "[DONE]")


@given(events=sentences())
def test_a_stream_and_a_whole_answer_have_the_same_text(events: list[Event]) -> None:
    fold = Fold()
    fold.add(events)
    answer = json.loads(OPENAI_COMPLETIONS.render_response(completing(), fold.response()))
    frames = frames_of(events, stream=True)
    assert text_of(frames) == answer["choices"][0]["text"]
    assert frames[-1] == "[DONE]"
