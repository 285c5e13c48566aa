"""Which addresses and hosts count as public: one row for each network and each spelling."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.transport.addresses import is_public, literal_address

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "93.184.216.34",
    "100.63.255.255",
    "100.128.0.1",
    "172.15.255.255",
    "172.32.0.1",
    "192.167.255.255",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2a00:1450:4001:80e::200e",
    "2001:4860:4860::8888",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
]
PRIVATE = {
    "this network": "0.0.0.0",
    "this network, further on": "0.1.2.3",
    "loopback": "127.0.0.1",
    "loopback, further on": "127.255.255.254",
    "private, class A": "10.0.0.1",
    "private, class B": "172.16.0.1",
    "private, class B, its end": "172.31.255.255",
    "private, class C": "192.168.1.1",
    "shared by carriers": "100.64.0.1",
    "shared by carriers, its end": "100.127.255.255",
    "the metadata service": "169.254.169.254",
    "the metadata service of Lambda's container credentials": "169.254.170.2",
    "the metadata service of Oracle": "192.0.0.192",
    "the metadata service of Alibaba": "100.100.100.200",
    "the platform of Azure": "168.63.129.16",
    "documentation 1": "192.0.2.1",
    "documentation 2": "198.51.100.1",
    "documentation 3": "203.0.113.1",
    "benchmarks": "198.18.0.1",
    "benchmarks, its end": "198.19.255.255",
    "6to4 relays": "192.88.99.1",
    "multicast": "224.0.0.1",
    "multicast, its end": "239.255.255.255",
    "reserved": "240.0.0.1",
    "broadcast": "255.255.255.255",
    "IPv6 unspecified": "::",
    "IPv6 loopback": "::1",
    "IPv6 link-local": "fe80::1",
    "IPv6 link-local with a zone": "fe80::1%eth0",
    "IPv6 site-local": "fec0::1",
    "IPv6 unique local": "fd00::1",
    "IPv6 unique local, its beginning": "fc00::1",
    "the metadata service over IPv6": "fd00:ec2::254",
    "IPv6 multicast": "ff02::1",
    "IPv6 documentation": "2001:db8::1",
    "IPv6 documentation, newer": "3fff::1",
    "IPv6 discard": "100::1",
    "Teredo": "2001:0:7f00:1::1",
    "ORCHID": "2001:20::1",
    "6to4 of loopback": "2002:7f00:1::1",
    "6to4 of a public address": "2002:808:808::1",
    "NAT64 of a private address": "64:ff9b::10.0.0.1",
    "NAT64 of loopback": "64:ff9b::7f00:1",
    "NAT64 for local use": "64:ff9b:1::808:808",
    "IPv4 within IPv6: loopback": "::ffff:127.0.0.1",
    "IPv4 within IPv6: private": "::ffff:10.0.0.1",
    "IPv4 within IPv6: metadata": "::ffff:a9fe:a9fe",
    "IPv4-compatible": "::127.0.0.1",
    "IPv4-translated": "::ffff:0:127.0.0.1",
}


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize("address", PRIVATE.values(), ids=PRIVATE.keys())
def test_other_addresses_are_not(address: str) -> None:
    assert not is_public(ip_address(address))


@given(st.ip_addresses())
def test_nothing_is_public_that_python_calls_otherwise(address: object) -> None:
    parsed = ip_address(str(address))
    inner = getattr(parsed, "ipv4_mapped", None) or parsed
    if is_public(parsed) and not str(parsed).startswith("64:ff9b::"):
        assert inner.is_global
        assert not inner.is_multicast
        assert not inner.is_reserved
        assert not inner.is_loopback


LITERALS = {
    "8.8.8.8": "8.8.8.8",
    "0.0.0.0": "0.0.0.0",
    "2606:4700::1111": "2606:4700::1111",
    "::ffff:127.0.0.1": "::ffff:127.0.0.1",
}
NAMES = [
    "example.com",
    "localhost",
    "a",
    "x_y.example",
    "xn--mnchen-3ya.de",
    "1.1.1.1.example",
    "3com.com",
    "0xide.com",
]
NEITHER = {
    "one number": "2130706433",
    "one hexadecimal number": "0x7f000001",
    "octal": "0177.0.0.1",
    "hexadecimal parts": "0x7f.0.0.1",
    "two parts": "127.1",
    "three parts": "127.0.1",
    "a part too large": "256.0.0.1",
    "five parts": "1.2.3.4.5",
    "a leading zero": "08.8.8.8",
    "a name that ends in a number": "example.1",
    "a name that ends in a hexadecimal number": "example.0x1",
    "a name that ends in an empty hexadecimal number": "example.0x",
    "an IPv6 address with a zone": "fe80::1%25eth0",
    "an IPv6 address with a zone, plain": "fe80::1%eth0",
    "half an IPv6 address": "1:2:3",
    "two dots": "a..b",
    "a dot at the beginning": ".a",
    "a dot at the end": "a.",
    "nothing": "",
    "a percent sign": "exa%6dple.com",
    "a backslash": "127.0.0.1\\.example.com",
    "a space": "a b",
    "a line's end": "example.com\n",
    "capitals": "EXAMPLE.com",
    "full-width letters": "\uff45xample.com",
    "a hyphen at the end of a label": "a-.com",
    "a label too long": "a" * 64 + ".com",
    "a name too long": ".".join(["abc"] * 64),
}


@pytest.mark.parametrize(("host", "address"), LITERALS.items())
def test_addresses_are_read(host: str, address: str) -> None:
    assert literal_address(host) == ip_address(address)


@pytest.mark.parametrize("host", NAMES)
def test_names_are_no_addresses(host: str) -> None:
    assert literal_address(host) is None


@pytest.mark.parametrize("host", NEITHER.values(), ids=NEITHER.keys())
def test_all_else_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="its host is"):
        literal_address(host)


def test_long_hosts_take_no_time() -> None:
    with pytest.raises(ValueError, match="its host is"):
        literal_address("a-" * 500_000)
