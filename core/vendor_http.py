"""How a vendor that speaks plain HTTP is called: its address and key, what its refusals mean, its streams and bodies.

What the bytes say is the business of its wire format; here is only what all such vendors share.
"""

import re
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

from msgspec import Raw, Struct, json

from core.contracts import Decoder
from core.errors import MALFORMED_JSON, ProtocolViolation, UpstreamError, UpstreamUnavailable
from core.events import Event
from core.retry_after import cooldown_s
from core.sse import FrameReader, WholeFrames
from core.transport import Content, Reply, Transport
from core.vendor_errors import failure_in, refusal, said_in, stated
from core.vendors import Vendor

T = TypeVar("T")

EVENT_STREAM = "text/event-stream"
MAX_ANSWER_BYTES = 1 << 26
WHOLE_ANSWER_FACTOR = 5
"""How many times as long an answer that comes whole may take to begin: it begins when all of it is made."""
_JSON = json.Decoder(Raw)
_NOTHING: Mapping[str, str] = {}
_FRAME_END = re.compile(rb"\n\n|\r\n\r\n")
_ERROR = re.compile(rb'"error"(?!\s*:\s*null)')


class VendorApi(Struct, frozen=True):
    """One vendor. `headers` carry its key and whatever else each of its calls needs."""

    vendor: Vendor
    headers: Mapping[str, str]

    def request(
        self,
        transport: Transport,
        method: str,
        path: str,
        content: bytes | Content = b"",
        headers: Mapping[str, str] = _NOTHING,
        first_byte_s: float | None = None,
    ) -> AbstractAsyncContextManager[Reply]:
        """Call a path below the vendor's address; `content` is JSON unless `headers` say otherwise.

        `first_byte_s` replaces the transport's own wait for an answer to begin.
        """
        proxy = self.vendor.proxy
        return transport.request(
            method,
            self.vendor.base_url + path,
            headers={"content-type": "application/json", **self.headers, **headers},
            content=content,
            proxy=proxy.reveal() if proxy else None,
            upstream=self.vendor.name,
            first_byte_s=first_byte_s,
        )

    async def fetch(
        self,
        transport: Transport,
        method: str,
        path: str,
        type_: type[T],
        body: bytes | Content = b"",
        headers: Mapping[str, str] = _NOTHING,
    ) -> T:
        """Return a JSON answer. Raises the error its status means, `ProtocolViolation` for another shape."""
        data = await self.fetch_bytes(transport, method, path, body, headers)
        try:
            return json.decode(data, type=type_)
        except MALFORMED_JSON as error:
            raise self._shapeless() from error

    async def fetch_bytes(
        self,
        transport: Transport,
        method: str,
        path: str,
        body: bytes | Content = b"",
        headers: Mapping[str, str] = _NOTHING,
    ) -> bytes:
        """Return a JSON answer as it came. Raises as `fetch` does, for an error in place of the answer too."""
        patience_s = transport.timeouts.first_byte_s * WHOLE_ANSWER_FACTOR
        async with self.request(transport, method, path, body, headers, patience_s) as reply:
            if reply.status != 200:
                raise await self.refusal(reply)
            data = await reply.read(MAX_ANSWER_BYTES)
        try:
            _JSON.decode(data)
        except MALFORMED_JSON as error:
            raise self._shapeless() from error
        if failed := failure_in(self.vendor.name, data):
            raise self._safe(failed)
        return data

    async def stream(
        self,
        transport: Transport,
        path: str,
        body: bytes,
        decoder: Decoder,
        headers: Mapping[str, str] = _NOTHING,
    ) -> AsyncGenerator[list[Event], None]:
        """Yield the events of a streamed answer, a batch for each network read. Raises `UpstreamError`.

        It ends with the answer's last word, whether or not the vendor hangs up then.
        """
        failed: UpstreamError | None = None
        async with self.request(transport, "POST", path, body, {"accept": EVENT_STREAM, **headers}) as reply:
            await self.expect(reply, EVENT_STREAM)
            try:
                async for data in reply:
                    if events := decoder.feed(data):
                        yield events
                    if decoder.over:
                        break
            except UpstreamError as error:
                failed = error
            if events := self._last(decoder, failed):
                yield events
            await reply.drain()

    def _last(self, decoder: Decoder, failed: UpstreamError | None) -> list[Event]:
        """Return the last events. A connection that is lost when all has been said is no failure."""
        try:
            return decoder.close()
        except UpstreamError as error:
            failed = failed or error
        raise self._safe(failed) from failed.__cause__

    async def relay(
        self,
        transport: Transport,
        path: str,
        body: bytes,
        ends: Callable[[bytes], bool],
        headers: Mapping[str, str] = _NOTHING,
    ) -> AsyncGenerator[bytes, None]:
        """Yield a streamed answer's bytes, whole frames at a time, as they are.

        `ends` tells whether some frames hold the format's last word. A stream that stops without it was cut:
        `UpstreamUnavailable`. A frame that states an error is raised as that error, behind what came before it.
        """
        frames, is_over = WholeFrames(), False
        async with self.request(transport, "POST", path, body, {"accept": EVENT_STREAM, **headers}) as reply:
            await self.expect(reply, EVENT_STREAM)
            try:
                async for data in reply:
                    if whole := frames.feed(data):
                        good, failed = self._before_error(whole) if _states_error(whole) else (whole, None)
                        is_over = is_over or ends(good)
                        if good:
                            yield good
                        if failed is not None:
                            raise failed
            except UpstreamError:
                # A connection that is lost when all has been said is no failure.
                if not is_over:
                    raise
        # Some vendors leave out the empty line after their last frame.
        if _is_whole(rest := frames.close().strip()):
            good, failed = self._before_error(rest + b"\n\n")
            if failed is not None:
                raise failed
            is_over = is_over or ends(good)
            yield good
        if not is_over:
            raise self._cut_off()

    async def refusal(self, reply: Reply) -> UpstreamError:
        """Return what an answer that is no success means."""
        said = said_in(await reply.read())
        return self._safe(refusal(self.vendor.name, reply.status, said, cooldown_s(said, reply.headers, time.time())))

    async def expect(self, reply: Reply, *kinds: str) -> None:
        """Raise what an answer means that is no success, or none of these media types; one that says none is let in."""
        if reply.status != 200:
            raise await self.refusal(reply)
        if reply.headers.get("content-type", kinds[0]).startswith(kinds):
            return
        body = await reply.read()
        if failed := failure_in(self.vendor.name, body):
            raise self._safe(failed)
        message = stated(said_in(body)).message or f"it answered with something that is not {kinds[0]}"
        raise self._safe(
            UpstreamUnavailable(
                f"{self.vendor.name}: {message}", upstream=self.vendor.name, upstream_status=reply.status, status=502
            )
        )

    def _before_error(self, frames: bytes) -> tuple[bytes, UpstreamError | None]:
        """Return the frames before one that states an error, and that error."""
        start = 0
        for end in _FRAME_END.finditer(frames):
            for _, data in FrameReader().feed(frames[start : end.end()]):
                if failed := failure_in(self.vendor.name, data):
                    return frames[:start], self._safe(failed)
            start = end.end()
        return frames, None

    def _safe(self, error: UpstreamError) -> UpstreamError:
        """Return the error, without the vendor's key should its words have quoted that."""
        key = self.vendor.key.reveal() if self.vendor.key else ""
        if key and key in error.message:
            error.message = error.message.replace(key, "(key)")
            error.args = (error.message,)
        return error

    def _cut_off(self) -> UpstreamError:
        message = f"{self.vendor.name} cut its stream off before the answer was whole"
        return UpstreamUnavailable(message, upstream=self.vendor.name)

    def _shapeless(self) -> UpstreamError:
        return ProtocolViolation(f"the answer of {self.vendor.name} has an unknown shape", upstream=self.vendor.name)


def _states_error(frames: bytes) -> bool:
    """Say whether a frame may state an error; whole responses say in passing that there is none."""
    return b'"error"' in frames and _ERROR.search(frames) is not None


def _is_whole(frame: bytes) -> bool:
    """Say whether a frame without its empty line is nevertheless complete."""
    return any(data == b"[DONE]" or _decoded(data) is not None for _, data in FrameReader().feed(frame + b"\n\n"))


def _decoded(body: bytes) -> Any:
    try:
        return json.decode(body)
    except MALFORMED_JSON:
        return None
