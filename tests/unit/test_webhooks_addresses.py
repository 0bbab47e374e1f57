"""Which addresses may be spoken to: every class of them, in every disguise."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.webhooks.addresses import networks, permitted, plain, public

REFUSED_V4 = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/4",
    "240.0.0.0/4",
]
REFUSED_V6 = [
    "::/8",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
    "2001::/32",
    "2002::/16",
    "2001:db8::/32",
    "100::/64",
]


def inside(network):
    first, last = int(network[0]), int(network[-1])
    return st.integers(first, last).map(type(network[0]))


private_v4 = st.sampled_from([IPv4Network(each) for each in REFUSED_V4]).flatmap(inside)
private_v6 = st.sampled_from([IPv6Network(each) for each in REFUSED_V6]).flatmap(inside)
any_v4 = st.integers(0, 2**32 - 1).map(IPv4Address)
any_v6 = st.integers(0, 2**128 - 1).map(IPv6Address)


@given(private_v4, st.integers(1, 65535))
def test_no_special_ipv4_address_is_permitted(address, port):
    assert not permitted(str(address), port, ())


@given(private_v6, st.integers(1, 65535))
def test_no_special_ipv6_address_is_permitted(address, port):
    if address in IPv6Network("::ffff:0:0/96"):
        return
    assert not permitted(str(address), port, ())


@given(private_v4, st.sampled_from(["::ffff:0:0", "64:ff9b::", "2002::", "64:ff9b:1::", "::"]))
def test_no_special_ipv4_address_is_permitted_inside_an_ipv6_one(address, prefix):
    shift = 80 if prefix == "2002::" else 0
    dressed = IPv6Address(int(IPv6Address(prefix)) | (int(address) << shift))
    assert not permitted(str(dressed), 443, ())


@given(private_v4, st.booleans())
def test_no_special_ipv4_address_is_permitted_in_an_isatap_one(address, universal):
    base = IPv6Address("2a00:1450:4001:800::")
    interface = (0x02005EFE if universal else 0x00005EFE) << 32 | int(address)
    assert not permitted(str(IPv6Address(int(base) | interface)), 443, ())


@given(any_v4)
def test_what_python_calls_private_is_never_permitted(address):
    if not address.is_global or address.is_multicast or address.is_reserved:
        assert not public(address)


@given(any_v6)
def test_what_python_calls_private_is_never_permitted_in_ipv6(address):
    if plain(str(address)) == address and (not address.is_global or address.is_multicast or address.is_site_local):
        assert not public(address)


@given(any_v4)
def test_a_mapped_address_is_judged_as_the_ipv4_address(address):
    assert permitted(f"::ffff:{address}", 443, ()) == permitted(str(address), 443, ())
    assert permitted(f"64:ff9b::{address}", 443, ()) == permitted(str(address), 443, ())


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",  # AWS, Azure, Google, DigitalOcean, OpenStack
        "169.254.170.2",
        "168.63.129.16",
        "100.100.100.200",
        "192.0.0.192",
        "fd00:ec2::254",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "::1",
        "::",
        "0.0.0.0",
        "255.255.255.255",
        "fe80::1%eth0",
        "::ffff:127.0.0.1%lo",
        "not an address",
        "",
    ],
)
def test_metadata_and_loopback_are_refused(address):
    assert not permitted(address, 80, ())


@pytest.mark.parametrize(
    "address", ["93.184.215.14", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "2a00:1450:4001::1"]
)
def test_public_addresses_are_permitted_on_usual_ports(address):
    assert permitted(address, 80, ())
    assert permitted(address, 443, ())
    assert permitted(address, 8443, ())
    assert not permitted(address, 25, ())
    assert not permitted(address, 22, ())


@given(st.sampled_from(["127.0.0.1", "10.1.2.3", "::ffff:127.0.0.1", "fd00::5"]), st.integers(1, 65535))
def test_networks_can_be_opened(address, port):
    allow = networks(["127.0.0.0/8", "10.0.0.0/8", "fd00::/8"])
    assert permitted(address, port, allow)
    assert not permitted("192.168.1.1", port, allow)


def test_a_wrong_network_is_an_error():
    with pytest.raises(ValueError, match="everything"):
        networks(["everything"])


def test_plain_is_idempotent():
    for text in ("::ffff:1.2.3.4", "1.2.3.4", "64:ff9b::1.2.3.4", "2001:db8::1"):
        assert plain(str(plain(text))) == plain(text)
    assert plain("::ffff:1.2.3.4") == ip_address("1.2.3.4")
