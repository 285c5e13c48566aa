"""Look-ups of clients' names: a resolver that stays silent holds up nobody else, and there are only so many of them."""

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence

import pytest

from core.transport import lookup
from core.transport.lookup import Resolver, TooManyLookups, find_addresses
from tests.api.children import run_python

pytestmark = pytest.mark.anyio

LIMIT_S = 10
"""Longer than anything here takes on a busy machine."""


class Silent:
    """A resolver that answers when it is told to."""

    def __init__(self) -> None:
        self.may_answer = threading.Event()

    def find(self, host: str, port: int) -> Sequence[str]:
        self.may_answer.wait(LIMIT_S)
        return (host,)


@pytest.fixture
def silent() -> Iterator[Silent]:
    resolver = Silent()
    yield resolver
    resolver.may_answer.set()


async def abandoned(resolver: Resolver, count: int) -> None:
    """Begin look-ups and go, as a request does whose time is up."""
    for _ in range(count):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await resolver.look_up("slow.example", 80)


async def test_the_machines_resolver_gives_addresses_once_each() -> None:
    addresses = await Resolver().look_up("localhost", 80)
    assert "127.0.0.1" in addresses or "::1" in addresses
    assert len(set(addresses)) == len(addresses)
    assert addresses == find_addresses("localhost", 80)


async def test_a_name_that_does_not_resolve_raises_as_the_resolver_does() -> None:
    def find(host: str, port: int) -> Sequence[str]:
        raise OSError("no such name")

    with pytest.raises(OSError, match="no such name"):
        await Resolver(find).look_up("unknown.example", 80)


async def test_slow_names_keep_no_thread_of_the_loop(silent: Silent) -> None:
    await abandoned(Resolver(silent.find), lookup.LOOKUPS_AT_ONCE)
    async with asyncio.timeout(LIMIT_S / 2):
        await asyncio.to_thread(time.time)
        await asyncio.get_running_loop().getaddrinfo("localhost", 80)
    assert not silent.may_answer.is_set()


async def test_an_abandoned_look_up_counts_until_the_resolver_gives_up(
    silent: Silent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup, "LOOKUPS_AT_ONCE", 2)
    resolver = Resolver(silent.find)
    await abandoned(resolver, 2)
    with pytest.raises(TooManyLookups):
        await resolver.look_up("any.example", 80)

    silent.may_answer.set()
    async with asyncio.timeout(LIMIT_S):
        while True:
            try:
                assert await resolver.look_up("any.example", 80) == ("any.example",)
                return
            except TooManyLookups:
                await asyncio.sleep(0)


def test_a_look_up_under_way_does_not_keep_the_process_from_ending() -> None:
    code = (
        "import asyncio, contextlib, time\n"
        "from core.transport.lookup import Resolver\n"
        "async def main():\n"
        "    with contextlib.suppress(TimeoutError):\n"
        "        async with asyncio.timeout(0):\n"
        "            await Resolver(lambda host, port: time.sleep(300)).look_up('slow.example', 80)\n"
        "asyncio.run(main())\n"
        "print('left')\n"
    )
    assert run_python(["-c", code], {}).stdout == "left\n"
