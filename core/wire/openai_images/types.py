"""The fields of an Images request that we read, in OpenAI's spelling and in the seed's (AU-42, AU-48, AU-49, JR-12)."""

from typing import Annotated

from msgspec import Meta, Raw, Struct, field

from core.json_body import NULL


class Body(Struct, frozen=True):
    """A request body of any of the three calls. `Raw` fields hold pictures, each read later with its own path."""

    prompt: str | None = None
    model: str | None = None
    n: Annotated[int, Meta(ge=1, le=10)] | None = None
    size: str | None = None
    quality: str | None = None
    style: str | None = None
    background: str | None = None
    output_format: str | None = None
    output_compression: Annotated[int, Meta(ge=0, le=100)] | None = None
    input_fidelity: str | None = None
    moderation: str | None = None
    partial_images: Annotated[int, Meta(ge=0, le=3)] | None = None
    response_format: str | None = None
    stream: bool | None = None
    image: Raw = NULL
    image_list: Raw = field(default=NULL, name="image[]")
    images: Raw = NULL
    images_list: Raw = field(default=NULL, name="images[]")
    image_url: Raw = NULL
    mask: Raw = NULL
    input: Raw = NULL
    content: Raw = NULL
    messages: Raw = NULL


READ_FIELDS = frozenset(Body.__struct_encode_fields__)
"""Top-level fields that have a place in the canonical request; all others travel as extras, under their own name."""


class Source(Struct, frozen=True):
    """A picture as an object; exactly one of its fields says where it is."""

    url: str | None = None
    image_url: Raw = NULL
    b64_json: str | None = None
    base64: str | None = None
    file_id: str | None = None


class Url(Struct, frozen=True):
    url: str


class Item(Struct, frozen=True):
    """A message, or one part of its content, in the style of Responses or of Chat Completions."""

    type: str | None = None
    content: Raw = NULL
    text: str | None = None
