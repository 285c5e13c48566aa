"""The `image_generation` tool of a Responses request, and the pictures that earlier calls of it made."""

from collections.abc import Mapping

from msgspec import Raw, json

from core.json_body import decode, given
from core.request import Image, ImageOptions, Message, Text
from core.wire.openai_responses import types

IMAGE_TOOL = "image_generation"

_TOOL = json.Decoder(types.ImageTool)
_FIELDS = json.Decoder(dict[str, Raw])
_READ = frozenset(types.ImageTool.__struct_fields__) | {"type"}

EARLIER_PICTURE = "This is a picture you made earlier in this conversation."


def read_image_tool(item: Raw, path: str) -> tuple[ImageOptions, tuple[str, ...]]:
    """Return what the tool says of the pictures, and what of it has no place here, by its path."""
    tool = decode(_TOOL, item, path)
    options = ImageOptions(
        size=tool.size,
        quality=tool.quality,
        background=tool.background,
        output_format=tool.output_format,
        output_compression=tool.output_compression,
        input_fidelity=tool.input_fidelity,
        moderation=tool.moderation,
        previews=tool.partial_images,
        mask=_mask(tool.input_image_mask, f"{path}.input_image_mask"),
    )
    fields = decode(_FIELDS, item, path)
    return options, tuple(f"{path}.{name}" for name in _unread(fields))


def _mask(mask: types.ImageMask | None, path: str) -> Image | None:
    if mask is None:
        return None
    if mask.file_id:
        return Image(file_id=mask.file_id, where=f"{path}.file_id")
    return Image(url=mask.image_url, where=f"{path}.image_url") if mask.image_url else None


def _unread(fields: Mapping[str, Raw]) -> list[str]:
    """Return the names of other fields; `auto` asks for nothing."""
    others = {name: value for name, value in fields.items() if name not in _READ and given(value)}
    return [name for name, value in others.items() if bytes(value) != b'"auto"']


def earlier_picture(wire: types.Item, path: str) -> Message | None:
    """Return a picture of an earlier answer as one that the user shows, for only users can; None if it is not there."""
    if not wire.result:
        return None
    return Message("user", (Image(url=wire.result, where=f"{path}.result"), Text(EARLIER_PICTURE)))
