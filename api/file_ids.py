"""File ids in a turn's request: each becomes the file that it names, wherever the dialect allows one."""

import re
from collections.abc import Callable, Sequence
from typing import TypeAlias

from msgspec import structs

from core.contracts import Context
from core.errors import InvalidRequest
from core.request import ChatRequest, File, Image, Message, Part, StoredFile, Text, ToolResult
from core.signing import BadId, Signer

Reference: TypeAlias = Image | File
Lookup: TypeAlias = Callable[[Reference], StoredFile | None]

_LINK = re.compile(r"https?://[^/?#]+/v1/files/(?P<link>link_[A-Za-z0-9_-]+)/content")


def with_files(request: ChatRequest, context: Context, signer: Signer, *, insists: bool) -> ChatRequest:
    """Return the request with `stored` set wherever a file of ours is named, by its id or by a link of ours.

    An id that is not ours may be the upstream's own; with `insists` it is refused: `InvalidRequest` for its field.
    """

    def look_up(part: Reference) -> StoredFile | None:
        if part.file_id is None:
            return _linked(part.url or "", context, signer)
        try:
            return signer.read_file(part.file_id, context.principal, context.created)
        except BadId as error:
            if not insists:
                return None
            message = f"{part.where} {part.file_id[:80]!r} is no file that can be used here: {error}"
            raise InvalidRequest(message, param=part.where or None, code="file_not_found") from error

    messages = tuple(_of_message(message, look_up) for message in request.messages)
    if not _same(messages, request.messages):
        request = structs.replace(request, messages=messages)
    options = request.image
    if options is not None and options.mask is not None and (stored := look_up(options.mask)) is not None:
        mask = structs.replace(options.mask, stored=stored)
        request = structs.replace(request, image=structs.replace(options, mask=mask))
    return request


def _linked(url: str, context: Context, signer: Signer) -> StoredFile | None:
    """Return the file of a link that this gateway gave out: it need not be fetched from outside."""
    if (found := _LINK.fullmatch(url)) is None:
        return None
    try:
        return signer.read_link(found["link"], context.created)
    except BadId:
        return None


def _of_message(message: Message, look_up: Lookup) -> Message:
    parts = tuple(_of_part(part, look_up) for part in message.parts)
    return message if _same(parts, message.parts) else structs.replace(message, parts=parts)


def _of_part(part: Part, look_up: Lookup) -> Part:
    if isinstance(part, ToolResult):
        content = tuple(inner if isinstance(inner, Text) else _of_reference(inner, look_up) for inner in part.content)
        return part if _same(content, part.content) else structs.replace(part, content=content)
    return _of_reference(part, look_up) if isinstance(part, Image | File) else part


def _of_reference(part: Reference, look_up: Lookup) -> Reference:
    stored = look_up(part)
    return part if stored is None else structs.replace(part, stored=stored)


def _same(new: Sequence[object], old: Sequence[object]) -> bool:
    return all(one is other for one, other in zip(new, old, strict=True))
