"""Files in an account: uploaded in three steps, described, opened, removed (chatgpt-web reference, section 5).

The bytes go straight through, in both directions: nothing here holds a whole file.
"""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import quote, urlencode

from msgspec import UNSET, structs

from core.chatgpt.session import Pause, Session
from core.errors import (
    NotFound,
    ProtocolViolation,
    RateLimited,
    Unsupported,
    UpstreamError,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from core.media import Blob, image_size
from core.request import StoredFile
from core.services import Download, Upload
from core.transport import Content
from core.upstreams.chatgpt_web.links import linked
from core.upstreams.chatgpt_web.media_types import media_type_of, named
from core.wire.chatgpt_web import files as wire
from core.wire.chatgpt_web.errors import UPSTREAM

INDEX_POLLS, INDEX_FIRST_PAUSE_S, INDEX_LONGEST_PAUSE_S = 30, 0.2, 1.0
HEAD_BYTES = 1 << 18
"""How much of a file is looked at to tell what it is: a JPEG's size may stand behind a preview of 64 KiB."""


async def upload(session: Session, upload: Upload, pause: Pause) -> StoredFile:
    """Put a file into the account and return it as it is there; a document is waited for until it can be read.

    Raises `UpstreamError`.
    """
    head = await _head(upload.content)
    media_type = media_type_of(head, upload.media_type, upload.name)
    pixels = image_size(head) if wire.use_case(media_type) == wire.PICTURES else None
    created = await _create(session, upload, media_type, pixels)
    await _put(session, created.upload_url, upload.content, media_type)
    confirmed = await session.fetch("POST", f"/files/{created.file_id}/uploaded", wire.Outcome, b"{}")
    if confirmed.status == "error":
        raise wire.failure(confirmed, "the upstream did not take the file")
    if wire.use_case(media_type) == wire.DOCUMENTS:
        await _indexed(session, created.file_id, pause)
    width, height = pixels or (None, None)
    return StoredFile(
        id=created.file_id,
        account=session.account.digest if session.account else None,
        name=upload.name,
        media_type=media_type,
        size=upload.content.size,
        purpose=upload.purpose,
        width=width,
        height=height,
    )


async def describe(session: Session, file: StoredFile) -> StoredFile:
    """Return the file with what the service says of it. Raises `NotFound`."""
    if file.conversation_id is not None:
        return file  # a file that a turn made is known to its conversation only
    said = await _described(session, file.id)
    return structs.replace(
        file,
        name=said.name or file.name,
        size=file.size if said.size is None else said.size,
        media_type=said.mime_type or file.media_type,
    )


async def remove(session: Session, file: StoredFile) -> None:
    """Remove the file from the account. Raises `NotFound`; `Unsupported` when the service will not.

    No source documents this call: a refusal that is none of the file's is told as what it is.
    """
    async with session.request("DELETE", f"/files/{file.id}") as reply:
        if reply.status in (200, 204):
            return
        error = await session.refusal(reply)
    if reply.status == 404:
        await _described(session, file.id)
    if reply.status in (404, 405, 501):
        message = f"the upstream does not let its files be deleted: it answered {reply.status}"
        raise Unsupported(message, code="file_not_deletable") from error
    raise error


@asynccontextmanager
async def open_file(session: Session, file: StoredFile) -> AsyncGenerator[Download, None]:
    """Give the file's bytes as they come. Raises `NotFound`, or `UpstreamError` when it cannot be had."""
    located = await _locate(session, file)
    async with AsyncExitStack() as opened:
        try:
            reply = await opened.enter_async_context(linked(session, located.download_url or located.url or ""))
        except UpstreamError as error:
            raise _gone() if error.upstream_status == 404 else error from error
        size = reply.headers.get("content-length", "")
        said_type = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
        media_type = _telling(said_type) or file.media_type or located.mime_type or "application/octet-stream"
        yield Download(
            media_type=media_type,
            chunks=aiter(reply),
            size=int(size) if size.isdigit() else None,
            name=named(file.name or located.file_name, media_type, "file"),
        )


async def _head(content: Content) -> bytes:
    """Return the beginning of a content, or all of it when it is at hand."""
    if isinstance(content, Blob):
        return content.data
    head = bytearray()
    chunks = content.chunks()
    try:
        async for chunk in chunks:
            head += chunk
            if len(head) >= HEAD_BYTES:
                break
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()
    return bytes(head)


# Uploading.


async def _create(session: Session, upload: Upload, media_type: str, pixels: tuple[int, int] | None) -> wire.Created:
    body = wire.build_create(upload.name, upload.content.size, media_type, pixels)
    try:
        created = await session.fetch("POST", "/files", wire.Created, body)
    except RateLimited as error:
        error.code = wire.LIMIT_REACHED
        raise
    except UpstreamRejected as error:
        error.param, error.code = None, error.code or wire.FAILED
        if error.upstream_status == 413:
            # What is too long here is the file, not the messages.
            error.status, error.code = 413, "file_too_large"
        raise
    if created.status == "error":
        raise wire.failure(created, "the upstream did not take the file")
    if not wire.FILE_ID.fullmatch(created.file_id) or "://" not in created.upload_url:
        raise ProtocolViolation("the upstream took a file, but said not where to", upstream=UPSTREAM)
    return created


async def _put(session: Session, url: str, content: Content, media_type: str) -> None:
    """Send the bytes to where the signed URL says: no token goes along (section 5.2)."""
    headers = {"Content-Type": media_type, "x-ms-blob-type": "BlockBlob", "x-ms-version": "2020-04-08"}
    async with session.transport.request(
        "PUT", url, headers=headers, content=content, proxy=session.proxy, upstream=UPSTREAM
    ) as reply:
        if reply.status not in (200, 201):
            message = f"the upstream's storage answered {reply.status} to an upload"
            raise UpstreamUnavailable(
                message, upstream=UPSTREAM, upstream_status=reply.status, status=502, code=wire.FAILED
            )


async def _indexed(session: Session, file_id: str, pause: Pause) -> None:
    """Wait until a document can be searched. One of which the service says nothing is not waited for."""
    pause_s = INDEX_FIRST_PAUSE_S
    for _ in range(INDEX_POLLS):
        status = (await _described(session, file_id)).retrieval_index_status
        if status in (UNSET, wire.INDEXED):
            return
        if isinstance(status, str) and "fail" in status:
            message = f"the upstream could not read the document: {status}"
            raise UpstreamRejected(message, upstream=UPSTREAM, code="file_processing_failed")
        await pause(pause_s)
        pause_s = min(2 * pause_s, INDEX_LONGEST_PAUSE_S)
    message = "the upstream has not finished reading the document in time"
    raise UpstreamTimeout(message, upstream=UPSTREAM, code="file_processing_timeout")


async def _described(session: Session, file_id: str) -> wire.Described:
    try:
        return await session.fetch("GET", f"/files/{file_id}", wire.Described)
    except UpstreamError as error:
        if error.upstream_status == 404:
            raise _gone() from error
        raise


# Downloading.


async def _locate(session: Session, file: StoredFile) -> wire.Located:
    """Ask the calls that may know the file, one after the other (section 5.5). Raises `NotFound`."""
    for path in _places(file):
        try:
            located = await session.fetch("GET", path, wire.Located)
        except UpstreamError as error:
            if error.upstream_status != 404:
                raise
            continue
        if located.download_url or located.url:
            return located
        if located.status == "error" and located.error_code != wire.NOT_FOUND:
            message = located.error_message or "the upstream does not give the file out"
            raise UpstreamRejected(message, upstream=UPSTREAM, upstream_status=200, code=located.error_code)
    raise _gone()


def _places(file: StoredFile) -> tuple[str, ...]:
    plain, newer = f"/files/{file.id}/download", f"/files/download/{file.id}"
    if file.conversation_id is None:
        return plain, newer
    conversation = f"/conversation/{quote(file.conversation_id, safe='')}"
    if file.path is not None:
        query = urlencode({"message_id": file.message_id or "", "sandbox_path": file.path})
        return (f"{conversation}/interpreter/download?{query}",)
    query = urlencode({"conversation_id": file.conversation_id, "inline": "false"})
    return f"{conversation}/attachment/{file.id}/download", f"{newer}?{query}", plain


def _telling(media_type: str) -> str | None:
    return media_type if media_type not in ("", "application/octet-stream", "binary/octet-stream") else None


def _gone() -> NotFound:
    return NotFound("the file is no longer kept in the account", code=wire.NOT_FOUND)
