"""Look-ups of names that clients chose, on threads of their own.

The system's resolver cannot be interrupted: a name whose servers stay silent keeps a thread for as long as the resolver
likes, long after its caller has gone. On the loop's threads a few such names would hold up everybody's new connections.
So each look-up has a thread of its own, there are only so many of them, and none keeps the process from ending.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from threading import BoundedSemaphore, Thread
from typing import TypeAlias

LOOKUPS_AT_ONCE = 64
"""How many look-ups may be under way, those included that nobody waits for any more."""

Find: TypeAlias = Callable[[str, int], Sequence[str]]


class TooManyLookups(Exception):
    """As many look-ups as there may be are under way."""


def find_addresses(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a host in the order in which to try them."""
    rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(row[4][0]) for row in rows))


class Resolver:
    """Runs `find`, which blocks, for callers that do not. May be used from several event loops."""

    def __init__(self, find: Find = find_addresses) -> None:
        self._find = find
        self._free = BoundedSemaphore(LOOKUPS_AT_ONCE)

    async def look_up(self, host: str, port: int) -> Sequence[str]:
        """Return what `find` finds. Raises `TooManyLookups` when no thread is free, and as `find` does."""
        if not self._free.acquire(blocking=False):
            raise TooManyLookups
        found: Future[Sequence[str]] = Future()
        # From here on a caller that leaves does not cancel it: its thread is busy until the resolver gives up.
        found.set_running_or_notify_cancel()
        try:
            Thread(target=self._run, args=(found, host, port), daemon=True).start()
        except RuntimeError as error:
            self._free.release()
            raise TooManyLookups from error
        return await asyncio.wrap_future(found)

    def _run(self, found: Future[Sequence[str]], host: str, port: int) -> None:
        try:
            found.set_result(self._find(host, port))
        except (OSError, UnicodeError) as error:
            found.set_exception(error)
        finally:
            self._free.release()
