"""The layer around a service that is no turn: it ends the work when the client leaves or the time is up.

A turn has the sse layer for this. Here the answer is whatever the handler sends; once it has begun, the deadline cuts
it off, for there is no shape in which raw bytes could say why.
"""

import asyncio
import logging
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.context import new_context
from api.gateway import Gateway
from api.middleware.access import UPSTREAM
from core.errors import UpstreamTimeout

CLEANUP_S = 6.0
"""How long cancelled work may take to let go: longer than the removal of what it has left upstream."""

log = logging.getLogger("isthmus.attend")


class Attend:
    """Puts `scope["context"]` in place and watches over the handler.

    The handler says in `scope["upstream"]` whom it asks, by name; the answer's headers repeat it.
    """

    def __init__(self, app: ASGIApp, gateway: Gateway) -> None:
        self.app = app
        self.gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["context"] = context = new_context(scope, self.gateway)
        listener = Listener(receive)
        work = asyncio.create_task(self._work(scope, listener.receive, send))
        departure = asyncio.create_task(listener.departure())
        left_s = None if context.deadline is None else context.deadline - asyncio.get_running_loop().time()
        try:
            await asyncio.wait((work, departure), timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            if departure.done():
                return
            if not work.done():
                raise UpstreamTimeout("the time for this answer ran out before it was whole")
            work.result()
        finally:
            await _stop(work, departure)

    async def _work(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def naming(message: Message) -> None:
            if message["type"] == "http.response.start" and "upstream" in scope:
                MutableHeaders(scope=message)[UPSTREAM] = scope["upstream"]
            await send(message)

        await self.app(scope, receive, naming)


class Listener:
    """Hears the client for both: the handler gets the body, one message at a time, and we learn of the departure.

    Nothing is read ahead of the handler but one message, so a client cannot send faster than its upload is taken.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._next: asyncio.Queue[Message] = asyncio.Queue(1)
        self._gone = False

    async def receive(self) -> Message:
        """Return the next message for the handler; what follows the client's departure is that departure."""
        if self._gone and self._next.empty():
            return {"type": "http.disconnect"}
        return await self._next.get()

    async def departure(self) -> None:
        """Return when the client has left."""
        while (message := await self._receive())["type"] != "http.disconnect":
            await self._next.put(message)
        self._gone = True
        if self._next.empty():
            self._next.put_nowait(message)


async def _stop(*tasks: "asyncio.Task[Any]") -> None:
    """Cancel the tasks and see them end, within a bound."""
    for task in tasks:
        task.cancel()
    done, _ = await asyncio.wait(tasks, timeout=CLEANUP_S)
    for task in done:
        if not task.cancelled() and (error := task.exception()) is not None:
            # What went wrong while it let go, or because the client had gone: nobody is there to be told.
            log.debug("a request ended with %s", type(error).__name__)
