"""Which hosts and addresses on the public Internet a URL of a client may lead to. No I/O.

The gateway stands inside a network whose other machines trust it, so a URL from outside must not reach them: not
the machine itself, not its neighbours, not the platform's metadata service, under whatever spelling.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address

MAX_HOST_CHARS = 253

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
# What a browser or a resolver would read as an IPv4 address (WHATWG URL, section 3.5, "ends in a number").
_NUMBER_AT_END = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")

# IANA's special-purpose registries of 2024, more strictly than `ipaddress.is_global`, whose answer differs between
# versions of Python. Azure's platform answers its virtual machines on 168.63.129.16, a public address.
_REFUSED_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)

# Of IPv6, global unicast alone (RFC 4291), without what stands for something else in it: protocol assignments with
# Teredo (2001::/23), documentation (2001:db8::/32, 3fff::/20), 6to4 (2002::/16) and AS112 (2620:4f:8000::/48).
_GLOBAL_V6 = IPv6Network("2000::/3")
_REFUSED_V6 = tuple(
    IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)
_NAT64 = IPv6Network("64:ff9b::/96")


def is_public(address: Address) -> bool:
    """Tell whether the address is one of the public Internet; an IPv4 address within IPv6 is judged as such."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _REFUSED_V4)
    if (inner := _ipv4_within(address)) is not None:
        return is_public(inner)
    return address in _GLOBAL_V6 and not any(address in network for network in _REFUSED_V6)


def literal_address(host: str) -> Address | None:
    """Return the address that a URL's host spells, `None` for a name; raise `ValueError` for all other hosts.

    Other spellings of an IPv4 address than four decimal numbers (octal, hexadecimal, one number) are refused:
    programs disagree about what they mean.
    """
    try:
        if ":" in host:
            return _plain_ipv6(host)
        if _NUMBER_AT_END.fullmatch(host):
            return IPv4Address(host)
    except AddressValueError:
        raise ValueError("its host is a number and not an IP address in its usual form") from None
    if len(host) > MAX_HOST_CHARS or not _NAME.fullmatch(host):
        raise ValueError("its host is not a name that the DNS could hold")
    return None


def _plain_ipv6(host: str) -> IPv6Address:
    if "%" in host:
        raise AddressValueError("a zone")
    return IPv6Address(host)


def _ipv4_within(address: IPv6Address) -> IPv4Address | None:
    """Return what an IPv4-mapped address (RFC 4291) or one of a NAT64 (RFC 6052) stands for."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None
