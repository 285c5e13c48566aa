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
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.accounts import LONGEST_TOKEN_CHARS, Account, AccountKind, Principal, Secret
from core.errors import Forbidden, GatewayError, NotConfigured, Unauthenticated
from core.settings import ACCOUNT_ID, Settings

KEY_HEADERS = (b"authorization", b"x-api-key", b"x-goog-api-key")
"""Where a credential may stand; the first of them that is not empty counts."""

ACCOUNT_HEADERS = (b"chatgpt-account-id", b"team-account-id", b"x-chatgpt-account-id")
"""Where a workspace may stand (AU-8, AU-10; header names have no case)."""

EXPIRES_IN = "x-isthmus-token-expires-in"
LONGEST_KEY_CHARS = 64
"""What is longer and no JWT is a refresh token (AU-11)."""

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
        self.clock = clock
        self.gate = Gate(settings, clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan" and scope.get("method") != "OPTIONS":
            scope["principal"] = principal = self.gate.principal(scope["headers"])
            if principal.account is not None and principal.account.expires_at is not None:
                send = _telling(send, max(0, int(principal.account.expires_at - self.clock())))
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
            raise NotConfigured(NO_KEY_CONFIGURED, code="not_configured")
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
            message = "The account id must be 1 to 128 letters, digits, - and _."
            raise Unauthenticated(message, code="invalid_account_id")
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
        if self._settings.enable_external_token and _is_own(word):
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
            message = "no account of this gateway acts in the workspace that was asked for"
            raise Forbidden(message, code="workspace_unavailable")
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
        account = Account(Secret(token), workspace, kind=_kind(token, workspace))
        if account.expires_at is not None and account.expires_at <= self._clock():
            raise Unauthenticated(f"The access token expired{_at(account.expires_at)}.", code="token_expired")
        return Principal("account", account=account, key_digest=key_digest)

    def _incorrect(self) -> GatewayError:
        if not self._settings.auth_tokens:
            return NotConfigured(NO_KEY_CONFIGURED, code="not_configured")
        return Unauthenticated(INCORRECT, code="invalid_api_key")


def _value(headers: list[tuple[bytes, bytes]], names: tuple[bytes, ...]) -> str:
    """Return the one value that these headers have, `""` for none; what could not be a key is refused."""
    sent = [(name.lower(), value.strip()) for name, value in headers if name.lower() in names]
    values = {value for _, value in sent}
    shown = " or ".join(name.decode() for name in names)
    code = "invalid_account_id" if names == ACCOUNT_HEADERS else "invalid_api_key"
    if len(values) > 1 or len(dict(sent)) < len(sent):
        raise Unauthenticated(f"The header {shown} was sent more than once.", code=code)
    value = values.pop() if values else b""
    if len(value) > LONGEST_TOKEN_CHARS or not _visible.fullmatch(value):
        message = f"The header {shown} must be printable ASCII, {LONGEST_TOKEN_CHARS} bytes at most."
        raise Unauthenticated(message, code=code)
    return value.decode("ascii")


def _is_own(word: str) -> bool:
    """Say whether a word that came without a gateway key can be the caller's own token.

    Narrower than `_kind`: what may be a mistyped gateway key is refused here, not sent upstream as a refresh token.
    """
    is_refresh_token = len(word) > LONGEST_KEY_CHARS and not word.startswith("sk-")
    return word.startswith("eyJ") or _uuid.fullmatch(word) is not None or is_refresh_token


def _kind(token: str, workspace: str | None) -> AccountKind:
    """Tell an access token from a refresh token (AU-11): the latter is no JWT, and long or given with a workspace."""
    is_refresh_token = not token.startswith("eyJ") and (len(token) > LONGEST_KEY_CHARS or workspace is not None)
    return "refresh" if is_refresh_token else "access"


def _telling(send: Send, left_s: int) -> Send:
    """Return a `send` that adds how many seconds the caller's own access token has left (P1)."""

    async def told(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)[EXPIRES_IN] = str(left_s)
        await send(message)

    return told


def _anonymous(device_id: str, workspace: str | None, key_digest: str) -> Principal:
    if workspace:
        message = "an anonymous device acts in no workspace: leave the account id out"
        raise Forbidden(message, code="workspace_unavailable")
    return Principal("anonymous", device_id=device_id.lower(), key_digest=key_digest)


def _at(moment: float) -> str:
    """Return ` at <ISO time>`, or nothing for a moment that no calendar has."""
    try:
        return f" at {datetime.fromtimestamp(moment, UTC).isoformat()}"
    except (ValueError, OverflowError, OSError):
        return ""
