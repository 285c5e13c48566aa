"""Files (AU-39..41, docs/files.md): put into an account, described, read, removed. Their ids are signed; nothing is
stored here, so there is nothing to list.
"""

import re
from collections.abc import Sequence
from typing import Any, cast
from urllib.parse import quote

from msgspec import structs
from starlette.requests import Request
from starlette.responses import Response

from api.context import entered
from api.downloads import Passage
from api.forms import Form, Spooled, uploaded_form
from api.handlers import gateway_of, reply
from api.middleware.links import LINK_HOLDER
from api.middleware.sse import ignored_header
from core.contracts import Context, FileKeeper
from core.errors import NotFound, Unauthenticated, Unsupported, UpstreamError
from core.json_body import known, missing
from core.multipart import refuse_repeated
from core.request import StoredFile
from core.routing import offering
from core.services import Download, Upload
from core.signing import LIFETIME_S, BadId

PURPOSES = {name: name for name in ("assistants", "vision", "user_data")}
UNUSABLE_PURPOSES = ("batch", "fine-tune", "evals")
"""What OpenAI's files can be for besides; here nothing would ever read them."""

FAILED = "file_upload_error"
"""The code of an upload that the upstream failed without a code of its own (AU-41)."""

FEATURE = "Files API"
NOT_LISTED = "files are not listed; keep the id"

MAX_NAME_CHARS = 120
"""A name is part of the signed id, which must stay short enough for a path."""

_UNSAFE = re.compile(r"[\x00-\x1f\x7f\"\\/]")
_SHOWN_TYPES = ("image/png", "image/jpeg", "image/gif", "image/webp", "audio/", "video/")
"""What a browser may show in place; all else it should only save, for it might be a page with a script."""


async def create(request: Request) -> Response:
    """Take a file in and pass it on to an account."""
    context, gateway = entered(request, FEATURE), gateway_of(request.scope)
    async with uploaded_form(request, gateway.settings.max_upload_bytes) as form:
        purpose, ignored = _fields(form)
        file = form.required_file()
        upload = Upload(_clean_name(file.filename), file.content_type or "", Spooled(file), purpose)
        try:
            stored = await _keeper(request).upload(upload, context, gateway.transport)
        except UpstreamError as error:
            error.code = error.code or FAILED
            raise
    stored = structs.replace(stored, created=context.created)
    identity = gateway.signer.sign_file(stored, context.principal, context.created)
    answer = reply(_object(identity, stored))
    answer.headers.update(ignored_header(ignored))
    return answer


async def listed(request: Request) -> Response:
    """Say that there is no list: which files there are is known to nobody but the holders of their ids."""
    entered(request, FEATURE)
    answer = reply({"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False})
    answer.headers["x-isthmus-note"] = NOT_LISTED
    return answer


async def retrieve(request: Request) -> Response:
    """Describe a file."""
    context, gateway = entered(request, FEATURE), gateway_of(request.scope)
    identity, file = _named(request, context)
    return reply(_object(identity, await _keeper(request).describe(file, context, gateway.transport)))


async def remove(request: Request) -> Response:
    context, gateway = entered(request, FEATURE), gateway_of(request.scope)
    identity, file = _named(request, context)
    await _keeper(request).remove_file(file, context, gateway.transport)
    return reply({"id": identity, "object": "file", "deleted": True})


async def content(request: Request) -> "FilePassage":
    """Give a file's bytes, for its id or for a link to it."""
    context, gateway = entered(request, FEATURE), gateway_of(request.scope)
    identity: str = request.path_params["file_id"]
    file = _linked(request, context) if identity.startswith("link_") else _named(request, context)[1]
    return FilePassage(_keeper(request).open_file(file, context, gateway.transport))


class FilePassage(Passage):
    """A download with what a browser must know of it."""

    def _start(self, download: Download) -> dict[str, object]:
        start = super()._start(download)
        headers = cast(list[tuple[bytes, bytes]], start["headers"])
        extra = {
            "content-disposition": _disposition(download),
            "x-content-type-options": "nosniff",
            "accept-ranges": "none",
            "cache-control": "private",
        }
        return {**start, "headers": [*headers, *((name.encode(), value.encode()) for name, value in extra.items())]}


def _keeper(request: Request) -> FileKeeper:
    keeper = offering(FileKeeper, gateway_of(request.scope).upstreams)  # type: ignore[type-abstract]
    request.scope["upstream"] = keeper.name
    return keeper


# What came.


def _fields(form: Form) -> tuple[str, Sequence[str]]:
    """Return the purpose, and the names of the fields that have no effect."""
    refuse_repeated(name for name, _ in form.fields if name == "purpose")
    fields = dict(form.fields)
    purpose = fields.pop("purpose", "")
    if not purpose:
        raise missing("purpose")
    if purpose in UNUSABLE_PURPOSES:
        raise Unsupported(f"purpose {purpose!r}: there is nothing here that such a file could be for", param="purpose")
    return known(PURPOSES, purpose, "purpose"), tuple(fields)


def _clean_name(name: str | None) -> str:
    """Return the last part of a path without what has a meaning in headers, cut in the middle if it is long."""
    last = re.split(r"[/\\]", name or "")[-1]
    clean = _UNSAFE.sub("", last).strip(" .") or "file"
    stem, dot, ending = clean.rpartition(".")
    if len(clean) <= MAX_NAME_CHARS or not dot or len(ending) > 10:
        return clean[:MAX_NAME_CHARS]
    return f"{stem[: MAX_NAME_CHARS - len(ending) - 1]}.{ending}"


def _named(request: Request, context: Context) -> tuple[str, StoredFile]:
    """Return the id in the path and the file it names. Raises `NotFound`."""
    identity: str = request.path_params["file_id"]
    try:
        return identity, gateway_of(request.scope).signer.read_file(identity, context.principal, context.created)
    except BadId as error:
        raise _no_such_file(identity, error) from error


def _linked(request: Request, context: Context) -> StoredFile:
    """Return the file that a link names. Raises `NotFound`; `Unauthenticated` when the link alone does not open it."""
    identity: str = request.path_params["file_id"]
    gateway = gateway_of(request.scope)
    try:
        file = gateway.signer.read_link(identity, context.created)
    except BadId as error:
        raise _no_such_file(identity, error) from error
    if context.principal is LINK_HOLDER and gateway.pool.find(file.account or "") is None:
        message = "This link is to a file in an account of a caller's own: send their credential with it."
        raise Unauthenticated(message, code="missing_access_token")
    return file


def _no_such_file(identity: str, error: BadId) -> NotFound:
    message = f"No such File object: {identity[:12]!r}... {error}"
    return NotFound(message, param="id", code="file_not_found")


# What goes out.


def _object(identity: str, file: StoredFile) -> dict[str, Any]:
    """Return a file as OpenAI's API shows it. `file_id` repeats the id (AU-39); it ends with the id's lifetime."""
    return {
        "id": identity,
        "object": "file",
        "bytes": file.size or 0,
        "created_at": file.created or 0,
        "expires_at": None if file.created is None else file.created + LIFETIME_S,
        "filename": file.name or "file",
        "purpose": file.purpose or "assistants_output",
        "status": "processed",
        "file_id": identity,
    }


def _disposition(download: Download) -> str:
    kind = "inline" if download.media_type.startswith(_SHOWN_TYPES) else "attachment"
    name = _clean_name(download.name)
    ascii_name = "".join(letter if " " <= letter <= "~" else "_" for letter in name)
    return f"{kind}; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(name, safe='')}"
