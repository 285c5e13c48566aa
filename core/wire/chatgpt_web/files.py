"""ChatGPT Web's file calls: their bodies, their answers, and how a message refers to a file.

Source: chatgpt-web reference, section 5. Answers are read leniently: what the gateway does not need may be missing.
"""

import re

from msgspec import UNSET, Struct, UnsetType, json

from core.errors import UpstreamError, UpstreamRejected
from core.request import StoredFile
from core.wire.chatgpt_web import types
from core.wire.chatgpt_web.errors import UPSTREAM

FAILED = "file_upload_error"
"""The code of an upload that failed for no reason of its own (AU-41)."""

LIMIT_REACHED = "file_upload_limit_reached"
"""The code of an account that takes no more files for a while, though it may go on talking."""

NOT_FOUND = "file_not_found"
INDEXED = "success"

FILE_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
"""What a file id may look like, for it becomes a part of paths; `file-` and `file_` ids do (section 0)."""

PICTURES, DOCUMENTS, DATA = "multimodal", "my_files", "ace_upload"
"""What a file is for, in the service's words: to be seen, to be read, to be worked on in its python tool."""

_DATA_TYPES = frozenset({"text/csv", "text/tab-separated-values"})
_DOCUMENT_TYPES = frozenset(
    {
        "application/pdf",
        "application/rtf",
        "application/msword",
        "application/epub+zip",
        "application/vnd.ms-powerpoint",
        "application/vnd.oasis.opendocument.text",
        "application/vnd.oasis.opendocument.presentation",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "image/svg+xml",
    }
)


def use_case(media_type: str) -> str:
    """Return what a file of this type is for; whatever is neither seen nor read is data."""
    if media_type in _DOCUMENT_TYPES:
        return DOCUMENTS
    if media_type.startswith("image/"):
        return PICTURES
    return DOCUMENTS if media_type.startswith("text/") and media_type not in _DATA_TYPES else DATA


class Create(Struct, frozen=True, omit_defaults=True):
    file_name: str
    file_size: int
    use_case: str
    mime_type: str
    timezone_offset_min: int
    width: int | None = None
    height: int | None = None


class Created(Struct, frozen=True):
    status: str = ""
    file_id: str = ""
    upload_url: str = ""
    error_code: str | None = None
    error_message: str | None = None


class Outcome(Struct, frozen=True):
    status: str = ""
    error_code: str | None = None
    error_message: str | None = None


class Described(Struct, frozen=True):
    """What the service says of a file. `retrieval_index_status` is not set for what is never indexed."""

    name: str | None = None
    size: int | None = None
    mime_type: str | None = None
    retrieval_index_status: str | UnsetType | None = UNSET


class Located(Struct, frozen=True):
    """Where a file can be had for a while. Either field may hold the URL."""

    status: str = "success"
    download_url: str | None = None
    url: str | None = None
    file_name: str | None = None
    mime_type: str | None = None
    error_code: str | None = None
    error_message: str | None = None


def build_create(name: str, size: int, media_type: str, pixels: tuple[int, int] | None) -> bytes:
    """Return the body that announces a file; `pixels` are the width and height of a picture."""
    width, height = pixels or (None, None)
    return json.encode(Create(name, size, use_case(media_type), media_type, 0, width, height))


def failure(answer: Created | Outcome, default: str) -> UpstreamError:
    """Return the error for an answer that is a success by its HTTP status only."""
    message = answer.error_message or default
    return UpstreamRejected(message, upstream=UPSTREAM, upstream_status=200, code=answer.error_code or FAILED)


def pointer(file: StoredFile) -> types.ImagePointer:
    """Return the part by which a message shows a picture."""
    scheme = "sediment" if file.id.startswith("file_") else "file-service"
    return types.ImagePointer(
        content_type="image_asset_pointer",
        asset_pointer=f"{scheme}://{file.id}",
        size_bytes=file.size or 0,
        width=file.width,
        height=file.height,
    )


def attachment(file: StoredFile) -> types.Attachment:
    """Return how a message's metadata names a file."""
    return types.Attachment(
        id=file.id,
        name=file.name or file.id,
        size=file.size or 0,
        mime_type=file.media_type or "application/octet-stream",
        source="local",
        is_big_paste=False,
        width=file.width,
        height=file.height,
    )
