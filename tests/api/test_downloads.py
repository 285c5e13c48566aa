"""A download as a response, over sources of a few lines: what has begun is whole, or visibly cut."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Any

import pytest

from api.downloads import Passage
from api.middleware.sse import LONGEST_HEADER_CHARS
from core.errors import UpstreamUnavailable
from core.services import Download
from tests.api.layers import Client, http_scope

pytestmark = pytest.mark.anyio


class Source:
    """A download of these pieces that may fail after them; `left` says that it was let go of."""

    def __init__(self, *pieces: bytes, fails: bool = False, **fields: Any) -> None:
        self._pieces = pieces
        self._fails = fails
        self._fields = fields
        self.left = False

    def opened(self) -> AbstractAsyncContextManager[Download]:
        return self._opened()

    @asynccontextmanager
    async def _opened(self) -> AsyncGenerator[Download, None]:
        try:
            async with aclosing(self._chunks()) as chunks:
                yield Download("audio/mpeg", chunks, **self._fields)
        finally:
            self.left = True

    async def _chunks(self) -> AsyncGenerator[bytes, None]:
        for piece in self._pieces:
            yield piece
        if self._fails:
            raise UpstreamUnavailable("cut off")


async def test_the_pieces_go_out_as_they_come() -> None:
    client = await Client().call(Passage(Source(b"one", b"two").opened()))
    assert (client.status, client.bodies, client.ends) == (200, [b"one", b"two", b""], 1)
    assert client.headers == {"content-type": "audio/mpeg"}


async def test_what_is_known_is_said() -> None:
    source = Source(b"one", size=3, ignored=("speed",), notes=(("speech-text", "differs"),))
    client = await Client().call(Passage(source.opened(), ("seed", "nö\n")))
    assert client.headers == {
        "content-type": "audio/mpeg",
        "content-length": "3",
        "x-isthmus-speech-text": "differs",
        "x-isthmus-ignored-params": "seed, n??, speed",
    }


async def test_what_is_told_fits_into_a_header() -> None:
    client = await Client().call(Passage(Source(b"one").opened(), ("x" * 100_000,)))
    assert client.headers["x-isthmus-ignored-params"] == "x" * LONGEST_HEADER_CHARS + "..."


async def test_a_failure_before_the_first_byte_is_not_begun() -> None:
    client = Client()
    with pytest.raises(UpstreamUnavailable):
        await client.call(Passage(Source(fails=True).opened()))
    assert client.status is None


async def test_a_failure_after_the_first_byte_has_no_end() -> None:
    client = Client()
    with pytest.raises(UpstreamUnavailable):
        await client.call(Passage(Source(b"one", fails=True).opened()))
    assert (client.status, client.bodies, client.ends) == (200, [b"one"], 0)


async def test_nothing_at_all_is_an_empty_answer() -> None:
    client = await Client().call(Passage(Source(size=0).opened()))
    assert (client.status, client.headers["content-length"], client.ends) == (200, "0", 1)


async def test_who_asks_for_the_head_alone_costs_no_transfer() -> None:
    source = Source(size=3, fails=True)
    client = await Client().call(Passage(source.opened()), http_scope(method="HEAD"))
    assert (client.status, client.headers["content-length"]) == (200, "3")
    assert (client.bodies, client.ends, source.left) == ([b""], 1, True)


async def test_the_end_is_said_when_the_source_has_been_left() -> None:
    source, left = Source(b"one"), []
    await Client(hear=lambda body: left.append(source.left)).call(Passage(source.opened()))
    assert left == [False, True]
