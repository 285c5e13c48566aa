"""The file calls of the simulated service (reference chatgpt-web 5), and its storage, which wants no token."""

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from core.loopback.blobs import Blob
from core.loopback.refusals import Json, Refused, json_response
from core.loopback.world import body_as, caller_of, world_of

STORAGE_PATH = "/loopback-storage"
"""Where the bytes are put and had. It stands for another host, so it lies outside of the service's prefix."""

CUT_NAME = "cut-"
"""How the name of an upload begins whose downloads break off."""

_CUTS = 1_000_000

_NOT_THERE: Json = {"status": "error", "error_code": "file_not_found", "error_message": "File not found"}


class CreateRequest(Struct, frozen=True):
    file_name: str
    file_size: int
    use_case: str
    mime_type: str = "application/octet-stream"
    width: int | None = None
    height: int | None = None


class ProcessRequest(Struct, frozen=True):
    file_id: str
    use_case: str


async def create(request: Request) -> Response:
    """Announce a file: say where its bytes go."""
    asked = await body_as(request, CreateRequest)
    if asked.use_case not in ("multimodal", "my_files", "ace_upload") or not asked.file_name or asked.file_size <= 0:
        raise Refused(422, {"detail": "Invalid file"})
    pixels = (asked.width, asked.height)
    blob = world_of(request).blobs.announce(
        caller_of(request).key, asked.file_name, asked.mime_type, asked.use_case, asked.file_size, pixels
    )
    blob.cuts_left = _CUTS if asked.file_name.startswith(CUT_NAME) else 0
    return json_response({"status": "success", "file_id": blob.id, "upload_url": storage_url(request, blob)})


async def put(request: Request) -> Response:
    """Take the bytes, as a blob storage does: the URL is signed, a token beside it is an error."""
    blob = _signed(request)
    if request.headers.get("x-ms-blob-type") != "BlockBlob":
        raise Refused(400, "<Error><Code>MissingRequiredHeader</Code></Error>", reason="x-ms-blob-type is missing")
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
    world_of(request).blobs.put(blob, bytes(data))
    return Response(status_code=201)


async def confirm(request: Request) -> Response:
    """Take note that the bytes are there."""
    blob = _own(request)
    if blob.data is None or blob.size != blob.announced_size:
        return json_response({"status": "error", "error_code": "file_incomplete", "error_message": "Upload incomplete"})
    blob.confirmed = True
    return json_response({"status": "success", "download_url": storage_url(request, blob), "file_name": blob.name})


async def process(request: Request) -> Response:
    """The newer form of `confirm`: lines of JSON that tell how it goes on."""
    asked = await body_as(request, ProcessRequest)
    blob = world_of(request).blobs.find(asked.file_id, caller_of(request).key)
    blob.confirmed = blob.size == blob.announced_size
    steps = (("started", 0), ("file_ready", 50), ("completed", 100))
    lines = [
        msgspec.json.encode(
            {"file_id": blob.id, "event": f"file.processing.{step}", "message": "", "progress": progress}
        )
        for step, progress in steps
    ]
    return Response(b"\n".join(lines) + b"\n", media_type="application/x-ndjson")


async def describe(request: Request) -> Response:
    blob = _own(request)
    blob.looks += 1
    indexed = "success" if blob.looks > 1 else None
    status: Json = {"retrieval_index_status": indexed} if blob.use_case == "my_files" else {}
    return json_response(
        {
            "id": blob.id,
            "name": blob.name,
            "size": blob.size,
            "mime_type": blob.media_type,
            "use_case": blob.use_case,
            "state": "ready",
            **status,
        }
    )


async def remove(request: Request) -> Response:
    world_of(request).blobs.remove(_own(request))
    return json_response({"success": True})


async def download(request: Request) -> Response:
    """Say where an upload can be had: in the storage. What a turn made is not known here."""
    blob = _found(request, request.path_params["file_id"])
    if blob is None or blob.conversation_id is not None:
        return json_response(_NOT_THERE)
    return json_response({"status": "success", "download_url": storage_url(request, blob), "file_name": blob.name})


async def download_for_conversation(request: Request) -> Response:
    """The newer form: where a file can be had, from the service itself."""
    blob = _found(request, request.path_params["file_id"])
    if blob is None or blob.conversation_id != request.query_params.get("conversation_id"):
        return json_response(_NOT_THERE)
    name = f"user-{blob.owner}/{blob.name}"
    answer: Json = {"status": "success", "download_url": _service_url(request, blob), "file_name": name}
    return json_response({**answer, "file_size_bytes": blob.size, "mime_type": None, "metadata": None})


async def download_attachment(request: Request) -> Response:
    """Say where a picture can be had that a turn made."""
    blob = _found(request, request.path_params["file_id"])
    if blob is None or blob.conversation_id != request.path_params["conversation_id"]:
        raise Refused(404)
    return json_response({"download_url": _service_url(request, blob)})


async def download_from_sandbox(request: Request) -> Response:
    """Say where a file can be had that the python tool wrote; of a temporary conversation nothing can."""
    path = request.query_params.get("sandbox_path", "")
    conversation_id, owner = request.path_params["conversation_id"], caller_of(request).key
    if world_of(request).conversations.is_temporary(conversation_id):
        raise Refused(404)
    blobs = world_of(request).blobs
    blob = blobs.in_sandbox(conversation_id, path, owner)
    if blob is None or not request.query_params.get("message_id"):
        return json_response(_NOT_THERE)
    return json_response({"status": "success", "download_url": _service_url(request, blob), "file_name": blob.name})


async def stored_bytes(request: Request) -> Response:
    """Give the bytes that a URL of the storage names."""
    return _bytes(_signed(request))


async def content(request: Request) -> Response:
    """Give the bytes that a URL of the service itself names."""
    asked = request.query_params
    return _bytes(world_of(request).blobs.signed(asked.get("id", ""), asked.get("sig", "")))


def _bytes(blob: Blob) -> Response:
    if blob.data is None:
        raise Refused(404)
    if blob.cuts_left:
        blob.cuts_left -= 1
        return _Cut(blob.data, media_type=blob.media_type)
    return Response(blob.data, media_type=blob.media_type)


class _Cut(Response):
    """Says how long it is, and breaks off in the middle."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body[: len(self.body) // 2], "more_body": True})


def _signed(request: Request) -> Blob:
    if "authorization" in request.headers:
        raise Refused(400, "<Error><Code>InvalidAuthenticationInfo</Code></Error>", reason="the storage takes no token")
    return world_of(request).blobs.signed(request.path_params["file_id"], request.query_params.get("sig", ""))


def _own(request: Request) -> Blob:
    return world_of(request).blobs.find(request.path_params["file_id"], caller_of(request).key)


def _found(request: Request, identity: str) -> Blob | None:
    try:
        return world_of(request).blobs.find(identity, caller_of(request).key)
    except Refused:
        return None


def storage_url(request: Request, blob: Blob) -> str:
    """Return where the storage has a file: a signed URL."""
    return f"{_base(request)}{STORAGE_PATH}/{blob.id}?sig={blob.signature}"


def _service_url(request: Request, blob: Blob) -> str:
    return f"{_base(request)}/backend-api/estuary/content?id={blob.id}&p=fs&sig={blob.signature}"


def _base(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}"
