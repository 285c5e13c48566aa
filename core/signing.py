"""Ids that carry what a later request needs: any instance with the same key can read them, nobody can forge them.

An id is `prefix_` and the base64url text of its fields and a MAC (HMAC-SHA-256, cut to 128 bits). It names the caller
it was given to and the time, so another caller's and an old one are refused. Nothing in it is secret.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from typing import TypeVar
from uuid import UUID

from msgspec import MsgspecError, Struct, msgpack

from core.accounts import Principal, Secret
from core.request import StoredFile, Turn

MAC_BYTES = 16
LIFETIME_S = 30 * 86_400
"""How long an id can be used."""

LINK_LIFETIME_S = 3_600
"""How long a link to a file can be used: an hour, as the links of OpenAI's Images API."""

MAX_ID_CHARS = 2048

T = TypeVar("T")


class BadId(ValueError):
    """The id is not one of ours, or not for this caller, or too old; the message says which."""


class ForeignId(BadId):
    """The id was not made with this gateway's key."""

    def __init__(self) -> None:
        super().__init__("it is not an id of this gateway")


class _Fields(Struct, frozen=True, array_like=True):
    caller: str
    issued: int
    conversation: bytes
    message: bytes | None
    account: str | None
    kept: bool


class _FileFields(Struct, frozen=True, array_like=True):
    caller: str
    issued: int
    file: StoredFile


class Named(Struct, frozen=True):
    """What an id names: a turn, and the Unix second in which the id was made."""

    turn: Turn
    issued: int


class Signer:
    """Signs and reads ids with one key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def sign_turn(self, prefix: str, turn: Turn, principal: Principal, now: int) -> str:
        """Return the id of a turn, for the caller it belongs to."""
        message = None if turn.message_id is None else _short(turn.message_id)
        fields = _Fields(caller(principal), now, _short(turn.conversation_id), message, turn.account, turn.kept)
        return f"{prefix}_{self._sealed(prefix, msgpack.encode(fields))}"

    def read_turn(self, prefix: str, identity: str, principal: Principal, now: float) -> "Named":
        """Return the turn an id names, and when the id was given out. Raises `BadId`."""
        fields = _decode(self._opened(prefix, identity), _Fields)
        if fields.caller != caller(principal):
            raise BadId("it was given to another caller")
        if now > fields.issued + LIFETIME_S:
            raise BadId("it has expired")
        message = None if fields.message is None else _long(fields.message)
        return Named(Turn(_long(fields.conversation), message, fields.account, fields.kept), fields.issued)

    def sign_file(self, file: StoredFile, principal: Principal, now: int) -> str:
        """Return the id of a file, for the caller it belongs to."""
        return f"file_{self._sealed('file', msgpack.encode(_FileFields(caller(principal), now, file)))}"

    def read_file(self, identity: str, principal: Principal, now: float) -> StoredFile:
        """Return the file an id names. Raises `BadId`."""
        fields = _decode(self._opened("file", identity), _FileFields)
        if fields.caller != caller(principal):
            raise BadId("it was given to another caller")
        if now > fields.issued + LIFETIME_S:
            raise BadId("it has expired")
        return fields.file

    def sign_link(self, file: StoredFile, principal: Principal, now: int) -> str:
        """Return the id of a file that whoever holds it may read for `LINK_LIFETIME_S` seconds."""
        return f"link_{self._sealed('link', msgpack.encode(_FileFields(caller(principal), now, file)))}"

    def read_link(self, identity: str, now: float) -> StoredFile:
        """Return the file a link's id names, whoever asks. Raises `BadId`."""
        fields = _decode(self._opened("link", identity), _FileFields)
        if now > fields.issued + LINK_LIFETIME_S:
            raise BadId("it has expired")
        return fields.file

    def _sealed(self, prefix: str, data: bytes) -> str:
        return base64.urlsafe_b64encode(self._mac(prefix, data) + data).decode().rstrip("=")

    def _opened(self, prefix: str, identity: str) -> bytes:
        if len(identity) > MAX_ID_CHARS or not identity.startswith(prefix + "_"):
            raise ForeignId
        text = identity[len(prefix) + 1 :]
        try:
            data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise ForeignId from None
        mac, data = data[:MAC_BYTES], data[MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(prefix, data)):
            raise ForeignId
        return data

    def _mac(self, prefix: str, data: bytes) -> bytes:
        return hmac.digest(self._key, prefix.encode() + b"\0" + data, "sha256")[:MAC_BYTES]


def signing_key(explicit: Secret | None, shared: Sequence[Secret], fallback: bytes) -> bytes:
    """Return the key: made from `SIGNING_KEY`, else from secrets that all instances share, else `fallback`."""
    if explicit is not None:
        material = explicit.reveal().encode()
    elif shared:
        material = "\0".join(sorted(secret.reveal() for secret in shared)).encode()
    else:
        return fallback
    return hashlib.sha256(b"isthmus signed ids\0" + material).digest()


def caller(principal: Principal) -> str:
    """Return a short name of who asks: the gateway key, and the account or device when it is their own."""
    own = principal.account.digest if principal.account else principal.device_id or ""
    return hashlib.sha256(f"{principal.key_digest}\0{own}".encode()).hexdigest()[:12]


def _short(identity: str) -> bytes:
    """Pack an upstream id: a UUID in its usual spelling takes 16 bytes; anything else stays as it is."""
    try:
        short = UUID(identity)
    except ValueError:
        return b"t" + identity.encode()
    return b"u" + short.bytes if str(short) == identity else b"t" + identity.encode()


def _long(packed: bytes) -> str:
    kind, data = packed[:1], packed[1:]
    try:
        return str(UUID(bytes=data)) if kind == b"u" else data.decode()
    except ValueError:
        raise BadId("it is not an id of this gateway") from None


def _decode(data: bytes, type_: type[T]) -> T:
    try:
        return msgpack.decode(data, type=type_)
    except (MsgspecError, ValueError, RecursionError):
        raise BadId("it is not an id of this gateway") from None
