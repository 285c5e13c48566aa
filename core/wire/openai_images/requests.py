"""An Images request, as JSON or as a form, to the canonical request: pictures, then the prompt, in one user message.

The three calls differ in what they must have; what they may have is the same, so that clients of every kind are
understood (AU-42 to AU-49, JR-11, JR-12).
"""

from collections.abc import Mapping
from itertools import chain, islice
from typing import Literal, TypeAlias
from urllib.parse import parse_qsl

from msgspec import Raw, json, structs

from core.errors import InvalidRequest
from core.json_body import clean, decode, given, known, missing, read_top
from core.multipart import is_form
from core.openai_words import read_boolean
from core.request import ChatRequest, Hints, Image, ImageOptions, Message, Text
from core.wire.openai_images import types
from core.wire.openai_images.forms import form_body
from core.wire.openai_images.sources import read_conversation, read_images

Call: TypeAlias = Literal["generation", "edit", "variation"]
Style: TypeAlias = Literal["openai", "aurora"]

DEFAULT_MODEL = "gpt-image-2"

VARIATION_PROMPT = (
    "Generate a variation of the provided image(s). Return only the generated image, not a text description."
)
"""What an edit without a prompt asks for (AU-46)."""

MAX_IMAGES = 16
"""As many pictures as OpenAI's edits take."""

STYLE = "image_events"
"""In `echo`: which of the two families of events a stream has."""

NAMED = "image_events_named"
"""In `echo`: it was the URL that chose the events."""

_STYLES: Mapping[str, Style] = {"openai": "openai", "aurora": "aurora"}
_DELIVERIES: Mapping[str, Literal["inline", "link"]] = {"b64_json": "inline", "url": "link"}
_OPENAI_MODELS = ("gpt-image-", "chatgpt-image-", "dall-e-")

_BODY = json.Decoder(types.Body)


def parse_request(call: Call, body: bytes, content_type: str) -> ChatRequest:
    """Raise `InvalidRequest`, naming the field, when the body is not understood."""
    if is_form(content_type):
        body = form_body(body, content_type)
    top = read_top(body)
    fields = decode(_BODY, body, "")
    said = tuple(chain.from_iterable(read_conversation(*place) for place in _conversations(fields)))
    shown = chain.from_iterable(read_images(*place) for place in _pictures(fields))
    images = tuple(islice(chain(shown, (part for part in said if isinstance(part, Image))), MAX_IMAGES + 1))
    if len(images) > MAX_IMAGES:
        raise InvalidRequest(f"there are more than {MAX_IMAGES} images", param="image")
    prompt = _prompt(call, fields, [part.text for part in said if isinstance(part, Text)], bool(images))
    return ChatRequest(
        model=clean(fields.model or DEFAULT_MODEL, "model"),
        messages=(Message("user", (*images, Text(prompt))),),
        stream=bool(fields.stream),
        include_usage=False,
        hints=Hints(image_generation=True),
        image=_options(fields),
        # Copies: one extra as it was read would hold on to the whole body, pictures and all.
        extras={name: value.copy() for name, value in top.items() if name not in types.READ_FIELDS and given(value)},
        echo={STYLE: Raw(json.encode(_style(fields)))},
    )


def read_query(request: ChatRequest, query: str) -> ChatRequest:
    """Return the request with what its URL says: `stream` (AU-43) and `events`. Raises `InvalidRequest`.

    Who asks for a stream in the URL gets Aurora's events, unless previews were asked for, which Aurora does not have.
    """
    asked = dict(parse_qsl(query, keep_blank_values=True))
    style: Style | None = known(_STYLES, asked["events"], "events") if "events" in asked else None
    if read_boolean(asked.get("stream", "false"), "stream"):
        previews = request.image.previews if request.image else None
        style = style or ("aurora" if previews is None else None)
        request = structs.replace(request, stream=True)
    if style is None:
        return request
    return structs.replace(request, echo={**request.echo, STYLE: Raw(json.encode(style)), NAMED: Raw(b"true")})


def style_of(request: ChatRequest) -> Style:
    return known(_STYLES, json.decode(request.echo[STYLE], type=str), STYLE)


def _style(fields: types.Body) -> Style:
    """Return the events that fit who asks.

    Previews are OpenAI's alone. A stream from one of OpenAI's image models has OpenAI's events, unless the request
    says `response_format`, which OpenAI refuses with those models and Aurora's clients send.
    """
    if fields.partial_images is not None:
        return "openai"
    is_openai = (fields.model or DEFAULT_MODEL).startswith(_OPENAI_MODELS)
    return "openai" if is_openai and fields.response_format is None else "aurora"


def _pictures(fields: types.Body) -> tuple[tuple[Raw, str], ...]:
    return (
        (fields.image, "image"),
        (fields.image_list, "image[]"),
        (fields.images, "images"),
        (fields.images_list, "images[]"),
        (fields.image_url, "image_url"),
    )


def _conversations(fields: types.Body) -> tuple[tuple[Raw, str], ...]:
    return (fields.input, "input"), (fields.content, "content"), (fields.messages, "messages")


def _prompt(call: Call, fields: types.Body, said: list[str], has_images: bool) -> str:
    """Return the prompt: what `prompt` says, then the texts among the messages."""
    if call != "generation" and not has_images:
        raise missing("image")
    prompt = "\n".join(text for text in (clean(fields.prompt or "", "prompt"), *said) if text.strip())
    if not prompt and call == "generation":
        raise missing("prompt")
    return prompt or VARIATION_PROMPT


def _options(fields: types.Body) -> ImageOptions:
    masks = tuple(read_images(fields.mask, "mask"))
    if len(masks) > 1:
        raise InvalidRequest("mask holds more than one picture", param="mask")
    return ImageOptions(
        count=fields.n or 1,
        size=fields.size,
        quality=fields.quality,
        style=fields.style,
        background=fields.background,
        output_format=fields.output_format,
        output_compression=fields.output_compression,
        input_fidelity=fields.input_fidelity,
        moderation=fields.moderation,
        previews=fields.partial_images,
        mask=masks[0] if masks else None,
        required=True,
        delivery=known(_DELIVERIES, fields.response_format or "b64_json", "response_format"),
    )
