"""Who asks: turns the credential in a request's headers into `scope["principal"]`, before any body is read.

`Gate` decides, from the settings and the headers alone; `Auth` is the layer around it. What the forms of a
credential mean is told in docs/configuration.md. Failures are raised; the errors layer outside renders them.
Wordings: seed-behaviour A3, AU-11.
"""

import re
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from msgspec import Struct
from starlette.types import ASGIApp, Receive, Scope, Send

from core.accounts import LONGEST_TOKEN_CHARS, Account, Principal, Secret
from core.errors import Forbidden, GatewayError, NotConfigured, Unauthenticated
from core.settings import ACCOUNT_ID, Settings

KEY_HEADERS = (b"authorization", b"x-api-key")
"""Where a credential may stand; the first of them that is not empty counts."""

ACCOUNT_HEADERS = (b"chatgpt-account-id", b"team-account-id", b"x-chatgpt-account-id")
"""Where a workspace may stand (AU-8, AU-10; header names have no case)."""

MISSING = (
    "You didn't provide an API key. You need to provide your API key in an Authorization header "
    "using Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
)
PREFIX_FORM = "Use Authorization: Bearer <configured-prefix><real_access_token>."
PREFIX_ALONE = f"Invalid access token for access_token_prefix mode. {PREFIX_FORM}"
INCORRECT = "Incorrect API key provided."
EXTERNAL_DISABLED = "external access token disabled (set ENABLE_EXTERNAL_TOKEN=true)"
NO_KEY_CONFIGURED = "no gateway key configured"

_bearer = re.compile(r"\Abearer(?:\s+|$)", re.IGNORECASE)
_uuid = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_visible = re.compile(rb"[ -~]*")

Headers = Iterable[tuple[bytes, bytes]]


class Auth:
    """The layer: every request but `OPTIONS` leaves it with a principal, or not at all."""

    def __init__(self, app: ASGIApp, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self.app = app
        self.gate = Gate(settings, clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan" and scope.get("method") != "OPTIONS":
            scope["principal"] = self.gate.principal(scope["headers"])
        await self.app(scope, receive, send)


class Presented(Struct, frozen=True):
    """What the headers say: a credential of one or more words, and the workspace asked for."""

    credential: str
    workspace: str | None


class Gate:
    """Decides who asks. `clock` gives Unix seconds: an access token that has ended is refused (P1)."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock

    def principal(self, headers: Headers) -> Principal:
        """Raise `Unauthenticated`, `Forbidden` or, when nothing could open the gate, `NotConfigured`."""
        if not self._can_open():
            raise NotConfigured(NO_KEY_CONFIGURED)
        presented = self._presented(list(headers))
        match presented.credential.split():
            case []:
                raise Unauthenticated(self._missing())
            case [word]:
                return self._from_word(word, presented.workspace)
            case [word, token] if key := self._key(word):
                return self._own(token, presented.workspace, door=key)
            case _:
                raise self._incorrect()

    def _can_open(self) -> bool:
        settings = self._settings
        return bool(settings.auth_tokens or settings.access_token_prefixes or settings.enable_external_token)

    def _presented(self, headers: list[tuple[bytes, bytes]]) -> Presented:
        texts = (_value(headers, (name,)) for name in KEY_HEADERS)
        text = next(filter(None, (_bearer.sub("", text, count=1) for text in texts)), "")
        credential, _, workspace = text.partition(",")
        workspace = _value(headers, ACCOUNT_HEADERS) or workspace.strip()
        if workspace and not ACCOUNT_ID.fullmatch(workspace):
            raise Unauthenticated("The account id must be 1 to 128 letters, digits, - and _.")
        return Presented(credential, workspace or None)

    def _missing(self) -> str:
        if self._settings.access_token_prefixes:
            return f"{MISSING} To use your own account: {PREFIX_FORM}"
        return MISSING

    def _from_word(self, word: str, workspace: str | None) -> Principal:
        if key := self._key(word):
            return self._pool(key, workspace)
        if door := self._prefix(word):
            return self._own(word[len(door.reveal()) :], workspace, door)
        if self._settings.enable_external_token and (word.startswith("eyJ") or _uuid.fullmatch(word)):
            return self._own(word, workspace, door=None)
        if word.startswith("eyJ"):
            raise Unauthenticated(EXTERNAL_DISABLED, code="invalid_api_key")
        raise self._incorrect()

    def _key(self, word: str) -> Secret | None:
        """Compare with every key, whether one has matched or not: the time tells nothing."""
        presented = Secret(word)
        matches = [key for key in self._settings.auth_tokens if key == presented]
        return matches[0] if matches else None

    def _prefix(self, word: str) -> Secret | None:
        """Return the longest configured prefix of the word."""
        prefixes = self._settings.access_token_prefixes
        matches = [prefix for prefix in prefixes if prefix == Secret(word[: len(prefix.reveal())])]
        return max(matches, key=lambda prefix: len(prefix.reveal()), default=None)

    def _pool(self, key: Secret, workspace: str | None) -> Principal:
        """A key's holder chooses among the operator's workspaces and cannot name another one."""
        if workspace and all(account.workspace != workspace for account in self._settings.accounts):
            raise Forbidden("no account of this gateway acts in the workspace that was asked for")
        return Principal("pool", key_digest=key.digest, workspace=workspace)

    def _own(self, token: str, workspace: str | None, door: Secret | None) -> Principal:
        """A caller who brings a token, through a key, a prefix (`door`) or the open gate (`None`)."""
        key_digest = door.digest if door else ""
        if not token:
            raise Unauthenticated(PREFIX_ALONE, code="invalid_api_key")
        if self._key(token) or self._prefix(token):
            raise self._incorrect()  # the gateway's own secrets are never sent upstream
        if _uuid.fullmatch(token):
            return _anonymous(token, workspace, key_digest)
        account = Account(Secret(token), workspace)
        if account.expires_at is not None and account.expires_at <= self._clock():
            raise Unauthenticated(f"The access token expired{_at(account.expires_at)}.", code="token_expired")
        return Principal("account", account=account, key_digest=key_digest)

    def _incorrect(self) -> GatewayError:
        if not self._settings.auth_tokens:
            return NotConfigured(NO_KEY_CONFIGURED)
        return Unauthenticated(INCORRECT, code="invalid_api_key")


def _value(headers: list[tuple[bytes, bytes]], names: tuple[bytes, ...]) -> str:
    """Return the one value that these headers have, `""` for none; what could not be a key is refused."""
    sent = [(name.lower(), value.strip()) for name, value in headers if name.lower() in names]
    values = {value for _, value in sent}
    shown = " or ".join(name.decode() for name in names)
    if len(values) > 1 or len(dict(sent)) < len(sent):
        raise Unauthenticated(f"The header {shown} was sent more than once.")
    value = values.pop() if values else b""
    if len(value) > LONGEST_TOKEN_CHARS or not _visible.fullmatch(value):
        raise Unauthenticated(f"The header {shown} must be printable ASCII, {LONGEST_TOKEN_CHARS} bytes at most.")
    return value.decode("ascii")


def _anonymous(device_id: str, workspace: str | None, key_digest: str) -> Principal:
    if workspace:
        raise Forbidden("an anonymous device acts in no workspace: leave the account id out")
    return Principal("anonymous", device_id=device_id.lower(), key_digest=key_digest)


def _at(moment: float) -> str:
    """Return ` at <ISO time>`, or nothing for a moment that no calendar has."""
    try:
        return f" at {datetime.fromtimestamp(moment, UTC).isoformat()}"
    except (ValueError, OverflowError, OSError):
        return ""
