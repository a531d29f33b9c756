"""Addresses that are never connected to, in all the clothes they come in."""

from ipaddress import ip_network

import pytest

from entrepot.config.sections.outbound import Outbound
from entrepot.model.outbound import is_forbidden, is_public, is_within

TEN = (ip_network("10.0.0.0/8"),)


@pytest.mark.parametrize(
    "address",
    [
        "10.1.2.3",
        "::ffff:10.1.2.3",  # mapped
        "::ffff:a01:203",
        "2002:a01:203::1",  # 6to4
        "64:ff9b::a01:203",  # NAT64
        "64:ff9b:1::a01:203",  # likewise, of one's own
        "::10.1.2.3",  # compatible
        "2001:0:a01:203::1",  # Teredo
        "not an address",
        "",
        "10.1.2.3.4",
    ],
)
def test_forbidden_networks_are_found_whatever_they_wear(address):
    assert is_forbidden(address, TEN)


@pytest.mark.parametrize("address", ["11.1.2.3", "::1", "2001:db8::1", "64:ff9b::b01:203"])
def test_others_are_let_be(address):
    assert not is_forbidden(address, TEN)
    assert not is_forbidden(address, ())


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.9.9.9",
        "::1",
        "0.0.0.0",
        "::",
        "169.254.169.254",
        "fe80::1%eth0",
        "fd00:ec2::254",
    ],
)
def test_by_default_this_machine_and_what_clouds_tell_theirs_are_forbidden(address):
    assert is_forbidden(address, Outbound().forbidden_networks)


@pytest.mark.parametrize("address", ["10.0.0.1", "192.168.1.1", "198.51.100.7", "2001:db8::1"])
def test_by_default_other_machines_are_not(address):
    assert not is_forbidden(address, Outbound().forbidden_networks)


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "100.64.1.1",  # carriers' own
        "192.168.1.1",
        "127.0.0.1",
        "224.0.0.1",
        "::1",
        "fd12::1",
        "fe80::1%eth0",
        "::ffff:10.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::10.0.0.1",
        "2002:a00:1::1",
        "ff02::1",
        "not an address",
    ],
)
def test_what_is_not_the_whole_internets_is_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]
)
def test_other_addresses_are_public(address):
    assert is_public(address)


def test_a_network_has_its_addresses_alone():
    assert is_within("10.1.2.3", TEN)
    assert not is_within("11.1.2.3", TEN)
    assert not is_within("::1", TEN)
    assert not is_within("no address", TEN)
