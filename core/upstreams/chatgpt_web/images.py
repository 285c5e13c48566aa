"""A turn's pictures among its other events: fetched, shown one block each, coarser ones first where they are wanted.

What counts as a picture is decided in `core/wire/chatgpt_web/gallery`; source: chatgpt-web reference, section 6.
"""

import re
from collections.abc import AsyncGenerator
from typing import Literal

from msgspec import Struct

from core.chatgpt.session import Session
from core.errors import NotFound, ProtocolViolation, UpstreamError, UpstreamRejected, UpstreamUnavailable
from core.events import Event, ImageDelta, ImageEnd, TextDelta
from core.media import sniff
from core.request import ImageOptions, StoredFile
from core.upstreams.chatgpt_web.files import open_file
from core.wire.chatgpt_web.errors import NO_PICTURE, POLICY_VIOLATION, UPSTREAM
from core.wire.chatgpt_web.gallery import Picture
from core.wire.chatgpt_web.stream import TurnDecoder

LIMIT_BYTES = 64 << 20
"""The largest picture that is taken."""

CHART_LOST = "(The code made a picture that could not be fetched.)"
UNKNOWN_TYPE = "application/octet-stream"
_FETCHES = 2
_POLICY = re.compile(r"polic(?:y|ies)|guideline", re.IGNORECASE)


class Fetched(Struct, frozen=True):
    data: bytes
    media_type: str


class Pictures:
    """Shows the pictures of one turn. All of the turn's events pass through here, so that one block is open at a time.

    Where a picture is required, nothing is shown before there is one: an answer that is a mere text is a refusal.
    """

    def __init__(self, session: Session, decoder: TurnDecoder, options: ImageOptions | None = None) -> None:
        self._session = session
        self._decoder = decoder
        self._delivery: Literal["inline", "link"] = options.delivery if options else "inline"
        self._previews_left = options.previews or 0 if options else 0
        self._waits = options is not None and options.required
        self._previewed: set[str] = set()
        self._open: int | None = None
        self._held: list[Event] = []

    async def among(self, events: list[Event]) -> list[Event]:
        """Return what may be shown after a read that gave these events, with the previews that are new."""
        shown = self._passing(events)
        return [*shown, *await self._previews()] if self._previews_left else shown

    async def finished(self) -> AsyncGenerator[list[Event], None]:
        """Yield the finished pictures, none of an answer that was blocked.

        Raises `UpstreamRejected` when there is none and one is required, `UpstreamUnavailable` when a picture of
        which there were previews did not come.
        """
        verdict, gallery = self._decoder.verdict(), self._decoder.gallery()
        if verdict != "blocked":
            for picture in gallery.finished:
                yield await self._whole(picture)
            for chart in gallery.charts:
                yield await self._chart(chart)
        if self._waits and verdict in ("answered", "truncated", "blocked"):
            raise self._refusal()
        if self._open is not None:
            message = "the upstream ended the turn before its picture was finished"
            raise UpstreamUnavailable(message, upstream=UPSTREAM, status=502, code=NO_PICTURE)

    async def _whole(self, picture: Picture) -> list[Event]:
        """Fetch first: a block that is open cannot be ended without its picture."""
        stored = self._stored(picture)
        fetched = Fetched(b"", UNKNOWN_TYPE) if self._delivery == "link" else await fetch(self._session, stored)
        index, events = self._begin()
        end = ImageEnd(index, fetched.media_type, fetched.data, picture.prompt, stored)
        events += [end, *self._held]
        self._open, self._held = None, []
        return events

    async def _chart(self, chart: Picture) -> list[Event]:
        """An answer is not taken away for a chart that nobody asked for; but that there was one is said."""
        try:
            return await self._whole(chart)
        except UpstreamError:
            return self._passing(self._decoder.remark(CHART_LOST))

    async def _previews(self) -> list[Event]:
        out: list[Event] = []
        for picture in self._decoder.gallery().drafts:
            if picture.file_id in self._previewed or not self._previews_left:
                continue
            self._previewed.add(picture.file_id)
            try:
                fetched = await fetch(self._session, self._stored(picture))
            except UpstreamError:
                # A preview is a courtesy: the picture itself is still to come.
                continue
            self._previews_left -= 1
            index, events = self._begin()
            out += [*events, ImageDelta(index, fetched.data)]
        return out

    def _begin(self) -> tuple[int, list[Event]]:
        """Return the index of the block that is open, or of one begun for this."""
        if self._open is not None:
            return self._open, []
        index, events = self._decoder.open_picture()
        before, self._held = self._held, []
        self._open, self._waits = index, False
        return index, before + events

    def _passing(self, events: list[Event]) -> list[Event]:
        if not self._waits and self._open is None:
            return events
        self._held += events
        return []

    def _stored(self, picture: Picture) -> StoredFile:
        account = self._session.account
        return StoredFile(
            id=picture.file_id,
            account=account.digest if account else None,
            size=picture.size,
            conversation_id=self._decoder.conversation_id,
        )

    def _refusal(self) -> UpstreamError:
        text = "".join(event.text for event in self._held if isinstance(event, TextDelta)).strip()
        against_policy = self._decoder.verdict() == "blocked" or _POLICY.search(text)
        message = text or "the upstream ended the turn without a picture"
        return UpstreamRejected(message, upstream=UPSTREAM, code=POLICY_VIOLATION if against_policy else NO_PICTURE)


async def fetch(session: Session, stored: StoredFile) -> Fetched:
    """Return a picture's bytes; a transfer that breaks off is begun once more.

    Raises `UpstreamError`: what the service says, or `ProtocolViolation` for a picture that is none or too large.
    """
    for _ in range(_FETCHES - 1):
        try:
            return await _fetch_once(session, stored)
        except UpstreamError as error:
            if error.scope != "provider":
                raise
    return await _fetch_once(session, stored)


async def _fetch_once(session: Session, stored: StoredFile) -> Fetched:
    data = bytearray()
    try:
        async with open_file(session, stored) as download:
            async for chunk in download.chunks:
                data += chunk
                if len(data) > LIMIT_BYTES:
                    message = f"the upstream's picture is larger than {LIMIT_BYTES} bytes"
                    raise ProtocolViolation(message, upstream=UPSTREAM, scope="request")
    except NotFound as error:
        # The client asked for a picture, not for this file: what is missing is the upstream's fault.
        message = "the upstream lost the picture it made"
        raise UpstreamUnavailable(message, upstream=UPSTREAM, status=502, scope="request") from error
    if not data:
        raise ProtocolViolation("the upstream's picture is empty", upstream=UPSTREAM)
    return Fetched(bytes(data), sniff(bytes(data)) or download.media_type)
