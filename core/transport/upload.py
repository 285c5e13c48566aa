"""A request body that is read while it is sent, held to the size it declared."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from core.transport import Content


class Upload(httpx.AsyncByteStream):
    """One sending of a `Content`. `on_chunk`, where set, is called for each piece that the sender takes."""

    def __init__(self, content: Content) -> None:
        self.size = content.size
        self.on_chunk: Callable[[], None] | None = None
        self._content = content
        self._sent: AsyncGenerator[bytes, None] | None = None

    def __aiter__(self) -> AsyncGenerator[bytes, None]:
        self._sent = self.chunks()
        return self._sent

    async def aclose(self) -> None:
        """Let go of a sending that was not finished."""
        if self._sent is not None:
            await self._sent.aclose()

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the body; raise `httpx.LocalProtocolError` for more or fewer bytes than `size`."""
        left = self.size
        chunks = self._content.chunks()
        try:
            async for chunk in chunks:
                left -= len(chunk)
                if left < 0:
                    raise httpx.LocalProtocolError(f"its body is longer than the {self.size} bytes it declares")
                if self.on_chunk is not None:
                    self.on_chunk()
                yield chunk
        finally:
            if isinstance(chunks, AsyncGenerator):
                await chunks.aclose()
        if left:
            raise httpx.LocalProtocolError(f"its body ends {left} bytes before the {self.size} it declares")
