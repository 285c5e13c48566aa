"""`POST /auth/refresh` and `POST /auth/session`: a caller's own long-lived token for an access token (AU-13, AU-14).

The routes need no gateway key and touch no account of the pool: who brings a token learns what it is worth, and
nobody else does. An exchange is not broken off when the client leaves: its token might be used up for nothing.
"""

import asyncio

from msgspec import Raw
from starlette.requests import Request
from starlette.responses import Response

from api.gateway import Gateway
from api.handlers import gateway_of, reply
from api.middleware.intake import ClientGone, read_body
from core.accounts import LONGEST_TOKEN_CHARS, Secret
from core.contracts import TokenExchanger
from core.errors import InvalidRequest
from core.json_body import STRING, decode, missing, read_top
from core.routing import offering
from core.services import Grant
from core.settings import CREDENTIAL

LIMIT_BYTES = 64 * 1024
BODY_TIMEOUT_S = 30.0
"""These routes are open to all, so nobody may stay for long before they have said anything."""


async def refresh(request: Request) -> Response:
    """Answer with what the token service said, and nothing that it did not."""
    gateway = gateway_of(request.scope)
    token = await _token(request, "refresh_token")
    grant = await _exchanger(gateway).refresh(token, gateway.transport)
    return _private(
        {
            "access_token": _shown(grant.access_token),
            "refresh_token": _shown(grant.successor),
            "id_token": _shown(grant.id_token),
            "token_type": grant.token_type,
            "expires_in": grant.expires_in_s,
            "scope": grant.scope,
        }
    )


async def session(request: Request) -> Response:
    """Answer with the access token in both spellings in use, and the session token to use from here on."""
    gateway = gateway_of(request.scope)
    token = await _token(request, "session_token")
    grant: Grant = await _exchanger(gateway).renew_session(token, gateway.transport)
    return _private(
        {
            "access_token": _shown(grant.access_token),
            "accessToken": _shown(grant.access_token),
            "session_token": _shown(grant.successor or token),
            "expires": grant.session_ends,
        }
    )


def _exchanger(gateway: Gateway) -> TokenExchanger:
    return offering(TokenExchanger, gateway.upstreams)  # type: ignore[type-abstract]


async def _token(request: Request, field: str) -> Secret:
    """Return the one field of the body. Raises `InvalidRequest` without showing it."""
    try:
        deadline = asyncio.get_running_loop().time() + BODY_TIMEOUT_S
        body = await read_body(request.scope, request.receive, LIMIT_BYTES, deadline)
    except ClientGone as error:
        raise InvalidRequest("the client left before its request was whole") from error
    given = read_top(body).get(field, Raw(b"null"))
    if bytes(given) == b"null":
        raise missing(field)
    text = decode(STRING, given, field).strip()
    if len(text) > LONGEST_TOKEN_CHARS or not CREDENTIAL.fullmatch(text):
        message = f"{field} must be printable ASCII without spaces, at most {LONGEST_TOKEN_CHARS} characters"
        raise InvalidRequest(message, param=field)
    return Secret(text)


def _shown(secret: Secret | None) -> str | None:
    return secret.reveal() if secret else None


def _private(fields: dict[str, object]) -> Response:
    """Return an answer that no cache may keep (RFC 6749, section 5.1), without what is not known."""
    answer = reply({name: value for name, value in fields.items() if value is not None})
    answer.headers["cache-control"] = "no-store"
    return answer
