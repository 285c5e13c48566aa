"""A credential in the URL, as Google's API takes it: `?key=`. Only the routes of its dialect read one from there."""

from urllib.parse import parse_qsl, urlencode

from starlette.types import Receive, Scope, Send

from api.middleware.auth import KEY_HEADERS, Auth

GOOGLE_KEY = b"x-goog-api-key"


class AuthByQuery(Auth):
    """As `Auth`, but a request without a credential in its headers may have one in its query.

    Nobody further in sees it there: the query goes on without it.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        pairs = parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
        keys = [value for name, value in pairs if name == "key"]
        if keys:
            rest = urlencode([pair for pair in pairs if pair[0] != "key"])
            headers = list(scope["headers"])
            if not any(name.lower() in KEY_HEADERS for name, _ in headers):
                headers += ((GOOGLE_KEY, key.encode()) for key in keys)
            scope["headers"], scope["query_string"] = headers, rest.encode("latin-1")
        await super().__call__(scope, receive, send)
