"""The guarded fetch: what a URL from a client names on the public Internet, and nothing else.

Each hop is checked before it is made: scheme, host and port by their spelling, then every address that the name
resolves to. The connection goes to the very address that was checked, so that a name cannot resolve differently a
moment later. No cookies, no credentials, no pool.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import NamedTuple, NoReturn, TypeAlias

import httpx
from msgspec import Struct

from core.errors import InvalidRequest, NotConfigured
from core.transport import Fetched
from core.transport.addresses import is_public, literal_address
from core.transport.connection import Connection
from core.transport.dial import Origin, Patience, dial, origin_of
from core.transport.http1 import Head, Unwritable, write_head
from core.transport.lookup import Resolver, TooManyLookups

MAX_REDIRECTS = 5
MAX_ADDRESSES = 4
"""How many of a name's addresses are tried."""

LOOKUP_LIMIT_S = 5.0
CONNECT_LIMIT_S = 5.0
"""How long one address is tried before the next."""

LOWEST_FREE_PORT = 1024
"""Below it, only the ports of http and https: the others belong to services that are no web servers."""

_REDIRECTS = (301, 302, 303, 307, 308)
_LENGTH = re.compile(rb"[0-9]{1,18}")
_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+")
_CHARSET = re.compile(r"""charset\s*=\s*["']?([A-Za-z0-9._:-]+)""", re.IGNORECASE)

Place: TypeAlias = tuple[str, int]


class Errand(Struct, frozen=True):
    """What may be fetched: `param` names the field in errors, `accept` is the header of that name."""

    param: str
    limit_bytes: int
    timeout_s: float
    accept: str
    user_agent: str


class Network(Struct, frozen=True):
    """How names become addresses, and where a checked address is dialled.

    `resolve` takes a host and a port and returns IP addresses, or raises `OSError` or `TooManyLookups`. Tests replace
    both, so that a public address leads to a server of theirs.
    """

    resolve: Callable[[str, int], Awaitable[Sequence[str]]]
    reach: Callable[[Place], Place]


class _Refused(Exception):
    """Why a URL is not fetched: the end of a sentence."""


class _Hop(NamedTuple):
    url: httpx.URL
    origin: Origin
    addresses: tuple[str, ...]


def internet() -> Network:
    """Return the real network. Each has its own look-ups under way, so that an instance makes one."""
    return Network(Resolver().look_up, lambda place: place)


async def fetch(url: str, errand: Errand, network: Network, proxy: str | None) -> Fetched:
    """Fetch a public URL; raise `InvalidRequest` for `errand.param` when it is refused or fails.

    `proxy` is asked for a tunnel to the checked address. Raises `NotConfigured` for a proxy that cannot open one.
    """
    tunnel = None if proxy is None else _tunnel(proxy)
    try:
        async with asyncio.timeout(errand.timeout_s):
            return await _follow(url, errand, network, tunnel)
    except TimeoutError:
        reason = f"it did not come within {errand.timeout_s:g} s"
    except httpx.TransportError as error:
        reason = _broken(error)
    except _Refused as refusal:
        reason = str(refusal)
    raise InvalidRequest(f"{errand.param} cannot be fetched: {reason}", param=errand.param)


async def _follow(text: str, errand: Errand, network: Network, proxy: httpx.Proxy | None) -> Fetched:
    url = _parse(text)
    for _ in range(MAX_REDIRECTS + 1):
        found = await _visit(await _hop(url, network), errand, network, proxy)
        if isinstance(found, Fetched):
            return found
        if url.scheme == "https" and found.scheme == "http":
            raise _Refused("it redirects from https to http")
        url = found
    raise _Refused(f"it redirects more than {MAX_REDIRECTS} times")


async def _hop(url: httpx.URL, network: Network) -> _Hop:
    """Check where a URL leads."""
    host = url.raw_host.decode("ascii").removesuffix(".")
    _check(url, host)
    try:
        literal = literal_address(host)
    except ValueError as error:
        raise _Refused(str(error)) from None
    url = url.copy_with(host=host, fragment=None)
    origin = origin_of(url)
    addresses = await _addresses(origin, network) if literal is None else (str(literal),)
    # One message for all of it: what a name means inside this network is nobody's business outside.
    if not addresses or not all(is_public(ip_address(address)) for address in addresses):
        raise _Refused("its host has no public address")
    return _Hop(url, origin, addresses[:MAX_ADDRESSES])


def _check(url: httpx.URL, host: str) -> None:
    if url.scheme not in ("http", "https"):
        raise _Refused("only http and https URLs are")
    if not host:
        raise _Refused("it names no host")
    if url.userinfo:
        raise _Refused("it holds a user name or a password")
    if url.port is not None and url.port not in (80, 443) and not LOWEST_FREE_PORT <= url.port < 1 << 16:
        raise _Refused(f"its port is neither 80 nor 443 nor from {LOWEST_FREE_PORT} to 65535")


async def _addresses(origin: Origin, network: Network) -> tuple[str, ...]:
    try:
        async with asyncio.timeout(LOOKUP_LIMIT_S):
            return tuple(await network.resolve(origin.host, origin.port))
    except TimeoutError:
        raise _Refused("its host was not found in time") from None
    except TooManyLookups:
        raise _Refused("too many hosts are being looked up just now") from None
    except (OSError, UnicodeError):
        return ()


async def _visit(hop: _Hop, errand: Errand, network: Network, proxy: httpx.Proxy | None) -> Fetched | httpx.URL:
    """Ask for a checked URL; return what is there, or where it says to go."""
    patience = Patience(CONNECT_LIMIT_S, errand.timeout_s, errand.timeout_s)
    connection = await _dial_any(hop, network, patience, proxy)
    try:
        request = _request(hop.url, errand)
        head = await connection.exchange(b"GET", request, first_byte_s=patience.first_byte_s, idle_s=patience.idle_s)
        headers = {name.decode("latin-1"): value for name, value in head.headers}
        if head.status in _REDIRECTS:
            return _target(hop.url, headers)
        _check_head(head, headers, errand)
        return _fetched(hop.url, headers, await _read(connection, errand))
    finally:
        connection.abort()


async def _dial_any(hop: _Hop, network: Network, patience: Patience, proxy: httpx.Proxy | None) -> Connection:
    *others, last = hop.addresses
    for address in others:
        with suppress(httpx.ConnectError, httpx.ConnectTimeout):
            return await dial(hop.origin, patience, proxy, network.reach((address, hop.origin.port)))
    return await dial(hop.origin, patience, proxy, network.reach((last, hop.origin.port)))


def _request(url: httpx.URL, errand: Errand) -> bytes:
    headers = {"host": url.netloc.decode("ascii"), "user-agent": errand.user_agent, "accept": errand.accept}
    headers |= {"accept-encoding": "identity", "connection": "close"}
    try:
        return write_head(b"GET", url.raw_path, [(name.encode(), value.encode()) for name, value in headers.items()])
    except Unwritable as error:
        raise _Refused("it holds characters that HTTP does not allow") from error


def _parse(text: str, base: httpx.URL | None = None) -> httpx.URL:
    try:
        return httpx.URL(text) if base is None else base.join(text)
    except (httpx.InvalidURL, ValueError):
        raise _Refused("it is not a URL" if base is None else "it redirects to what is not a URL") from None


def _target(url: httpx.URL, headers: dict[str, bytes]) -> httpx.URL:
    if not (location := headers.get("location")):
        raise _Refused("it redirects without saying where to")
    return _parse(location.decode("utf-8", "replace"), base=url)


def _check_head(head: Head, headers: dict[str, bytes], errand: Errand) -> None:
    if not 200 <= head.status < 300:
        raise _Refused(f"its server answered with status {head.status}")
    if headers.get("content-encoding", b"identity").strip().lower() not in (b"", b"identity"):
        raise _Refused("its server sends it compressed, though asked not to")
    length = headers.get("content-length", b"")
    if _LENGTH.fullmatch(length) and int(length) > errand.limit_bytes:
        _refuse_size(errand)


async def _read(connection: Connection, errand: Errand) -> bytes:
    body = bytearray()
    while data := await connection.receive():
        body += data
        if len(body) > errand.limit_bytes:
            _refuse_size(errand)
    return bytes(body)


def _refuse_size(errand: Errand) -> NoReturn:
    raise _Refused(f"it is larger than {errand.limit_bytes} bytes")


def _fetched(url: httpx.URL, headers: dict[str, bytes], data: bytes) -> Fetched:
    content_type = headers.get("content-type", b"").decode("latin-1")
    media_type = content_type.partition(";")[0].strip().lower()
    charset = _CHARSET.search(content_type)
    known = media_type if _MEDIA_TYPE.fullmatch(media_type) else None
    return Fetched(str(url), data, known, charset[1].lower() if charset else None)


def _broken(error: httpx.TransportError) -> str:
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
        return f"its server could not be reached: {error}"
    if isinstance(error, httpx.RemoteProtocolError):
        return f"its server broke HTTP: {error}"
    return "its server broke off"


def _tunnel(url: str) -> httpx.Proxy:
    try:
        proxy = httpx.Proxy(url)
    except (ValueError, httpx.InvalidURL):
        # Not chained: the cause may quote the URL, and with it a password.
        raise NotConfigured("the proxy is not a URL such as http://user:password@host:8080") from None
    if proxy.url.scheme != "http":
        raise NotConfigured(
            f"URLs cannot be fetched through a proxy of the kind {proxy.url.scheme!r}: only a tunnel of an http proxy"
            " leads to an address that was checked"
        )
    return proxy
