"""Sends the frames of a turn, or the pieces of a sound: waits, stalls and cuts as they say.

It notices when the client goes.
"""

from collections.abc import Awaitable, Callable, Iterable

import anyio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from core.loopback.calls import Calls
from core.loopback.turns import Frame

EVENT_STREAM = "text/event-stream; charset=utf-8"

_END = {"type": "http.response.body", "body": b"", "more_body": False}


class FrameStream(Response):
    """An answer made of frames, one body message for each."""

    def __init__(
        self,
        frames: Iterable[Frame],
        calls: Calls,
        sleep: Callable[[float], Awaitable[None]],
        media_type: str = EVENT_STREAM,
    ) -> None:
        self._frames = frames
        self._calls = calls
        self._sleep = sleep
        self.raw_headers = [(b"content-type", media_type.encode()), (b"cache-control", b"no-cache")]
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(self._watch, scope, receive, group.cancel_scope)
            await self._tell(scope, send)
            group.cancel_scope.cancel()

    async def _watch(self, scope: Scope, receive: Receive, telling: anyio.CancelScope) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._calls.hang_up(scope["loopback.call"])
        telling.cancel()

    async def _tell(self, scope: Scope, send: Send) -> None:
        """Send all frames. Returning without the last message makes the server close the connection."""
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            for frame in self._frames:
                if frame.delay_ms:
                    await self._sleep(frame.delay_ms / 1000)
                if frame.data:
                    await send({"type": "http.response.body", "body": frame.data, "more_body": True})
                if frame.then == "cut":
                    return
                if frame.then == "stall":
                    await anyio.sleep_forever()
                if frame.then == "hand off":
                    break
            await send(_END)
        except OSError:
            self._calls.hang_up(scope["loopback.call"])
