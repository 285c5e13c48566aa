"""Who may read a file's bytes: who has a credential, or who holds a link that this gateway signed."""

import re

from starlette.types import Receive, Scope, Send

from api.middleware.auth import KEY_HEADERS, Auth
from core.accounts import Principal

LINK_HOLDER = Principal("pool")
"""Who came with nothing but a link: it opens that file if a pool account keeps it, and nothing else."""

_LINK_PATH = re.compile(r"/v1/files/link_[^/]+/content")


class AuthOrLink(Auth):
    """As `Auth`, but a request for a link's bytes needs no credential: the handler checks the link."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_credential = any(name.lower() in KEY_HEADERS for name, _ in scope["headers"])
        if has_credential or not _LINK_PATH.fullmatch(scope["path"]):
            await super().__call__(scope, receive, send)
            return
        scope["principal"] = LINK_HOLDER
        await self.app(scope, receive, send)
