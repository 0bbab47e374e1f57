"""Which addresses of the world may be spoken to on behalf of somebody outside. Pure.

Refused is whatever is not plainly a host on the public Internet (IANA's special-purpose registries for IPv4 and IPv6),
and so what an engine could reach and its customer could not: its own machine, its network, its cloud's metadata.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LOW_PORTS = frozenset({80, 443})
"""Ports below 1024 that may be asked for; the others belong to mail, name and remote shell servers."""

_V4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT, and Alibaba's metadata
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's host agent, on a public address
        "169.254.0.0/16",  # link-local, and most clouds' metadata
        "172.16.0.0/12",
        "192.0.0.0/24",  # IETF protocols, and Oracle's metadata
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_V6_GLOBAL = IPv6Network("2000::/3")
_V6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # IETF protocols, Teredo among them
        "2001:db8::/32",
        "2002::/16",  # 6to4: an IPv4 address in disguise, with relays that nobody runs any more
        "3fff::/20",
    )
)
_MAPPED = (IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))
"""The last 32 bits are an IPv4 address: mapped ones, and NAT64's well-known prefix."""


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Raises ValueError for one that is no network."""
    return tuple(ip_network(text) for text in texts)


def plain(text: str) -> Address:
    """The address that a resolver or a URL means; a mapped or translated IPv4 address is that IPv4 address.

    Raises ValueError. A scope (``fe80::1%eth0``) is dropped: such addresses are refused without it too.
    """
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address) and any(address in network for network in _MAPPED):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def public(address: Address) -> bool:
    """Whether ``address``, as ``plain`` gives it, is a host on the public Internet."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _V4)
    if address not in _V6_GLOBAL or any(address in network for network in _V6):
        return False
    return not _isatap(address) or public(IPv4Address(int(address) & 0xFFFFFFFF))


def _isatap(address: IPv6Address) -> bool:
    """Interface id ``0:5efe:a.b.c.d`` (RFC 5214), with or without the universal bit."""
    return (int(address) >> 32) & 0xFDFFFFFF == 0x00005EFE  # noqa: PLR2004


def permitted(text: str, port: int, allow: Sequence[Network]) -> bool:
    """Whether ``port`` of the address may be spoken to; networks in ``allow`` are open whatever they are."""
    try:
        address = plain(text)
    except ValueError:
        return False
    if any(address in network for network in allow):
        return True
    return public(address) and (port in LOW_PORTS or port >= 1024)  # noqa: PLR2004
