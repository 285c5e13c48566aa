"""The files that the simulated service holds, in memory: those that clients upload and those that its turns make.

Memory is bounded: the bytes of the oldest files are let go of first, and such a file is not found any more.
"""

import secrets
from collections import OrderedDict

from msgspec import Struct

from core.loopback.refusals import Json, Refused

_FILES_HELD = 10_000
_BYTES_HELD = 256 << 20

NOT_FOUND: Json = {"detail": {"message": "File not found", "code": "file_not_found"}}


class Blob(Struct):
    """One file. `data` is `None` until it has been put; `signature` is what its URLs must carry.

    `conversation_id` is that of the turn that made it, `path` its place in the python tool's sandbox. `looks` counts
    how often it was asked after: a document is indexed at the second look. So many transfers of its bytes as
    `cuts_left` says break off.
    """

    id: str
    owner: str
    name: str
    media_type: str
    use_case: str
    announced_size: int
    signature: str
    data: bytes | None = None
    width: int | None = None
    height: int | None = None
    conversation_id: str | None = None
    path: str | None = None
    confirmed: bool = False
    looks: int = 0
    cuts_left: int = 0

    @property
    def size(self) -> int:
        return len(self.data) if self.data is not None else 0


class Blobs:
    def __init__(self, limit_bytes: int = _BYTES_HELD) -> None:
        self._limit_bytes = limit_bytes
        self._held: OrderedDict[str, Blob] = OrderedDict()

    def announce(
        self, owner: str, name: str, media_type: str, use_case: str, size: int, pixels: tuple[int | None, int | None]
    ) -> Blob:
        """Return a new file whose bytes are still to be put."""
        width, height = pixels
        identity = f"file_{secrets.token_hex(12):0>32}"
        signature = secrets.token_hex(8)
        blob = Blob(identity, owner, name, media_type, use_case, size, signature, width=width, height=height)
        self._held[identity] = blob
        while len(self._held) > _FILES_HELD:
            self._held.popitem(last=False)
        return blob

    def make(
        self, owner: str, data: bytes, name: str, media_type: str, conversation_id: str, path: str | None = None
    ) -> Blob:
        """Return a new file that a turn has made."""
        blob = self.announce(owner, name, media_type, "multimodal", len(data), (None, None))
        blob.conversation_id, blob.path, blob.confirmed = conversation_id, path, True
        self.put(blob, data)
        return blob

    def put(self, blob: Blob, data: bytes) -> None:
        blob.data = data
        total = sum(held.size for held in self._held.values())
        for identity in list(self._held):
            if total <= self._limit_bytes or identity == blob.id:
                return
            total -= self._held.pop(identity).size

    def find(self, identity: str, owner: str) -> Blob:
        """Return the owner's file; raise `Refused` 404 when there is none."""
        blob = self._held.get(identity)
        if blob is None or blob.owner != owner:
            raise Refused(404, NOT_FOUND)
        return blob

    def in_sandbox(self, conversation_id: str, path: str, owner: str) -> Blob | None:
        """Return the file of a conversation's sandbox."""
        for blob in self._held.values():
            if (blob.conversation_id, blob.path, blob.owner) == (conversation_id, path, owner):
                return blob
        return None

    def signed(self, identity: str, signature: str) -> Blob:
        """Return the file that a signed URL names, whoever asks; raise `Refused` 403 for a wrong signature."""
        blob = self._held.get(identity)
        if blob is None:
            raise Refused(404, NOT_FOUND)
        if not secrets.compare_digest(blob.signature.encode(), signature.encode()):
            raise Refused(403, "<Error><Code>AuthenticationFailed</Code></Error>", reason="wrong signature")
        return blob

    def remove(self, blob: Blob) -> None:
        del self._held[blob.id]

    def clear(self) -> None:
        self._held.clear()
