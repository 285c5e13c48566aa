"""A handler whose app answers what the gateway itself answers seldom or never, for tests of what carries it."""

from starlette.types import Receive, Scope, Send

from api.lambda_handler import handler_for
from core.errors import UpstreamTimeout


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer /<content type>/<bytes>; set two cookies, and say in a header which ones came; /late fails midway."""
    path = scope["path"].strip("/")
    cookies = [value for name, value in scope["headers"] if name == b"cookie"]
    headers = [(b"x-cookies", b"; ".join(cookies)), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2; Secure")]
    content_type, _, size = path.rpartition("/")
    headers.append((b"content-type", content_type.encode() or b"text/plain"))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if path == "late":
        raise UpstreamTimeout("the time for this answer ran out before it was whole")
    filler = b"\xff" if content_type.startswith("audio/") else b"\n" if content_type.endswith("stream") else b"x"
    await send({"type": "http.response.body", "body": filler * int(size)})


handler = handler_for(app)
