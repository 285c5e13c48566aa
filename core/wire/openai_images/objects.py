"""What an Images answer is made of: pictures, what is known of them, and the error of an answer that lacks them."""

import base64
from collections.abc import Sequence
from typing import Any

from core.contracts import Exchange
from core.errors import GatewayError, UpstreamError, UpstreamRejected, UpstreamTimeout
from core.events import Finish, Usage
from core.fold import FoldedImage
from core.media import image_size
from core.openai_words import IMAGE_FORMATS, size_word
from core.request import ImageOptions

Object = dict[str, Any]

NO_PICTURE = "image_generation_error"
"""The code of an answer without its picture (AU-51)."""


def picture_object(exchange: Exchange, picture: FoldedImage) -> Object:
    """Return one item of `data`: the picture, or the link that was asked for, and the prompt if it was rewritten."""
    revised = {} if picture.revised_prompt is None else {"revised_prompt": picture.revised_prompt}
    if picture.file is not None and not picture.data:
        return {"url": exchange.link(picture.file), **revised}
    return {"b64_json": encoded(picture.data), **revised}


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def size_of(picture: FoldedImage) -> str | None:
    """Return the picture's true size, such as `1024x1536`, as far as anybody knows it."""
    pixels = image_size(picture.data)
    if pixels is None and picture.file is not None and picture.file.width and picture.file.height:
        pixels = picture.file.width, picture.file.height
    return size_word(pixels)


def options_of(exchange: Exchange) -> ImageOptions:
    return exchange.request.image or ImageOptions()


def known_of(pictures: Sequence[FoldedImage]) -> Object:
    """Return what is true of all pictures of an answer: format and size. What is not known is left out."""
    formats = {IMAGE_FORMATS.get(picture.media_type) for picture in pictures}
    sizes = {size_of(picture) for picture in pictures}
    facts = {"output_format": formats, "size": sizes}
    return {name: value for name, values in facts.items() if len(values) == 1 and (value := next(iter(values)))}


def usage_object(usage: Usage | None) -> Object:
    """Return the counts that the upstream reported. None are estimated for pictures."""
    if usage is None or usage.estimated:
        return {}
    total = usage.input_tokens + usage.output_tokens
    counts = {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens, "total_tokens": total}
    return {"usage": counts}


def shortfall(exchange: Exchange, pictures: int, said: str, finish: Finish) -> GatewayError | None:
    """Return the error of an answer that has fewer pictures than were asked for. `said` is what it has for text."""
    count = options_of(exchange).count
    if pictures >= count:
        return None
    if finish.raw_reason == "deadline":
        return UpstreamTimeout(f"the time for this answer ran out after {pictures} of {count} pictures")
    upstream = exchange.target.upstream.name
    if said.strip():
        return UpstreamRejected(said.strip(), upstream=upstream, code=NO_PICTURE)
    message = f"the upstream ended its answer after {pictures} of {count} pictures, without a word"
    return UpstreamError(message, upstream=upstream, code=NO_PICTURE, scope="request")
