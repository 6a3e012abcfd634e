"""The addresses of a cluster: disjoint, inside the one rule by which every address is realised on loopback."""

from __future__ import annotations

import ipaddress

import pytest

from embedded.network import OCTETS, REALISE, Network, Port

pytestmark = pytest.mark.unit


def realised(address: str) -> str:
    """The rule, written out independently of the code: same offset in the other range."""
    source, target = (ipaddress.ip_network(part) for part in REALISE.split("="))
    offset = int(ipaddress.ip_address(address)) - int(source.network_address)
    return str(target.network_address + offset)


@pytest.mark.parametrize("octet", [OCTETS[0], 100, OCTETS[-1]])
def test_every_address_of_a_cluster_lies_in_the_rule_and_on_loopback(octet: int) -> None:
    network = Network(octet)
    source, target = (ipaddress.ip_network(part) for part in REALISE.split("="))
    for cidr in (network.pod_cidr, network.service_cidr, network.load_balancer_cidr):
        assert ipaddress.ip_network(cidr).subnet_of(source), f"{cidr} would not be realised"
    assert target.subnet_of(ipaddress.ip_network("127.0.0.0/8")), "a realised address must not leave the machine"


def test_sockets_use_the_realised_form_of_the_addresses_in_objects() -> None:
    network = Network(77)
    assert (network.node_address, network.host) == ("10.77.0.1", "127.77.0.1")
    assert realised(network.node_address) == network.host, "the node's two addresses must be one by the rule"
    in_objects, on_sockets = network.api_service_addresses
    assert realised(in_objects) == on_sockets, "a client of the Service `kubernetes` verifies the address it dialled"
    assert network.url(Port.API_SERVER) == "https://127.77.0.1:6443"


def test_pods_services_and_load_balancers_never_share_an_address() -> None:
    ranges = [ipaddress.ip_network(cidr) for octet in (77, 78) for cidr in _cidrs(Network(octet))]
    assert not [(a, b) for i, a in enumerate(ranges) for b in ranges[i + 1 :] if a.overlaps(b)], "within a cluster and between two"


def test_the_first_service_address_is_that_of_kubernetes() -> None:
    network = Network(90)
    first = next(ipaddress.ip_network(network.service_cidr).hosts())
    assert network.api_service_addresses[0] == str(first), "the API server gives its own Service the first address of the range"


def _cidrs(network: Network) -> tuple[str, str, str]:
    return network.pod_cidr, network.service_cidr, network.load_balancer_cidr
