"""How a connection comes about: to an origin or to a checked address of it, directly or through an http proxy."""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl
from base64 import b64encode
from typing import NamedTuple

import httpx

from core.transport.connection import Connection
from core.transport.http1 import Head, write_head

DEFAULT_PORTS = {"http": 80, "https": 443}


class Patience(NamedTuple):
    """What a request waits for, in seconds. It travels in `request.extensions["patience"]`."""

    connect_s: float
    first_byte_s: float
    idle_s: float


class Origin(NamedTuple):
    scheme: str
    host: str
    port: int


@functools.cache
def ssl_context() -> ssl.SSLContext:
    """Return the process's context, made when first needed: reading its CA bundle takes 20 ms."""
    context = httpx.create_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


async def dial(
    origin: Origin, patience: Patience, proxy: httpx.Proxy | None = None, address: tuple[str, int] | None = None
) -> Connection:
    """Return a connection on which `origin` answers; raise `httpx.ConnectError`, `ConnectTimeout` or `ProxyError`.

    `address` is the (IP address, port) where to find it, so that its name is not looked up; TLS still asks for the
    name. With one, the proxy opens a tunnel for http too: handed a request, it would look the name up itself.
    """
    try:
        async with asyncio.timeout(patience.connect_s):
            if proxy is None:
                return await _connect(origin, address)
            return await _connect_through(proxy, origin, patience, address)
    except TimeoutError as error:
        raise httpx.ConnectTimeout(f"no connection within {patience.connect_s:g} s") from error
    except (OSError, UnicodeError, OverflowError) as error:
        raise httpx.ConnectError(_reason(error)) from error


def origin_of(url: httpx.URL) -> Origin:
    # Not `url.host`, which raises for a name that only looks international.
    if url.scheme not in DEFAULT_PORTS or not url.raw_host:
        raise httpx.UnsupportedProtocol("the URL is not http or https")
    return Origin(url.scheme, url.raw_host.decode("ascii"), url.port or DEFAULT_PORTS[url.scheme])


def proxy_headers(proxy: httpx.Proxy) -> list[tuple[bytes, bytes]]:
    if proxy.raw_auth is None:
        return []
    return [(b"Proxy-Authorization", b"Basic " + b64encode(b":".join(proxy.raw_auth)))]


async def _connect(origin: Origin, address: tuple[str, int] | None) -> Connection:
    context = ssl_context() if origin.scheme == "https" else None
    name = origin.host if context else None
    host, port = address or (origin.host, origin.port)
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(Connection, host, port, ssl=context, server_hostname=name)
    return connection


async def _connect_through(
    proxy: httpx.Proxy, origin: Origin, patience: Patience, address: tuple[str, int] | None
) -> Connection:
    """Connect to the proxy and have it open a tunnel, where one is needed; for https speak TLS through that."""
    connection = await _connect(origin_of(proxy.url), None)
    if origin.scheme == "http" and address is None:
        return connection
    try:
        await _open_tunnel(connection, proxy, address or (origin.host, origin.port), patience)
        if origin.scheme == "https":
            await connection.start_tls(ssl_context(), origin.host)
    except BaseException:
        connection.abort()
        raise
    return connection


async def _open_tunnel(
    connection: Connection, proxy: httpx.Proxy, address: tuple[str, int], patience: Patience
) -> None:
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    target = f"{host}:{address[1]}".encode()
    head = write_head(b"CONNECT", target, [(b"Host", target), *proxy_headers(proxy)])
    try:
        answer = await _ask(connection, head, patience)
    except httpx.TimeoutException as error:
        raise httpx.ConnectTimeout("the proxy did not answer in time") from error
    except httpx.TransportError as error:
        raise httpx.ProxyError("the proxy broke off") from error
    if answer.status >= 300:
        raise httpx.ProxyError(f"the proxy answered CONNECT with status {answer.status}")


async def _ask(connection: Connection, head: bytes, patience: Patience) -> Head:
    return await connection.exchange(b"CONNECT", head, first_byte_s=patience.first_byte_s, idle_s=patience.idle_s)


def _reason(error: Exception) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return f"its certificate is not accepted ({error.verify_message})"
        case ssl.SSLError():
            return "the TLS handshake failed"
        case socket.gaierror() | UnicodeError():
            return "its name does not resolve"
        case ConnectionRefusedError():
            return "it refused the connection"
        case ConnectionResetError() | ConnectionAbortedError() | BrokenPipeError():
            return "it closed the connection at once"
        case _:
            return "no connection"
