"""Links that the service gives out for bytes: followed, with its own token only where it is its own."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from core.chatgpt.session import Session
from core.errors import UpstreamUnavailable
from core.transport import Reply
from core.wire.chatgpt_web.errors import UPSTREAM


@asynccontextmanager
async def linked(session: Session, link: str) -> AsyncGenerator[Reply, None]:
    """Give what a link leads to (chatgpt-web reference, section 5.5). Raises `UpstreamError`.

    A link to the service itself is signed, yet sources send the token there too; elsewhere it would be given away.
    """
    url = link if "://" in link else f"{session.base_url}/{link.lstrip('/')}"
    headers = session.headers({}, accept="*/*") if url.startswith(session.url("/")) else {}
    async with session.transport.request("GET", url, headers=headers, proxy=session.proxy, upstream=UPSTREAM) as reply:
        if reply.status != 200:
            message = f"the upstream's storage answered {reply.status} to a download"
            raise UpstreamUnavailable(message, upstream=UPSTREAM, upstream_status=reply.status, status=502)
        yield reply
