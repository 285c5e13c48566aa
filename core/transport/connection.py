"""One HTTP/1.1 connection as an asyncio protocol: a request out, a head and a body in, again if it was clean.

It parses in `data_received` and wakes the one reader; a slow reader pauses the socket. Failures are httpx's
exceptions: `RemoteProtocolError` for bytes that are not HTTP, `ReadTimeout` for silence, `ReadError` for the
rest. One timer watches a response, however many reads it takes.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from typing import cast

import httpx

from core.transport.http1 import BodyReader, Head, HeadReader, Malformed, body_reader

HIGH_WATER_BYTES = 1 << 18
"""How much of an answer may wait for its reader before the socket is paused."""

UNSENT_BYTES = 1 << 17
"""How much of a request's body may wait for the socket before its source is paused."""

PIECE_BYTES = 1 << 16


class Connection(asyncio.Protocol):
    """Call `exchange`, then `receive` until it returns nothing. `answered`: a byte of the answer has come."""

    _transport: asyncio.Transport  # set by connection_made, before anyone else gets hold of the connection
    _quiet_limit_s: float
    _waiting_since: float

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lost = False
        self._head_reader: HeadReader | None = None
        self._body: BodyReader | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._socket_is_full = False
        self._reset(b"")

    def _reset(self, method: bytes) -> None:
        self.answered = False
        self._method = method
        self._head: Head | None = None
        self._body = None
        self._pieces: list[bytes] = []
        self._held_bytes = 0
        self._paused = False
        self._failure: httpx.TransportError | None = None
        self._written_bytes = 0
        self._sent_bytes = 0
        self._is_written_whole = False

    async def exchange(
        self,
        method: bytes,
        request: bytes,
        rest: AsyncIterator[bytes] | None = None,
        *,
        first_byte_s: float,
        idle_s: float,
    ) -> Head:
        """Send a request and return the head of its answer; raise `httpx.TransportError`.

        `rest` is what of the body follows `request`. It is read no faster than the socket takes it, and no further
        once an answer has begun: a server may refuse a body that it has not read.
        """
        self._reset(method)
        self._head_reader = HeadReader()
        self._quiet_limit_s = first_byte_s
        if self._lost:
            raise httpx.ReadError("the connection was closed before the request was sent")
        self._write(request)
        self._sent_bytes = self._written_bytes - self._transport.get_write_buffer_size()
        if rest is not None:
            await self._write_rest(rest)
        else:
            self._is_written_whole = True
        while self._head is None:
            if self._failure is not None:
                raise self._failure
            await self._wait()
        self._stop_watch()
        self._quiet_limit_s = idle_s
        return self._head

    async def receive(self) -> bytes:
        """Return the body bytes that have come since the last call, `b""` at the end; raise as `exchange`."""
        while not self._pieces:
            if self._failure is not None:
                raise self._failure
            if self._body is None or self._body.complete:
                return b""
            await self._wait()
        data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._held_bytes = 0
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        return data

    def release(self) -> bool:
        """End the exchange; return whether the connection may carry another one, else close it at once."""
        self._stop_watch()
        if not self._is_clean():
            self.abort()
            return False
        if self._paused:
            self._transport.resume_reading()
        self._reset(b"")
        return True

    @property
    def is_open(self) -> bool:
        return not self._lost

    def abort(self) -> None:
        """Close the socket now, whatever is under way."""
        self._lost = True
        self._stop_watch()
        self._transport.abort()

    async def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Go on in TLS with `host`, at the far end of the tunnel that a CONNECT has just opened."""
        plain = self._transport
        self._reset(b"")
        encrypted = await self._loop.start_tls(plain, self, context, server_hostname=host)
        if encrypted is None:
            raise ConnectionAbortedError("the connection was closed during the TLS handshake")
        self._transport = encrypted

    def pause_writing(self) -> None:
        self._socket_is_full = True

    def resume_writing(self) -> None:
        self._socket_is_full = False
        self._wake()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.answered = True
        try:
            self._take(data)
        except Malformed as error:
            failure = httpx.RemoteProtocolError(str(error))
            failure.__cause__ = error
            self._fail(failure)

    def eof_received(self) -> None:
        if self._body is not None and self._body.finish():
            self._lost = True
            self._wake()
        else:
            self._fail(httpx.ReadError("it closed the connection"))

    def connection_lost(self, error: Exception | None) -> None:
        failure = httpx.ReadError("the connection was lost")
        failure.__cause__ = error
        self._fail(failure)

    def _take(self, data: bytes) -> None:
        if self._body is None:
            if self._head_reader is None:
                self.abort()
                return
            data = self._take_head(self._head_reader, data)
            if self._body is None:
                return
        piece = self._body.feed(data) if data else b""
        if piece:
            self._pieces.append(piece)
            self._held_bytes += len(piece)
            if self._held_bytes > HIGH_WATER_BYTES and not self._paused:
                self._paused = True
                self._transport.pause_reading()
        if piece or self._body.complete:
            self._wake()

    def _take_head(self, reader: HeadReader, data: bytes) -> bytes:
        head = reader.feed(data)
        if head is None:
            return b""
        self._body = body_reader(head, self._method)
        self._head, self._head_reader = head, None
        self._wake()
        return reader.rest

    def _is_clean(self) -> bool:
        body, head = self._body, self._head
        if self._lost or self._failure is not None or head is None or body is None:
            return False
        is_sent = self._is_written_whole and self._transport.get_write_buffer_size() == 0
        return is_sent and head.keep_alive and body.complete and not body.surplus

    def _fail(self, failure: httpx.TransportError) -> None:
        is_over = self._body is not None and self._body.complete
        if self._failure is None and not is_over:
            self._failure = failure
        self.abort()
        self._wake()

    async def _write_rest(self, rest: AsyncIterator[bytes]) -> None:
        self._transport.set_write_buffer_limits(high=UNSENT_BYTES)
        async for chunk in rest:
            for piece in _pieces(chunk):
                if not await self._may_write():
                    return
                self._write(piece)
        self._is_written_whole = True

    async def _may_write(self) -> bool:
        """Wait until the socket takes more; return whether the other side still wants it."""
        # The loop must see what has come before more is written: an answer and then a reset may have.
        await asyncio.sleep(0)
        while self._socket_is_full and self._is_unanswered():
            await self._wait()
        return self._is_unanswered()

    def _is_unanswered(self) -> bool:
        return self._head is None and self._failure is None

    def _write(self, data: bytes | memoryview) -> None:
        self._transport.write(data)
        self._written_bytes += len(data)

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        self._waiting_since = self._loop.time()
        if self._watch is None:
            self._watch = self._loop.call_later(self._quiet_limit_s, self._look)
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _look(self) -> None:
        """Fail the response if its reader has waited too long; look again when that may be so."""
        self._watch = None
        if self._waiter is None:
            return
        now = self._loop.time()
        if self._is_still_sending():
            self._waiting_since = now
        due = self._waiting_since + self._quiet_limit_s
        if due > now:
            self._watch = self._loop.call_at(due, self._look)
        else:
            self._fail(httpx.ReadTimeout(f"it sent nothing for {self._quiet_limit_s:g} s"))

    def _is_still_sending(self) -> bool:
        """Say whether a long request body has moved since the last look."""
        sent = self._written_bytes - self._transport.get_write_buffer_size()
        has_moved = sent > self._sent_bytes
        self._sent_bytes = sent
        return has_moved

    def _stop_watch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None


def _pieces(chunk: bytes) -> Iterator[memoryview]:
    view = memoryview(chunk)
    return (view[start : start + PIECE_BYTES] for start in range(0, len(view), PIECE_BYTES))
