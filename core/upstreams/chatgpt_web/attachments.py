"""The pictures and files of one request: read once, put into the account that is to answer about them.

Nothing is ever read from this machine: a reference is a URL, bytes in the request, or a file of ours in an account.
"""

import asyncio
import hashlib
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Mapping
from functools import partial
from urllib.parse import unquote, urlsplit
from weakref import WeakValueDictionary

from msgspec import Struct, structs

from core.chatgpt.session import Pause, Session
from core.contracts import Exchange
from core.errors import InvalidRequest, NotFound, UpstreamRejected
from core.media import Blob, is_data_url, read_base64, read_data_url, sniff
from core.parallel import side_by_side
from core.request import ChatRequest, File, Image, StoredFile
from core.services import Upload
from core.transport import Transport
from core.upstreams.chatgpt_web.files import open_file, upload
from core.upstreams.chatgpt_web.media_types import media_type_of, named
from core.wire.chatgpt_web.files import PICTURES, use_case
from core.wire.chatgpt_web.requests import NOTHING, references

MAX_FILES = 50
"""How many pictures and files the messages of one request may hold."""

MAX_FETCH_BYTES, MAX_FETCHED_BYTES = 20 << 20, 40 << 20
"""What one reference may weigh that has to be fetched, and all of them together."""

AT_ONCE = 4
_UPLOADS_HELD = 1000

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_PATH_START = ("/", "~", ".")

Reference = Image | File


class Loaded(Struct, frozen=True, weakref=True):
    blob: Blob
    digest: bytes


class Uploads:
    """What the turns of one request share: each reference is read once, the same bytes go into an account once.

    A request may have several turns, one after another (the tools layer's attempts) or side by side (pictures).
    What was read is let go with the last turn that holds it.
    """

    def __init__(self) -> None:
        self._held: OrderedDict[tuple[str, str, bytes], StoredFile] = OrderedDict()
        self._read: WeakValueDictionary[tuple[str, Reference], Loaded] = WeakValueDictionary()
        self._locks: WeakValueDictionary[Hashable, asyncio.Lock] = WeakValueDictionary()

    def lock(self, request_id: str, *key: Hashable) -> asyncio.Lock:
        """Return the lock that the turns of a request take for one thing."""
        return self._locks.setdefault((_whole_request(request_id), *key), asyncio.Lock())

    async def read(self, request_id: str, part: Reference, read: Callable[[], Awaitable[Loaded]]) -> Loaded:
        """Return what a reference holds, read by whichever turn came first."""
        key = _whole_request(request_id), part
        async with self.lock(request_id, part):
            loaded = self._read.get(key) or await read()
            self._read[key] = loaded
            return loaded

    def find(self, request_id: str, account: str, digest: bytes) -> StoredFile | None:
        return self._held.get((_whole_request(request_id), account, digest))

    def keep(self, request_id: str, account: str, digest: bytes, file: StoredFile) -> None:
        self._held[_whole_request(request_id), account, digest] = file
        while len(self._held) > _UPLOADS_HELD:
            self._held.popitem(last=False)


def _whole_request(request_id: str) -> str:
    """Return the request that an attempt belongs to: the tools layer numbers them behind a dot."""
    return request_id.partition(".")[0]


class Attachments:
    """What one turn refers to. `into` may be called for one account after another; nothing is fetched twice.

    Raises `InvalidRequest`, naming the field, for more than `MAX_FILES`, and `Forbidden` for who has no account.
    """

    def __init__(self, exchange: Exchange, transport: Transport, uploads: Uploads, pause: Pause) -> None:
        self._parts = tuple(dict.fromkeys(references(exchange.request)))
        self._request_id = exchange.id
        self._transport = transport
        self._uploads = uploads
        self._pause = pause
        self._loaded: dict[Reference, Loaded] | None = None
        if self._parts:
            exchange.principal.require_login("File upload")
        if len(self._parts) > MAX_FILES:
            message = f"the messages hold {len(self._parts)} pictures and files, but {MAX_FILES} are the limit"
            raise InvalidRequest(message, param=self._parts[MAX_FILES].where or None)

    async def into(self, session: Session) -> Mapping[Reference, StoredFile]:
        """Return where each reference is in this session's account, having put there what was not.

        Raises `InvalidRequest`, naming the field, for what cannot be used, and `UpstreamError`.
        """
        if not self._parts:
            return NOTHING
        if self._loaded is None:
            self._loaded = await self._load()
        copied = await self._copied(session)
        loaded = {**self._loaded, **copied}
        by_digest = {each.digest: (part, each.blob) for part, each in reversed(loaded.items())}
        calls = [partial(self._put, session, digest, *found) for digest, found in by_digest.items()]
        stored = dict(zip(by_digest, await side_by_side(calls, AT_ONCE), strict=True))
        return {part: stored[loaded[part].digest] if part in loaded else _kept(part) for part in self._parts}

    async def _load(self) -> dict[Reference, Loaded]:
        """Read what stands in the request and fetch what it links to."""
        fetched = _Budget(self._transport)
        parts = [part for part in self._parts if part.stored is None]
        numbers = range(1, len(parts) + 1)
        reads = [partial(_read, part, number, fetched) for part, number in zip(parts, numbers, strict=True)]
        calls = [
            partial(self._uploads.read, self._request_id, part, read) for part, read in zip(parts, reads, strict=True)
        ]
        return dict(zip(parts, await side_by_side(calls, AT_ONCE), strict=True))

    async def _copied(self, session: Session) -> dict[Reference, Loaded]:
        """Read the files that a turn made: they belong to its conversation, so another one needs a copy."""
        made = [part for part in self._parts if part.stored is not None and part.stored.conversation_id is not None]
        calls = [partial(_copy, part, session, number) for number, part in enumerate(made, 1)]
        return dict(zip(made, await side_by_side(calls, AT_ONCE), strict=True))

    async def _put(self, session: Session, digest: bytes, part: Reference, blob: Blob) -> StoredFile:
        account = session.account.digest if session.account else ""
        async with self._uploads.lock(self._request_id, account, digest):
            if known := self._uploads.find(self._request_id, account, digest):
                return known
            try:
                file = await upload(session, Upload(blob.name or "file", blob.media_type, blob), self._pause)
            except UpstreamRejected as error:
                error.param = part.where or None
                raise
            self._uploads.keep(self._request_id, account, digest, file)
            return file


def keeping_account(request: ChatRequest) -> str | None:
    """Return the account that alone can answer: that of an earlier turn, or of the files. Raises `InvalidRequest`."""
    account = request.continues.account if request.continues else None
    for part in references(request):
        if part.stored is None or part.stored.account is None:
            continue
        if account is not None and part.stored.account != account:
            message = (
                f"{part.where}: the file is in another account than the conversation or the other files; "
                "upload it again, or begin anew"
            )
            raise InvalidRequest(message, param=part.where or None, code="file_in_other_account")
        account = part.stored.account
    return account


class _Budget:
    """Fetches for one request, and ends it when all that was fetched is too much."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._left = MAX_FETCHED_BYTES

    async def fetch(self, url: str, where: str, accept: str) -> Blob:
        fetched = await self._transport.fetch_public(url, param=where, limit_bytes=MAX_FETCH_BYTES, accept=accept)
        self._left -= len(fetched.data)
        if self._left < 0:
            message = f"{where}: what has to be fetched is more than {MAX_FETCHED_BYTES} bytes in all"
            raise InvalidRequest(message, param=where)
        name = unquote(urlsplit(fetched.url).path).rpartition("/")[2]
        return Blob(fetched.data, fetched.media_type or "", name if "." in name else None)


async def _read(part: Reference, number: int, budget: _Budget) -> Loaded:
    text = (part.url if isinstance(part, Image) else part.data or part.url) or ""
    if part.file_id is not None:
        message = f"{part.where} {part.file_id[:80]!r} is not a file id of this gateway"
        raise InvalidRequest(message, param=part.where or None, code="file_not_found")
    if _SCHEME.match(text) and not is_data_url(text):
        blob = await budget.fetch(text, part.where, "image/*" if isinstance(part, Image) else "*/*")
        return await asyncio.to_thread(_loaded, part, number, blob)
    return await asyncio.to_thread(_inline, part, number, text)


async def _copy(part: Reference, session: Session, number: int) -> Loaded:
    assert part.stored is not None
    data = bytearray()
    try:
        async with open_file(session, part.stored) as download:
            async for chunk in download.chunks:
                data += chunk
                if len(data) > MAX_FETCH_BYTES:
                    message = f"{part.where}: the file is larger than {MAX_FETCH_BYTES} bytes, too much to copy"
                    raise InvalidRequest(message, param=part.where or None)
    except NotFound as error:
        raise InvalidRequest(f"{part.where}: {error.message}", param=part.where or None, code=error.code) from error
    blob = Blob(bytes(data), download.media_type, download.name)
    return await asyncio.to_thread(_loaded, part, number, blob)


def _inline(part: Reference, number: int, text: str) -> Loaded:
    """Read bytes that stand in the request: a `data:` URL, or base64 alone."""
    if is_data_url(text):
        return _loaded(part, number, read_data_url(text, part.where))
    try:
        data = read_base64(text, part.where)
    except InvalidRequest:
        raise _neither(part) from None
    # Letters and slashes alone may be a path. That is never read; it must not become a file of a few odd bytes either.
    is_path = text.startswith(_PATH_START) or len("".join(text.split())) % 4 != 0
    if is_path and sniff(data) is None:
        raise _neither(part)
    return _loaded(part, number, Blob(data, ""))


def _neither(part: Reference) -> InvalidRequest:
    message = f"{part.where} is neither a URL nor base64 data"
    return InvalidRequest(message, param=part.where or None)


def _loaded(part: Reference, number: int, blob: Blob) -> Loaded:
    """Name the bytes and tell what they are. Raises `InvalidRequest` for nothing, and for a picture that is none."""
    if not blob.data:
        raise InvalidRequest(f"{part.where} is empty", param=part.where or None, code="empty_file")
    name = (part.filename if isinstance(part, File) else None) or blob.name
    media_type = media_type_of(blob.data, blob.media_type, name)
    if isinstance(part, Image):
        _check_picture(part, sniff(blob.data))
    stem = "image" if use_case(media_type) == PICTURES else "file"
    named_blob = structs.replace(blob, media_type=media_type, name=named(name, media_type, f"{stem}-{number}"))
    return Loaded(named_blob, hashlib.sha256(blob.data).digest())


def _kept(part: Reference) -> StoredFile:
    assert part.stored is not None
    if isinstance(part, Image):
        _check_picture(part, part.stored.media_type)
    return part.stored


def _check_picture(part: Image, media_type: str | None) -> None:
    if use_case(media_type or "") != PICTURES:
        shown = media_type or "no picture"
        message = f"{part.where}: the bytes are {shown}; a picture is PNG, JPEG, GIF or WebP"
        raise InvalidRequest(message, param=part.where or None, code="invalid_image")
