"""The outermost layer: a request id in and out, and one structured log line for each request.

The line has the route and the numbers, never content, credentials or query strings.
"""

import logging
import re
import time
import uuid
from collections.abc import Callable

from msgspec import json
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUEST_ID = "x-request-id"
ANTHROPIC_REQUEST_ID = "request-id"
"""The same as Anthropic's SDKs read it, `_request_id` of a message and of an error."""
UPSTREAM = "x-isthmus-upstream"

log = logging.getLogger("isthmus.access")

_LINK = re.compile(r"link_[^/]*")
"""What opens a file to whoever holds it, and therefore must not stand in a log."""

_SANE_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")


class Access:
    """Gives each request `scope["request_id"]`: the caller's own if it is sane, else a new one."""

    def __init__(self, app: ASGIApp, clock: Callable[[], float] = time.perf_counter) -> None:
        self.app = app
        self.clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        record = _Record(scope, self.clock)

        async def numbered(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID] = headers[ANTHROPIC_REQUEST_ID] = record.request_id
                record.begin(message["status"], headers.get(UPSTREAM))
            await send(message)

        scope["request_id"] = record.request_id
        try:
            await self.app(scope, receive, numbered)
        finally:
            record.write()


class _Record:
    def __init__(self, scope: Scope, clock: Callable[[], float]) -> None:
        given = next((value for name, value in scope["headers"] if name == REQUEST_ID.encode()), b"")
        self.request_id = given.decode() if _SANE_ID.fullmatch(given) else uuid.uuid4().hex
        self._scope = scope
        self._clock = clock
        self._began = clock()
        self._status: int | None = None
        self._upstream: str | None = None
        self._first_byte: float | None = None

    def begin(self, status: int, upstream: str | None) -> None:
        self._status = status
        self._upstream = upstream
        self._first_byte = self._clock()

    def write(self) -> None:
        if not log.isEnabledFor(logging.INFO):
            return
        exchange = self._scope.get("exchange")
        line = {
            "request_id": self.request_id,
            "method": self._scope["method"],
            "path": _LINK.sub("link_...", self._scope["path"])[:200],
            "status": self._status,
            "first_byte_ms": self._ms(self._first_byte),
            "duration_ms": self._ms(self._clock()),
            "upstream": self._upstream or self._asked(),
            "stream": exchange.request.stream if exchange else None,
            "error": self._scope.get("error_kind"),
        }
        log.info(json.encode({name: value for name, value in line.items() if value is not None}).decode())

    def _asked(self) -> str | None:
        """Return who was asked first, for an answer that does not say who gave it."""
        exchange, service = self._scope.get("exchange"), self._scope.get("upstream")
        return exchange.target.upstream.name if exchange else service

    def _ms(self, moment: float | None) -> float | None:
        return None if moment is None else round((moment - self._began) * 1000, 1)
