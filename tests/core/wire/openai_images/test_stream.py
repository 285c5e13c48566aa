"""Events to an Images answer: whole, and in both families of events, with the SDK as the judge of OpenAI's."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw, Struct, structs
from openai.types import ImagesResponse
from openai.types.image_edit_stream_event import ImageEditStreamEvent
from openai.types.image_gen_stream_event import ImageGenStreamEvent
from pydantic import TypeAdapter

from core.contracts import Exchange
from core.errors import GatewayError, UpstreamError, UpstreamRejected, UpstreamTimeout
from core.events import (
    Event,
    Finish,
    ImageDelta,
    ImageEnd,
    ImageStart,
    Progress,
    Start,
    TextDelta,
    TextEnd,
    TextStart,
    Usage,
)
from core.fold import fold
from core.request import ImageOptions, StoredFile
from core.signing import Signer
from core.sse import COMMENT_FRAME
from core.wire.openai_images import OPENAI_IMAGE_EDITS, OPENAI_IMAGE_GENERATIONS, OpenAIImages
from core.wire.openai_images.requests import STYLE
from tests.core import exchanges
from tests.media_samples import as_base64, png
from tests.strategies import pieces, sentences

Json = dict[str, Any]

PNG, SMALL = png(2, 3), png(1, 1)
B64, SMALL_B64 = as_base64(PNG), as_base64(SMALL)
CREATED = 1_790_000_000
FILE = StoredFile("file_1", width=1024, height=1536)
FAILURE = UpstreamTimeout("it took too long", code="late")
DETAIL = {"message": "it took too long", "type": "api_error", "param": None, "code": "late"}


def exchange(style: str = "openai", dialect: OpenAIImages = OPENAI_IMAGE_GENERATIONS, **options: Any) -> Exchange:
    echo = {STYLE: Raw(f'"{style}"'.encode())}
    made = exchanges.exchange(stream=True, image=ImageOptions(**options), echo=echo)
    return structs.replace(
        made, dialect=dialect, signer=Signer(b"a key of these tests"), public_url="https://gw.example"
    )


def picture(index: int = 0, data: bytes = PNG, *previews: bytes, **fields: Any) -> list[Event]:
    deltas = [ImageDelta(index, preview) for preview in previews]
    return [ImageStart(index), *deltas, ImageEnd(index, "image/png", data, **fields)]


def sentence(*blocks: Event, **finish: Any) -> list[Event]:
    return [Start(), *blocks, Finish(**{"reason": "stop", **finish})]


def events_of(data: bytes) -> list[Json]:
    """Return the events of a stream, each with its name as `event`."""
    events = []
    for block in data.decode().removesuffix("\n\n").split("\n\n") if data else ():
        if block == "data: [DONE]":
            events.append({"event": "[DONE]"})
            continue
        name, line = block.split("\n")
        events.append({"event": name.removeprefix("event: "), **json.loads(line.removeprefix("data: "))})
    return events


def encoded(events: Sequence[Event], of: Exchange) -> list[Json]:
    return events_of(of.dialect.encoder(of).encode(events))


def rendered(events: Sequence[Event], of: Exchange) -> Json:
    body: Json = json.loads(of.dialect.render_response(of, fold(events)))
    return body


# Whole answers.


class Whole(Struct, frozen=True):
    id: str
    given: list[Event]
    expected: Json
    options: Json = {}


FACTS = {"output_format": "png", "size": "2x3"}
WHOLE = [
    Whole("a picture", sentence(*picture()), {"data": [{"b64_json": B64}], **FACTS}),
    Whole(
        "a picture whose prompt was rewritten",
        sentence(*picture(revised_prompt="A grey heron")),
        {"data": [{"b64_json": B64, "revised_prompt": "A grey heron"}], **FACTS},
    ),
    Whole(
        "pictures of different sizes have none in common",
        sentence(*picture(0), *picture(1, SMALL)),
        {"data": [{"b64_json": B64}, {"b64_json": SMALL_B64}], "output_format": "png"},
        {"count": 2},
    ),
    Whole(
        "what the model says besides has no place",
        sentence(TextStart(0), TextDelta(0, "Here you are"), TextEnd(0), *picture(1)),
        {"data": [{"b64_json": B64}], **FACTS},
    ),
    Whole(
        "usage as the upstream reported it",
        sentence(*picture(), usage=Usage(10, 20)),
        {
            "data": [{"b64_json": B64}],
            **FACTS,
            "usage": {"input_tokens": 10, "output_tokens": 20, "total_tokens": 30},
        },
    ),
    Whole(
        "usage is not estimated",
        sentence(*picture(), usage=Usage(10, 20, estimated=True)),
        {"data": [{"b64_json": B64}], **FACTS},
    ),
    Whole(
        "more pictures than were asked for",
        sentence(*picture(0), *picture(1)),
        {"data": [{"b64_json": B64}, {"b64_json": B64}], **FACTS},
    ),
    Whole(
        "a picture in a format without a name",
        [Start(), ImageStart(0), ImageEnd(0, "image/heic", b"?"), Finish("stop")],
        {"data": [{"b64_json": "Pw=="}]},
    ),
]


@pytest.mark.parametrize("case", WHOLE, ids=lambda case: case.id)
def test_a_whole_answer(case: Whole) -> None:
    body = rendered(case.given, exchange(**case.options))
    assert body == {"created": CREATED, **case.expected}
    ImagesResponse.model_validate({name: value for name, value in body.items() if name != "usage"}, strict=True)


def test_a_link_takes_the_place_of_the_picture() -> None:
    of = exchange(delivery="link")
    body = rendered(sentence(*picture(data=b"", file=FILE)), of)
    (item,) = body["data"]
    assert (item.keys(), body["size"]) == ({"url"}, "1024x1536")
    identity = item["url"].removeprefix("https://gw.example/v1/files/").removesuffix("/content")
    assert Signer(b"a key of these tests").read_link(identity, CREATED) == FILE


class Short(Struct, frozen=True):
    """An answer that lacks pictures, and the error it is."""

    id: str
    given: list[Event]
    error: type[GatewayError]
    message: str
    options: Json = {}
    code: str | None = "image_generation_error"


SAID: list[Event] = [TextStart(0), TextDelta(0, "I can't "), TextDelta(0, "draw that."), TextEnd(0)]
SHORT = [
    Short("a refusal is told in its own words", sentence(*SAID), UpstreamRejected, "I can't draw that."),
    Short("silence", sentence(), UpstreamError, "after 0 of 1 pictures, without a word"),
    Short("too few", sentence(*picture()), UpstreamError, "after 1 of 2 pictures", {"count": 2}),
    Short(
        "no more time",
        sentence(*picture(), reason="length", raw_reason="deadline"),
        UpstreamTimeout,
        "ran out after 1 of 3 pictures",
        {"count": 3},
        None,
    ),
]


@pytest.mark.parametrize("case", SHORT, ids=lambda case: case.id)
def test_an_answer_without_its_pictures_is_an_error(case: Short) -> None:
    with pytest.raises(case.error) as caught:
        rendered(case.given, exchange(**case.options))
    assert case.message in caught.value.message
    assert caught.value.code == case.code
    told = {style: encoded(case.given, exchange(style, **case.options)) for style in ("openai", "aurora")}
    assert [event["event"] for event in told["openai"]][-1] == "error"
    assert [event["event"] for event in told["aurora"]][-2:] == ["image.generation.error", "[DONE]"]
    for event in (told["openai"][-1], told["aurora"][-2]):
        assert case.message in event["error"]["message"]


# Aurora's events.


CHUNK = {
    "event": "image.generation.chunk",
    "object": "image.generation.chunk",
    "index": 0,
    "total": 1,
    "progress_text": "Generating image 1/1 ...",
}
DONE = {"event": "[DONE]"}


def result(index: int, item: Json) -> Json:
    kind = "image.generation.result"
    return {"event": kind, "object": kind, "index": index, "created": CREATED, **item, "data": [item]}


def completed(*items: Json) -> Json:
    kind = "image.generation.completed"
    return {"event": kind, "object": kind, "created": CREATED, "data": list(items)}


def test_auroras_events_have_the_picture_in_both_places() -> None:
    item = {"b64_json": B64, "revised_prompt": "A grey heron"}
    told = encoded(sentence(*picture(revised_prompt="A grey heron")), exchange("aurora"))
    assert told == [CHUNK, result(0, item), completed(item), DONE]


def test_auroras_events_of_several_pictures() -> None:
    told = encoded(sentence(*picture(0), *picture(1, SMALL)), exchange("aurora", count=2))
    first, second = {**CHUNK, "total": 2}, {**CHUNK, "index": 1, "total": 2}
    items = {"b64_json": B64}, {"b64_json": SMALL_B64}
    assert told == [
        {**first, "progress_text": "Generating image 1/2 ..."},
        {**second, "progress_text": "Generating image 2/2 ..."},
        result(0, items[0]),
        result(1, items[1]),
        completed(*items),
        DONE,
    ]


def test_a_preview_among_auroras_events_is_a_chunk() -> None:
    told = encoded(sentence(*picture(0, PNG, SMALL)), exchange("aurora", previews=1))
    assert told[1] == {**CHUNK, "b64_json": SMALL_B64}


def test_auroras_failure() -> None:
    of = exchange("aurora")
    encoder = of.dialect.encoder(of)
    told = events_of(encoder.encode([Start()]) + encoder.fail(FAILURE))
    kind = "image.generation.error"
    assert told == [CHUNK, {"event": kind, "object": kind, "error": DETAIL}, DONE]


# OpenAI's events.


EVENTS: dict[str, TypeAdapter[Any]] = {
    "image_generation": TypeAdapter(ImageGenStreamEvent),
    "image_edit": TypeAdapter(ImageEditStreamEvent),
}


def check_event(event: Json) -> None:
    """Raise unless the event is of the published shape; usage may be missing, for nobody reported any."""
    family, _, kind = event["type"].partition(".")
    assert event.pop("event") == event["type"]
    usage = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    details = {"input_tokens_details": {"image_tokens": 0, "text_tokens": 0}}
    whole = {**event, **({"usage": {**usage, **details}} if kind == "completed" else {})}
    EVENTS[family].validate_python(whole, strict=True)


@pytest.mark.parametrize(
    ("dialect", "family"),
    [(OPENAI_IMAGE_GENERATIONS, "image_generation"), (OPENAI_IMAGE_EDITS, "image_edit")],
    ids=["generation", "edit"],
)
def test_openais_events(dialect: OpenAIImages, family: str) -> None:
    of = exchange(dialect=dialect, previews=2, quality="high", background="transparent")
    told = encoded(sentence(*picture(0, PNG, SMALL, SMALL)), of)
    assert [event["type"] for event in told] == [f"{family}.partial_image"] * 2 + [f"{family}.completed"]
    shared = {"created_at": CREATED, "output_format": "png", "quality": "high", "background": "transparent"}
    for place, event in enumerate(told):
        check_event(event)
        last = place == 2
        index = {} if last else {"partial_image_index": place}
        pixels = {"size": "2x3" if last else "1x1", "b64_json": B64 if last else SMALL_B64}
        assert event == {"type": event["type"], **index, **pixels, **shared}


def test_what_was_not_heeded_is_auto() -> None:
    of = exchange(quality="high", size="1024x1024", output_format="webp")
    start = Start(ignored=("quality", "output_format"))
    (told,) = encoded([start, *picture(), Finish("stop")], of)
    assert {told[name] for name in ("quality", "background")} == {"auto"}
    assert (told["size"], told["output_format"]) == ("2x3", "png")


def test_a_picture_that_nobody_can_measure() -> None:
    start = Start(ignored=("output_format",))
    of = exchange(size="1024x1024", output_format="webp")
    (told,) = encoded([start, ImageStart(0), ImageEnd(0, "image/heic", b"?"), Finish("stop")], of)
    assert (told["size"], told["output_format"]) == ("1024x1024", "auto")


def test_previews_are_counted_for_each_picture() -> None:
    of = exchange(count=2, previews=1)
    told = encoded(sentence(*picture(0, PNG, SMALL), *picture(1, PNG, SMALL)), of)
    assert [event.get("partial_image_index") for event in told] == [0, None, 0, None]


def test_a_link_among_openais_events() -> None:
    (told,) = encoded(sentence(*picture(data=b"", file=FILE)), exchange(delivery="link"))
    assert told["url"].startswith("https://gw.example/v1/files/link_")
    assert "b64_json" not in told


def test_openais_failure() -> None:
    of = exchange()
    assert events_of(of.dialect.encoder(of).fail(FAILURE)) == [{"event": "error", "type": "error", "error": DETAIL}]


# Laws.


def test_a_heartbeat_among_openais_events_is_a_comment() -> None:
    of = exchange()
    assert of.dialect.encoder(of).beat() == COMMENT_FRAME


def test_a_heartbeat_among_auroras_events_is_progress_with_the_next_picture() -> None:
    of = exchange("aurora", count=2)
    encoder = of.dialect.encoder(of)
    beats = [encoder.beat()]
    for events in ([Start()], picture(0), picture(1)):
        encoder.encode(events)
        beats.append(encoder.beat())
    assert [event["progress_text"] for beat in beats for event in events_of(beat)] == [
        *["Generating image 1/2 ..."] * 2,
        *["Generating image 2/2 ..."] * 2,
    ]


@given(st.data(), st.sampled_from(["openai", "aurora"]))
def test_chunking_never_matters_and_pictures_are_those_of_the_whole(data: st.DataObject, style: str) -> None:
    events = [*data.draw(sentences(("text", "image"), max_blocks=4))]
    of = exchange(style)
    encoder = of.dialect.encoder(of)
    told = b"".join(encoder.encode(piece) for piece in data.draw(pieces(events)))
    assert events_of(told) == encoded(events, of)
    ends = [event for event in events_of(told) if event["event"].endswith((".completed", "error", "[DONE]"))]
    assert ends
    try:
        whole = rendered(events, of)["data"]
    except GatewayError:
        assert any("error" in event for event in ends)
        return
    shown = [event for event in events_of(told) if event["event"].endswith((".result", "generation.completed"))]
    if style == "openai":
        assert [event["b64_json"] for event in shown] == [item["b64_json"] for item in whole]
    else:
        assert shown[-1]["data"] == whole


def test_progress_is_not_told() -> None:
    assert encoded([Progress("drawing"), *sentence(*picture())], exchange())[0]["type"] == "image_generation.completed"
