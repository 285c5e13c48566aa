"""Canonical events to an Images answer: one object, or a stream in one of two families of events.

OpenAI's has a type for each call and ends when the body does; Aurora's (AU-44, AU-45) names its events and ends in
[DONE]. `requests.py` says who gets which. Text has no place in either: it is told only where a picture is missing.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from msgspec import Raw, json

from core.contracts import Exchange
from core.errors import GatewayError
from core.events import Event, Finish, ImageDelta, ImageEnd, Start, TextDelta
from core.fold import FoldedImage, FoldedText, Response
from core.media import sniff
from core.openai_words import IMAGE_FORMATS, render_error
from core.sse import COMMENT_FRAME, DONE_FRAME
from core.wire.openai_images.objects import (
    Object,
    encoded,
    known_of,
    options_of,
    picture_object,
    shortfall,
    size_of,
    usage_object,
)
from core.wire.openai_images.requests import Call, style_of

_OPENAI_TYPES: dict[Call, str] = {
    "generation": "image_generation",
    "edit": "image_edit",
    "variation": "image_generation",
}


def encoder(call: Call, exchange: Exchange) -> "ImagesEncoder":
    """Return the encoder for the events that the request chose."""
    if style_of(exchange.request) == "aurora":
        return AuroraEncoder(exchange)
    return OpenAIEncoder(exchange, _OPENAI_TYPES[call])


def render_response(exchange: Exchange, response: Response) -> bytes:
    """Return the whole answer (AU-50). Raises `UpstreamError` when it has fewer pictures than were asked for."""
    pictures = [part for part in response.parts if isinstance(part, FoldedImage)]
    said = "\n\n".join(part.text for part in response.parts if isinstance(part, FoldedText))
    if error := shortfall(exchange, len(pictures), said, response.finish):
        raise error
    data = [picture_object(exchange, picture) for picture in pictures]
    usage = usage_object(response.finish.usage)
    return json.encode({"created": exchange.created, "data": data, **known_of(pictures), **usage})


class ImagesEncoder(ABC):
    """What both families share: pictures are counted, text is kept for the error that it may become."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._ignored: frozenset[str] = frozenset()
        self._pictures = 0
        self._previews = 0
        self._said: list[str] = []

    def encode(self, events: Sequence[Event]) -> bytes:
        return b"".join(frame for event in events for frame in self._frames(event))

    def fail(self, error: GatewayError) -> bytes:
        return b"".join(self._error(error))

    def beat(self) -> bytes:
        return COMMENT_FRAME

    def _frames(self, event: Event) -> Sequence[bytes]:
        match event:
            case Start(ignored=ignored):
                self._ignored = frozenset(ignored)
                return self._begin()
            case TextDelta(text=text):
                self._said.append(text)
            case ImageDelta(data=data):
                self._previews += 1
                return self._preview(data)
            case ImageEnd(media_type=media_type, data=data, revised_prompt=revised, file=file):
                frames = self._picture(FoldedImage(media_type, data, revised, file))
                self._pictures += 1
                self._previews = 0
                return frames
            case Finish():
                error = shortfall(self._exchange, self._pictures, "".join(self._said), event)
                return self._error(error) if error else self._finish(event)
            case _:
                pass
        return ()

    @abstractmethod
    def _begin(self) -> Sequence[bytes]: ...

    @abstractmethod
    def _preview(self, data: bytes) -> Sequence[bytes]: ...

    @abstractmethod
    def _picture(self, picture: FoldedImage) -> Sequence[bytes]: ...

    @abstractmethod
    def _finish(self, finish: Finish) -> Sequence[bytes]: ...

    @abstractmethod
    def _error(self, error: GatewayError) -> Sequence[bytes]: ...


class AuroraEncoder(ImagesEncoder):
    """`image.generation.chunk`, `result`, `completed`, `error`; a result has its picture in both places (AU-44)."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(exchange)
        self._total = options_of(exchange).count
        self._data: list[Object] = []

    def beat(self) -> bytes:
        """Tell the progress of the next picture again: clients show it, and it is true."""
        return self._chunk(min(self._pictures, self._total - 1))

    def _begin(self) -> Sequence[bytes]:
        return [self._chunk(index) for index in range(self._total)]

    def _preview(self, data: bytes) -> Sequence[bytes]:
        return (self._chunk(self._pictures, b64_json=encoded(data)),)

    def _picture(self, picture: FoldedImage) -> Sequence[bytes]:
        item = picture_object(self._exchange, picture)
        self._data.append(item)
        created = self._exchange.created
        return (_named("result", index=self._pictures, created=created, **item, data=[item]),)

    def _finish(self, finish: Finish) -> Sequence[bytes]:
        usage = usage_object(finish.usage)
        return (_named("completed", created=self._exchange.created, data=self._data, **usage), DONE_FRAME)

    def _error(self, error: GatewayError) -> Sequence[bytes]:
        return (_named("error", error=_detail(error)), DONE_FRAME)

    def _chunk(self, index: int, **more: str) -> bytes:
        text = f"Generating image {index + 1}/{self._total} ..."
        return _named("chunk", index=index, total=self._total, progress_text=text, **more)


class OpenAIEncoder(ImagesEncoder):
    """`image_generation.partial_image` and `.completed`, or `image_edit.*`; the stream ends when its body does."""

    def __init__(self, exchange: Exchange, kind: str) -> None:
        super().__init__(exchange)
        self._kind = kind

    def _begin(self) -> Sequence[bytes]:
        return ()

    def _preview(self, data: bytes) -> Sequence[bytes]:
        facts = self._facts(FoldedImage(sniff(data) or "", data))
        index = self._previews - 1
        return (self._typed("partial_image", partial_image_index=index, b64_json=encoded(data), **facts),)

    def _picture(self, picture: FoldedImage) -> Sequence[bytes]:
        item = picture_object(self._exchange, picture)
        return (self._typed("completed", **item, **self._facts(picture)),)

    def _finish(self, finish: Finish) -> Sequence[bytes]:
        return ()

    def _error(self, error: GatewayError) -> Sequence[bytes]:
        return (relayed_failure(error),)

    def _facts(self, picture: FoldedImage) -> Object:
        """Return the fields that OpenAI requires: what is true, else what was asked for and heeded, else `auto`."""
        options = options_of(self._exchange)
        return {
            "created_at": self._exchange.created,
            "size": size_of(picture) or self._heeded("size", options.size),
            "quality": self._heeded("quality", options.quality),
            "background": self._heeded("background", options.background),
            "output_format": IMAGE_FORMATS.get(picture.media_type)
            or self._heeded("output_format", options.output_format),
        }

    def _heeded(self, name: str, asked: str | None) -> str:
        return asked if asked and name not in self._ignored else "auto"

    def _typed(self, name: str, **fields: Any) -> bytes:
        kind = f"{self._kind}.{name}"
        return _frame(kind, {"type": kind, **fields})


def relayed_failure(error: GatewayError) -> bytes:
    """Return the event by which a stream of OpenAI's ends that has failed, this gateway's or a vendor's own."""
    return _frame("error", {"type": "error", "error": _detail(error)})


def _named(name: str, **fields: Any) -> bytes:
    kind = f"image.generation.{name}"
    return _frame(kind, {"object": kind, **fields})


def _frame(kind: str, data: Object) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + json.encode(data) + b"\n\n"


def _detail(error: GatewayError) -> Raw:
    """Return the inner object of the error shape that all of OpenAI's calls share."""
    return json.decode(render_error(error), type=dict[str, Raw])["error"]
