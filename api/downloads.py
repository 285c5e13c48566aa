"""Bytes of an upstream as a response: they go out as they come, and what has begun is whole or visibly cut."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

from starlette.types import Receive, Scope, Send

from api.middleware.sse import header_value
from core.services import Download


class Passage:
    """The response a handler gives. The status goes out with the first bytes, so an earlier error keeps its own.

    A failure after that is raised, and the server closes the connection: nobody takes half of a file for all of it.
    The end is sent when the download has been left, so that nothing is done after the answer. Who asks for the head
    alone (RFC 9110, section 9.3.2) is told what is known once the download is open; its bytes are not fetched.
    """

    def __init__(self, opened: AbstractAsyncContextManager[Download], ignored: Sequence[str] = ()) -> None:
        self._opened = opened
        self._ignored = ignored

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False
        async with self._opened as download:
            if scope["method"] != "HEAD":
                async for data in download.chunks:
                    if not begun:
                        begun = True
                        await send(self._start(download))
                    await send({"type": "http.response.body", "body": data, "more_body": True})
        if not begun:
            await send(self._start(download))
        await send({"type": "http.response.body", "body": b""})

    def _start(self, download: Download) -> dict[str, object]:
        headers = [(b"content-type", header_value(download.media_type)), *said_besides(download, self._ignored)]
        if download.size is not None:
            headers.append((b"content-length", str(download.size).encode()))
        return {"type": "http.response.start", "status": 200, "headers": headers}


def said_besides(download: Download, ignored: Sequence[str]) -> list[tuple[bytes, bytes]]:
    """Return the headers that tell what had no effect, and what else is worth knowing."""
    headers = [(b"x-isthmus-" + name.encode(), header_value(value)) for name, value in download.notes]
    if names := (*ignored, *download.ignored):
        headers.append((b"x-isthmus-ignored-params", header_value(", ".join(names))))
    return headers
