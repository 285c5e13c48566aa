"""The simulated token service: access tokens for refresh tokens and for session cookies (chatgpt-web 1.3, 1.4).

A refresh token is any word that begins with `loopback`; used once, it is replaced and dies, unless it begins with
`loopback-fixed`. The tokens given out say whose they are: the account stays the one of the first token.
"""

import base64
import re
from urllib.parse import parse_qsl
from uuid import NAMESPACE_URL, uuid5

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from core.loopback.identity import digest
from core.loopback.refusals import Json, Refused, json_response
from core.loopback.world import World, world_of

LIFETIME_S = 3_600
COOKIE = "__Secure-next-auth.session-token"

_SUCCESSOR = re.compile(r"loopback-successor-(?P<account>[0-9a-f]{12})-\d+")
_LONGEST_WHOLE_COOKIE_CHARS = 4_000


async def renew(request: Request) -> Response:
    """Answer `POST /oauth/token`, in JSON or as a form."""
    world = world_of(request)
    fields = await _fields(request)
    if fields.get("grant_type") != "refresh_token" or not fields.get("client_id"):
        raise Refused(400, {"error": "invalid_request", "error_description": "grant_type and client_id are needed"})
    token = str(fields.get("refresh_token", ""))
    if not token.startswith("loopback"):
        raise _dead("refresh_token_invalidated")
    _follow_rule(request, token)
    if not token.startswith("loopback-fixed") and not world.spend(digest(token)):
        raise _dead("refresh_token_reused")
    account = account_of(token)
    answer: Json = {"access_token": access_token(world, account), "expires_in": LIFETIME_S, "token_type": "Bearer"}
    if not token.startswith("loopback-fixed"):
        answer["refresh_token"] = _successor(world, account)
    return json_response(answer)


async def session(request: Request) -> Response:
    """Answer a session cookie with an access token and a new cookie, in pieces as it came; without one say `{}`."""
    world = world_of(request)
    pieces = {name: value for name, value in request.cookies.items() if name.startswith(f"{COOKIE}.")}
    token = "".join(pieces[name] for name in sorted(pieces)) or request.cookies.get(COOKIE, "")
    if not token:
        return json_response({})
    if any(len(value) > _LONGEST_WHOLE_COOKIE_CHARS for value in request.cookies.values()):
        raise Refused(431, reason="a cookie is longer than browsers allow: send it in pieces")
    _follow_rule(request, token)
    account = account_of(token)
    user: Json = {"id": f"user-{account}", "name": "Loopback"}
    given = access_token(world, account)
    answer = json_response({"user": user, "expires": "2100-01-01T00:00:00.000Z", "accessToken": given})
    _set_cookies(answer, _successor(world, account), in_pieces=bool(pieces))
    return answer


def account_of(token: str) -> str:
    """Return the name of the account that a token belongs to: a digest of the first token of its line."""
    successor = _SUCCESSOR.fullmatch(token)
    return successor["account"] if successor else digest(token)


def access_token(world: World, account: str) -> str:
    """Return an unsigned JWT that the loopback takes until its end."""
    now = int(world.clock())
    claims: Json = {
        "iat": now,
        "exp": now + LIFETIME_S,
        "jti": str(world.next_serial()),
        "loopback_account": account,
        "https://api.openai.com/auth": {
            "chatgpt_account_id": str(uuid5(NAMESPACE_URL, account)),
            "chatgpt_plan_type": "plus",
        },
    }
    parts = (_base64(msgspec.json.encode(part)) for part in ({"alg": "none"}, claims))
    return ".".join((*parts, "loopback"))


def _successor(world: World, account: str) -> str:
    return f"loopback-successor-{account}-{world.next_serial()}"


def _set_cookies(answer: Response, token: str, *, in_pieces: bool) -> None:
    half = len(token) // 2
    cookies = {f"{COOKIE}.0": token[:half], f"{COOKIE}.1": token[half:]} if in_pieces else {COOKIE: token}
    for name, value in cookies.items():
        answer.set_cookie(name, value, max_age=90 * 86_400, expires=90 * 86_400, secure=True, httponly=True)


def _follow_rule(request: Request, token: str) -> None:
    """Answer as a rule of the control endpoint says: with an error, which is all that a rule can do here."""
    rule = world_of(request).take_rule(account_of(token), request.url.path)
    if rule is not None:
        raise Refused(rule.status or 500, rule.body, rule.headers)


async def _fields(request: Request) -> Json:
    body = await request.body()
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return dict(parse_qsl(body.decode("utf-8", "replace")))
    try:
        return msgspec.json.decode(body, type=dict[str, object])
    except msgspec.DecodeError as error:
        raise Refused(400, {"error": "invalid_request", "error_description": "the body is not JSON"}) from error


def _dead(code: str) -> Refused:
    message = "Your refresh token cannot be used. Please try signing in again."
    return Refused(401, {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}})


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
