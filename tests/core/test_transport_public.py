"""The guarded fetch: what it refuses, before and after a redirect, and what it brings from a real server.

The network is a table: names resolve to the addresses in it, and whatever address is dialled, a server of this
machine answers. So the check stands between the two as it does in production.
"""

import asyncio
import ssl
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import pytest
from msgspec import Struct

from core.errors import InvalidRequest, NotConfigured
from core.transport import Fetched, Timeouts, Transport
from core.transport import public as public_module
from core.transport.lookup import TooManyLookups
from core.transport.public import Network
from tests.core.transport_peers import HANG, READ, RESET, SECRET, Proxy, Script, Server, sized, trusted_tls

FIELD = "messages[0].content[1].image_url"
LIMIT_BYTES = 1000
TIMEOUTS = Timeouts(connect_s=5, first_byte_s=5, idle_s=5)

Place: TypeAlias = tuple[str, int]
PUBLIC = "93.184.216.34"
NAMES: dict[str, tuple[str, ...]] = {
    "example.com": (PUBLIC,),
    "localhost": (PUBLIC,),  # the name in the servers' certificate
    "elsewhere.example": (PUBLIC,),
    "two.example": ("93.184.216.35", PUBLIC),
    "xn--mnchen-3ya.de": (PUBLIC,),
    "inside.example": ("10.0.0.7",),
    "metadata.example": ("169.254.169.254",),
    "inside6.example": ("fd00::1",),
    "mapped.example": ("::ffff:127.0.0.1",),
    "half.example": (PUBLIC, "127.0.0.1"),
    "zone.example": ("fe80::1%eth0",),
    "nothing.example": (),
    "metadata": ("169.254.169.254",),
}

pytestmark = pytest.mark.anyio


@pytest.fixture
def tls(monkeypatch: pytest.MonkeyPatch) -> Iterator[ssl.SSLContext]:
    with trusted_tls(monkeypatch) as context:
        yield context


class Table:
    """A network whose every address is the machine's own port `port`; `refusing` ones do not answer."""

    def __init__(self, port: int = 9, refusing: Sequence[str] = ()) -> None:
        self.resolved: list[str] = []
        self.dialled: list[Place] = []
        self._port = port
        self._refusing = refusing

    @property
    def network(self) -> Network:
        return Network(self._resolve, self._reach)

    async def _resolve(self, host: str, port: int) -> Sequence[str]:
        self.resolved.append(host)
        if host not in NAMES:
            raise OSError("no such name")
        return NAMES[host]

    def _reach(self, place: Place) -> Place:
        self.dialled.append(place)
        return ("127.0.0.1", 1 if place[0] in self._refusing else self._port)


def make_transport(table: Table, proxy: str | None = None) -> Transport:
    return Transport(timeouts=TIMEOUTS, user_agent="isthmus-test/1", fetch_proxy=proxy, network=table.network)


async def fetch(table: Table, url: str, *, timeout_s: float = 5, proxy: str | None = None) -> Fetched:
    transport = make_transport(table, proxy)
    return await transport.fetch_public(
        url, param=FIELD, limit_bytes=LIMIT_BYTES, timeout_s=timeout_s, accept="image/*"
    )


async def fetch_from(script: Script, url: str = "http://example.com/x") -> Fetched:
    async with Server(script) as server, asyncio.timeout(5):
        return await fetch(Table(server.port), url)


# What is refused without a connection


class Refused(Struct, frozen=True):
    id: str
    url: str
    says: str


NOT_PUBLIC = "its host has no public address"
NUMBER = "its host is a number"
NO_NAME = "its host is not a name"

REFUSED = [
    Refused("loopback", "http://127.0.0.1/", NOT_PUBLIC),
    Refused("loopback with a port", "http://127.0.0.1:8000/v1/models", NOT_PUBLIC),
    Refused("loopback, further on", "http://127.1.2.3/", NOT_PUBLIC),
    Refused("this machine as zero", "http://0.0.0.0/", NOT_PUBLIC),
    Refused("private, class A", "http://10.1.2.3/", NOT_PUBLIC),
    Refused("private, class B", "http://172.16.0.1/", NOT_PUBLIC),
    Refused("private, class C", "https://192.168.0.1/", NOT_PUBLIC),
    Refused("the metadata service", "http://169.254.169.254/latest/meta-data/", NOT_PUBLIC),
    Refused("shared by carriers", "http://100.64.0.1/", NOT_PUBLIC),
    Refused("multicast", "http://224.0.0.1/", NOT_PUBLIC),
    Refused("IPv6 loopback", "http://[::1]/", NOT_PUBLIC),
    Refused("IPv6 unspecified", "http://[::]/", NOT_PUBLIC),
    Refused("IPv6 link-local", "http://[fe80::1]/", NOT_PUBLIC),
    Refused("IPv6 unique local", "http://[fd00:ec2::254]/", NOT_PUBLIC),
    Refused("IPv4 within IPv6", "http://[::ffff:127.0.0.1]/", NOT_PUBLIC),
    Refused("IPv4 within IPv6, in hexadecimal", "http://[::ffff:7f00:1]/", NOT_PUBLIC),
    Refused("6to4", "http://[2002:7f00:1::]/", NOT_PUBLIC),
    Refused("NAT64", "http://[64:ff9b::7f00:1]/", NOT_PUBLIC),
    Refused("an IPv6 zone", "http://[fe80::1%25eth0]/", NUMBER),
    Refused("a decimal host", "http://2130706433/", NUMBER),
    Refused("an octal host", "http://0177.0.0.1/", "it is not a URL"),
    Refused("an octal host of one number", "http://017700000001/", NUMBER),
    Refused("a hexadecimal host", "http://0x7f.1/", NUMBER),
    Refused("a short host", "http://127.1/", NUMBER),
    Refused("a decimal public host", "http://1572395042/", NUMBER),
    Refused("loopback with full stops of East Asia", "http://127\u30020\u30020\u30021/", NOT_PUBLIC),
    Refused("loopback in full-width digits", "http://\uff11\uff12\uff17.0.0.1/", "it is not a URL"),
    Refused("loopback in circled digits", "http://\u2460\u2461\u2466.0.0.1/", "it is not a URL"),
    Refused("localhost in full-width letters", "http://\uff4cocalhost/", "it is not a URL"),
    Refused("loopback with a dot at its end", "http://127.0.0.1./", NOT_PUBLIC),
    Refused("a name that resolves inside", "http://inside.example/", NOT_PUBLIC),
    Refused("a name that resolves inside, in capitals", "http://INSIDE.example/", NOT_PUBLIC),
    Refused("a name that resolves inside, with a dot", "http://inside.example./", NOT_PUBLIC),
    Refused("a name that resolves inside over IPv6", "http://inside6.example/", NOT_PUBLIC),
    Refused("a name that resolves to IPv4 within IPv6", "http://mapped.example/", NOT_PUBLIC),
    Refused("a name that resolves to the metadata service", "http://metadata.example/", NOT_PUBLIC),
    Refused("a name of which one address is inside", "http://half.example/", NOT_PUBLIC),
    Refused("a name that resolves to a zone", "http://zone.example/", NOT_PUBLIC),
    Refused("a name of the network itself", "http://metadata/", NOT_PUBLIC),
    Refused("a name without addresses", "http://nothing.example/", NOT_PUBLIC),
    Refused("a name that does not resolve", "http://unknown.example/", NOT_PUBLIC),
    Refused("a name that only looks international", "http://xn--a/", NOT_PUBLIC),
    Refused("a file", "file:///etc/passwd", "only http and https"),
    Refused("a file of a host", "file://example.com/etc/passwd", "only http and https"),
    Refused("FTP", "ftp://example.com/x", "only http and https"),
    Refused("gopher", "gopher://example.com:70/x", "only http and https"),
    Refused("a data URL", "data:image/png;base64,aGk=", "only http and https"),
    Refused("the simulated upstream", "loopback://chatgpt/backend-api/me", "only http and https"),
    Refused("a local path", "/etc/passwd", "only http and https"),
    Refused("a URL without a scheme", "//example.com/x", "only http and https"),
    Refused("nothing", "", "only http and https"),
    Refused("no host", "http:///x", "it names no host"),
    Refused("no host, a port", "http://:80/x", "it names no host"),
    Refused("only a dot for a host", "http://./x", "it names no host"),
    Refused("no slashes", "http:example.com", "it names no host"),
    Refused("a user and a password", f"http://user:{SECRET}@example.com/", "it holds a user name or a password"),
    Refused("a host that looks like a user", "http://example.com\\@127.0.0.1/", "it holds a user name or a password"),
    Refused("a host behind a user", "http://example.com@127.0.0.1/", "it holds a user name or a password"),
    Refused("a backslash in the host", "http://127.0.0.1\\.example.com/", NO_NAME),
    Refused("a percent sign in the host", "http://127.0.0.1%2f.example.com/", NO_NAME),
    Refused("a null in the host", "http://localhost%00.example.com/", NO_NAME),
    Refused("a line's end in the host", "http://example.com\r\nX: y/", "it is not a URL"),
    Refused("half an IPv6 address", "http://[::1/", "it is not a URL"),
    Refused("a surrogate", "http://example.com/\ud800", "it is not a URL"),
    Refused("a URL without end", "http://example.com/" + "x" * 100_000, "it is not a URL"),
    Refused("the port of mail", "http://example.com:25/", "its port is"),
    Refused("the port of SSH", "http://93.184.216.34:22/", "its port is"),
    Refused("port zero", "http://example.com:0/", "its port is"),
    Refused("a port that is none", "http://example.com:99999/", "its port is"),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
async def test_what_is_not_public_is_refused_before_any_connection(case: Refused) -> None:
    table = Table()
    with pytest.raises(InvalidRequest) as caught:
        await fetch(table, case.url)
    assert caught.value.status == 400
    assert caught.value.param == FIELD
    assert caught.value.message.startswith(f"{FIELD} cannot be fetched: {case.says}")
    assert SECRET not in caught.value.message
    assert table.dialled == []


# A redirect is relative to where it stands, so what names no host leads back there; and a header holds ASCII.
REDIRECTED = [case for case in REFUSED if "://" in case.url and case.url.isascii() and "no host" not in case.id]


@pytest.mark.parametrize("case", [case for case in REDIRECTED if len(case.url) < 1000], ids=lambda case: case.id)
async def test_what_is_not_public_is_refused_after_a_redirect_too(case: Refused) -> None:
    location = case.url.replace("\r\n", "\t").encode()
    async with Server((READ, moved(location), HANG)) as server:
        table = Table(server.port)
        with pytest.raises(InvalidRequest) as caught:
            await fetch(table, "http://example.com/")
    assert caught.value.param == FIELD
    assert SECRET not in caught.value.message
    assert table.dialled == [(PUBLIC, 80)]


def moved(location: bytes, status: int = 302) -> bytes:
    return b"HTTP/1.1 %d Moved\r\nlocation: %b\r\ncontent-length: 0\r\n\r\n" % (status, location)


# What is brought


async def test_a_public_url_is_fetched_from_its_address_by_its_name() -> None:
    async with Server((READ, sized(b"picture", b"Content-Type: Image/PNG; charset=x"), HANG)) as server:
        table = Table(server.port)
        found = await fetch(table, "http://Example.com:8080/a%20b?c=d#part")
    assert found == Fetched("http://example.com:8080/a%20b?c=d", b"picture", "image/png", "x")
    assert table.dialled == [(PUBLIC, 8080)]
    assert table.resolved == ["example.com"]
    head = server.requests[0].lower()
    assert head.startswith(b"get /a%20b?c=d http/1.1\r\n")
    for line in (b"host: example.com:8080", b"user-agent: isthmus-test/1", b"accept: image/*", b"connection: close"):
        assert b"\r\n%b\r\n" % line in head
    assert b"cookie" not in head
    assert b"authorization" not in head
    assert b"referer" not in head


async def test_an_address_needs_no_look_up() -> None:
    async with Server((READ, sized(b"x"), HANG)) as server:
        table = Table(server.port)
        await fetch(table, f"http://{PUBLIC}/")
        await fetch(table, "http://[2606:4700::1111]/")
    assert table.resolved == []
    assert table.dialled == [(PUBLIC, 80), ("2606:4700::1111", 80)]
    assert b"host: [2606:4700::1111]\r\n" in server.requests[1].lower()


async def test_an_international_name_is_looked_up_in_its_ascii_form() -> None:
    async with Server((READ, sized(b"x"), HANG)) as server:
        table = Table(server.port)
        await fetch(table, "http://m\u00fcnchen.de/")
    assert table.resolved == ["xn--mnchen-3ya.de"]


async def test_the_next_address_is_tried_when_one_refuses() -> None:
    async with Server((READ, sized(b"x"), HANG)) as server:
        table = Table(server.port, refusing=("93.184.216.35",))
        assert (await fetch(table, "http://two.example/")).data == b"x"
    assert table.dialled == [("93.184.216.35", 80), (PUBLIC, 80)]


async def test_the_next_address_is_tried_when_one_stays_silent(
    tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return ("93.184.216.35", PUBLIC)

    monkeypatch.setattr(public_module, "CONNECT_LIMIT_S", 0.3)
    async with Server((HANG,)) as silent, Server((READ, sized(b"x"), HANG), tls=tls) as server:
        ports = {"93.184.216.35": silent.port, PUBLIC: server.port}
        network = Network(resolve, lambda place: ("127.0.0.1", ports[place[0]]))
        transport = Transport(timeouts=TIMEOUTS, user_agent="x", network=network)
        assert (await transport.fetch_public("https://localhost/", param=FIELD, limit_bytes=9)).data == b"x"
        await silent.client_has_gone.wait()


async def test_the_certificate_is_held_against_the_name(tls: ssl.SSLContext) -> None:
    async with Server((READ, sized(b"x"), HANG), tls=tls) as server:
        assert (await fetch(Table(server.port), "https://localhost/")).data == b"x"
        with pytest.raises(InvalidRequest, match="its certificate is not accepted"):
            await fetch(Table(server.port), "https://example.com/")


class TypeCase(Struct, frozen=True):
    id: str
    header: bytes
    media_type: str | None
    charset: str | None = None


@pytest.mark.parametrize(
    "case",
    [
        TypeCase("none", b"X-Other: 1", None),
        TypeCase("an empty one", b"Content-Type:", None),
        TypeCase("not a type", b"Content-Type: png", None),
        TypeCase("a plain one", b"Content-Type: image/webp", "image/webp"),
        TypeCase("with a character set", b"Content-Type: text/html; Charset=UTF-8", "text/html", "utf-8"),
        TypeCase("with a quoted character set", b'Content-Type: text/html;charset="latin1"', "text/html", "latin1"),
    ],
    ids=lambda case: case.id,
)
async def test_the_servers_type_is_told(case: TypeCase) -> None:
    found = await fetch_from((READ, sized(b"x", case.header), HANG))
    assert (found.media_type, found.charset) == (case.media_type, case.charset)


# Redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_followed_to_other_hosts(status: int) -> None:
    async with Server((READ, moved(b"http://elsewhere.example/b", status), HANG), (READ, sized(b"x"), HANG)) as server:
        table = Table(server.port)
        found = await fetch(table, "http://example.com/a")
    assert found.url == "http://elsewhere.example/b"
    assert table.resolved == ["example.com", "elsewhere.example"]


async def test_a_redirect_may_be_relative() -> None:
    async with Server((READ, moved(b"../c?d"), HANG), (READ, sized(b"x"), HANG)) as server:
        assert (await fetch(Table(server.port), "http://example.com/a/b/")).url == "http://example.com/a/c?d"


async def test_five_redirects_are_followed_and_no_more() -> None:
    hops = [(READ, moved(b"/%d" % number)) for number in range(5)]
    async with Server(*hops, (READ, sized(b"x"))) as server:
        assert (await fetch(Table(server.port), "http://example.com/")).url == "http://example.com/4"
    async with Server((READ, moved(b"/again"))) as server:
        with pytest.raises(InvalidRequest, match="redirects more than 5 times"):
            await fetch(Table(server.port), "http://example.com/")
        assert server.connections == 6


async def test_a_redirect_from_https_to_http_is_refused(tls: ssl.SSLContext) -> None:
    async with Server((READ, moved(b"http://localhost/"), HANG), tls=tls) as server:
        with pytest.raises(InvalidRequest, match="redirects from https to http"):
            await fetch(Table(server.port), "https://localhost/")


async def test_a_name_is_looked_up_once_for_each_hop() -> None:
    """A name that resolves differently the second time cannot be used to get past the check."""
    async with Server((READ, sized(b"x"), HANG)) as server:
        table = Table(server.port)
        await fetch(table, "http://example.com/")
    assert table.resolved == ["example.com"]
    assert table.dialled == [(PUBLIC, 80)]


# What goes wrong


class FailureCase(Struct, frozen=True):
    id: str
    script: Script
    says: str


@pytest.mark.parametrize(
    "case",
    [
        FailureCase("an error page", (READ, b"HTTP/1.1 404 No\r\ncontent-length: 2\r\n\r\nno"), "with status 404"),
        FailureCase("a broken server", (READ, b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"), "with status 500"),
        FailureCase("a condition never made", (READ, b"HTTP/1.1 304 No\r\n\r\n"), "with status 304"),
        FailureCase("a redirect to nowhere", (READ, moved(b"")), "without saying where to"),
        FailureCase("a redirect to what is no URL", (READ, moved(b"http://[::1/")), "to what is not a URL"),
        FailureCase("a declared size too large", (READ, b"HTTP/1.1 200 OK\r\ncontent-length: 1001\r\n\r\n", HANG),
                    "larger than 1000 bytes"),
        FailureCase("a real size too large", (READ, b"HTTP/1.1 200 OK\r\n\r\n" + bytes(1001), HANG),
                    "larger than 1000 bytes"),
        FailureCase("compressed unasked", (READ, sized(b"x", b"Content-Encoding: gzip")), "compressed, though asked"),
        FailureCase("not HTTP", (READ, b"SSH-2.0-OpenSSH\r\n"), "broke HTTP"),
        FailureCase("a lost connection", (READ, RESET), "broke off"),
        FailureCase("a cut body", (READ, b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc"), "broke off"),
    ],
    ids=lambda case: case.id,
)  # fmt: skip
async def test_every_failure_names_the_field(case: FailureCase) -> None:
    with pytest.raises(InvalidRequest, match=case.says) as caught:
        await fetch_from(case.script)
    assert caught.value.param == FIELD


async def test_a_body_of_just_the_limit_is_brought() -> None:
    found = await fetch_from((READ, sized(bytes(LIMIT_BYTES)), HANG))
    assert len(found.data) == LIMIT_BYTES


async def test_a_body_in_two_framings_is_read_by_its_chunks() -> None:
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: %b\r\n\r\n" % (b"9" * 5000)
    assert (await fetch_from((READ, head + b"1\r\nx\r\n0\r\n\r\n", HANG))).data == b"x"


async def test_a_refused_connection_names_the_field() -> None:
    table = Table(refusing=(PUBLIC,))
    with pytest.raises(InvalidRequest, match="could not be reached: it refused the connection"):
        await fetch(table, "http://example.com/")


@pytest.mark.parametrize(
    "script",
    [(HANG,), (READ, HANG), (READ, b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc", HANG)],
    ids=["no request read", "no answer", "half an answer"],
)
async def test_all_of_it_has_one_time_limit(script: Script) -> None:
    async with Server(script) as server, asyncio.timeout(5):
        with pytest.raises(InvalidRequest, match=r"did not come within 0\.05 s"):
            await fetch(Table(server.port), "http://example.com/", timeout_s=0.05)
        await server.client_has_gone.wait()


async def test_a_look_up_has_a_limit_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(host: str, port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(public_module, "LOOKUP_LIMIT_S", 0.01)
    transport = Transport(timeouts=TIMEOUTS, user_agent="x", network=Network(never, lambda place: place))
    with pytest.raises(InvalidRequest, match="its host was not found in time"):
        await transport.fetch_public("http://example.com/", param=FIELD, limit_bytes=9)


async def test_a_look_up_that_has_no_room_names_the_field() -> None:
    async def full(host: str, port: int) -> Sequence[str]:
        raise TooManyLookups

    transport = Transport(timeouts=TIMEOUTS, user_agent="x", network=Network(full, lambda place: place))
    with pytest.raises(InvalidRequest, match="too many hosts are being looked up just now") as caught:
        await transport.fetch_public("http://example.com/", param=FIELD, limit_bytes=9)
    assert caught.value.param == FIELD


async def test_the_real_network_is_guarded() -> None:
    transport = Transport(timeouts=TIMEOUTS, user_agent="x")
    async with Server((READ, sized(b"secret"))) as server:
        for host in ("127.0.0.1", "localhost", "localhost."):
            with pytest.raises(InvalidRequest, match=NOT_PUBLIC):
                await transport.fetch_public(f"http://{host}:{server.port}/", param=FIELD, limit_bytes=9)
        assert server.connections == 0


# Through a proxy


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_the_proxy_is_asked_for_a_tunnel_to_the_checked_address(scheme: str, tls: ssl.SSLContext) -> None:
    context = tls if scheme == "https" else None
    async with Server((READ, sized(b"x"), HANG), tls=context) as server, Proxy(server) as proxy:
        network = Network(Table().network.resolve, lambda place: place)
        transport = Transport(timeouts=TIMEOUTS, user_agent="x", network=network, fetch_proxy=proxy.url)
        found = await transport.fetch_public(f"{scheme}://localhost/", param=FIELD, limit_bytes=9)
    assert found.data == b"x"
    port = 443 if scheme == "https" else 80
    assert proxy.heads[0].startswith(b"CONNECT %b:%d HTTP/1.1\r\n" % (PUBLIC.encode(), port))
    assert b"\r\nhost: localhost\r\n" in server.requests[0].lower()
    assert b"proxy-authorization" not in server.requests[0].lower()


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "https://127.0.0.1:9", "nonsense"])
async def test_a_proxy_that_cannot_be_given_an_address_is_a_matter_of_settings(proxy: str) -> None:
    table = Table()
    with pytest.raises(NotConfigured, match="proxy"):
        await fetch(table, "http://example.com/", proxy=proxy)
    assert table.dialled == []


async def test_a_proxy_that_refuses_names_the_field() -> None:
    async with Server((READ,)) as server, Proxy(server, b"HTTP/1.1 403 No\r\n\r\n") as proxy:
        with pytest.raises(InvalidRequest, match="the proxy answered CONNECT with status 403") as caught:
            await fetch(Table(), "http://example.com/", proxy=proxy.url)
    assert SECRET not in str(caught.value)
